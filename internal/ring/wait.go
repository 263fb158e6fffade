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

// Wait returns a channel that is closed as soon as the byte at pos has been
// appended (so that End is above pos), or the ring is closed. A reader that has sent all up
// to pos waits for pos; one that would rather send n bytes at once waits for pos+n-1, and for
// a timer of its own.
//
// Nothing has to be undone when a reader stops waiting. All readers waiting
// for one position share one channel, and a chunk wakes only those whose position it
// reaches.
func (r *Ring) Wait(pos int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || pos < r.end {
		return passed
	}
	i, found := slices.BinarySearchFunc(r.waits, pos, func(w wait, pos int64) int { return cmp.Compare(w.pos, pos) })
	if !found {
		r.waits = slices.Insert(r.waits, i, wait{pos: pos, ch: make(chan struct{})})
	}
	return r.waits[i].ch
}

// lastWait returns an end that all waits lie before. Guarded by mu.
func (r *Ring) lastWait() int64 {
	if len(r.waits) == 0 {
		return 0
	}
	return r.waits[len(r.waits)-1].pos + 1
}

// collect moves the channels of the waits before end to ready. Guarded by mu.
func (r *Ring) collect(end int64) {
	k := 0
	for k < len(r.waits) && r.waits[k].pos < end {
		r.ready = append(r.ready, r.waits[k].ch)
		k++
	}
	r.waits = slices.Delete(r.waits, 0, k)
}

// wake closes the channels that collect has found. It does so after the lock
// is released: the first readers awake find it free.
func (r *Ring) wake() {
	for _, ch := range r.ready {
		close(ch)
	}
	clear(r.ready)
	r.ready = r.ready[:0]
}
