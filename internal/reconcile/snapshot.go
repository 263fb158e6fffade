package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
)

// Counters count what happened since the pool was made. They only grow.
type Counters struct {
	Starts        map[pool.Cause]uint64 // starts asked of the provider, by cause
	StartFailures uint64                // starts that brought no engine that lasts
	Stops         map[pool.Cause]uint64 // stops asked of the provider, by cause
	Cleans        uint64                // caches emptied
	Lost          uint64                // engines that ended by themselves
	Claims        uint64                // slots given out
	Unavailable   map[Reason]uint64     // requests that got none, by reason
	Outcomes      map[OutcomeKind]uint64
}

func newCounters() Counters {
	return Counters{
		Starts:      make(map[pool.Cause]uint64),
		Stops:       make(map[pool.Cause]uint64),
		Unavailable: make(map[Reason]uint64),
		Outcomes:    make(map[OutcomeKind]uint64),
	}
}

func (c Counters) clone() Counters {
	c.Starts = maps.Clone(c.Starts)
	c.Stops = maps.Clone(c.Stops)
	c.Unavailable = maps.Clone(c.Unavailable)
	c.Outcomes = maps.Clone(c.Outcomes)
	return c
}

// EngineStatus is one engine as the pool sees it.
type EngineStatus struct {
	ID        string
	URL       string // "" while it is not known
	Kind      pool.Kind
	Version   string
	Phase     pool.Phase
	Since     time.Time  // when the phase began
	Reason    string     // why it is degraded, unhealthy, failed or being stopped
	LastError string     // the newest failure of a probe or a playback, long past perhaps
	StartedAt time.Time  // zero when the pool's provider did not start it
	P2PPort   int        // 0 when not known
	Used      int        // slots claimed
	Slots     int        // slots in all
	LastUsed  time.Time  // the last claim or release; zero when never used
	Wear      pool.Wear  // its age, memory and cache
	Cause     pool.Cause // why it is being emptied; "" while it stays
}

// Snapshot is the pool at one moment. The caller owns it.
type Snapshot struct {
	Time    time.Time
	Engines []EngineStatus // ordered by id
	Waiting int            // requests that wait for a slot
	Target  pool.Target    // how many engines there should be
	Wishes  pool.Wishes    // what people asked for
	// Quarantined are the contents that are kept away from engines.
	Quarantined []string
	Blind       string // why the engines cannot be listed now; "" when they can
	Unready     string // why no engine can be started now; "" when it can
	Counters    Counters
}

// Ready says whether at least one engine takes playbacks.
func (s Snapshot) Ready() bool {
	return slices.ContainsFunc(s.Engines, func(e EngineStatus) bool {
		return e.Phase == pool.Ready || e.Phase == pool.Degraded
	})
}

// Snapshot returns the pool as it is now.
func (p *Pool) Snapshot() Snapshot {
	s, observed := p.snapshot()
	s.Target = pool.Size(observed, p.config.Policy)
	slices.SortFunc(s.Engines, func(a, b EngineStatus) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

// snapshot returns the pool as it is, the engines in any order, without what
// there is to work out: that is observed.
func (p *Pool) snapshot() (s Snapshot, observed pool.Observed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s = Snapshot{
		Time:     time.Now(),
		Engines:  make([]EngineStatus, 0, len(p.members)),
		Waiting:  len(p.waiters),
		Unready:  p.unready,
		Counters: p.counters.clone(),
	}
	s.Wishes = p.wished()
	s.Quarantined = p.config.Quarantine.List(p.quarantine, s.Time)
	if p.listErr != nil {
		s.Blind = p.listErr.Error()
	}
	for _, m := range p.members {
		phase, since, reason := m.phase()
		s.Engines = append(s.Engines, EngineStatus{
			ID: m.engine.ID, URL: m.engine.URL, Kind: m.kind, Version: m.version,
			Phase: phase, Since: since, Reason: reason, LastError: m.health.LastError,
			StartedAt: m.engine.StartedAt, P2PPort: m.engine.P2PPort,
			Used: len(m.slots), Slots: p.config.Policy.StreamsPerEngine, LastUsed: m.lastUsed,
			Wear: m.wear, Cause: m.leave.Cause,
		})
	}
	return s, p.everything(s.Time)
}

// Ready says whether at least one engine takes playbacks now.
func (p *Pool) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if phase, _, _ := m.phase(); phase == pool.Ready || phase == pool.Degraded {
			return true
		}
	}
	return false
}
