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

// heir finds the engine that goes on with a stream after the one that plays
// it. It makes before it breaks where it can: when the engine is about to leave
// the pool, or its session fails slowly, the content is opened on another engine
// while the old one still plays, and the old one is let go when the new one
// delivers, or proves better: handlings says which. When the old one falls silent
// for half the stall time, another is opened too. If that one goes on
// where the old one stopped, it takes over there and then; if not, it is at hand
// by the time the old one is given up.
type heir struct {
	stream *Stream
	old    *conn
	watch  *watch
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
		stream: s, old: c, watch: newWatch(s, c), cancel: cancel, haste: s.haste(time.Now()),
		lost: make(chan struct{}), found: make(chan *conn, 1),
	}
	s.hub.work.Go(func() { h.run(ctx) })
	s.hub.work.Go(func() { h.watch.look(ctx, h.lost) })
	s.hub.work.Go(func() { h.watch.ask(ctx, h.lost) })
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

// want is a need of a successor.
type want struct {
	why  Reason   // "" once the old source is lost
	move *request // of a person, who waits for the answer; nil without
}

// run waits for the need, and then searches until an engine is found, the
// outage is too long or ctx ends.
func (h *heir) run(ctx context.Context) {
	for {
		w, err := h.need(ctx)
		if err != nil {
			h.err = err
			h.found <- nil
			return
		}
		c, err := h.search(ctx, w)
		if err == nil && !h.isLost() && !h.audition(ctx, c, w.why) {
			h.stream.hub.retire(c)
			err = errNoBetter
		}
		switch {
		case err == nil:
			if how := handlings[w.why]; how.attempt && w.move == nil {
				h.stream.tried(time.Now())
			}
			h.found <- c
			if !h.isLost() {
				h.old.source.Stop(causes[w.why])
			}
			w.move.answer(nil)
			return
		case ctx.Err() != nil || errors.Is(err, errOutage):
			w.move.answer(err)
			h.err = err
			h.found <- nil
			return
		}
		h.stream.log.Debug("the engine stays", "engine", h.old.slot.EngineID, "reason", w.why, "err", err)
		w.move.answer(err)
		h.stay(w.why, err)
	}
}

// stay takes note that the old engine plays on.
func (h *heir) stay(why Reason, err error) {
	switch how := handlings[why]; {
	case why == ReasonAsked:
	case how.take == takeIfBetter:
		if errors.Is(err, errNoBetter) {
			h.stream.note(why, h.old.slot.EngineID)
		}
		h.stream.tried(time.Now())
	case how.attempt:
		h.stream.tried(time.Now())
	default: // the old engine has recovered
		h.calm = time.Now().Add(calmTime)
	}
}

var (
	errNoBetter  = errors.New("no engine proved better")
	errRecovered = errors.New("the engine has recovered")
)

// need waits until a successor is needed.
func (h *heir) need(ctx context.Context) (want, error) {
	look := time.NewTicker(h.patience() / 10)
	defer look.Stop()
	for {
		select {
		case <-h.lost:
			return want{}, nil
		case <-h.old.slot.Leaving:
			return want{why: ReasonLeaving}, nil
		case m := <-h.stream.moves:
			if m.to == h.old.slot.EngineID {
				m.answer(ErrPlaysThere)
				continue
			}
			return want{why: ReasonAsked, move: m}, nil
		case now := <-look.C:
			why := h.watch.wrong(now)
			if why == "" || !h.worth(why, now) {
				continue
			}
			h.stream.degraded(h.old, why)
			return want{why: why}, nil
		case <-ctx.Done():
			return want{}, context.Cause(ctx)
		}
	}
}

// worth tells whether another engine is to be tried now.
func (h *heir) worth(why Reason, now time.Time) bool {
	switch how := handlings[why]; {
	case h.isLost():
		return false
	case how.attempt:
		return h.stream.mayTry(now)
	case why == reasonLoop:
		return true
	}
	return now.After(h.calm)
}

// audition decides whether c takes over from the old source, which plays on
// meanwhile. A silent source that recovers has all that it kept back, where a
// fresh session that begins closer to live would skip it.
func (h *heir) audition(ctx context.Context, c *conn, why Reason) bool {
	how := handlings[why]
	if how.take == takeAtOnce {
		return true
	}
	ahead := time.Duration(0)
	if why == reasonStarved {
		ahead = betterBy
	}
	tail, unsure := h.stream.tail()
	looked, cancel := context.WithTimeout(ctx, max(trialTime, h.patience()))
	defer cancel()
	verdicts := make(chan upstream.Verdict, 1)
	h.stream.hub.work.Go(func() { verdicts <- c.source.Continues(looked, tail[:len(tail)-unsure], ahead) })
	look := time.NewTicker(h.patience() / 10)
	defer look.Stop()
	reading := verdicts // nil once the new source is read no more
	for {
		select {
		case <-h.lost:
			cancel()
			if reading != nil {
				<-reading
			}
			return true
		case v := <-reading:
			reading = nil
			good := v == upstream.Joined || v == upstream.Missed && h.worthJump(why)
			if good && why == reasonDry {
				good = h.watch.alive(looked, c)
			}
			if good && h.watch.suffers(why, time.Now()) || h.isLost() {
				return true
			}
			if how.take == takeIfBetter {
				return false
			}
		case now := <-look.C:
			if !h.watch.suffers(why, now) && !h.isLost() {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
}

// worthJump tells whether a source that is beyond what the old one sent, and has
// not what is between, is better than the old one. It is where media comes too
// slowly, once: where another engine was too slow for this content already,
// viewers would only lose more of it.
func (h *heir) worthJump(why Reason) bool {
	mark := h.stream.hub.markOf(h.stream)
	return why == reasonStarved && (mark == nil || mark.Reason != why)
}

// patience is how long the old source may be silent.
func (h *heir) patience() time.Duration { return h.stream.hub.cfg.StallTimeout / 2 }

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
func (h *heir) search(ctx context.Context, w want) (*conn, error) {
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
		switch {
		case h.isLost():
			not = avoid{}
			if failures == 0 {
				not.failed = []string{h.old.slot.EngineID}
			}
		case failures > 0 && !h.watch.suffers(w.why, time.Now()):
			return nil, errRecovered
		case w.move != nil:
			not.only = w.move.to
		}
		c, err := h.stream.reopen(ctx, not)
		if err == nil {
			return c, nil
		}
		h.stream.log.Debug("no engine goes on yet", "reason", w.why, "err", err)
		if handlings[w.why].attempt && !h.isLost() {
			return nil, err
		}
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
