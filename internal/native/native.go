// Package native is the native engine: it opens sessions on content that it
// can play itself, lends readers of them, and ends what nobody uses any more.
//
// What plays is behind [Playable]: a torrent of [vod.Backend], or what a
// [Resolver] finds. The HTTP API of the engine is in package api.
package native

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

// Config of an engine. A zero field takes the default in parentheses.
type Config struct {
	// StartTimeout bounds the opening of content, and then again the wait of a
	// reader for its first byte (20 s).
	StartTimeout time.Duration
	// SessionIdle is how long a session lives without a reader and without
	// somebody asking for its statistics (60 s).
	SessionIdle time.Duration
	// MaxSessions is the most sessions at a time, those being opened included
	// (256). The session that has been idle longest gives way.
	MaxSessions int
	// MaxReaders is the most readers of one session at a time (32): a proxy may
	// have many viewers on one, each with its own position.
	MaxReaders int
	// InternalBuffering holds the first byte of a session back until Buffer of
	// content is at hand, or StartTimeout is over.
	InternalBuffering bool
	// Buffer is what InternalBuffering waits for, in playing time (3 s). It
	// never waits for more than half of Window.
	Buffer time.Duration
	// Window is the memory for pieces around one reader's position, in bytes
	// (128 MiB); the same as the backend's.
	Window int64
}

func (c Config) withDefaults() Config {
	setDefault(&c.StartTimeout, 20*time.Second)
	setDefault(&c.SessionIdle, time.Minute)
	setDefault(&c.MaxSessions, 256)
	setDefault(&c.MaxReaders, 32)
	setDefault(&c.Buffer, 3*time.Second)
	setDefault(&c.Window, 128<<20)
	return c
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Fetcher gets the transport file that a URL names. [fetch.Client] is one.
type Fetcher interface {
	Fetch(ctx context.Context, url string) (fetch.Document, error)
}

// Deps are what an engine works with. It owns none of them: whoever made the
// backend closes it, after the engine.
type Deps struct {
	Backend vod.Backend
	Fetcher Fetcher
	// Resolvers are asked first, in order, before a request is taken for
	// BitTorrent content.
	Resolvers []Resolver
	Logger    *slog.Logger
}

// Engine is the table of sessions. It is safe for concurrent use.
type Engine struct {
	cfg       Config
	log       *slog.Logger
	backend   vod.Backend
	resolvers []Resolver

	life   context.Context //nolint:containedctx // the engine's own, ends with Close
	cancel context.CancelCauseFunc
	wake   chan struct{} // tells Run that a session may have become idle

	counters counters

	mu       sync.Mutex
	closed   bool
	opening  int
	sessions map[string]*Session // by key
}

// counters only grow.
type counters struct {
	opened, failed, expired, served atomic.Int64
}

// New returns an engine that is ready to open sessions. Sessions that nobody
// uses end only while [Engine.Run] runs.
func New(cfg Config, deps Deps) *Engine {
	e := &Engine{
		cfg:      cfg.withDefaults(),
		log:      deps.Logger,
		backend:  deps.Backend,
		wake:     make(chan struct{}, 1),
		sessions: make(map[string]*Session),
	}
	e.resolvers = append(e.resolvers, deps.Resolvers...)
	e.resolvers = append(e.resolvers, torrents{backend: deps.Backend, fetcher: deps.Fetcher})
	e.life, e.cancel = context.WithCancelCause(context.Background())
	return e
}

// Config returns the settings in force, defaults filled in.
func (e *Engine) Config() Config { return e.cfg }

// Run ends sessions that have become idle, until ctx ends. Then it ends all
// sessions, as [Engine.Close] does, and returns nil.
func (e *Engine) Run(ctx context.Context) error {
	defer func() { _ = e.Close() }() // never fails
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.life.Done():
			return nil
		case <-e.wake:
		case <-timer.C:
		}
		if next, ok := e.expire(time.Now()); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// Close ends all sessions; their readers fail, and nothing more can be
// opened. Closing twice does nothing more.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	all := make([]*Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	e.mu.Unlock()
	e.cancel(errEngineClosed)
	for _, s := range all {
		s.end(errEngineClosed)
	}
	return nil
}

// Session returns the session of a key. The infohash, in lower case, must be
// its content's. A session that has ended is ErrUnknownSession.
func (e *Engine) Session(infohash, key string) (*Session, error) {
	e.mu.Lock()
	s := e.sessions[key]
	e.mu.Unlock()
	if s == nil || s.info.Infohash != infohash {
		return nil, ErrUnknownSession
	}
	return s, nil
}

// Load of an engine.
type Load struct {
	Sessions int // open now
	Readers  int // of all sessions, now

	Opened  int64 // sessions opened since the start
	Failed  int64 // opens that failed
	Expired int64 // sessions that ended because nobody used them
	Served  int64 // bytes given to readers

	Backend vod.BackendStats
}

// Load tells what the engine has to do now.
func (e *Engine) Load() Load {
	l := Load{
		Opened: e.counters.opened.Load(), Failed: e.counters.failed.Load(),
		Expired: e.counters.expired.Load(), Served: e.counters.served.Load(),
		Backend: e.backend.Stats(),
	}
	for _, s := range e.all() {
		l.Sessions++
		l.Readers += s.readerCount()
	}
	return l
}

func (e *Engine) all() []*Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	return all
}

// expire ends the sessions that are idle too long at now, and tells when the
// next one will be, if any is idle.
func (e *Engine) expire(now time.Time) (next time.Time, ok bool) {
	for _, s := range e.all() {
		deadline, idle := s.endIfIdle(now)
		if idle && (!ok || deadline.Before(next)) {
			next, ok = deadline, true
		}
	}
	return next, ok
}

// lookAgain makes Run look at the sessions' idle times.
func (e *Engine) lookAgain() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// forget takes an ended session off the table.
func (e *Engine) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.key] == s {
		delete(e.sessions, s.key)
	}
}

var (
	// ErrUnknownSession says that there is no such session, or it has ended.
	ErrUnknownSession = errors.New("unknown playback session id")

	errEngineClosed = errors.New("the engine is stopping")
)
