package playback

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/stream"
)

const (
	// sessionIdle is how long a session lives at least after its last request. Players
	// reload a live playlist every few seconds.
	sessionIdle = 20 * time.Second
	// idleTargets is the same in target durations.
	idleTargets = 3
	// mostSessions bounds the sessions: each request for a manifest makes one.
	mostSessions = 10_000
)

// A session is one player that watches segments. It is a viewer of the stream
// until no request has come for a while.
type session struct {
	viewer *stream.Viewer
	list   *hls.Playlist
	parts  bool      // it follows the parts
	late   *hls.Late // list as it is for a player behind live; nil for others

	// Guarded by the mu of its sessions.
	busy  int // requests under way
	idle  *time.Timer
	until time.Time // when it ends if no request comes
}

// sessions are the sessions by name. It is safe for concurrent use.
type sessions struct {
	mu     sync.Mutex // guards the map, and parts of each session; never held across I/O
	byName map[string]*session
}

func newSessions() *sessions { return &sessions{byName: make(map[string]*session)} }

// add takes over a session and its viewer, and returns its name, which
// nobody can guess. It returns false if there are too many.
func (ss *sessions) add(s *session) (name string, ok bool) {
	name = rand.Text()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.byName) >= mostSessions {
		return "", false
	}
	ss.byName[name] = s
	patience := s.wait()
	s.idle = time.AfterFunc(patience, func() { ss.end(name, s) })
	return name, true
}

// wait returns how long the session waits for the next request, from now on. The caller holds mu.
func (s *session) wait() time.Duration {
	patience := max(sessionIdle, idleTargets*s.list.Target())
	s.until = time.Now().Add(patience)
	return patience
}

// enter returns the session of a name for one request, which ends with a
// call of leave. It returns nil if there is none.
func (ss *sessions) enter(name string) (s *session, leave func()) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s = ss.byName[name]
	if s == nil || s.viewer.Disconnected() {
		return nil, nil
	}
	s.busy++
	s.idle.Stop()
	return s, func() { ss.leave(s) }
}

func (ss *sessions) leave(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s.busy--; s.busy == 0 {
		s.idle.Reset(s.wait())
	}
}

// end ends a session whose timer has run out, unless a request came at the same
// time.
func (ss *sessions) end(name string, s *session) {
	ss.mu.Lock()
	if s.busy > 0 || time.Now().Before(s.until) {
		ss.mu.Unlock()
		return
	}
	delete(ss.byName, name)
	ss.mu.Unlock()
	s.viewer.Leave()
}
