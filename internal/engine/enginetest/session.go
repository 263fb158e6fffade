package enginetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"time"
)

// state is where a session is in its life.
type state int

const (
	active     state = iota
	superseded       // another session of the infohash took over; its key still works for stat and stop
	stopped
	expired
)

// session is one playback. All but what does not change is guarded by Fake.mu.
type session struct {
	key, id, pid, token string
	content             *Content
	file                int
	hls                 bool
	opened              time.Time
	ready               time.Time // when it has buffered enough to play
	ctx                 context.Context
	cancel              context.CancelCauseFunc // ends the session's readers

	state      state
	external   bool // of somebody else than the client under test
	tail       bool // of a pid whose playback ended: the remaining buffer only
	polls      int  // of statistics
	holders    int  // requests that keep it from expiring
	readers    int
	cutReader  context.CancelCauseFunc // ends the reader of a file, for the next one
	idle       time.Time               // since when it has no holders
	stopExpiry func() bool
}

var (
	errSuperseded = errors.New("session was superseded")
	errOver       = errors.New("session is over")
)

// forget drops every session, as a restart does.
func (f *Fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.active {
		s.stopExpiry()
		s.cancel(errOver)
	}
	f.sessions = make(map[string]*session)
	f.active = make(map[string]*session)
	f.players = make(map[string]*session)
	f.ended = make(map[string]bool)
	f.cached = make(map[string]bool)
	f.since = make(map[string]time.Time)
	f.counted(func(c *Counters) { c.Active, c.Readers = 0, 0 })
}

// newKey returns size random bytes in hex.
func newKey(size int) string {
	raw := make([]byte, size)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}

// open returns the player's session of a content: the one it has, or a new one
// that supersedes the infohash's and the player's others. A player is a pid;
// all requests without one are one player.
func (f *Fake) open(pid string, c *Content, file int, hls bool) *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.players[pid]; s != nil {
		if s.content == c && s.file == file && s.hls == hls {
			f.counted(func(c *Counters) { c.Reopens++ })
			return s
		}
		f.end(s, superseded)
	}
	now := f.clock.Now()
	s := &session{
		key: newKey(16), id: newKey(20), pid: pid, token: newKey(16),
		content: c, file: file, hls: hls,
		tail:   f.ended[pid+c.Infohash],
		opened: now, ready: now.Add(f.cfg.Timing.Prebuffer),
		idle: now,
	}
	if before := f.active[c.Infohash]; before != nil {
		s.ready = before.ready // the content is being downloaded already
		f.end(before, superseded)
	} else {
		f.since[c.Infohash] = now
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	f.sessions[s.key] = s
	f.active[c.Infohash] = s
	f.players[pid] = s
	f.cached[c.Infohash] = true
	f.expireLater(s)
	f.counted(func(n *Counters) {
		n.Opens++
		n.Active++
		n.MaxPerInfohash = max(n.MaxPerInfohash, len(f.living(c.Infohash)))
	})
	return s
}

// living returns the sessions of an infohash that were neither stopped nor
// expired. f.mu is held.
func (f *Fake) living(infohash string) []*session {
	var all []*session
	for _, s := range f.sessions {
		if s.content.Infohash == infohash && (s.state == active || s.state == superseded) {
			all = append(all, s)
		}
	}
	return all
}

// end takes a session out of play. f.mu is held.
func (f *Fake) end(s *session, to state) {
	was := s.state
	s.state = to
	s.stopExpiry()
	if to == superseded {
		s.cancel(errSuperseded)
	} else {
		s.cancel(errOver)
	}
	if f.players[s.pid] == s {
		delete(f.players, s.pid)
	}
	if f.active[s.content.Infohash] == s {
		delete(f.active, s.content.Infohash)
	}
	if s.readers > 0 { // its playback is cut
		f.ended[s.pid+s.content.Infohash] = true
	}
	f.counted(func(c *Counters) {
		if was == active {
			c.Active--
		}
		switch to {
		case superseded:
			c.Superseded++
		case stopped:
			c.Stopped++
		case expired:
			if !s.external {
				c.Expired++
			}
		}
	})
}

// stop ends every session of the infohash whose key is given, whichever of them
// it is of. It reports whether there was anything to stop.
func (f *Fake) stop(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[key]
	if s == nil || s.state == stopped || s.state == expired {
		f.counted(func(c *Counters) { c.StopsUnknown++ })
		return false
	}
	for _, each := range f.living(s.content.Infohash) {
		f.end(each, stopped)
	}
	return true
}

// expireLater starts the inactivity time. f.mu is held.
func (f *Fake) expireLater(s *session) {
	s.idle = f.clock.Now()
	s.stopExpiry = f.clock.AfterFunc(f.cfg.Timing.Inactivity, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s.state == active && s.holders == 0 {
			f.end(s, expired)
		}
	})
}

// enter finds the session of a playback address and keeps it from expiring. The
// status is 200, or what the address answers instead.
func (f *Fake) enter(infohash string, match func(*session) bool) (*session, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sessions {
		if s.content.Infohash != infohash || !match(s) {
			continue
		}
		switch s.state {
		case superseded:
			return nil, http.StatusForbidden
		case stopped, expired:
			return nil, http.StatusInternalServerError
		}
		s.stopExpiry()
		s.holders++
		return s, http.StatusOK
	}
	return nil, f.cfg.UnknownStatus
}

// leave undoes enter.
func (f *Fake) leave(s *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.holders--
	if s.holders == 0 && s.state == active {
		f.expireLater(s)
	}
}

// Steal opens a session of a content, by infohash or content id, as somebody
// else who uses the same engine: the reader there was is cut.
func (f *Fake) Steal(name string) {
	for _, c := range f.contents {
		if c.Infohash == name || c.ContentID == name {
			s := f.open("external-"+newKey(4), c, 0, false)
			f.mu.Lock()
			s.external = true
			f.mu.Unlock()
		}
	}
}
