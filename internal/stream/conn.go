package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// conn is a session on an engine with the slot it takes and, once it plays
// live, the source. Whoever holds a conn gives it to [Hub.retire] in the end.
type conn struct {
	hub     *Hub
	slot    *Slot
	opened  time.Time
	session *engine.Session
	source  *upstream.Source // nil for finite content

	joined   atomic.Bool  // its packets reach the viewers
	progress atomic.Int64 // when it last brought something new, in Unix nanoseconds; 0 before it plays
	repeats  atomic.Bool  // it sends what viewers have had
}

// abandonTimeout bounds how long an open that nobody waits for any more is
// followed up, so that the session it may still create is stopped.
const abandonTimeout = 30 * time.Second

// open opens the session. When ctx ends first, or the engine fails, the slot
// is given back: at once, or when it is certain that no session was left
// behind on the engine. An engine that answers late creates the session all
// the same, and nobody else could ever stop it.
func (c *conn) open(ctx context.Context, as content.Selector) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	type answer struct {
		session *engine.Session
		err     error
	}
	answers := make(chan answer, 1)
	pid := engine.NewPID()
	c.hub.work.Go(func() {
		session, err := c.slot.Client.Open(life, as, engine.OpenOptions{PID: pid})
		answers <- answer{session, err}
	})
	select {
	case a := <-answers:
		cancel()
		if a.err != nil {
			c.slot.Release()
			return a.err
		}
		c.session = a.session
		c.slot.Opened(a.session)
		return nil
	case <-ctx.Done():
	}
	c.hub.work.Go(func() {
		defer c.slot.Release()
		defer cancel()
		timeout := time.NewTimer(abandonTimeout)
		defer timeout.Stop()
		select {
		case a := <-answers:
			if a.err == nil {
				c.hub.stopSession(c.slot.Client, a.session)
				return
			}
			if engine.ClassOf(a.err) != engine.Timeout {
				return
			}
		case <-timeout.C:
			cancel()
			<-answers
		case <-c.hub.closing:
			cancel()
			if a := <-answers; a.err == nil {
				c.hub.stopSession(c.slot.Client, a.session)
			}
			return
		}
		c.hub.reapSession(c.slot.Client, as, pid)
	})
	return context.Cause(ctx)
}

// reapSession ends the session that an open without an answer may have left:
// the same open with the same pid returns that very session, which can then be
// stopped.
func (h *Hub) reapSession(client *engine.Client, as content.Selector, pid string) {
	ctx, cancel := context.WithTimeout(context.Background(), engine.StopTimeout)
	defer cancel()
	session, err := client.Open(ctx, as, engine.OpenOptions{PID: pid})
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			h.log.Debug("nothing left of an unanswered open", "engine", client.Base(), "err", err)
		}
		return
	}
	h.stopSession(client, session)
}
