package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
)

// member is one engine of the pool: what the provider says of it, what probes
// and playback told, and who uses it. Guarded by Pool.mu, except for cancel.
type member struct {
	engine  provider.Engine
	seen    time.Time // when the loop first saw it
	since   time.Time // when the provider's state became what it is
	cancel  context.CancelFunc
	probing bool // its probes run

	adopted  bool // it was there before this pool started engines
	wear     pool.Wear
	busy     time.Time // since when it is at work though nobody plays anything on it; zero when not
	received int64     // bytes, at the last inspection; 0 when not known

	health  health.Record
	kind    pool.Kind
	version string

	slots    map[*Slot]struct{} // claimed and not released
	opening  int                // of them, those whose session is being opened
	lastUsed time.Time          // the last claim or release

	leave        pool.Leave // how it leaves; zero when it stays
	leaving      time.Time  // since when; zero when it stays
	cleaning     bool       // its cache is being emptied
	stop         *op        // being stopped; nil when not
	stopFailures int        // stops in a row that failed
}

// phase is the ordered list of rules that turn what is known of an engine into
// what it is good for.
func (m *member) phase() (phase pool.Phase, since time.Time, reason string) {
	switch {
	case m.stop != nil:
		return pool.Stopping, m.stop.since, m.stop.action.Reason
	case m.engine.State == provider.Failed:
		return pool.Failed, m.since, m.engine.Reason
	case !m.leaving.IsZero():
		return pool.Draining, m.leaving, m.leave.Reason
	case m.engine.State == provider.Starting, m.health.State == health.Starting:
		return pool.Starting, m.seen, m.health.LastError
	case m.health.State == health.Unhealthy:
		return pool.Unhealthy, m.health.Since, m.health.Reason
	case m.health.State == health.Degraded:
		return pool.Degraded, m.health.Since, m.health.Reason
	case m.cleaning:
		return pool.Cleaning, m.health.Since, ""
	}
	return pool.Ready, m.health.Since, ""
}

// view returns the engine as the decisions see it.
func (m *member) view() pool.Engine {
	phase, since, reason := m.phase()
	return pool.Engine{
		ID: m.engine.ID, Phase: phase, Since: since, Reason: reason, Kind: m.kind,
		Used: len(m.slots), Opening: m.opening, LastUsed: m.lastUsed,
		Leave: m.leave, Wear: m.wear,
	}
}

// drain tells the holders of slots that the engine is lost to them.
func (m *member) drain(reason string) {
	for s := range m.slots {
		s.drain(reason)
	}
}

// observe takes in what the provider has. settled are the operations that had
// ended before it was asked, so that the inventory shows their effect. p.mu is
// held.
func (p *Pool) observe(ctx context.Context, now time.Time, inventory provider.Inventory, settled []*op) {
	p.canStart, p.unready, p.starts = inventory.CanStart, inventory.Unready, pool.KindUnknown
	if inventory.StartsNative {
		p.starts = pool.KindNative
	}
	listed := make(map[string]bool, len(inventory.Engines))
	for _, e := range inventory.Engines {
		listed[e.ID] = true
		m := p.members[e.ID]
		if m != nil && !m.engine.StartedAt.Equal(e.StartedAt) {
			before := m.health
			p.blame(now, m)
			p.lose(now, m, "it was started anew")
			m = p.join(now, e)
			m.health = p.healthPolicy().Restarted(before, now)
		}
		if m == nil {
			m = p.join(now, e)
		}
		p.refresh(ctx, now, m, e)
	}
	for _, o := range settled {
		p.settle(now, o, listed[o.action.ID])
	}
	for id, m := range p.members {
		switch {
		case listed[id]:
		case m.stop != nil || p.wasStopped(id, settled):
			p.forget(m, "it was stopped")
			p.publish(now, slog.LevelInfo, EventStopped, id, "Engine "+id+" is stopped.")
		default:
			p.lose(now, m, "it vanished")
		}
	}
}

// settle ends an operation whose effect the inventory shows. An operation that
// succeeded without effect counts as failed, so that it is not repeated
// without a pause.
func (p *Pool) settle(now time.Time, o *op, listed bool) {
	id := o.action.ID
	switch {
	case o.action.Op == pool.Start && o.err == nil && !listed:
		p.startFailed(now, id, failVanished, "it vanished right after its start")
	case o.action.Op == pool.Stop && o.err == nil && listed:
		p.stopFailed(now, o, errors.New("it is still there"))
		return
	case o.action.Op == pool.Stop && listed:
		p.members[id].stop = nil
	}
	delete(p.ops, id)
}

// wasStopped says whether a stop of the engine is among the settled operations.
func (p *Pool) wasStopped(id string, settled []*op) bool {
	for _, o := range settled {
		if o.action.ID == id && o.action.Op == pool.Stop {
			return true
		}
	}
	return false
}

// join adds an engine that was not there before.
func (p *Pool) join(now time.Time, e provider.Engine) *member {
	m := &member{
		engine: e,
		seen:   now,
		since:  now,
		health: health.New(now),
		slots:  make(map[*Slot]struct{}),
		cancel: func() {},
	}
	// Where the provider starts native engines only, those it has are native.
	// Others are asked.
	m.kind = p.starts
	m.wear = pool.Wear{Memory: -1, Cache: -1}
	p.members[e.ID] = m
	p.serial = max(p.serial, pool.Number(e.ID))
	switch o := p.ops[e.ID]; {
	case o == nil:
		m.adopted = true
		p.publish(now, slog.LevelInfo, EventFound, e.ID, "Engine "+e.ID+" is there.")
	case o.action.Op == pool.Stop:
		m.stop = o
	}
	return m
}

// refresh takes in what the provider says of a member.
func (p *Pool) refresh(ctx context.Context, now time.Time, m *member, e provider.Engine) {
	before := m.engine
	m.engine = e
	m.wear.StartedAt, m.wear.Outdated = e.StartedAt, e.Outdated
	if e.State != before.State {
		m.since = now
	}
	switch {
	case e.State == provider.Failed && (before.State != provider.Failed || m.seen.Equal(now)):
		m.endProbes()
		p.blame(now, m)
		p.lost(now, m, e.Reason)
	case e.State == provider.Failed:
	case e.URL != before.URL && m.probing:
		m.endProbes()
		p.beginProbes(ctx, m)
	case e.URL != "" && e.State == provider.Running && !m.probing && m.stop == nil:
		p.beginProbes(ctx, m)
	}
}

// lose removes an engine that is gone though nobody stopped it.
func (p *Pool) lose(now time.Time, m *member, reason string) {
	if m.engine.State != provider.Failed { // else it was told already
		p.lost(now, m, reason)
	}
	p.forget(m, reason)
}

// lost tells that an engine ended by itself.
func (p *Pool) lost(now time.Time, m *member, reason string) {
	id := m.engine.ID
	if reason == "" {
		reason = "no reason is known"
	}
	m.drain("the engine is lost: " + reason)
	p.counters.Lost++
	p.publish(now, slog.LevelWarn, EventLost, id, "Engine "+id+" is lost: "+reason+".", "reason", reason)
	started := m.engine.StartedAt
	if started.IsZero() {
		started = m.seen
	}
	if p.canStart && m.stop == nil && now.Sub(started) < stableAfter {
		p.startFailed(now, id, failDied, reason)
	}
}

// forget removes the engine. Slots that are still claimed stay valid for
// release.
func (p *Pool) forget(m *member, reason string) {
	m.endProbes()
	m.drain(reason)
	delete(p.members, m.engine.ID)
}

// The ways in which starts fail, each with a pace of its own.
const (
	failCall     = "call"     // the provider failed
	failVanished = "vanished" // the engine was gone at once
	failDied     = "died"     // the engine ended soon
	failTimeout  = "timeout"  // the engine never became ready
)

// advice is what a person can do about starts that fail, by how they do.
var advice = map[string]string{
	failCall:     "Look at the settings of where engines come from (pool.provider).",
	failVanished: "Something else removes engines: look for it.",
	failDied:     "Look at the log of the engine.",
	failTimeout:  "Look at the log of the engine; where it is merely slow, raise pool.start_timeout.",
}

// startFailed notes a start that brought no engine that lasts.
func (p *Pool) startFailed(now time.Time, id, cause, reason string) {
	f := p.failures[cause]
	f.Cause, f.Reason, f.Last = cause, reason, now
	f.Count++
	p.failures[cause] = f
	p.counters.StartFailures++
	wait := p.config.Policy.Backoff(f.Count)
	p.publish(now, slog.LevelWarn, EventStartFailed, id,
		"Engine "+id+" did not start properly: "+reason+". The next start waits "+wait.String()+". "+advice[cause],
		"cause", cause, "reason", reason, "advice", advice[cause])
}

// lastFailure returns the newest failure of a start, if any.
func (p *Pool) lastFailure() (last pool.Failure, found bool) {
	for _, f := range p.failures {
		if !found || f.Last.After(last.Last) {
			last, found = f, true
		}
	}
	return last, found
}

// noteStable forgets the failed starts once a later one has lasted.
func (p *Pool) noteStable(now time.Time) {
	last, failed := p.lastFailure()
	if !failed {
		return
	}
	for _, m := range p.members {
		phase, since, _ := m.phase()
		if phase == pool.Ready && now.Sub(since) >= stableAfter && since.After(last.Last) {
			clear(p.failures)
			return
		}
	}
}
