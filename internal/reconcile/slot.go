package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
)

// Slot is a claim on one engine for one session. Its holder calls Release.
// It is safe for concurrent use.
type Slot struct {
	// EngineID, URL and Kind tell the engine; they never change.
	EngineID string
	URL      string // base of its HTTP API
	Kind     pool.Kind

	pool    *Pool
	member  *member
	content string
	claimed time.Time

	draining  chan struct{}
	drainOnce sync.Once
	reason    string // set before draining is closed

	opening bool                                        // guarded by pool.mu; counts in member.opening
	session func(context.Context) (SessionState, error) // guarded by pool.mu; nil while none is known
}

// SessionState is what an engine tells of one session.
type SessionState struct {
	Peers     int
	CacheUsed int64 // bytes, of all the engine's sessions; 0 where it does not tell
}

// OutcomeKind is what came of a session.
type OutcomeKind string

// The outcomes.
const (
	// Opened: the engine opened the session. Nothing has played yet.
	Opened OutcomeKind = "opened"
	// FirstByte: the session plays.
	FirstByte OutcomeKind = "first_byte"
	// Refused: the engine answered as it should that it does not play this
	// content: it is not to blame.
	Refused OutcomeKind = "refused"
	// Silent: the session opened and nothing came. Mostly nobody sends the
	// content; several of them in a row degrade the engine.
	Silent OutcomeKind = "silent"
	// Failed: the session did not open, did not play or broke, and the engine
	// may be to blame. Failures of several contents in a row degrade it.
	Failed OutcomeKind = "failed"
)

// Outcome is what came of a session on a slot's engine.
type Outcome struct {
	Kind  OutcomeKind
	Class string    // of a failure: one word or phrase for a person and the log
	At    time.Time // when; zero is now
}

// Report tells how the engine did. The first report ends the slot's part in
// the bound on sessions being opened. A report after Release still
// counts for the engine; one on an engine that is gone does not.
func (s *Slot) Report(o Outcome) {
	p := s.pool
	p.mu.Lock()
	defer p.unlock()
	now := time.Now()
	at := o.At
	if at.IsZero() {
		at = now
	}
	p.counters.Outcomes[o.Kind]++
	current := p.members[s.EngineID] == s.member
	switch {
	case !current:
	case o.Kind == Opened && s.opening:
		p.judge(now, s.member, p.healthPolicy().Opened(s.member.health, at, s.content, at.Sub(s.claimed)))
	case o.Kind == FirstByte:
		p.judge(now, s.member, p.healthPolicy().Played(s.member.health, at))
	case o.Kind == Silent:
		p.judge(now, s.member, p.healthPolicy().Silent(s.member.health, at, s.content))
	case o.Kind == Failed:
		class := o.Class
		if class == "" {
			class = "playback failed"
		}
		p.judge(now, s.member, p.healthPolicy().PlaybackFailed(s.member.health, at, s.content, errors.New(class)))
	}
	if s.opening {
		s.opened()
		p.dispatch(now)
	}
}

// Watch tells how to ask the engine about the slot's session. The pool does so
// from time to time until the slot is released; ask must be safe for concurrent
// use and end soon after its context does.
func (s *Slot) Watch(ask func(context.Context) (SessionState, error)) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.session = ask
}

// Release gives the slot back. Calls after the first do nothing.
func (s *Slot) Release() {
	p := s.pool
	p.mu.Lock()
	defer p.unlock()
	if _, claimed := s.member.slots[s]; !claimed {
		return
	}
	if s.opening {
		s.opened()
	}
	now := time.Now()
	delete(s.member.slots, s)
	s.member.lastUsed = now
	p.dispatch(now)
}

// opened ends the slot's part in the bound on opens. pool.mu is held.
func (s *Slot) opened() {
	s.opening = false
	s.member.opening--
}

// Draining returns a channel that is closed when the engine is lost to the
// slot: dead, unhealthy or being stopped. What still plays should move
// elsewhere. The slot must be released all the same.
func (s *Slot) Draining() <-chan struct{} { return s.draining }

// DrainReason says, for a person, why Draining was closed; "" while it is not.
func (s *Slot) DrainReason() string {
	select {
	case <-s.draining:
		return s.reason
	default:
		return ""
	}
}

func (s *Slot) drain(reason string) {
	s.drainOnce.Do(func() {
		s.reason = reason
		close(s.draining)
	})
}
