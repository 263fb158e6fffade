package timeshift

import (
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// memory is a disk of a size, which can be made to fail. Removed files can be read on
// by who has them open, and take space until they are closed, as on a real one.
type memory struct {
	t *testing.T

	mu     sync.Mutex // guards what follows
	files  map[string]*memoryFile
	size   int64
	others int64 // what other programs have written
	fail   error // of every write and create
	peak   int64 // most bytes used at a time
}

type memoryFile struct {
	disk *memory
	data []byte
	open int
}

func newMemory(t *testing.T, size int64) *memory {
	return &memory{t: t, size: size, files: make(map[string]*memoryFile)}
}

// used returns the bytes of files that have a name. The caller holds mu.
func (m *memory) used() (n int64) {
	for _, f := range m.files {
		n += int64(len(f.data))
	}
	return n
}

// total is used, and the number of files.
func (m *memory) total() (n int64, files int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used(), len(m.files)
}

func (m *memory) set(fail error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

func (m *memory) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		m.t.Errorf("%s created twice", name)
	}
	if m.fail != nil {
		return nil, m.fail
	}
	f := &memoryFile{disk: m, open: 1}
	m.files[name] = f
	return f, nil
}

func (m *memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f.open++
	return f, nil
}

func (m *memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] == nil {
		m.t.Errorf("%s removed twice", name)
		return fs.ErrNotExist
	}
	delete(m.files, name)
	return nil
}

func (m *memory) Space() (free, size int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size - m.others - m.used(), m.size, nil
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := copy(p, f.data[min(off, int64(len(f.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.fail != nil {
		return 0, f.disk.fail
	}
	n, err := len(p), error(nil)
	if room := f.disk.size - f.disk.others - f.disk.used(); room < int64(n) { // part of it fits
		n, err = int(max(room, 0)), syscall.ENOSPC
	}
	f.data = slices.Concat(f.data[:off], p[:n])
	f.disk.peak = max(f.disk.peak, f.disk.used())
	return n, err
}

func (f *memoryFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.open--; f.open < 0 {
		f.disk.t.Error("file closed twice")
	}
	return nil
}
