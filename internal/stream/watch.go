package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// shortFor is how long a source has to be behind by [watch.patience], in which
// it does not stand still, to be starved: one that makes good for a gap does so
// at once.
const shortFor = 2 * time.Second

// watch looks after a source that plays: whether its bytes go on, whether they
// are new, whether they come as fast as they play, and what the engine tells of
// its session. It is safe for concurrent use.
type watch struct {
	stream *Stream
	conn   *conn

	mu     sync.Mutex // guards what follows; never held across I/O
	pace   upstream.Pace
	short  time.Time // since when media comes too slowly; zero while it does not
	vitals vitals
}

func newWatch(s *Stream, c *conn) *watch { return &watch{stream: s, conn: c} }

// patience is how long a source may stand still before another engine is
// looked for.
func (w *watch) patience() time.Duration { return w.stream.hub.cfg.StallTimeout / 2 }

// look keeps the pace, and gives up a source whose bytes go on and say nothing
// new for the stall time, unless they say no more on any engine. A source
// without bytes gives up by itself.
func (w *watch) look(ctx context.Context, lost <-chan struct{}) {
	tick := time.NewTicker(w.patience() / 10)
	defer tick.Stop()
	for {
		var now time.Time
		select {
		case now = <-tick.C:
		case <-lost:
			return
		case <-ctx.Done():
			return
		}
		if w.conn.joined.Load() {
			w.mu.Lock()
			w.pace.Note(now, w.stream.mediaTime())
			switch {
			case w.pace.Behind() < w.patience() || w.quiet(now) >= w.patience():
				w.short = time.Time{}
			case w.short.IsZero():
				w.short = now
			}
			w.mu.Unlock()
		}
		if why := w.still(now, w.stream.hub.cfg.StallTimeout); why != "" && why != reasonStall {
			w.conn.source.Stop(causes[why])
		}
	}
}

// ask asks the engine for the statistics of the session.
func (w *watch) ask(ctx context.Context, lost <-chan struct{}) {
	tick := time.NewTicker(statEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-lost:
			return
		case <-ctx.Done():
			return
		}
		st, err := w.conn.slot.Client.Stat(ctx, w.conn.session)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		w.mu.Lock()
		complain := w.vitals.tell(st, err, now)
		w.mu.Unlock()
		if err == nil && st.Status != "" {
			w.stream.setVitals(w.conn, &Vitals{st, now})
		}
		if complain {
			w.stream.log.Warn("the engine plays, and does not answer", "engine", w.conn.slot.EngineID, "err", err)
			w.conn.slot.Report(fmt.Errorf("statistics of a session that plays: %w", err))
		}
	}
}

// setVitals notes what the engine of c says, while it is the one that plays.
func (s *Stream) setVitals(c *conn, v *Vitals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == c.slot.EngineID {
		s.vitals = v
	}
}

// wrong says why another engine should be looked for, "" for no reason.
func (w *watch) wrong(now time.Time) Reason {
	if why := w.still(now, w.patience()); why != "" {
		return why
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.short.IsZero() && now.Sub(w.short) >= shortFor {
		return reasonStarved
	}
	return w.vitals.wrong()
}

// still says how a source stands still that has brought nothing new for so
// long. What repeats itself does at once.
func (w *watch) still(now time.Time, lasting time.Duration) Reason {
	c, quiet := w.conn, w.quiet(now)
	switch {
	case c.repeats.Load() && (quiet >= lasting || lasting < w.stream.hub.cfg.StallTimeout):
		return reasonLoop
	case quiet < lasting:
	case c.source.Silence() >= lasting:
		return reasonStall
	case !w.stream.bears(reasonFreeze, c.slot.EngineID):
		return reasonFreeze
	}
	return ""
}

// quiet returns how long the source has brought nothing new; 0 before it plays.
func (w *watch) quiet(now time.Time) time.Duration {
	if at := w.conn.progress.Load(); at != 0 {
		return now.Sub(time.Unix(0, at))
	}
	return 0
}

// suffers tells whether there is still the reason to look for another engine.
func (w *watch) suffers(why Reason, now time.Time) bool {
	switch why {
	case reasonStall, reasonLoop, reasonFreeze:
		return w.still(now, w.patience()) != ""
	case reasonStarved:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.pace.Behind() >= w.patience()/2
	case reasonDry, reasonLost:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.vitals.wrong() != ""
	}
	return true
}

// alive tells whether the engine of a conn that was just opened gets media: its
// statistics show more and more of it.
func (w *watch) alive(ctx context.Context, c *conn) bool {
	var v vitals
	var first time.Time
	for pause(ctx, statEvery/4) == nil {
		st, err := c.slot.Client.Stat(ctx, c.session)
		v.tell(st, err, time.Now())
		switch {
		case first.IsZero():
			first = v.moved
		case v.moved.After(first) && v.fed.After(first):
			return true
		}
	}
	return false
}

// mediaTime returns the media time that viewers were given.
func (s *Stream) mediaTime() time.Duration {
	s.mu.Lock()
	r := s.ring
	s.mu.Unlock()
	return time.Duration(r.LiveTime() * 1000 / (mpegts.ClockRate / 1_000_000)) // ticks of 27 MHz to ns
}

// degraded notes that a source that plays is not as it should be.
func (s *Stream) degraded(c *conn, why Reason) {
	s.log.Info("the engine does badly, another one is looked for", "engine", c.slot.EngineID, "reason", why)
	s.hub.emit(Event{Kind: EventDegraded, Stream: s, Engine: c.slot.EngineID, Reason: why})
}

// tried notes that another engine was tried for a reason that may be the
// content's own.
func (s *Stream) tried(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = append(s.moved, now)
	for now.Sub(s.moved[0]) > trialsMemory {
		s.moved = s.moved[1:]
	}
}

// mayTry tells whether the last such trial is long enough ago.
func (s *Stream) mayTry(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.moved)
	return n == 0 || now.Sub(s.moved[n-1]) >= calmAfter(n)
}
