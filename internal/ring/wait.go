package ring

import (
	"cmp"
	"slices"
)

// A wait is what all readers share that wait for the byte at one position.
type wait struct {
	pos int64
	ch  chan struct{}
}

// passed is the channel for waits that are over already.
var passed = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// Wait returns a channel that is closed as soon as readers see the byte at pos, or the
// ring is closed. A reader that has sent all up to pos waits for pos; one that would rather send n bytes at once waits for pos+n-1, and for
// a timer of its own.
//
// Nothing has to be undone when a reader stops waiting. All readers waiting
// for one position share one channel, and a chunk wakes only those whose position it
// reaches.
func (r *Ring) Wait(pos int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || pos < r.shown {
		return passed
	}
	i, found := slices.BinarySearchFunc(r.waits, pos, func(w wait, pos int64) int { return cmp.Compare(w.pos, pos) })
	if !found {
		r.waits = slices.Insert(r.waits, i, wait{pos: pos, ch: make(chan struct{})})
	}
	return r.waits[i].ch
}

// Wake shows what was added to the readers, and wakes those that wait for it; once
// the ring is closed, all of them. It may be called from any goroutine.
func (r *Ring) Wake() {
	r.waking.Lock()
	defer r.waking.Unlock()
	r.mu.Lock()
	r.shown = r.end
	r.collect()
	r.mu.Unlock()
	// The first readers awake find the lock free.
	for _, ch := range r.ready {
		close(ch)
	}
	clear(r.ready)
	r.ready = r.ready[:0]
}

// collect moves the channels of the waits that are over to ready. Guarded by
// waking and mu.
func (r *Ring) collect() {
	k := 0
	for k < len(r.waits) && (r.err != nil || r.waits[k].pos < r.shown) {
		r.ready = append(r.ready, r.waits[k].ch)
		k++
	}
	r.waits = slices.Delete(r.waits, 0, k)
}
