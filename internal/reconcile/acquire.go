package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
)

// Request is what a playback asks of the pool.
type Request struct {
	// Content names what is played, so that several failures of one content do
	// not count as several of the engine.
	Content string
	// Official says that only an official engine can play it.
	Official bool
	// Exclude lists the ids of engines on which it has failed already.
	Exclude []string
	// Only is the id of the one engine that will do; empty where any may.
	Only string
	// Wait bounds the wait for a slot, beside the context; 0 does not.
	Wait time.Duration
}

// Reason is why there is no slot.
type Reason string

// The reasons.
const (
	ReasonNoEngines  = Reason(pool.NoEngines)  // no engine that could play it is ready
	ReasonFull       = Reason(pool.Full)       // all slots are in use
	ReasonBusy       = Reason(pool.Busy)       // the engines are busy opening other contents
	ReasonNoOfficial = Reason(pool.NoOfficial) // it takes an official engine, and there will be none
	ReasonAllTried   = Reason(pool.AllTried)   // every engine is excluded
	ReasonQuarantine = Reason("quarantined")   // engines died of this content
	ReasonClosed     = Reason("closed")        // the pool is shutting down
)

// Unavailable is the error of [Pool.Acquire] when there is no slot.
type Unavailable struct {
	Reason  Reason
	Message string // one plain sentence for a person
	// RetryAfter is when it is worth asking again; 0 when it is not.
	RetryAfter time.Duration
}

func (e *Unavailable) Error() string { return e.Message }

// waiter is a request that waits for a slot. Guarded by Pool.mu; done has
// capacity one and receives once, when the waiter is taken off the list.
type waiter struct {
	request Request
	done    chan result
}

type result struct {
	slot *Slot
	err  error
}

func (w *waiter) want() pool.Request {
	return pool.Request{Official: w.request.Official, Exclude: w.request.Exclude, Only: w.request.Only}
}

// Acquire claims a slot on the engine that suits the request best. Where none
// is free it waits for the next one freed or started, first come first served,
// until ctx ends or r.Wait is over; the pool grows meanwhile if it may. It fails at
// once where waiting cannot help.
//
// The error is an *[Unavailable], or wraps the cause of ctx when that ended for
// another reason than that nothing was free until its deadline.
func (p *Pool) Acquire(ctx context.Context, r Request) (*Slot, error) {
	w := &waiter{request: r, done: make(chan result, 1)}
	if p.enqueue(w) {
		p.kick()
	}
	var expired <-chan time.Time
	if r.Wait > 0 {
		timer := time.NewTimer(r.Wait)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case got := <-w.done:
		return got.slot, got.err
	case <-expired:
		return p.giveUp(w, nil)
	case <-ctx.Done():
		return p.giveUp(w, context.Cause(ctx))
	}
}

// enqueue serves the waiter at once if that is possible, and says whether it
// has to wait.
func (p *Pool) enqueue(w *waiter) (waits bool) {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		w.done <- result{err: p.unavailable(ReasonClosed)}
		return false
	}
	until, deaths, kept := p.config.Quarantine.Until(p.quarantine, time.Now(), w.request.Content)
	if kept {
		e := p.unavailable(ReasonQuarantine)
		e.Message = fmt.Sprintf("%d engines died while this content was playing: it is kept away from the others until %s.", deaths, until.Format(time.TimeOnly))
		e.RetryAfter = time.Until(until)
		w.done <- result{err: e}
		return false
	}
	// Whoever waits already cannot use what is free now, or would have it.
	now := time.Now()
	if p.serve(now, p.observed(now), w) {
		return false
	}
	p.waiters = append(p.waiters, w)
	return true
}

// serve gives the waiter a slot, or its refusal when that is final. observed is
// the pool as it is. p.mu is held.
func (p *Pool) serve(now time.Time, observed pool.Observed, w *waiter) bool {
	id, why := pool.Pick(observed, p.config.Policy, w.want())
	switch {
	case why == pool.Fits:
		w.done <- result{slot: p.claim(now, p.members[id], w.request)}
	case why.Final():
		w.done <- result{err: p.unavailable(Reason(why))}
	default:
		return false
	}
	return true
}

// claim takes a slot of the member.
func (p *Pool) claim(now time.Time, m *member, r Request) *Slot {
	s := &Slot{
		EngineID: m.engine.ID,
		URL:      m.engine.URL,
		Kind:     m.kind,
		pool:     p,
		member:   m,
		content:  r.Content,
		claimed:  now,
		draining: make(chan struct{}),
		opening:  true,
	}
	m.slots[s] = struct{}{}
	m.opening++
	m.lastUsed = now
	p.counters.Claims++
	return s
}

// dispatch serves those who wait, after anything that may have made room.
// p.mu is held.
func (p *Pool) dispatch(now time.Time) {
	if len(p.waiters) == 0 {
		return
	}
	observed := p.observed(now)
	stuck := false // a request that any engine would suit found none
	p.waiters = slices.DeleteFunc(p.waiters, func(w *waiter) bool {
		plain := !w.request.Official && len(w.request.Exclude) == 0 && w.request.Only == ""
		if plain && stuck {
			return false
		}
		served := p.serve(now, observed, w)
		if served {
			observed = p.observed(now)
		}
		stuck = stuck || plain && !served
		return served
	})
}

// giveUp ends the wait of a waiter that got nothing in time; cause is that of
// its context, nil when its own bound was over.
func (p *Pool) giveUp(w *waiter, cause error) (*Slot, error) {
	p.mu.Lock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
		w.done <- result{err: p.refuse(w, cause)}
	}
	p.unlock()

	got := <-w.done // now, or a moment ago
	if cause != nil && got.slot != nil {
		got.slot.Release()
		return nil, fmt.Errorf("wait for an engine: %w", cause)
	}
	return got.slot, got.err
}

// refuse returns the error of a waiter that waited in vain. p.mu is held.
func (p *Pool) refuse(w *waiter, cause error) error {
	if cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("wait for an engine: %w", cause)
	}
	_, why := pool.Pick(p.observed(time.Now()), p.config.Policy, w.want())
	return p.unavailable(Reason(why))
}

// unavailable returns the error for a reason, and counts it. p.mu is held.
func (p *Pool) unavailable(reason Reason) *Unavailable {
	p.counters.Unavailable[reason]++
	e := &Unavailable{Reason: reason}
	now := time.Now()
	switch reason {
	case ReasonFull:
		e.Message, e.RetryAfter = "All slots of all engines are in use.", p.nextSlot(now)
	case ReasonQuarantine:
	case ReasonBusy:
		e.Message, e.RetryAfter = "The engines are busy opening other contents.", 5*time.Second
	case ReasonNoOfficial:
		e.Message = "This is an AceStream content id, which only an official engine can play, and the pool has none."
	case ReasonAllTried:
		e.Message, e.RetryAfter = "It failed on every engine of the pool.", 30*time.Second
	case ReasonClosed:
		e.Message, e.RetryAfter = "The pool is shutting down.", 5*time.Second
	default:
		e.Reason, e.Message, e.RetryAfter = ReasonNoEngines, "No engine is ready."+p.trouble(), p.nextSlot(now)
	}
	return e
}

// Bounds of what [Unavailable.RetryAfter] says when it is an estimate.
const (
	soonest = time.Second
	latest  = time.Minute
	// someTime is the estimate where nothing is known: viewers come and go.
	someTime = 10 * time.Second
)

// nextSlot estimates when there may be a free slot: when the engine that has
// been starting for longest is ready, going by how long starts took; or when the
// next start may be made, and that time later. p.mu is held.
func (p *Pool) nextSlot(now time.Time) time.Duration {
	took := cmp.Or(p.startTook, someTime)
	wait := time.Duration(-1)
	count := 0
	for _, e := range p.observed(now).Engines {
		count++
		if left := took - now.Sub(e.Since); e.Phase == pool.Starting && (wait < 0 || left < wait) {
			wait = left
		}
	}
	switch last, failed := p.lastFailure(); {
	case wait >= 0:
	case !p.canStart || count >= p.config.Policy.Max:
		wait = someTime
	case failed:
		wait = took + last.Last.Add(p.config.Policy.Backoff(last.Count)).Sub(now)
	default:
		wait = took
	}
	return min(max(wait, soonest), latest)
}

// trouble says what keeps engines from being ready, as another sentence.
func (p *Pool) trouble() string {
	last, failed := p.lastFailure()
	switch {
	case p.listErr != nil:
		return " The engines cannot be listed: " + p.listErr.Error() + "."
	case p.unready != "":
		return " None can be started now: " + p.unready + "."
	case failed:
		return " The last start failed: " + last.Reason + "."
	}
	return ""
}
