package stream

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
)

// stopAttempts bounds how often an engine that does not answer is asked to
// stop a session. After that the session is left to the engine's inactivity
// time.
const stopAttempts = 5

// stopBackoff paces those attempts.
var stopBackoff = backoff.Policy{Min: 2 * time.Second, Max: 15 * time.Second}

// retirement is a session being stopped.
type retirement struct {
	engine   string
	infohash string
	done     chan struct{}
}

// retire ends a conn that is of no use any more: its source at once, its
// session and then its slot behind the caller's back. It may be called once
// for a conn.
func (h *Hub) retire(c *conn) {
	if c.source != nil {
		c.source.Stop(nil)
	}
	r := &retirement{engine: c.slot.EngineID, infohash: c.session.Infohash, done: make(chan struct{})}
	h.mu.Lock()
	h.retired[r] = struct{}{}
	h.mu.Unlock()
	h.work.Go(func() {
		h.stopSession(c.slot.Client, c.session)
		c.slot.Release()
		h.mu.Lock()
		delete(h.retired, r)
		h.mu.Unlock()
		close(r.done)
	})
}

// awaitRetired waits until no session of a content is being stopped on an
// engine. An engine has one session per infohash underneath: the stop of an
// old one, arriving late, would stop the new one with it.
func (h *Hub) awaitRetired(ctx context.Context, engineID string, want content.Selector) error {
	for {
		r := h.retiring(engineID, want)
		if r == nil {
			return nil
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// retiring returns a session being stopped on an engine that may be of the
// content wanted.
func (h *Hub) retiring(engineID string, want content.Selector) *retirement {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, known := h.known.name(want)
	for r := range h.retired {
		if r.engine == engineID && (!known || r.infohash == name.Value) {
			return r
		}
	}
	return nil
}

// stopSession stops a session, and asks again where the engine does not
// answer, until the hub closes.
func (h *Hub) stopSession(client *engine.Client, session *engine.Session) {
	var err error
	for failures := range stopAttempts {
		if h.pauseOpen(stopBackoff.Delay(failures)) != nil {
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), engine.StopTimeout)
		err = client.Stop(ctx, session)
		cancel()
		if err == nil {
			return
		}
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return // the engine is gone, and the session with it
		}
	}
	h.log.Warn("engine did not confirm the end of a session; it expires by itself",
		"engine", client.Base(), "infohash", session.Infohash, "err", err)
}

// pauseOpen waits, but not longer than the hub is open. A pause of nothing
// always succeeds, so that the first attempt is made even while closing.
func (h *Hub) pauseOpen(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-h.closing:
		return errClosing
	}
}
