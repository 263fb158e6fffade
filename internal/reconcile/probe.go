package reconcile

import (
	"context"
	"log/slog"
	"time"

	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/pool"
)

// healthPolicy returns the policy for the engines there are. Engines that the
// pool starts are given up by the plan when their start takes too long, so
// health leaves that to it; those it cannot start get no grace, because nothing
// says that they are starting. p.mu is held.
func (p *Pool) healthPolicy() health.Policy {
	policy := p.config.Health
	if p.canStart {
		policy.Grace = max(policy.Grace, 2*p.config.Policy.StartTimeout)
	}
	return policy
}

// beginProbes starts the probes of a member whose URL is known. p.mu is held.
func (p *Pool) beginProbes(ctx context.Context, m *member) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.probing = true
	id, url := m.engine.ID, m.engine.URL
	p.wg.Go(func() { p.probe(ctx, m, url) })
	if p.config.Inspect != nil {
		p.wg.Go(func() { p.inspect(ctx, m, id, url) })
	}
}

// endProbes stops the probes of a member, if any. It does not wait for them:
// a probe that was under way changes nothing any more.
func (m *member) endProbes() {
	m.cancel()
	m.probing = false
}

// probe asks the engine again and again until ctx ends.
func (p *Pool) probe(ctx context.Context, m *member, url string) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begun := time.Now()
		identity, err := p.ask(ctx, url)
		interval, alive := p.probed(ctx, m, identity, err)
		if !alive {
			return
		}
		timer.Reset(max(0, interval-time.Since(begun)))
	}
}

// ask probes once.
func (p *Pool) ask(ctx context.Context, url string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.ProbeTimeout)
	defer cancel()
	return p.config.Probe(ctx, url)
}

// probed takes in the result of a probe and returns when the next is due. It
// is not alive when the probes have been ended meanwhile.
func (p *Pool) probed(ctx context.Context, m *member, identity Identity, err error) (interval time.Duration, alive bool) {
	p.mu.Lock()
	defer p.unlock()
	if ctx.Err() != nil {
		return 0, false
	}
	if err == nil {
		m.version = identity.Version
		m.kind = pool.KindOfficial
		if identity.Native {
			m.kind = pool.KindNative
		}
	}
	now := time.Now()
	p.judge(now, m, p.healthPolicy().Probe(m.health, now, err))
	if m.health.State == health.Starting {
		return p.config.StartInterval, true
	}
	return p.config.ProbeInterval, true
}

// judge takes a new record of a member's health and does what a change of
// state asks for. p.mu is held.
func (p *Pool) judge(now time.Time, m *member, r health.Record) {
	before := m.health
	m.health = r
	if r.State == before.State {
		return
	}
	id := m.engine.ID
	switch r.State {
	case health.Healthy:
		if before.State == health.Starting {
			p.noteStart(now, m)
			p.publish(now, slog.LevelInfo, EventReady, id, "Engine "+id+" is ready.", "kind", string(m.kind), "version", m.version)
		} else {
			p.publish(now, slog.LevelInfo, EventRecovered, id, "Engine "+id+" is healthy again.")
		}
	case health.Degraded:
		p.publish(now, slog.LevelWarn, EventDegraded, id, "Engine "+id+" is degraded: "+r.Reason+".", "reason", r.Reason)
	case health.Unhealthy:
		p.blame(now, m)
		m.drain("the engine is unhealthy: " + r.Reason)
		p.publish(now, slog.LevelWarn, EventUnhealthy, id, "Engine "+id+" is unhealthy: "+r.Reason+".", "reason", r.Reason)
	case health.Starting:
	}
	p.dispatch(now)
	p.kick()
}
