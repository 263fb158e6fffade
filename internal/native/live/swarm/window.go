package swarm

import (
	"math/bits"
	"time"
)

// slot is what a node knows of one unit.
type slot struct {
	held  bool
	unit  Unit
	heard time.Duration // when it was first heard of; below 0: not yet
	asks  [2]ask        // requests under way
}

// ask is a request for a unit that was not answered yet.
type ask struct {
	to    *neighbor
	until time.Duration
}

func (s *slot) take(u Unit, now time.Duration) {
	s.held, s.unit = true, u
	if s.heard < 0 {
		s.heard = now
	}
}

// outstanding counts the requests under way.
func (s *slot) outstanding() int {
	count := 0
	for _, a := range s.asks {
		if a.to != nil {
			count++
		}
	}
	return count
}

// window is a ring of the newest units. A quarter of it lies ahead of the
// newest unit held, for what is announced and not here yet; only signed units
// move it, so that no announcement can.
type window struct {
	slots []slot
	top   Seq // newest unit held, or hooked in at; 0: none yet
	low   Seq // nothing is known below
}

func newWindow(units int) window {
	return window{slots: make([]slot, 1<<bits.Len(uint(max(units, 64)-1)))}
}

func (w *window) ahead() Seq { return Seq(len(w.slots) / 4) }

// lo is the oldest unit the window has room for.
func (w *window) lo() Seq {
	room := Seq(len(w.slots)) - w.ahead()
	if w.top >= room {
		return max(w.low, w.top-room+1)
	}
	return max(w.low, 1)
}

// at returns the slot of a unit, nil if it is outside of the window.
func (w *window) at(seq Seq) *slot {
	if w.top == 0 || seq < w.lo() || seq > w.top+w.ahead() {
		return nil
	}
	return &w.slots[seq&Seq(len(w.slots)-1)]
}

// reach moves the window so that seq is not ahead of it.
func (w *window) reach(seq Seq) {
	if w.top == 0 {
		w.restart(seq, seq)
		return
	}
	if seq <= w.top {
		return
	}
	from, to := w.top+w.ahead()+1, seq+w.ahead()
	if to-from >= Seq(len(w.slots)) {
		w.restart(seq, seq)
		return
	}
	for s := from; s <= to; s++ {
		w.slots[s&Seq(len(w.slots)-1)] = slot{heard: -1}
	}
	w.top = seq
}

// restart forgets everything and begins at low.
func (w *window) restart(low, top Seq) {
	for i := range w.slots {
		w.slots[i] = slot{heard: -1}
	}
	w.low, w.top = low, top
}

// bitRing is a set of units, of which it knows the newest.
type bitRing struct {
	bits []uint64
	hi   Seq
}

func (b *bitRing) set(seq Seq) {
	size := Seq(len(b.bits) * 64)
	switch {
	case b.hi == 0 || seq >= b.hi+size:
		clear(b.bits)
		b.hi = seq
	case seq > b.hi:
		for s := b.hi + 1; s <= seq; s++ {
			b.bits[s%size/64] &^= 1 << (s % 64)
		}
		b.hi = seq
	case seq+size <= b.hi:
		return
	}
	b.bits[seq%size/64] |= 1 << (seq % 64)
}

func (b *bitRing) has(seq Seq) bool {
	size := Seq(len(b.bits) * 64)
	return seq <= b.hi && seq+size > b.hi && b.bits[seq%size/64]&(1<<(seq%64)) != 0
}

// dice is a source of numbers that look random, after SplitMix64 by Vigna.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a duration from 0 up to, and not, d.
func (d *dice) below(limit time.Duration) time.Duration {
	return time.Duration(d.next() % uint64(limit))
}

// smooth moves an average an eighth of the way to a sample.
func smooth(average, sample time.Duration) time.Duration {
	return average + (sample-average)/8
}
