package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
)

// Errors of what people ask of a pool.
var (
	// ErrUnknown says that there is no engine of that id.
	ErrUnknown = provider.ErrUnknown
	// ErrGone says that the engine is not ready and never will be.
	ErrGone = errors.New("the engine is gone")
)

// wished is the reason of what nobody gave another reason for.
const wished = "somebody asked for it"

// Drain takes an engine out of service: it gets no new playbacks, and those it
// has move to others. It is kept until it is undrained or removed; a drain is
// forgotten when the program ends. Draining twice changes nothing. It fails
// with ErrUnknown.
func (p *Pool) Drain(id string) error {
	return p.wish(id, func(now time.Time, m *member) error {
		if m.leaving.IsZero() {
			p.drain(now, m, pool.Leave{Cause: pool.Wished, Reason: wished})
		}
		return nil
	})
}

// Undrain brings an engine back that was drained and is not being removed. It
// fails with ErrUnknown, and with ErrGone when it is too late.
func (p *Pool) Undrain(id string) error {
	return p.wish(id, func(now time.Time, m *member) error {
		switch {
		case m.stop != nil || m.leave.Remove:
			return fmt.Errorf("undrain engine %s: %w", id, ErrGone)
		case m.leaving.IsZero():
			return nil
		}
		m.leave, m.leaving = pool.Leave{}, time.Time{}
		p.publish(now, slog.LevelInfo, EventUndrained, id, "Engine "+id+" is back in service.")
		p.dispatch(now)
		return nil
	})
}

// Remove stops an engine: at once when force is set or nobody uses it,
// otherwise when its streams have moved, and in any case after
// [pool.Policy.DrainTimeout]. Where the pool needs as many engines, another is
// started. It fails with ErrUnknown, and with [provider.ErrUnsupported] where
// engines are stopped by somebody else.
func (p *Pool) Remove(id string, force bool) error {
	return p.wish(id, func(now time.Time, m *member) error { return p.remove(now, m, force) })
}

// Restart replaces an engine by a new one, under another id. The new one is
// started at once if there is room beside the old one, and when that has gone
// otherwise. It fails as Remove does.
func (p *Pool) Restart(id string) error {
	return p.wish(id, func(now time.Time, m *member) error {
		if m.leave.Remove {
			return nil // on its way, and replaced if it is needed
		}
		if err := p.remove(now, m, false); err != nil {
			return err
		}
		p.asked = append(p.asked, make(chan string, 1)) // nobody waits for its id
		return nil
	})
}

// wish does something with an engine.
func (p *Pool) wish(id string, do func(now time.Time, m *member) error) error {
	p.mu.Lock()
	defer p.unlock()
	m := p.members[id]
	if m == nil {
		return fmt.Errorf("engine %s: %w", id, ErrUnknown)
	}
	p.kick()
	return do(time.Now(), m)
}

// remove has the engine stopped once it is empty. p.mu is held.
func (p *Pool) remove(now time.Time, m *member, force bool) error {
	if !p.canStart {
		return fmt.Errorf("stop engine %s: %w", m.engine.ID, provider.ErrUnsupported)
	}
	l := pool.Leave{Cause: pool.Wished, Reason: wished, Remove: true}
	switch {
	case force:
		l.By = now
	case p.config.Policy.DrainTimeout > 0:
		l.By = now.Add(p.config.Policy.DrainTimeout)
	}
	p.drain(now, m, l)
	return nil
}

// drain empties the engine. p.mu is held.
func (p *Pool) drain(now time.Time, m *member, l pool.Leave) {
	m.leave = l
	if m.leaving.IsZero() {
		m.leaving = now
	}
	m.drain("the engine is being emptied: " + l.Reason)
	id := m.engine.ID
	p.publish(now, slog.LevelInfo, EventDraining, id,
		"Engine "+id+" takes no new playbacks: "+l.Reason+".", "cause", string(l.Cause), "reason", l.Reason)
}

// Pause ends all that the pool does by itself: nothing is started or stopped
// but what is asked for. Engines that are ready go on playing, and take new
// playbacks.
func (p *Pool) Pause() {
	p.setPaused(true, EventPaused, "The pool is paused: nothing is started or stopped by itself.")
}

// Resume ends a pause.
func (p *Pool) Resume() { p.setPaused(false, EventResumed, "The pool is kept again.") }

func (p *Pool) setPaused(paused bool, kind, message string) {
	p.mu.Lock()
	defer p.unlock()
	if p.wishes.Paused != paused {
		p.wishes.Paused = paused
		p.publish(time.Now(), slog.LevelInfo, kind, "", message)
		p.kick()
	}
}

// Scale holds the pool at n engines, whatever the demand; never above
// [pool.Policy.Max]. What plays is not stopped. Auto ends it.
func (p *Pool) Scale(n int) error {
	p.mu.Lock()
	most := p.config.Policy.Max
	p.mu.Unlock()
	if n < 0 || n > most {
		return fmt.Errorf("scale to %d engines: the pool takes 0 to %d", n, most)
	}
	p.setScale(true, n, strconv.Itoa(n), fmt.Sprintf("The pool is held at %d engines.", n))
	return nil
}

// Limit changes [pool.Policy.Min] and [pool.Policy.Max]. What plays is not
// stopped: engines beyond the new bound go when they are idle.
func (p *Pool) Limit(least, most int) {
	p.mu.Lock()
	defer p.unlock()
	p.config.Policy.Min, p.config.Policy.Max = least, max(least, most)
	p.kick()
}

// Auto lets the demand say again how many engines there are.
func (p *Pool) Auto() { p.setScale(false, 0, "auto", "The demand says how many engines there are.") }

func (p *Pool) setScale(scaled bool, n int, engines, message string) {
	p.mu.Lock()
	defer p.unlock()
	if p.wishes.Scaled == scaled && p.wishes.Scale == n {
		return
	}
	p.wishes.Scaled, p.wishes.Scale = scaled, n
	p.publish(time.Now(), slog.LevelInfo, EventScaled, "", message, "engines", engines)
	p.kick()
}

// Start starts n engines beyond what the pool needs, and returns their ids
// without waiting until they are ready: [Pool.Await] does. They are stopped like
// any other once they are idle. Where a start must wait, because others failed
// or the engine's image is being fetched, so does Start, until ctx ends. It
// fails with an *[Unavailable] of [ReasonFull] when the pool may not grow as
// much, and with [provider.ErrUnsupported] where engines are started by somebody
// else.
func (p *Pool) Start(ctx context.Context, n int) (ids []string, err error) {
	asks := make([]chan string, n)
	for i := range asks {
		asks[i] = make(chan string, 1)
	}
	if err := p.request(asks); err != nil {
		return nil, err
	}
	for _, ask := range asks {
		select {
		case id, granted := <-ask:
			if !granted {
				return ids, fmt.Errorf("start engines: %w", ErrGone)
			}
			ids = append(ids, id)
		case <-ctx.Done():
			p.mu.Lock()
			p.asked = slices.DeleteFunc(p.asked, func(a chan string) bool { return slices.Contains(asks, a) })
			p.mu.Unlock()
			return ids, fmt.Errorf("start engines: %w", context.Cause(ctx))
		}
	}
	return ids, nil
}

// request adds to the starts that are asked for.
func (p *Pool) request(asks []chan string) error {
	p.mu.Lock()
	defer p.unlock()
	switch exist := len(p.observed(time.Now()).Engines) + len(p.asked); {
	case p.closed:
		return p.unavailable(ReasonClosed)
	case p.known && !p.canStart:
		return fmt.Errorf("start engines: %w", provider.ErrUnsupported)
	case exist+len(asks) > p.config.Policy.Max:
		e := p.unavailable(ReasonFull)
		e.Message = fmt.Sprintf("The pool has %d engines and may have %d.", exist, p.config.Policy.Max)
		return e
	}
	p.asked = append(p.asked, asks...)
	p.kick()
	return nil
}

// grant tells who asked first for an engine which it is. p.mu is held.
func (p *Pool) grant(id string) {
	p.asked[0] <- id
	p.asked = p.asked[1:]
}

// Await waits until the engine is ready. It fails with ErrGone when it never
// will be, and with ErrUnknown when there is none of that id (any more).
func (p *Pool) Await(ctx context.Context, id string) error {
	for {
		changed := p.config.Events.Changed() // every change of a phase is an event
		if done, err := p.arrived(id); done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for engine %s: %w", id, context.Cause(ctx))
		}
	}
}

// arrived says whether the engine is ready, or never will be.
func (p *Pool) arrived(id string) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, o := p.members[id], p.ops[id]
	switch {
	case m == nil && o == nil:
		return true, fmt.Errorf("engine %s: %w", id, ErrUnknown)
	case m == nil:
		return o.done && o.err != nil, o.failure()
	}
	switch phase, _, reason := m.phase(); phase {
	case pool.Ready, pool.Degraded, pool.Cleaning:
		return true, nil
	case pool.Failed, pool.Stopping, pool.Draining:
		return true, fmt.Errorf("engine %s: %w: %s", id, ErrGone, reason)
	}
	return false, nil
}

// failure returns the error of a start that failed.
func (o *op) failure() error {
	if o.err == nil {
		return nil
	}
	return fmt.Errorf("engine %s: %w: %w", o.action.ID, ErrGone, o.err)
}

// Plan returns what the pool is about to do, and why, without doing it. known
// is false while the provider has not listed its engines yet.
func (p *Pool) Plan() (d pool.Decision, known bool) {
	p.mu.Lock()
	observed := p.everything(time.Now())
	known = p.known && p.listErr == nil
	p.mu.Unlock()
	return pool.Plan(observed, p.config.Policy), known
}
