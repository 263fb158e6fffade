//go:build unix

package official

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// cached is one file of the cache.
type cached struct {
	path string
	used time.Time
	size int64 // bytes that it takes on disk
}

// cacheFiles lists the files below dir. A directory that does not exist has none.
func cacheFiles(dir string) ([]cached, error) {
	var all []cached
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the engine removed it meanwhile
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // the engine removed it meanwhile
		}
		all = append(all, cached{path, info.ModTime(), occupied(info)})
		return nil
	})
	return all, err
}

// occupied is what a file takes on disk, as du counts it: files of an engine
// may have holes.
func occupied(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}

func sizeOf(files []cached) int64 {
	var sum int64
	for _, f := range files {
		sum += f.size
	}
	return sum
}

// trimCache removes the files of dir that were used least recently until half
// of limit is left, where more than limit is there. No engine may run: one that
// does goes on counting what it no longer has. It returns how many bytes were
// removed and how many are left.
func trimCache(dir string, limit int64) (removed, left int64, err error) {
	files, err := cacheFiles(dir)
	left = sizeOf(files)
	if err != nil || left <= limit {
		return 0, left, err
	}
	slices.SortFunc(files, func(a, b cached) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	for _, f := range files {
		if left <= limit/2 {
			break
		}
		if e := os.Remove(f.path); e != nil {
			err = e // the last one tells enough
			continue
		}
		removed += f.size
		left -= f.size
	}
	if err != nil {
		err = fmt.Errorf("clean the cache: %w", err)
	}
	return removed, left, err
}
