package native

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
)

// Request names a content, and who wants to play it. Exactly one of Content
// and TransportFile is set.
type Request struct {
	Content       content.Selector // its File is not used
	TransportFile []byte           // contents of a .torrent file

	// File is the index of the file to play; FileAuto picks the largest one
	// that is audio or video, else the largest.
	File int
	// Player is the pid of the engine API: one player that opens one file
	// again gets the session that it has. Without one every open is a session
	// of its own.
	Player string
	// Restart ends the session that the player has, and opens a new one.
	Restart bool
	// ClientSession is a number of the caller's that Stat gives back.
	ClientSession int
}

// String names the content for logs and messages.
func (r Request) String() string {
	switch {
	case len(r.TransportFile) > 0:
		return "a transport file"
	case r.Content.Kind == content.URL:
		return "url " + nameOf(r.Content.Value)
	}
	return r.Content.String()
}

// FileAuto as Request.File lets the engine pick.
const FileAuto = -1

// Open finds the content and opens a session on it. It takes at most the start
// timeout. Its errors are of type [*Error].
//
// Sessions of different players are independent, also on the same content:
// they share the swarm and the cache, and stopping one leaves the others.
func (e *Engine) Open(ctx context.Context, req Request) (*Session, error) {
	s, err := e.open(ctx, req)
	if err != nil {
		e.counters.failed.Add(1)
		failure := explain(err, nil)
		e.log.Info("content cannot be played", "content", req.String(), "reason", string(failure.Reason), "err", failure)
		return nil, failure
	}
	return s, nil
}

func (e *Engine) open(ctx context.Context, req Request) (*Session, error) {
	release, err := e.reserve()
	if err != nil {
		return nil, err
	}
	defer release()
	playable, err := e.resolve(ctx, req)
	if err != nil {
		return nil, err
	}
	info := playable.Info()
	file, err := info.pick(req.File)
	if err != nil {
		return nil, errors.Join(err, playable.Close())
	}
	s := newSession(e, req, playable, info, file)
	held, replaced, err := e.admit(s, req.Restart)
	if replaced != nil {
		replaced.end(errReplaced)
	}
	if err != nil || held != s {
		s.discard()
		return held, err
	}
	e.counters.opened.Add(1)
	e.lookAgain()
	e.log.Info("session opened", "session", s.key, "content", info.Infohash, "name", info.Name, "file", file.Path)
	return s, nil
}

// Inspect tells what a request names, as Open would find it, and opens
// nothing. Its errors are of type [*Error].
func (e *Engine) Inspect(ctx context.Context, req Request) (Info, error) {
	release, err := e.reserve()
	if err != nil {
		return Info{}, explain(err, nil)
	}
	defer release()
	playable, err := e.resolve(ctx, req)
	if err != nil {
		return Info{}, explain(err, nil)
	}
	info := playable.Info()
	if err := playable.Close(); err != nil {
		e.log.Warn("content was not given back cleanly", "content", info.Infohash, "err", err)
	}
	return info, nil
}

// resolve asks the resolvers in order, within the start timeout.
func (e *Engine) resolve(ctx context.Context, req Request) (Playable, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.life, func() { cancel(errEngineClosed) })() //nolint:contextcheck // the engine's life is a second one
	ctx, stop := context.WithTimeoutCause(ctx, e.cfg.StartTimeout, errStartTimeout)
	defer stop()
	for _, r := range e.resolvers {
		playable, err := r.Resolve(ctx, req)
		if errors.Is(err, ErrNotMine) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", req, withCause(ctx, err))
		}
		return playable, nil
	}
	return nil, &Error{Reason: BadRequest, Detail: "this engine does not know that kind of content"}
}

// reserve takes a place for a session to come. When there is none it ends the
// session that has been idle longest; when all are in use the engine is busy.
func (e *Engine) reserve() (release func(), err error) {
	for {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return nil, errEngineClosed
		}
		if len(e.sessions)+e.opening < e.cfg.MaxSessions {
			e.opening++
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.opening--
			}, nil
		}
		e.mu.Unlock()
		if !e.evict() {
			return nil, &Error{Reason: Busy, Detail: fmt.Sprintf("all %d sessions of this engine are in use", e.cfg.MaxSessions)}
		}
	}
}

// evict ends the session that has been idle longest, if one is idle.
func (e *Engine) evict() bool {
	var oldest *Session
	var since time.Time
	for _, s := range e.all() {
		if at, idle := s.idleSince(); idle && (oldest == nil || at.Before(since)) {
			oldest, since = s, at
		}
	}
	if oldest == nil {
		return false
	}
	oldest.end(errSessionIdle)
	return true
}

// admit puts s on the table, unless its player has a session of that file
// already: then held is that one or, with restart, replaced is.
func (e *Engine) admit(s *Session, restart bool) (held, replaced *Session, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, nil, errEngineClosed
	}
	if s.player != "" {
		for _, other := range e.sessions {
			if other.player != s.player || other.info.Infohash != s.info.Infohash || other.file.Index != s.file.Index {
				continue
			}
			if !restart && other.Touch() {
				return other, nil, nil
			}
			replaced = other
			delete(e.sessions, other.key)
		}
	}
	e.sessions[s.key] = s
	return s, replaced, nil
}

// randomHex returns n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
