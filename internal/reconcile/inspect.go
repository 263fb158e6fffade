package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/provider"
)

// Inspection is what an engine tells of itself when it is looked at closely.
type Inspection struct {
	Connected bool  // to its network
	Sessions  int   // open on it, whoever opened them; -1 when it does not tell
	CacheUsed int64 // bytes; -1 when it does not tell
	// Cleanable says that the engine's cache can be emptied while it runs.
	Cleanable bool
}

// InspectFunc looks at the engine at the URL. It must return soon after ctx
// ends, and be safe for concurrent use.
type InspectFunc func(ctx context.Context, engineURL string) (Inspection, error)

// leftoverAfter is how long an engine may be at work with nobody playing
// anything on it. Sessions that nobody reads end by themselves within a minute
// or so.
const leftoverAfter = 2 * time.Minute

// inspect looks at the engine again and again until ctx ends.
func (p *Pool) inspect(ctx context.Context, m *member, id, url string) {
	timer := time.NewTimer(p.config.StartInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := p.config.StartInterval
		if p.answers(m) {
			p.inspectOnce(ctx, m, id, url)
			next = p.config.InspectEvery
		}
		timer.Reset(next)
	}
}

// answers says whether the member answers its probes.
func (p *Pool) answers(m *member) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return m.health.State == health.Healthy || m.health.State == health.Degraded
}

// inspectOnce looks at the engine, its sessions and what it uses of its machine.
func (p *Pool) inspectOnce(ctx context.Context, m *member, id, url string) {
	callCtx, cancel := context.WithTimeout(ctx, p.config.InspectEvery)
	defer cancel()
	begun := time.Now()
	found, err := p.config.Inspect(callCtx, url)
	sessions := p.askSessions(callCtx, m)
	stats := provider.Stats{Memory: -1, Cache: -1}
	if inspector, ok := p.config.Provider.(provider.Inspector); ok {
		if s, err := inspector.Stats(callCtx, id); err == nil {
			stats = s
		}
	}

	p.mu.Lock()
	defer p.unlock()
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	used := max(stats.Cache, sessions.cacheUsed)
	if err == nil {
		used = max(used, found.CacheUsed)
		p.judge(now, m, p.healthPolicy().Network(m.health, now, found.Connected))
		p.noteLeftover(now, m, begun, found.Sessions, stats.Received)
		m.wear.Cleanable = found.Cleanable && p.config.Clean != nil
	}
	m.wear.Memory, m.wear.MemoryLimit, m.wear.Cache, m.wear.MeasuredAt = stats.Memory, stats.MemoryLimit, used, begun
	p.judge(now, m, p.healthPolicy().Peers(m.health, now, sessions.asked == 0 || sessions.connected > 0))
	p.kick()
}

// sessionsSeen is what the sessions of an engine told.
type sessionsSeen struct {
	asked     int // that answered
	connected int // of them, those with a peer
	cacheUsed int64
}

// askSessions asks the engine about every session whose slot it has.
func (p *Pool) askSessions(ctx context.Context, m *member) sessionsSeen {
	p.mu.Lock()
	var asks []func(context.Context) (SessionState, error)
	for s := range m.slots {
		if s.session != nil {
			asks = append(asks, s.session)
		}
	}
	p.mu.Unlock()
	seen := sessionsSeen{cacheUsed: -1}
	for _, ask := range asks {
		state, err := ask(ctx)
		if err != nil {
			continue
		}
		seen.asked++
		if state.Peers > 0 {
			seen.connected++
		}
		if state.CacheUsed > 0 {
			seen.cacheUsed = max(seen.cacheUsed, state.CacheUsed)
		}
	}
	return seen
}

// leftoverRate is how many bytes per second an engine must receive to be at
// work: no channel that anybody watches takes less, and the talk with peers of
// an engine at rest is a few KiB/s.
const leftoverRate = 50 << 10

// noteLeftover notes whether an engine that nobody has played anything on, as
// long as this pool has known it, is at work: for an earlier process, whose
// sessions nothing else would ever end. Some engines tell of sessions; of others
// the traffic does. begun is when it was asked, received the bytes that had
// come to it by then. p.mu is held.
func (p *Pool) noteLeftover(now time.Time, m *member, begun time.Time, sessions int, received int64) {
	rate := 0.0
	if last := m.wear.MeasuredAt; !last.IsZero() && m.received > 0 {
		rate = float64(received-m.received) / begun.Sub(last).Seconds()
	}
	m.received = received
	what := ""
	switch {
	case !m.adopted || !m.lastUsed.IsZero():
	case sessions > 0:
		what = fmt.Sprintf("it has sessions (%d) of somebody before", sessions)
	case rate >= leftoverRate:
		what = fmt.Sprintf("it receives %.0f KiB/s for somebody before", rate/1024)
	}
	switch {
	case what == "":
		m.busy, m.wear.Leftover = time.Time{}, ""
	case m.busy.IsZero():
		m.busy = begun
	case now.Sub(m.busy) >= leftoverAfter:
		m.wear.Leftover = what
	}
}

// cleaned notes that a cache was emptied. p.mu is held.
func (p *Pool) cleaned(now time.Time, o *op, err error) {
	delete(p.ops, o.action.ID)
	m := p.members[o.action.ID]
	if m == nil {
		return
	}
	m.cleaning = false
	m.wear.CleanedAt = now
	if err != nil {
		p.publish(now, slog.LevelWarn, EventCleanFailed, o.action.ID,
			"The cache of engine "+o.action.ID+" could not be cleared: "+err.Error()+". If it stays too large, the engine is replaced.", "reason", err.Error())
	}
	p.dispatch(now)
}

// noteStart remembers how long the start of a member took. p.mu is held.
func (p *Pool) noteStart(now time.Time, m *member) {
	if m.adopted {
		return
	}
	took := now.Sub(m.seen)
	if p.startTook == 0 {
		p.startTook = took
	}
	p.startTook += (took - p.startTook) / 2
}

// blame notes that an engine died while its contents were playing. p.mu is held.
func (p *Pool) blame(now time.Time, m *member) {
	if m.stop != nil {
		return
	}
	var contents []string
	for s := range m.slots {
		contents = append(contents, s.content)
	}
	before := p.quarantine
	p.quarantine = p.config.Quarantine.Died(before, now, m.engine.ID, contents)
	for _, content := range contents {
		_, deaths, kept := p.config.Quarantine.Until(p.quarantine, now, content)
		if _, _, was := p.config.Quarantine.Until(before, now, content); kept && !was {
			p.publish(now, slog.LevelWarn, EventQuarantined, "",
				fmt.Sprintf("%d engines died while the same content was playing: it is kept away from the others for %s.", deaths, p.config.Quarantine.For),
				"content", content)
		}
	}
}

// beginCollecting starts collecting what engines left behind, where the
// provider can.
func (p *Pool) beginCollecting(ctx context.Context) {
	collector, ok := p.config.Provider.(provider.Collector)
	if !ok {
		return
	}
	p.wg.Go(func() {
		ticker := time.NewTicker(p.config.CollectEvery)
		defer ticker.Stop()
		for {
			p.collect(ctx, collector)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
}

// collect has the provider remove what belongs to no engine any more.
func (p *Pool) collect(ctx context.Context, collector provider.Collector) {
	callCtx, cancel := context.WithTimeout(ctx, p.config.CallTimeout)
	defer cancel()
	removed, err := collector.Collect(callCtx)
	p.mu.Lock()
	defer p.unlock()
	if ctx.Err() != nil {
		return
	}
	for _, what := range removed {
		p.publish(time.Now(), slog.LevelInfo, EventLeftBehind, "", "Something that an engine left behind was removed: "+what+".", "what", what)
	}
	if err != nil {
		p.config.Log.Warn("what engines left behind was not collected", "err", err)
	}
}
