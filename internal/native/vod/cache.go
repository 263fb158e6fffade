package vod

import (
	"container/list"
	"errors"
	"fmt"
	"sync"
)

// errEvicted: the bytes are not held any more, or not yet.
var errEvicted = errors.New("piece is not in the cache")

// cache holds the pieces of all torrents of a client, in memory and on disk,
// and keeps them within one limit. It is safe for concurrent use.
//
// What the readers of torrents in use are about to read stays; then the least
// recently used content goes first: idle torrents before those in use.
type cache struct {
	limit  int64
	window int64
	spill  *spill // nil without a disk

	mu     sync.Mutex
	mem    memory            // guarded by mu
	stores map[string]*store // by infohash; guarded by mu
	used   int64             // bytes of pieces held anywhere; guarded by mu
	clock  int64             // counts uses of stores; guarded by mu
	closed bool              // guarded by mu
}

func newCache(limit, window int64, sp *spill) *cache {
	return &cache{limit: limit, window: window, spill: sp, mem: newMemory(), stores: make(map[string]*store)}
}

// open returns the store of a torrent, with what it still holds from an
// earlier use, and marks it in use. It fails with ErrCacheFull if the torrents
// in use would not fit the limit.
func (c *cache) open(id string, g geometry) (*store, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	s := c.stores[id]
	if s == nil {
		s = newStore(c, id, g)
	}
	floors := []int64{g.floor()}
	for _, other := range c.stores {
		if other != s && other.inUse {
			floors = append(floors, other.shape.floor())
		}
	}
	if _, ok := shares(c.limit, c.window, floors); !ok {
		return nil, fmt.Errorf("%w: %d torrents in use, this one needs %d bytes", ErrCacheFull, len(floors)-1, g.floor())
	}
	c.stores[id] = s
	s.inUse = true
	c.clock++
	s.lastUse = c.clock
	c.shareLocked()
	return s, nil
}

// info of a torrent that was open before, as its last user left it, or nil.
func (c *cache) info(id string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.stores[id]; s != nil {
		return s.info
	}
	return nil
}

// leave makes a store idle. It keeps its verified pieces until their room is
// needed, and info to be found by the next user.
func (c *cache) leave(s *store, info []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.inUse {
		return
	}
	s.inUse = false
	s.evicted = nil
	s.info = info
	s.readers = nil
	s.pins = nil
	clear(s.lost)
	c.clock++
	s.lastUse = c.clock
	for _, p := range s.pieces {
		if !p.verified {
			c.dropLocked(s, p)
		}
	}
	if c.spill != nil {
		for e := s.inMemory.Front(); e != nil; {
			p := e.Value.(*piece)
			e = e.Next()
			if !c.spillLocked(s, p) {
				break
			}
		}
	}
	if len(s.pieces) == 0 {
		delete(c.stores, s.id)
	}
	c.shareLocked()
}

// shareLocked divides the limit among the torrents in use.
func (c *cache) shareLocked() {
	var in []*store
	var floors []int64
	for _, s := range c.stores {
		if s.inUse {
			in = append(in, s)
			floors = append(floors, s.shape.floor())
		}
	}
	if len(in) == 0 {
		return
	}
	parts, _ := shares(c.limit, c.window, floors) // open refused what does not fit
	for i, s := range in {
		s.window.Store(parts[i])
	}
}

// makeRoomLocked frees need bytes for s: within its window, then within the
// limit. It returns what the library must be told.
func (c *cache) makeRoomLocked(s *store, need int64) (gone []eviction) {
	window := s.window.Load()
	for s.memory+need > window {
		p := s.victimLocked(false)
		if p == nil {
			p = s.victimLocked(true)
		}
		if p == nil {
			break
		}
		if p.verified && c.spillLocked(s, p) {
			continue
		}
		gone = c.evictLocked(s, p, gone)
	}
	for c.used+need > c.limit {
		victim, p := c.victimLocked(s)
		if p == nil {
			break
		}
		gone = c.evictLocked(victim, p, gone)
	}
	return gone
}

// victimLocked picks the piece that goes when the limit is reached: of the
// torrent that was idle longest; else what torrents in use have on disk, else
// in memory and outside of what their readers need; else of s itself.
func (c *cache) victimLocked(s *store) (*store, *piece) {
	var idle *store
	for _, other := range c.stores {
		if !other.inUse && len(other.pieces) > 0 && (idle == nil || other.lastUse < idle.lastUse) {
			idle = other
		}
	}
	if idle != nil {
		if p := oldest(&idle.spilled); p != nil {
			return idle, p
		}
		return idle, oldest(&idle.inMemory)
	}
	var from *store
	for _, other := range c.stores {
		if other.spilled.Len() > 0 && (from == nil || other.lastUse < from.lastUse) {
			from = other
		}
	}
	if from != nil {
		return from, oldest(&from.spilled)
	}
	// The windows of all torrents in use fit the limit together, so some
	// torrent is beyond its own.
	for _, other := range c.stores {
		if other.memory > other.window.Load() {
			if p := other.victimLocked(false); p != nil {
				return other, p
			}
		}
	}
	for _, other := range c.stores {
		if p := other.victimLocked(false); p != nil {
			return other, p
		}
	}
	return s, s.victimLocked(true)
}

func oldest(l *list.List) *piece {
	if e := l.Front(); e != nil {
		return e.Value.(*piece)
	}
	return nil
}

// eviction is one piece that the library believed to be here.
type eviction struct {
	index int
	tell  func(index int) // the store's evicted, as it was then
}

func (c *cache) evictLocked(s *store, p *piece, gone []eviction) []eviction {
	switch {
	case p.verified:
		if s.evicted != nil {
			gone = append(gone, eviction{p.index, s.evicted})
		}
	case s.inUse && !p.empty():
		// The library cannot be told that single blocks are gone; it finds
		// out when it checks the piece. Until then nobody may read it
		// unverified.
		s.lost[p.index] = struct{}{}
	}
	c.dropLocked(s, p)
	return gone
}

// dropLocked forgets p and frees what it holds.
func (c *cache) dropLocked(s *store, p *piece) {
	p.gone = true
	delete(s.pieces, p.index)
	s.unlinkLocked(p)
	if p.at == onDisk {
		c.spill.discard(s, p)
	}
	if p.buf != nil {
		c.mem.release(p.buf)
		p.buf = nil
	}
	c.used -= int64(p.length)
	if !s.inUse && len(s.pieces) == 0 {
		delete(c.stores, s.id)
	}
}

func (c *cache) clearLocked(s *store) {
	for _, p := range s.pieces {
		c.dropLocked(s, p)
	}
	delete(c.stores, s.id)
}

// tell reports evictions to the library. It must not be called with any lock
// held.
func tell(gone []eviction) {
	for _, e := range gone {
		e.tell(e.index)
	}
}

// usage of the cache, in bytes, and the number of torrents that have pieces.
func (c *cache) usage() (used, inUse int64, torrents int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stores {
		if s.inUse {
			inUse += s.heldLocked()
		}
	}
	return c.used, inUse, len(c.stores)
}

// close frees everything. Stores that are still open fail from now on.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, s := range c.stores {
		s.inUse = false
		s.evicted = nil
		c.clearLocked(s)
	}
	c.mem.close()
}
