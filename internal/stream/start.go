package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// guessTimeout bounds the attempt to play a content id as an infohash: an
// engine loads an infohash whose swarm answers in under a second, and takes 28
// seconds to give up on one that nobody has.
const guessTimeout = 6 * time.Second

// identifyTimeout bounds the question for a content's infohash: an engine that
// knows it answers in milliseconds, and one that has to look it up fails after
// 4.7 seconds.
const identifyTimeout = 6 * time.Second

// result is the outcome of one attempt.
type result struct {
	step   step
	trial  *trial
	engine string
	conn   *conn
	err    error
}

// open brings the content to its first packets on some engine. Attempts follow each other as nextStep says; when one is
// silent for the hedge time, another engine is tried beside it, and the first
// to deliver wins. What the others opened is stopped.
func (s *Stream) open(ctx context.Context, not avoid) (*conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	results := make(chan result, maxAttempts*2)
	running := 0
	launch := func(st step) {
		running++
		s.hub.work.Go(func() { results <- s.attempt(ctx, st) })
	}
	defer func() {
		cancel(errLostRace)
		late := running
		s.hub.work.Go(func() {
			for range late {
				if r := <-results; r.conn != nil {
					s.hub.retire(r.conn)
				}
			}
		})
	}()

	hedge := newHedge(s.hub.cfg.Hedge)
	defer hedge.stop()
	want := s.hub.best(s.content)
	launch(step{as: want, exclude: not.all(), only: not.only})
	var tried []failed
	for {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				r.trial.win()
				return r.conn, nil
			}
			var same *mergedError
			if errors.As(r.err, &same) {
				return nil, r.err
			}
			s.log.Debug("attempt did not play", "engine", r.engine, "content", r.step.as, "err", r.err)
			tried = append(tried, failed{step: r.step, engine: r.engine, err: r.err})
			if ctx.Err() == nil {
				if st, ok := nextStep(want, not, tried); ok {
					hedge.restart()
					launch(st)
					continue
				}
			}
			if running == 0 {
				return nil, worst(errorsOf(tried))
			}
		case <-hedge.C():
			// A start that waits for a slot has nobody to be hedged against.
			if running < 2 && s.isOpening() && not.only == "" {
				launch(step{as: want, exclude: s.busyWith(not, tried)})
			}
		}
	}
}

// busyWith returns the engines that have had their try, or are having it.
func (s *Stream) busyWith(not avoid, tried []failed) []string {
	exclude := not.all()
	for _, f := range tried {
		if f.engine != "" {
			exclude = append(exclude, f.engine)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.opening {
		exclude = append(exclude, id)
	}
	return exclude
}

// isOpening tells whether an engine is busy with an attempt.
func (s *Stream) isOpening() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.opening) > 0
}

func errorsOf(tried []failed) []error {
	var errs []error
	for _, f := range tried {
		errs = append(errs, f.err)
	}
	return errs
}

// attempt claims a slot, opens a session there and, for live content, waits
// for its first packets. It returns soon after ctx ends.
func (s *Stream) attempt(ctx context.Context, st step) (r result) {
	t := s.newTrial()
	defer func() {
		if r.trial = t; r.err != nil {
			t.lose(r.err)
		}
	}()
	if st.guess {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, guessTimeout, errStartTimeout)
		defer cancel()
	}
	slot, err := s.hub.engines.Acquire(ctx, Want{Content: st.as, Exclude: st.exclude, Only: st.only, Official: st.official})
	if err != nil {
		// That no slot came in time says more than that the time was up.
		if _, told := errors.AsType[*Error](err); !told {
			err = causeOf(ctx, err)
		}
		return result{step: st, err: err}
	}
	t.on(slot.EngineID)
	c := &conn{hub: s.hub, slot: slot, opened: time.Now()}
	s.noteOpening(slot.EngineID, true)
	defer s.noteOpening(slot.EngineID, false)
	if err := s.bring(ctx, c, st, t); err != nil {
		err = causeOf(ctx, err)
		if !errors.Is(err, errLostRace) && !isMerged(err) {
			slot.Report(err)
		}
		return result{step: st, engine: slot.EngineID, err: err}
	}
	slot.Report(nil)
	return result{step: st, engine: slot.EngineID, conn: c}
}

// bring opens c's session and, for live content, its source. When it fails,
// c is given back.
func (s *Stream) bring(ctx context.Context, c *conn, st step, t *trial) error {
	if err := s.hub.awaitRetired(ctx, c.slot.EngineID, st.as); err != nil {
		c.slot.Release()
		return err
	}
	t.enter(StageResolve)
	if owner, err := s.identify(ctx, c.slot.Client, st.as); err != nil || owner != s {
		c.slot.Release()
		if err != nil {
			return err
		}
		return &mergedError{into: owner}
	}
	t.enter(StageOpen)
	if err := c.open(ctx, st.as); err != nil {
		return err
	}
	if owner := s.hub.claim(s, st.as, c.session.Infohash); owner != s {
		owner.adopt(c)
		return &mergedError{into: owner}
	}
	if c.session.Encrypted {
		s.hub.retire(c)
		return &Error{Code: CodeRefused, Detail: "the content is encrypted, which engines play to their own player only"}
	}
	if !c.session.Live {
		return nil
	}
	t.enter(StagePrebuffer)
	src, err := upstream.Start(ctx, c.slot.Client, c.session, s.hub.cfg.StallTimeout)
	if err != nil {
		s.hub.retire(c)
		return err
	}
	c.source = src
	return nil
}

// identify asks the engine for the infohash of a content that was never played
// before, and returns the stream that has the content: another one than s when
// it is playing under another name. Asking opens no session; opening a second
// one of the same content on an engine would cut off the first. An engine that
// does not tell in time is none the worse for it: the open will tell.
func (s *Stream) identify(ctx context.Context, client *engine.Client, as content.Selector) (*Stream, error) {
	if s.hub.knows(as) {
		return s, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, identifyTimeout, errStartTimeout)
	defer cancel()
	found, err := client.Resolve(ctx, as)
	switch class := engine.ClassOf(err); {
	case err == nil && found.Infohash != "":
		return s.hub.claim(s, as, found.Infohash), nil
	case class == engine.NotFound, class == engine.NotNative:
		return nil, err
	}
	return s, nil
}

// noteOpening keeps the set of engines on which an attempt is under way.
func (s *Stream) noteOpening(id string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.opening[id]++
	} else if s.opening[id]--; s.opening[id] == 0 {
		delete(s.opening, id)
	}
}

// causeOf prefers the reason for which ctx was cancelled over the error that
// the cancelled call returned.
func causeOf(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) || isMerged(err) {
		return err
	}
	if engine.ClassOf(err) == engine.NotFound {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

func isMerged(err error) bool {
	var same *mergedError
	return errors.As(err, &same)
}

// hedge is a timer that may be off.
type hedge struct {
	after time.Duration
	timer *time.Timer
}

func newHedge(after time.Duration) *hedge {
	h := &hedge{after: after}
	if after > 0 {
		h.timer = time.NewTimer(after)
	}
	return h
}

// C is the channel on which the hedge fires, or nil when it is off.
func (h *hedge) C() <-chan time.Time {
	if h.timer == nil {
		return nil
	}
	return h.timer.C
}

func (h *hedge) restart() {
	if h.timer != nil {
		h.timer.Reset(h.after)
	}
}

func (h *hedge) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}
