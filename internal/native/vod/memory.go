package vod

import "fmt"

// buffer is the memory of one piece. Its fields are guarded by the mutex of
// the cache that owns it; its data may be read and written without, by whoever
// holds a reference.
type buffer struct {
	data     []byte
	refs     int  // copies in progress
	released bool // the piece has given it up; the last reference frees it
}

// memory hands out buffers and keeps a few for reuse, because a fresh mapping
// costs a page fault for every 4 KiB. It is guarded by the mutex of the cache
// that owns it.
type memory struct {
	spare      map[int][][]byte // by length
	spareBytes int
	closed     bool // nothing is kept for reuse any more
}

// maxSpare bounds what memory keeps for reuse.
const maxSpare = 4 << 20

func newMemory() memory { return memory{spare: make(map[int][][]byte)} }

func (m *memory) get(n int) (*buffer, error) {
	if l := m.spare[n]; len(l) > 0 {
		data := l[len(l)-1]
		m.spare[n] = l[:len(l)-1]
		m.spareBytes -= n
		return &buffer{data: data}, nil
	}
	data, err := mapMemory(n)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for a piece: %w", n, err)
	}
	return &buffer{data: data}, nil
}

// unref ends one copy.
func (m *memory) unref(b *buffer) {
	b.refs--
	if b.refs == 0 && b.released {
		m.free(b)
	}
}

// release gives b up; copies in progress keep it until they end.
func (m *memory) release(b *buffer) {
	b.released = true
	if b.refs == 0 {
		m.free(b)
	}
}

func (m *memory) free(b *buffer) {
	data := b.data
	b.data = nil
	n := len(data)
	if !m.closed && m.spareBytes+n <= maxSpare {
		m.spare[n] = append(m.spare[n], data)
		m.spareBytes += n
		return
	}
	unmapMemory(data)
}

// close returns what is kept for reuse to the system. Buffers that are still
// referenced follow when they are given up.
func (m *memory) close() {
	m.closed = true
	for n, l := range m.spare {
		for _, data := range l {
			unmapMemory(data)
		}
		delete(m.spare, n)
	}
	m.spareBytes = 0
}
