// Package stream relays contents to viewers: one stream per content, whatever
// names it is asked for by, fetched once and shared by all who watch it.
//
// A [Hub] owns the streams. A [Stream] has one goroutine, which opens a session
// on an engine and copies its packets into a ring; each [Viewer] follows the
// ring at its own pace, so that none waits for another.
package stream

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

// Config is how streams behave. All durations are positive unless they say
// otherwise.
type Config struct {
	Linger       time.Duration // how long a stream goes on after its last viewer left
	StartTimeout time.Duration // within which a viewer gets the first packets or an error
	StallTimeout time.Duration // without a byte from the engine: the source has failed
	Burst        time.Duration // how far behind live a viewer starts
	Hedge        time.Duration // silence after which a second engine is tried beside the first; 0 is never
	WriteTimeout time.Duration // a viewer that takes no byte for so long is gone
	Outage       time.Duration // how long viewers are kept while no engine has the content
	Buffer       int           // bytes of a live stream kept in memory
	Memory       int           // bytes of all live streams together; 0 is no limit
	MaxViewers   int           // of one stream; 0 is no limit
	MaxStreams   int           // at once; 0 is no limit
	Knowledge    Knowledge     // remembers names of contents beyond the process; nil is memory alone
	HLS          hls.Config    // how live streams are cut into segments
	// Timeshift is where live streams are kept, so that viewers can go further back than Buffer
	// reaches. Nil keeps none.
	Timeshift *timeshift.Store
}

// Hub owns all streams. It is safe for concurrent use.
type Hub struct {
	cfg     Config
	engines Engines
	log     *slog.Logger
	observe func(Event)
	memory  *memory

	viewerIDs atomic.Uint64
	closing   chan struct{}  // closed when Run's context ends
	work      sync.WaitGroup // every goroutine of the hub and of its streams

	mu      sync.Mutex // guards what follows; never held across I/O
	closed  bool
	streams map[content.Selector]*Stream // by every name
	running int                          // streams, each once
	known   *infohashes
	marks   marks
	retired map[*retirement]struct{} // sessions being stopped
}

// NewHub returns a hub that plays on engines. observe is told what happens to
// streams; it must not block, and may be called from any goroutine. Nothing
// runs until somebody joins; [Hub.Run] ends it all.
func NewHub(cfg Config, engines Engines, log *slog.Logger, observe func(Event)) *Hub {
	return &Hub{
		cfg: cfg, engines: engines, log: log, observe: observe,
		memory:  newMemory(cfg),
		closing: make(chan struct{}),
		streams: make(map[content.Selector]*Stream),
		known:   newInfohashes(),
		marks:   make(marks),
		retired: make(map[*retirement]struct{}),
	}
}

// Run waits until ctx ends, then ends every stream. It returns when all
// sessions are stopped and every goroutine has ended.
func (h *Hub) Run(ctx context.Context) error {
	var memory sync.WaitGroup
	if h.cfg.Knowledge != nil {
		memory.Go(func() { h.remember(ctx) })
	}
	<-ctx.Done()
	h.mu.Lock()
	h.closed = true
	streams := h.distinct()
	h.mu.Unlock()
	close(h.closing)
	for _, s := range streams {
		s.cancel(&Error{Code: CodeClosing, Err: errClosing})
	}
	h.work.Wait()
	memory.Wait()
	if h.cfg.Knowledge != nil {
		h.saveLast(ctx)
	}
	return nil
}

// Join waits until the content plays and returns the caller's place among its
// viewers. The first to ask for a content starts it; that start goes on when
// its viewers give up, and lives by the stream alone. The caller leaves with
// [Viewer.Leave]. The error is an *[Error], or the cause of ctx.
func (h *Hub) Join(ctx context.Context, want content.Selector, who Client) (*Viewer, error) {
	var s *Stream
	asked := time.Now()
	for {
		v, target, err := h.place(want, s, who, asked)
		if err != nil {
			h.emit(Event{Kind: EventRefused, Err: err})
			return nil, err
		}
		if v == nil { // ending: another begins as soon as it is gone
			select {
			case <-target.done:
				s = nil
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		select {
		case <-target.ready:
		case <-v.ctx.Done(): // a person disconnected it
			return nil, asError(context.Cause(v.ctx))
		case <-ctx.Done():
			v.Leave()
			return nil, context.Cause(ctx)
		}
		merged, err := target.outcome()
		if err == nil && merged == nil {
			h.emit(Event{Kind: EventJoined, Stream: target, Viewer: v.id})
			return v, nil
		}
		v.Leave()
		if err != nil {
			return nil, asError(err)
		}
		s = merged
	}
}

// place attaches who to s, or to the stream of that content when s is nil,
// started if need be. The viewer is nil when the stream, or one that ends in favour
// of it, is ending.
func (h *Hub) place(want content.Selector, s *Stream, who Client, asked time.Time) (*Viewer, *Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, &Error{Code: CodeClosing, Err: errClosing}
	}
	if s == nil {
		s = h.find(want)
	}
	if s == nil {
		s = h.newStream(want)
		if why := h.admit(s); why != nil {
			if idle := h.makeRoom(); idle != nil {
				return nil, idle, nil
			}
			return nil, nil, why
		}
		v, err := s.attach(who, asked)
		h.work.Go(s.run)
		return v, s, err
	}
	v, err := s.attach(who, asked)
	return v, s, err
}

// find returns the stream of a content under any of its names. The caller
// holds mu.
func (h *Hub) find(want content.Selector) *Stream {
	if s := h.streams[want]; s != nil {
		return s
	}
	if name, ok := h.known.name(want); ok {
		return h.streams[name]
	}
	return nil
}

// newStream makes a stream, of which nobody knows yet.
func (h *Hub) newStream(want content.Selector) *Stream {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Stream{
		hub: h, content: want, log: h.log.With("stream", want.String()),
		ctx: ctx, cancel: cancel,
		ready: make(chan struct{}), done: make(chan struct{}), moves: make(chan *request),
		state: StateStarting, started: time.Now(),
		viewers: make(map[*Viewer]struct{}), opening: make(map[string]int),
	}
}

// knows tells whether the infohash of a content is known without an engine.
func (h *Hub) knows(want content.Selector) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.known.name(want)
	return ok
}

// best returns the selector under which a content is to be opened.
func (h *Hub) best(want content.Selector) content.Selector {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known.best(want)
}

// claim gives s the name that an engine told for a selector of its content,
// and remembers it. It returns the stream that has the name: another one than
// s when that was first.
func (h *Hub) claim(s *Stream, as content.Selector, infohash string) *Stream {
	name := s.content.Infohashed(infohash)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known.learn(as, infohash)
	if as != s.content {
		h.known.mistaken(s.content)
	}
	if owner := h.streams[name]; owner != nil && owner != s {
		return owner
	}
	h.streams[name] = s
	return s
}

// forget frees the names of a stream that has ended. Those of one that was
// merged go to the stream it was merged into.
func (h *Hub) forget(s *Stream) {
	merged, _ := s.outcome()
	h.memory.release(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
	for name, owner := range h.streams {
		if owner == s {
			delete(h.streams, name)
		}
	}
	if merged != nil && slices.Contains(h.distinct(), merged) {
		h.streams[s.content] = merged
	}
}

// distinct lists each stream once, oldest first. The caller holds mu.
func (h *Hub) distinct() []*Stream {
	seen := make(map[*Stream]bool)
	var all []*Stream
	for _, s := range h.streams {
		if !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *Stream) int { return a.started.Compare(b.started) })
	return all
}

func (h *Hub) emit(e Event) {
	if h.observe != nil {
		h.observe(e)
	}
}
