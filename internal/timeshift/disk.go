//go:build linux || darwin || freebsd

package timeshift

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// lockName is the file by which processes keep out of each other's directories.
const lockName = ".lock"

// errInUse says that another process has the directory.
var errInUse = errors.New("another process keeps its streams there")

// isFull tells whether a write failed for want of room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// disk is a directory of the system.
type disk struct {
	root *os.Root
	dir  *os.File
	lock *os.File // held for as long as the directory is used; the lock ends with the process
}

func openDisk(dir string) (_ *disk, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &disk{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	if d.dir, err = d.root.Open("."); err != nil {
		return nil, err
	}
	if d.lock, err = d.root.OpenFile(lockName, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	err = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errInUse
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return d, d.sweep()
}

// sweep removes what an earlier process left.
func (d *disk) sweep() error {
	left, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range left {
		if !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		if err := d.root.Remove(e.Name()); err != nil {
			return fmt.Errorf("remove what an earlier run left: %w", err)
		}
	}
	return nil
}

func (d *disk) Create(name string) (File, error) {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *disk) Open(name string) (File, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *disk) Remove(name string) error { return d.root.Remove(name) }

func (d *disk) Space() (free, size int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(d.dir.Fd()), &st); err != nil {
		return 0, 0, err
	}
	block := int64(st.Bsize) //nolint:unconvert // its type is not the same on every system
	return int64(st.Bavail) * block, int64(st.Blocks) * block, nil
}

// Close gives the directory to who wants it next.
func (d *disk) Close() error {
	var errs []error
	for _, f := range []*os.File{d.dir, d.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}
	return errors.Join(errs...)
}
