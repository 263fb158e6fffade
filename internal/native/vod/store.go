package vod

import (
	"container/list"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
)

// store holds the pieces of one torrent. It is safe for concurrent use.
type store struct {
	cache *cache
	id    string // infohash
	shape geometry

	// window is the memory this torrent may use, in bytes; the cache changes
	// it as torrents come and go.
	window atomic.Int64

	// The rest is guarded by cache.mu.
	pieces   map[int]*piece
	inMemory list.List        // of *piece, least recently used first
	spilled  list.List        // of *piece, on disk or on the way there
	memory   int64            // bytes of the pieces in inMemory
	readers  map[*reader]span // what each reader is about to read
	pins     []span           // kept while in use
	lost     map[int]struct{} // dropped in part; the library does not know
	inUse    bool
	lastUse  int64
	info     []byte          // bencoded info, while idle
	evicted  func(index int) // told without locks that a verified piece is gone
}

func newStore(c *cache, id string, g geometry) *store {
	return &store{
		cache: c, id: id, shape: g,
		pieces: make(map[int]*piece), lost: make(map[int]struct{}),
	}
}

// onEvicted sets whom to tell that a verified piece is gone.
func (s *store) onEvicted(f func(index int)) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.inUse {
		s.evicted = f
	}
}

// need keeps the pieces that r is about to read; an empty span gives them up.
func (s *store) need(r *reader, sp span) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if sp == (span{}) {
		delete(s.readers, r)
		return
	}
	if s.readers == nil {
		s.readers = make(map[*reader]span)
	}
	s.readers[r] = sp
}

// pin keeps pieces while the torrent is in use, as long as all that is pinned
// stays below a quarter of the window. It reports whether it did.
func (s *store) pin(spans []span) bool {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	var sum int64
	for _, sp := range append(spans, s.pins...) {
		sum += sp.bytes(s.shape)
	}
	if !s.inUse || sum > s.window.Load()/4 {
		return false
	}
	s.pins = append(s.pins, spans...)
	return true
}

// unpin gives up what pin kept.
func (s *store) unpin(spans []span) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	for _, sp := range spans {
		if i := slices.Index(s.pins, sp); i >= 0 {
			s.pins = slices.Delete(s.pins, i, i+1)
		}
	}
}

// isLost tells whether blocks of a piece are gone that the library believes
// to be here.
func (s *store) isLost(index int) bool {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	_, lost := s.lost[index]
	return lost
}

// held is how many verified bytes are here.
func (s *store) held() (n int64) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	for _, p := range s.pieces {
		if p.verified {
			n += int64(p.length)
		}
	}
	return n
}

func (s *store) heldLocked() (n int64) {
	for _, p := range s.pieces {
		n += int64(p.length)
	}
	return n
}

func (s *store) protectedLocked(index int) bool {
	for _, sp := range s.readers {
		if sp.contains(index) {
			return true
		}
	}
	for _, sp := range s.pins {
		if sp.contains(index) {
			return true
		}
	}
	return false
}

// victimLocked is the least recently used piece in memory that may go. A
// piece that is whole but not verified yet is being checked, and stays. With
// force even what readers need may go: that happens only when there are more
// readers than the window has pieces.
func (s *store) victimLocked(force bool) *piece {
	for e := s.inMemory.Front(); e != nil; e = e.Next() {
		p := e.Value.(*piece)
		if p.missing == 0 && !p.verified {
			continue
		}
		if force || !s.protectedLocked(p.index) {
			return p
		}
	}
	return nil
}

// unlinkLocked takes p off the list it is on.
func (s *store) unlinkLocked(p *piece) {
	if p.at == inMemory {
		s.inMemory.Remove(p.elem)
		s.memory -= int64(p.length)
	} else {
		s.spilled.Remove(p.elem)
	}
	p.elem = nil
}

func (s *store) touchLocked(p *piece) {
	if p.at == inMemory {
		s.inMemory.MoveToBack(p.elem)
	} else {
		s.spilled.MoveToBack(p.elem)
	}
}

// writeAt stores a block. Other pieces may have to go for it.
func (s *store) writeAt(index int, b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) > int64(s.shape.length(index)) {
		return 0, fmt.Errorf("write [%d, %d) of piece %d: outside the piece", off, off+int64(len(b)), index)
	}
	c := s.cache
	c.mu.Lock()
	if !s.inUse {
		c.mu.Unlock()
		return 0, ErrClosed
	}
	p := s.pieces[index]
	var gone []eviction
	if p == nil {
		length := s.shape.length(index)
		gone = c.makeRoomLocked(s, int64(length))
		buf, err := c.mem.get(length)
		if err != nil {
			c.mu.Unlock()
			tell(gone)
			return 0, err
		}
		p = newPiece(index, length, buf)
		p.elem = s.inMemory.PushBack(p)
		s.pieces[index] = p
		s.memory += int64(length)
		c.used += int64(length)
	}
	if p.verified {
		c.mu.Unlock() // the library asked twice; what is verified stays as it is
		return len(b), nil
	}
	buf := p.buf
	buf.refs++
	c.mu.Unlock()

	copy(buf.data[off:], b)

	c.mu.Lock()
	p.wrote(int(off), len(b))
	if !p.gone {
		s.touchLocked(p)
	}
	c.mem.unref(buf)
	c.mu.Unlock()
	tell(gone)
	return len(b), nil
}

// readAt reads from one piece, errEvicted if it does not hold all of it.
func (s *store) readAt(index int, b []byte, off int64) (int, error) {
	n := min(int64(len(b)), int64(s.shape.length(index))-off)
	if off < 0 || n <= 0 {
		return 0, io.EOF
	}
	b = b[:n]
	c := s.cache
	c.mu.Lock()
	p := s.pieces[index]
	if p == nil || !p.has(int(off), len(b)) {
		c.mu.Unlock()
		return 0, fmt.Errorf("read piece %d: %w", index, errEvicted)
	}
	s.touchLocked(p)
	if p.at == onDisk {
		c.mu.Unlock()
		return s.readDisk(p, b, off)
	}
	buf := p.buf
	buf.refs++
	c.mu.Unlock()
	copy(b, buf.data[off:])
	c.mu.Lock()
	c.mem.unref(buf)
	c.mu.Unlock()
	return len(b), nil
}

// readDisk reads a piece that left memory. One that cannot be read is gone.
func (s *store) readDisk(p *piece, b []byte, off int64) (int, error) {
	n, err := s.cache.spill.readAt(s.id, p.index, b, off)
	if err == nil {
		return n, nil
	}
	c := s.cache
	var gone []eviction
	c.mu.Lock()
	if !p.gone {
		gone = c.evictLocked(s, p, nil)
	}
	c.mu.Unlock()
	tell(gone)
	return 0, fmt.Errorf("read piece %d: %w (%w)", p.index, errEvicted, err)
}

// writeTo gives the whole piece to w without a copy, for the hash check. It
// fails if blocks are missing, so that nobody is blamed for what was evicted.
func (s *store) writeTo(index int, w io.Writer) (int64, error) {
	c := s.cache
	c.mu.Lock()
	p := s.pieces[index]
	if p == nil || p.missing > 0 || p.buf == nil {
		c.mu.Unlock()
		return 0, fmt.Errorf("check piece %d: %w", index, errEvicted)
	}
	buf := p.buf
	buf.refs++
	c.mu.Unlock()
	n, err := w.Write(buf.data)
	c.mu.Lock()
	c.mem.unref(buf)
	c.mu.Unlock()
	return int64(n), err
}

// verify records the outcome of a hash check. A piece that failed is dropped;
// the library asks for all of it again.
func (s *store) verify(index int, ok bool) {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(s.lost, index)
	p := s.pieces[index]
	switch {
	case p == nil:
	case !ok:
		c.dropLocked(s, p)
	case p.missing == 0:
		p.verified = true
		s.touchLocked(p)
	}
}

// complete tells whether a verified piece is here.
func (s *store) complete(index int) bool {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	p := s.pieces[index]
	return p != nil && p.verified
}
