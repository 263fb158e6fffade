package stream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// reopenBackoff paces the attempts to find an engine that goes on with a
// stream.
var reopenBackoff = backoff.Policy{Min: 500 * time.Millisecond, Max: 5 * time.Second}

const (
	// calmTime is how long silence of the old source is no reason to look for
	// another engine after it recovered from one. Peers are fitful: gaps of
	// some seconds are normal.
	calmTime = 30 * time.Second
	// usualLosses in a minute are met at once. More are a storm, as when
	// another program takes the session from us each time: then each attempt
	// waits, the longer the more there were.
	usualLosses = 3
)

// errReplaced ends a source whose heir is ready.
var errReplaced = errors.New("another engine is ready to go on")

// heir finds the engine that goes on with a stream after the one that plays
// it. It makes before it breaks where it can: when the engine is about to leave
// the pool, the content is opened on another engine while the old one still
// plays, and the old one is let go when the new one delivers. When the old one
// is silent for half the stall time, another is opened too. If that one goes on
// where the old one stopped, it takes over there and then; if not, it is at hand
// by the time the old one is given up.
type heir struct {
	stream *Stream
	old    *conn
	cancel context.CancelCauseFunc
	haste  int           // losses of late, beyond what is usual: they slow the search down
	calm   time.Time     // until when silence is no reason to search
	lost   chan struct{} // closed when the old source is gone
	found  chan *conn    // receives the new conn, once; nil when there is none
	err    error         // why there is none; set before nil is sent
}

// appointHeir begins to look out for the need of a successor to c.
func (s *Stream) appointHeir(c *conn) *heir {
	ctx, cancel := context.WithCancelCause(s.ctx)
	h := &heir{
		stream: s, old: c, cancel: cancel, haste: s.haste(time.Now()),
		lost: make(chan struct{}), found: make(chan *conn, 1),
	}
	s.hub.work.Go(func() { h.run(ctx) })
	return h
}

// haste counts the losses of the last minute beyond the usual.
func (s *Stream) haste(now time.Time) int {
	s.losses = slices.DeleteFunc(s.losses, func(at time.Time) bool { return now.Sub(at) > time.Minute })
	return max(0, len(s.losses)-usualLosses)
}

// dismiss ends the search. What it may have opened is given back.
func (h *heir) dismiss() {
	h.cancel(errLostRace)
	h.stream.hub.work.Go(func() {
		if c := <-h.found; c != nil {
			h.stream.hub.retire(c)
		}
	})
}

// succeed says that the old source is gone and waits for the new conn.
func (h *heir) succeed() (*conn, error) {
	close(h.lost)
	c := <-h.found
	h.cancel(nil)
	if c == nil {
		return nil, h.err
	}
	return c, nil
}

// run waits for the need, and then searches until an engine is found, the
// outage is too long or ctx ends.
func (h *heir) run(ctx context.Context) {
	for {
		leaving, err := h.need(ctx)
		if err != nil {
			h.err = err
			h.found <- nil
			return
		}
		c, err := h.search(ctx)
		switch {
		case err != nil:
			h.err = err
			h.found <- nil
			return
		case leaving:
			h.found <- c
			h.old.source.Stop(errReplaced)
			return
		case h.awaitLoss(ctx, c):
			h.found <- c
			h.old.source.Stop(upstream.ErrStalled)
			return
		}
		// The old engine has recovered meanwhile.
		h.stream.hub.retire(c)
		h.calm = time.Now().Add(calmTime)
	}
}

// need waits until a successor is needed: leaving tells that the old engine
// goes whatever it delivers.
func (h *heir) need(ctx context.Context) (leaving bool, err error) {
	quiet := time.NewTimer(h.patience())
	defer quiet.Stop()
	for {
		select {
		case <-h.lost:
			return true, nil
		case <-h.old.slot.Leaving:
			return true, nil
		case now := <-quiet.C:
			switch {
			case now.Before(h.calm):
				quiet.Reset(h.calm.Sub(now))
			case h.silence() > 0:
				return false, nil
			default:
				quiet.Reset(h.patience() - h.old.source.Silence())
			}
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// awaitLoss waits, with the new conn at hand, until the silent old source is
// lost, or needed no more since the new one goes on where it stopped, or delivers
// again; then it returns false. A silent source that recovers has all that it
// kept back, where a fresh session that begins closer to live would skip it.
func (h *heir) awaitLoss(ctx context.Context, c *conn) (lost bool) {
	tail := h.stream.tail()
	looked, cancel := context.WithCancel(ctx)
	defer cancel()
	continues := make(chan bool, 1)
	h.stream.hub.work.Go(func() { continues <- c.source.Continues(looked, tail) })
	look := time.NewTicker(h.patience() / 10)
	defer look.Stop()
	reading := continues // nil once the new source is read no more
	for {
		select {
		case <-h.lost:
			cancel()
			if reading != nil {
				<-reading
			}
			return true
		case yes := <-reading:
			if reading = nil; yes && h.silence() > 0 {
				return true
			}
		case <-look.C:
			if h.silence() == 0 && !h.isLost() {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
}

// patience is how long the old source may be silent.
func (h *heir) patience() time.Duration { return h.stream.hub.cfg.StallTimeout / 2 }

// silence returns by how much the old source has overdrawn that.
func (h *heir) silence() time.Duration {
	return max(0, h.old.source.Silence()-h.patience()+1)
}

func (h *heir) isLost() bool {
	select {
	case <-h.lost:
		return true
	default:
		return false
	}
}

// search opens the content on another engine. While the old one plays it must
// be another one, as an engine has one session per content; afterwards it had
// better be. The outage counts from when the old one is lost.
func (h *heir) search(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h.stream.hub.work.Go(func() {
		select {
		case <-h.lost:
		case <-ctx.Done():
			return
		}
		if pause(ctx, h.stream.hub.cfg.Outage) == nil {
			cancel(errOutage)
		}
	})
	for failures := 0; ; failures++ {
		if err := h.rest(ctx, reopenBackoff.Delay(failures+h.haste)); err != nil {
			return nil, err
		}
		not := avoid{busy: []string{h.old.slot.EngineID}}
		if h.isLost() {
			not = avoid{}
			if failures == 0 {
				not.failed = []string{h.old.slot.EngineID}
			}
		}
		c, err := h.stream.reopen(ctx, not)
		if err == nil {
			return c, nil
		}
		h.stream.log.Debug("no engine goes on yet", "err", err)
	}
}

// rest pauses between attempts; the loss of the old source ends it early, as
// that opens more engines to try.
func (h *heir) rest(ctx context.Context, d time.Duration) error {
	if h.isLost() {
		return pause(ctx, d)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	h.stream.hub.work.Go(func() {
		select {
		case <-h.lost:
			cancel(errRested)
		case <-stop:
		}
	})
	if err := pause(ctx, d); !errors.Is(err, errRested) {
		return err
	}
	return nil
}

// errRested ends a pause that has become pointless.
var errRested = errors.New("paused long enough")

// pause waits, or returns the cause of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
