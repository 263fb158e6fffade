package reconcile

import (
	"context"
	"log/slog"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
)

// op is an action that is under way, or has ended and waits for an inventory
// that shows its effect. Guarded by Pool.mu; action and since never change.
type op struct {
	action  pool.Action
	since   time.Time
	url     string // of the engine to be cleaned
	done    bool
	err     error     // of the provider, when done
	retryAt time.Time // a failed stop is not tried again before
}

// settledOps returns the operations whose effect the next inventory shows.
// p.mu is held.
func (p *Pool) settledOps() []*op {
	var settled []*op
	now := time.Now()
	for _, o := range p.ops {
		if o.done && !now.Before(o.retryAt) {
			settled = append(settled, o)
		}
	}
	return settled
}

// begin takes an action of a plan, whose engine is as the plan saw it. p.mu is
// held.
func (p *Pool) begin(ctx context.Context, now time.Time, a pool.Action) {
	if p.ops[a.ID] != nil {
		return
	}
	if a.Op == pool.Drain {
		p.drain(now, p.members[a.ID], pool.Leave{Cause: a.Cause, Reason: a.Reason, Remove: true})
		return
	}
	o := &op{action: a, since: now}
	p.ops[a.ID] = o
	switch a.Op {
	case pool.Start:
		p.serial = max(p.serial, pool.Number(a.ID))
		p.grownAt = now
		if a.Cause == pool.Wished {
			p.grant(a.ID)
		}
		p.counters.Starts[a.Cause]++
		p.publish(now, slog.LevelInfo, EventStarting, a.ID,
			"Engine "+a.ID+" is being started: "+a.Reason+".", "cause", string(a.Cause), "reason", a.Reason)
	case pool.Clean:
		o.url = p.members[a.ID].engine.URL
		p.members[a.ID].cleaning = true
		p.counters.Cleans++
		p.publish(now, slog.LevelInfo, EventCleaning, a.ID,
			"The cache of engine "+a.ID+" is being cleared: "+a.Reason+".", "cause", string(a.Cause), "reason", a.Reason)
	case pool.Stop:
		m := p.members[a.ID]
		m.stop = o
		m.endProbes()
		m.drain("the engine is being stopped: " + a.Reason)
		p.counters.Stops[a.Cause]++
		p.publish(now, slog.LevelInfo, EventStopping, a.ID,
			"Engine "+a.ID+" is being stopped: "+a.Reason+".", "cause", string(a.Cause), "reason", a.Reason)
		if a.Cause == pool.StartTimedOut {
			p.startFailed(now, a.ID, failTimeout, a.Reason)
		}
	}
	p.wg.Go(func() { p.act(ctx, o) })
}

// act does the action and notes how it went.
func (p *Pool) act(ctx context.Context, o *op) {
	select {
	case p.actions <- struct{}{}:
		defer func() { <-p.actions }()
	case <-ctx.Done():
		return
	}
	callCtx, cancel := context.WithTimeout(ctx, p.config.CallTimeout)
	defer cancel()
	var err error
	switch o.action.Op {
	case pool.Start:
		_, err = p.config.Provider.Start(callCtx, provider.Spec{ID: o.action.ID})
	case pool.Clean:
		err = p.config.Clean(callCtx, o.action.ID, o.url)
	default:
		err = p.config.Provider.Stop(callCtx, o.action.ID)
	}
	if ctx.Err() == nil {
		p.acted(o, err)
	}
}

// acted notes the end of an operation.
func (p *Pool) acted(o *op, err error) {
	p.mu.Lock()
	defer p.unlock()
	defer p.kick()
	now := time.Now()
	o.done, o.err = true, err
	switch {
	case o.action.Op == pool.Clean:
		p.cleaned(now, o, err)
	case err == nil:
	case o.action.Op == pool.Start:
		p.startFailed(now, o.action.ID, failCall, err.Error())
	default:
		p.stopFailed(now, o, err)
	}
}

// stopFailed notes a stop that did not succeed; it is tried again after a
// delay that grows. p.mu is held.
func (p *Pool) stopFailed(now time.Time, o *op, err error) {
	o.err = err
	id := o.action.ID
	m := p.members[id]
	if m == nil {
		return // gone all the same
	}
	m.stopFailures++
	o.retryAt = now.Add(p.config.Policy.Backoff(m.stopFailures))
	p.publish(now, slog.LevelWarn, EventStopFailed, id,
		"Engine "+id+" could not be stopped: "+err.Error()+". It will be tried again.", "reason", err.Error())
}
