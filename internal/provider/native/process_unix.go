//go:build unix

package native

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ownGroup makes the process lead a group of its own, so that a signal from
// the terminal reaches the parent alone, which ends the children in order.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// errInUse says that another process holds the directory.
var errInUse = errors.New("another process runs its engines there")

// lockDir takes the directory for this process until the file is closed. The
// lock ends with the process, and children do not inherit it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errInUse
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
