package reconcile

import (
	"context"
	"time"

	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/pool"
)

// Preview looks at everything once and returns what Run would do first, without
// doing it. It is called instead of Run, and takes no longer than a call of the
// provider and a probe of each engine do.
func (p *Pool) Preview(ctx context.Context) (pool.Decision, Snapshot, error) {
	inventory, err := p.list(ctx)
	if err != nil {
		return pool.Decision{}, Snapshot{}, err
	}
	inner, cancel := context.WithTimeout(ctx, p.config.ProbeTimeout)
	defer p.wg.Wait()
	defer cancel()
	p.mu.Lock()
	p.observe(inner, time.Now(), inventory, nil)
	p.known = true
	p.unlock()

	poll := time.NewTicker(p.config.StartInterval / 5)
	defer poll.Stop()
	for !p.allProbed() && inner.Err() == nil {
		select {
		case <-poll.C:
		case <-inner.Done():
		}
	}
	if err := context.Cause(ctx); err != nil {
		return pool.Decision{}, Snapshot{}, err
	}
	snapshot := p.Snapshot()
	decision, _ := p.Plan()
	return decision, snapshot, nil
}

// allProbed says whether every engine that is probed has answered once.
func (p *Pool) allProbed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.probing && m.health.State == health.Starting {
			return false
		}
	}
	return true
}
