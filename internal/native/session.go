package native

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Session is one playback opened on the engine. It lives until it is stopped,
// replaced by its player, or nobody has read it or asked for its statistics
// for the idle time. It is safe for concurrent use.
type Session struct {
	engine   *Engine
	key, id  string
	player   string
	number   int // the caller's, given back by Stat
	playable Playable
	info     Info
	file     File
	base     Stats // of the content when the session began

	life   context.Context //nolint:containedctx // the session's own, ends with it; the cause says why
	cancel context.CancelCauseFunc

	delivered atomic.Int64 // bytes given to readers
	events    chan Event

	mu         sync.Mutex
	ended      bool
	released   bool // playable was given back
	readers    map[*Reader]struct{}
	freed      chan struct{} // closed and replaced when a reader leaves
	lastActive time.Time     // when the last reader left, or somebody last asked
	mediaType  string
	buffering  bool // the first reader is filling the buffer, or has been
	progress   int  // percent of the buffer
	failure    *Error
}

// maxEvents is how many events wait for somebody to ask. The oldest goes first.
const maxEvents = 16

func newSession(e *Engine, req Request, playable Playable, info Info, file File) *Session {
	s := &Session{
		engine: e, playable: playable, info: info, file: file,
		key: randomHex(16), id: randomHex(20), // as long as the official engine's
		player: req.Player, number: req.ClientSession,
		base:       playable.Stats(),
		events:     make(chan Event, maxEvents),
		readers:    make(map[*Reader]struct{}),
		freed:      make(chan struct{}),
		lastActive: time.Now(),
		mediaType:  MediaType(file.Path),
	}
	if info.Live {
		s.mediaType = "video/mp2t"
	}
	s.life, s.cancel = context.WithCancelCause(e.life)
	return s
}

// Key names the session in URLs: 32 hex digits.
func (s *Session) Key() string { return s.key }

// ID is the session's playback_session_id: 40 hex digits.
func (s *Session) ID() string { return s.id }

// Info describes the content.
func (s *Session) Info() Info { return s.info }

// File is what the session plays.
func (s *Session) File() File { return s.file }

// ClientSession is the number that the opener gave.
func (s *Session) ClientSession() int { return s.number }

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.life.Done() }

// MediaType is the media type of the file: what its name tells, else what a
// reader saw at its beginning.
func (s *Session) MediaType() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mediaType
}

// Touch keeps the session alive for another idle time. It reports false when
// the session has ended.
func (s *Session) Touch() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.lastActive = time.Now()
	return true
}

// Stop ends the session: its readers fail, its URLs are unknown from then on.
// Other sessions of the same content go on. It reports false when the session
// had ended before.
func (s *Session) Stop() bool { return s.end(errSessionEnded) }

// end ends the session for a reason, once.
func (s *Session) end(cause error) bool {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return false
	}
	release := s.endLocked()
	s.mu.Unlock()
	s.finish(cause, release)
	return true
}

// endIfIdle ends the session when nobody used it for the idle time. Otherwise
// it returns when that will be; false when readers hold it or it has ended.
func (s *Session) endIfIdle(now time.Time) (deadline time.Time, idle bool) {
	s.mu.Lock()
	if s.ended || len(s.readers) > 0 {
		s.mu.Unlock()
		return time.Time{}, false
	}
	deadline = s.lastActive.Add(s.engine.cfg.SessionIdle)
	if deadline.After(now) {
		s.mu.Unlock()
		return deadline, true
	}
	release := s.endLocked()
	s.mu.Unlock()
	s.engine.counters.expired.Add(1)
	s.finish(errSessionIdle, release)
	return time.Time{}, false
}

// endLocked marks the end, and tells whether the caller is to give the
// content back. Called with s.mu held.
func (s *Session) endLocked() (release bool) {
	s.ended = true
	return s.releaseLocked()
}

// releaseLocked reports true, once, when the session has ended and its last
// reader is gone. Called with s.mu held.
func (s *Session) releaseLocked() bool {
	if !s.ended || len(s.readers) > 0 || s.released {
		return false
	}
	s.released = true
	return true
}

func (s *Session) finish(cause error, release bool) {
	s.cancel(cause)
	s.engine.forget(s)
	if release {
		s.release()
	}
	s.engine.log.Info("session ended", "session", s.key, "content", s.info.Infohash, "reason", cause.Error(), "delivered", s.delivered.Load())
}

// discard gives back what a session holds that nobody ever saw.
func (s *Session) discard() {
	s.cancel(errSessionEnded)
	s.release()
}

func (s *Session) release() {
	if err := s.playable.Close(); err != nil {
		s.engine.log.Warn("content was not given back cleanly", "content", s.info.Infohash, "err", err)
	}
}

// idleSince returns since when nobody reads the session; false when somebody
// does, or it has ended.
func (s *Session) idleSince() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastActive, !s.ended && len(s.readers) == 0
}

func (s *Session) readerCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.readers)
}

// Event is something that happened to a session.
type Event struct {
	Name   string // as in the official engine's event API
	Params map[string]string
}

// emit keeps an event for whoever asks next.
func (s *Session) emit(ev Event) {
	for {
		select {
		case s.events <- ev:
			return
		default:
		}
		select {
		case <-s.events:
		default:
		}
	}
}

// Next waits for the next event that nobody has got yet. It is
// ErrUnknownSession when the session ends, and the cause of ctx when that ends
// first.
func (s *Session) Next(ctx context.Context) (Event, error) {
	select {
	case ev := <-s.events:
		return ev, nil
	default:
	}
	select {
	case ev := <-s.events:
		return ev, nil
	case <-s.life.Done():
		return Event{}, ErrUnknownSession
	case <-ctx.Done():
		return Event{}, context.Cause(ctx)
	}
}
