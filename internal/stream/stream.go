package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/ring"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

// State is where a stream is in its life.
type State string

// The states of a stream, in the order in which it passes through them.
const (
	StateStarting State = "starting" // no byte for the viewers yet
	StateLive     State = "live"     // relaying a live content from its ring
	StateFile     State = "file"     // passing ranges of a finite content
	StateEnding   State = "ending"   // no viewer may join any more
)

// errIdle ends a stream whose last viewer left a linger ago.
var errIdle = errors.New("no viewer for the linger time")

// Stream is one content being relayed. Its goroutine, run, owns the sessions
// on engines; viewers come and go through attach and leave.
type Stream struct {
	hub     *Hub
	content content.Selector // as the first viewer named it
	log     *slog.Logger

	ctx    context.Context
	cancel context.CancelCauseFunc
	// ready is closed when the start is decided: the stream plays, was merged
	// into another, or failed.
	ready chan struct{}
	// done is closed when the stream has given up its sessions and its names are
	// free.
	done chan struct{}

	losses []time.Time // of sources, in the last minute; owned by run
	left   left        // the engine that played last; owned by run
	// moves are the wishes of people to have it on another engine.
	moves chan *request

	mu        sync.Mutex // guards what follows; never held across I/O
	state     State
	err       error   // why the stream failed; set before ready or done is closed
	merged    *Stream // the stream that plays the same content, when it was there first
	infohash  string
	engine    string // id of the engine that plays, "" while none does
	started   time.Time
	viewers   map[*Viewer]struct{}
	idle      *time.Timer
	since     time.Time      // when the last viewer left, while idle is set
	ring      *ring.Ring     // set with StateLive
	tape      *tape          // of that ring
	file      *file          // set with StateFile
	packager  *packager      // while somebody watches segments, or the stream is kept on disk
	vitals    *Vitals        // what the engine said last; replaced, never changed
	changes   int            // of engine, since the start
	switches  []Switch       // the last of them, oldest first
	moved     []time.Time    // tries of other engines, for reasons that may be the content's own, oldest first
	unsure    int            // of the last bytes in the ring, those that may be a repetition
	trials    []*trial       // of the start, at most mostTries
	decided   time.Time      // when the start was over; zero before
	delivered time.Time      // when the first viewer had its first byte; zero before
	firstByte time.Duration  // from started to then
	opening   map[string]int // attempts under way, by engine id

	kept    *timeshift.Recording // set with ring, nil without time shift; held by its keeper
	keptErr error                // why the stream is not being kept; nil while it is
}

// outcome tells, once ready is closed, into which stream s was merged, or why
// it does not play.
func (s *Stream) outcome() (merged *Stream, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.merged, s.err
}

// uses tells whether s has, or is opening, a session on an engine.
func (s *Stream) uses(engineID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine == engineID || s.opening[engineID] > 0
}

// adopt disposes of a session that was opened for another name of this
// stream's content. On another engine it is stopped. On the engine that plays
// this stream it is left alone: an engine has one session per infohash
// underneath, and stopping either stops both. The newer one has then cut off
// this stream's reader, which opens the content anew.
func (s *Stream) adopt(c *conn) {
	if s.uses(c.slot.EngineID) {
		c.slot.Release()
		return
	}
	s.hub.retire(c)
}

// Name returns the content as the first viewer named it, for logs and events.
func (s *Stream) Name() string { return s.content.String() }

// attach adds a viewer, or returns nil when the stream is ending. The error
// says that there are too many.
func (s *Stream) attach(who Client, asked time.Time) (*Viewer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == StateEnding {
		return nil, nil
	}
	if most := s.hub.cfg.MaxViewers; most > 0 && len(s.viewers) >= most {
		return nil, &Error{Code: CodeCrowded, RetryAfter: retryLater}
	}
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	v := &Viewer{stream: s, id: s.hub.viewerIDs.Add(1), client: who, asked: asked, since: time.Now()}
	v.ctx, v.cancel = context.WithCancelCause(context.Background())
	s.viewers[v] = struct{}{}
	return v, nil
}

// leave removes a viewer. When it was the last one, the stream ends after the
// linger unless somebody joins.
func (s *Stream) leave(v *Viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.viewers[v]; !ok {
		return
	}
	delete(s.viewers, v)
	s.unpack(v)
	if len(s.viewers) == 0 && s.state != StateEnding {
		s.idle = time.AfterFunc(s.hub.cfg.Linger, s.endIfIdle)
		s.since = time.Now()
	}
}

// endIfIdle ends the stream if it has no viewer.
func (s *Stream) endIfIdle() {
	s.mu.Lock()
	idle := len(s.viewers) == 0 && s.state != StateEnding
	if idle {
		s.state = StateEnding
	}
	s.mu.Unlock()
	if idle {
		s.cancel(errIdle)
	}
}

// run is the stream's life.
func (s *Stream) run() {
	defer close(s.done)
	defer s.hub.forget(s)

	first, err := s.start()
	switch {
	case err != nil:
		err = s.explain(err)
		s.end(err)
		s.hub.emit(Event{Kind: EventFailed, Stream: s, Err: err, Start: s.snapshotStart()})
		close(s.ready) // who is told of the failure may look at once for what is counted of it
		return
	case first == nil: // merged
		close(s.ready)
		return
	case first.session.Live:
		err = s.relay(first)
	default:
		err = s.serveFile(first)
	}
	s.end(err)
	if errors.Is(err, errIdle) {
		err = nil
	}
	s.hub.emit(Event{Kind: EventEnded, Stream: s, Err: err})
}

// end records why the stream ended and keeps new viewers out.
func (s *Stream) end(err error) {
	s.mu.Lock()
	s.state = StateEnding
	s.err = err
	r := s.ring
	s.mu.Unlock()
	if r != nil {
		r.Close(err)
	}
}

// decide publishes that the stream plays.
func (s *Stream) decide(state State, c *conn) {
	s.mu.Lock()
	if s.state == StateStarting {
		s.state = state
	}
	s.engine = c.slot.EngineID
	s.infohash = c.session.Infohash
	s.decided = time.Now()
	start := s.startOf()
	s.mu.Unlock()
	close(s.ready)
	s.hub.emit(Event{Kind: EventStarted, Stream: s, Engine: c.slot.EngineID, After: time.Since(s.started), Start: &start})
}

// setEngine records which engine plays now; "" means none.
func (s *Stream) setEngine(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine, s.vitals = id, nil
}

// start opens the content within the start timeout. It returns nil and no
// error when the content turned out to be playing under another name.
func (s *Stream) start() (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.hub.cfg.StartTimeout, errStartTimeout)
	defer cancel()
	c, err := s.open(ctx, avoid{})
	var same *mergedError
	if errors.As(err, &same) {
		s.mu.Lock()
		s.state = StateEnding
		s.merged = same.into
		s.mu.Unlock()
		return nil, nil
	}
	return c, err
}
