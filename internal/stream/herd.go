package stream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/ring"
)

// Prompt is a [Sink] that can send without waiting for its player.
type Prompt interface {
	Sink
	// Try sends parts as Write and Flush would, as far as the player takes them
	// at once. If that is not all, done is false, and the next Flush sends the
	// rest first.
	Try(parts [][]byte) (done bool, err error)
}

// herd gives the viewers at the newest byte of a ring what comes, one after the
// other in one goroutine. Each of them could do that for itself, but to wake a
// goroutine, have it find its bytes and put it to sleep again costs half as
// much as to send them, and most viewers of a live stream are at the same place
// all the time. One whose player does not take the bytes at once is let go: it
// goes on by itself until it has caught up.
//
// Its methods are safe for concurrent use; run is called once.
type herd struct {
	ring  *ring.Ring
	poked chan struct{} // of one place: there may be more to send

	mu      sync.Mutex // guards what follows, and the outlets of places; held while bytes are sent, but never waits for a player
	places  []*place
	over    bool
	scratch [][]byte
}

// place is where a viewer is in the herd. While it is there, its outlet belongs
// to the herd.
type place struct {
	out   *outlet
	sink  Prompt
	pos   int64
	fed   time.Time     // when it was sent something last
	in    bool          // it is among the places
	left  bool          // what it was sent last was not all taken
	err   error         // why it can be sent no more
	freed chan struct{} // of one place: the herd let it go
}

func newHerd(r *ring.Ring) *herd { return &herd{ring: r, poked: make(chan struct{}, 1)} }

// poke says that there may be more to send.
func (h *herd) poke() {
	select {
	case h.poked <- struct{}{}:
	default: // it has been said
	}
}

// run feeds the herd until ctx ends. Then all places are let go. One that was
// sent nothing for long is let go before that, to send padding.
func (h *herd) run(ctx context.Context) {
	look := time.NewTicker(paddingPause / 4)
	defer look.Stop()
	for {
		select {
		case <-h.poked:
			h.feed()
		case now := <-look.C:
			h.release(func(p *place) bool { return now.Sub(p.fed) >= paddingPause })
		case <-ctx.Done():
			h.mu.Lock()
			h.over = true
			h.mu.Unlock()
			h.release(func(*place) bool { return true })
			return
		}
	}
}

// release lets go of the places that should be.
func (h *herd) release(should func(*place) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.places = slices.DeleteFunc(h.places, func(p *place) bool {
		if !should(p) {
			return false
		}
		p.free()
		return true
	})
}

// feed sends each place what it lacks.
func (h *herd) feed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	at, n := int64(-1), 0 // what scratch holds
	var err error
	h.places = slices.DeleteFunc(h.places, func(p *place) bool {
		if p.pos != at {
			at = p.pos
			h.scratch, n, err = h.ring.Read(h.scratch[:0], at, writeSize)
		}
		switch {
		case err == nil && n == 0:
			return false
		case err == nil && p.send(h.scratch, n, now):
			return false
		}
		p.free() // it finds out about the ring by itself
		return true
	})
	clear(h.scratch)
}

// send sends n bytes in parts, and says whether the place stays in the herd:
// its player took them all. One that has more to come than was read at once is
// behind, and goes on by itself too.
func (p *place) send(parts [][]byte, n int, now time.Time) bool {
	if p.err = p.out.renew(now); p.err != nil {
		return false
	}
	done, err := p.sink.Try(parts)
	if err != nil {
		p.err = p.out.gone(err)
		return false
	}
	p.pos += int64(n)
	p.fed, p.left = now, !done
	v := p.out.viewer
	v.pos.Store(p.pos)
	if done {
		v.sent.add(int64(n), now)
	} else {
		p.out.size, p.out.began = int64(n), true
	}
	return done && n < writeSize
}

// free lets the place go. The herd's mu is held.
func (p *place) free() {
	p.in = false
	p.freed <- struct{}{} // of one place, and freed once for each time it was in
}

// join puts a place at pos into the herd, unless there is something to send
// from there, or the herd is over.
func (h *herd) join(p *place, pos int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	if _, n, err := h.ring.Read(nil, pos, 1); n > 0 || err != nil {
		return false
	}
	p.pos, p.fed, p.in, p.left, p.err = pos, time.Now(), true, false, nil
	h.places = append(h.places, p)
	return true
}

// leave takes a place out of the herd, if it is there.
func (h *herd) leave(p *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.in {
		p.in = false
		h.places = slices.DeleteFunc(h.places, func(x *place) bool { return x == p })
		return
	}
	select {
	case <-p.freed: // it was freed, and did not hear of it
	default:
	}
}

// wait waits until there is something to send behind pos, and returns the
// position reached: in the herd the viewer is sent what comes meanwhile.
func (o *outlet) wait(ctx context.Context, r *ring.Ring, pos int64) (reached int64, err error) {
	if o.enter(pos) {
		return o.graze(ctx)
	}
	return pos, o.await(ctx, r.Wait(pos))
}

// enter puts the viewer, all of whose bytes up to pos were sent, into the herd,
// if there is one that takes it.
func (o *outlet) enter(pos int64) bool {
	sink, prompt := o.sink.(Prompt)
	if o.herd == nil || !prompt || o.viewer.sent.sum() == 0 {
		return false
	}
	if o.place == nil {
		o.place = &place{out: o, sink: sink, freed: make(chan struct{}, 1)}
	}
	return o.herd.join(o.place, pos)
}

// graze leaves the viewer to the herd that it entered, until that lets it go or
// ctx ends. It returns the position reached.
func (o *outlet) graze(ctx context.Context) (reached int64, err error) {
	p := o.place
	select {
	case <-p.freed:
	case <-ctx.Done():
	}
	o.herd.leave(p)
	switch {
	case p.err != nil:
		return p.pos, p.err
	case ctx.Err() != nil && p.left:
		return p.pos, errors.Join(context.Cause(ctx), o.flush()) // so that the answer ends in order, if there is time
	case ctx.Err() != nil:
		return p.pos, context.Cause(ctx)
	case p.left:
		// The rest is sent as everything is that waits for the player.
		if err := o.extend(); err != nil {
			return p.pos, err
		}
		return p.pos, o.flush()
	case time.Since(p.fed) >= paddingPause:
		return p.pos, o.pad()
	}
	return p.pos, nil
}

// renew moves the deadline when half of it is over, so that it never passes
// while the player takes all there is.
func (o *outlet) renew(now time.Time) error {
	if now.Sub(o.set) < o.patience/2 {
		return nil
	}
	o.set = time.Time{}
	return o.extend()
}
