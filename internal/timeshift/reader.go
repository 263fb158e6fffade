package timeshift

import (
	"errors"
	"fmt"
	"io/fs"
)

// A Reader reads a recording from any position. It has at most one file open, which it can read on
// when that is removed. It is for one goroutine, which closes it.
type Reader struct {
	rec  *Recording
	file *file // that in is of
	in   File  // nil while there is none
}

// NewReader returns a reader of r. When r is removed it is told that its place is gone.
func (r *Recording) NewReader() *Reader { return &Reader{rec: r} }

// Read fills p with the bytes from pos on, as far as they are in one file. At the end of
// the recording n is 0. The error is [ErrGone], or that of the file system.
func (rd *Reader) Read(p []byte, pos int64) (n int, err error) {
	f, n, err := rd.find(pos, len(p))
	if err != nil || n == 0 {
		return 0, err
	}
	if f != rd.file {
		if err := rd.open(f); err != nil {
			return 0, err
		}
	}
	if got, err := rd.in.ReadAt(p[:n], pos-f.from); got < n {
		return 0, fmt.Errorf("read %s: %w", f.name, err)
	}
	return n, nil
}

// find returns the file that has the byte at pos, and how many bytes of it there are
// from there on, most at most. They are 0 at the end of the recording.
func (rd *Reader) find(pos int64, most int) (f *file, n int, err error) {
	s := rd.rec.store
	s.mu.Lock()
	defer s.mu.Unlock()
	files := rd.rec.files
	i := fileAt(files, pos)
	if i < 0 || pos > files[i].end() {
		return nil, 0, ErrGone
	}
	f = files[i]
	return f, int(min(int64(most), f.end()-pos)), nil
}

func (rd *Reader) open(f *file) error {
	rd.Close()
	in, err := rd.rec.store.fs.Open(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist): // removed since it was found
		return ErrGone
	case err != nil:
		return fmt.Errorf("open %s: %w", f.name, err)
	}
	rd.file, rd.in = f, in
	return nil
}

// Close gives up the file that the reader has open. It can go on reading after that.
func (rd *Reader) Close() {
	if rd.in != nil {
		rd.in.Close()
	}
	rd.file, rd.in = nil, nil
}
