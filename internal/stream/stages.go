package stream

import (
	"strings"
	"time"
)

// Stage is a part of what a viewer waits for while a stream starts.
type Stage int

// The stages, in the order in which an attempt goes through them.
const (
	StageEngine    Stage = iota // for a slot on an engine, and for the end of an old session there
	StageResolve                // for the engine to tell the infohash
	StageOpen                   // for the engine to open the session
	StagePrebuffer              // for the first packets; what an engine takes to find peers
	StageJoin                   // for a random access point, and the first byte to a viewer

	stageCount
)

func (s Stage) String() string {
	return [stageCount]string{"engine", "resolve", "open", "prebuffer", "join"}[s]
}

// Stages is how long each stage took, by [Stage].
type Stages [stageCount]time.Duration

// String lists the stages that took any time, rounded to milliseconds.
func (s Stages) String() string {
	var parts []string
	for i, d := range s {
		if d > 0 {
			parts = append(parts, Stage(i).String()+" "+d.Round(time.Millisecond).String())
		}
	}
	return strings.Join(parts, ", ")
}

// Try is one attempt to start a stream on an engine.
type Try struct {
	Engine string        // id; "" while it waits for a slot
	After  time.Duration // when it began, after the first request
	Stage  Stage         // where it is, or was when it failed
	Took   Stages        // those behind it, and what it has spent in Stage once it is over
	Won    bool          // it plays
	Err    error         // why it does not play; nil while it may
}

// Start is how a stream started, or is starting.
type Start struct {
	Tries []Try // in the order in which they began, at most 8; the last of all is there
	// FirstByte is when the first byte went to a viewer, after the first request;
	// 0 before that.
	FirstByte time.Duration
}

// Winner returns the attempt that plays.
func (s Start) Winner() (Try, bool) {
	for _, t := range s.Tries {
		if t.Won {
			return t, true
		}
	}
	return Try{}, false
}

// mostTries bounds the attempts that a start remembers.
const mostTries = 2 * maxAttempts

// trial times one attempt. Its fields are guarded by the stream's mu.
type trial struct {
	stream  *Stream
	try     Try
	entered time.Time // its stage
	over    bool
}

// newTrial begins to time an attempt. Those of a start are remembered.
func (s *Stream) newTrial() *trial {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &trial{stream: s, entered: now, try: Try{After: now.Sub(s.started)}}
	if s.state == StateStarting {
		if len(s.trials) == mostTries {
			s.trials[mostTries-1] = t
		} else {
			s.trials = append(s.trials, t)
		}
	}
	return t
}

// on notes which engine it is.
func (t *trial) on(engine string) {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	t.try.Engine = engine
}

// enter notes that a stage begins.
func (t *trial) enter(next Stage) {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	if !t.over {
		t.leave(time.Now())
		t.try.Stage = next
	}
}

// leave ends the stage. The caller holds the stream's mu.
func (t *trial) leave(now time.Time) {
	t.try.Took[t.try.Stage] += now.Sub(t.entered)
	t.entered = now
}

// lose ends an attempt that does not play.
func (t *trial) lose(why error) {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	t.end(false, why)
}

// win ends an attempt that plays, and with it those that were slower.
func (t *trial) win() {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	t.end(true, nil)
	for _, other := range t.stream.trials {
		other.end(false, errLostRace)
	}
}

// end ends an attempt, once. The caller holds the stream's mu.
func (t *trial) end(won bool, why error) {
	if t.over {
		return
	}
	t.leave(time.Now())
	t.over, t.try.Won, t.try.Err = true, won, why
}

// startOf returns how s started. The caller holds mu.
func (s *Stream) startOf() Start {
	st := Start{FirstByte: s.firstByte}
	for _, t := range s.trials {
		try := t.try
		if try.Won && !s.delivered.IsZero() {
			try.Stage = StageJoin
			try.Took[StageJoin] = max(0, s.delivered.Sub(s.decided))
		}
		st.Tries = append(st.Tries, try)
	}
	return st
}

// snapshotStart is startOf for who does not hold mu.
func (s *Stream) snapshotStart() *Start {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := s.startOf()
	return &start
}

// Wait is what a viewer waited for.
type Wait struct {
	Total time.Duration // from its request to its first byte; to now before that
	Join  time.Duration // the part of it when the stream played already
	// Start is how the stream started, where the viewer waited for that; nil
	// where it played.
	Start *Start
}

// Waited tells what the viewer waited for.
func (v *Viewer) Waited() Wait {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	total := time.Duration(v.first.Load())
	if total == 0 {
		total = time.Since(v.asked)
	}
	w := Wait{Total: total, Join: total}
	if wait := s.decided.Sub(v.asked); wait > 0 {
		w.Join = max(0, total-wait)
		start := s.startOf()
		w.Start = &start
	}
	return w
}

// served notes that the viewer has its first byte.
func (v *Viewer) served() {
	s := v.stream
	now := time.Now()
	if !v.first.CompareAndSwap(0, max(1, int64(now.Sub(v.asked)))) {
		return
	}
	s.mu.Lock()
	first := s.delivered.IsZero()
	if first {
		s.delivered, s.firstByte = now, max(1, now.Sub(s.started))
	}
	s.mu.Unlock()
	w := v.Waited()
	if w.Start != nil {
		won, _ := w.Start.Winner()
		s.log.Debug("first byte", "viewer", v.id, "after", w.Total, "stages", won.Took, "attempts", len(w.Start.Tries))
	}
	s.hub.emit(Event{Kind: EventFirstByte, Stream: s, Viewer: v.id, After: w.Total, Start: w.Start, First: first})
}
