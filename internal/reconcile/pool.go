// Package reconcile keeps the pool of engines as the policy asks: it observes
// the provider and probes the engines, lets package pool decide, and acts. It
// hands out the slots of the engines that are ready.
package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
)

// Identity is what an engine tells of itself.
type Identity struct {
	Version string
	Native  bool // our own engine, which plays no content ids
}

// ProbeFunc asks the engine at the URL who it is: the probe for life. It must
// return soon after ctx ends, and be safe for concurrent use.
type ProbeFunc func(ctx context.Context, engineURL string) (Identity, error)

// Config is what a [Pool] stands on. Provider, Probe, Events, Log
// and Policy are required; of the rest, what is zero takes the default.
type Config struct {
	Provider provider.Provider
	Probe    ProbeFunc
	Events   *event.Log
	Log      *slog.Logger

	Policy pool.Policy   // a nil Backoff doubles from 1 s to 1 min
	Health health.Policy // default health.DefaultPolicy
	// Quarantine says which contents are kept away from engines; its zero value
	// keeps away none.
	Quarantine health.QuarantinePolicy

	// Inspect looks at an engine more closely than Probe; nil looks at none.
	// Clean empties the cache of an engine that nobody uses; nil where that
	// cannot be done. Both are as Probe.
	Inspect InspectFunc
	Clean   func(ctx context.Context, id, engineURL string) error

	ProbeInterval time.Duration // between the probes of an engine; default 5 s
	ProbeTimeout  time.Duration // bound on one probe; default 3 s
	StartInterval time.Duration // between the probes of an engine that is starting; default 250 ms
	InspectEvery  time.Duration // between two inspections of an engine; default 30 s
	CollectEvery  time.Duration // between two collections of what engines left behind; default 10 min
	Resync        time.Duration // between two looks at everything when nothing wakes the loop; default 2 s
	CallTimeout   time.Duration // bound on one call of the provider; default 1 min
}

// parallelActions bounds the starts and stops that run at the same time.
const parallelActions = 4

// stableAfter is how long an engine must last for its start to have been a
// success: one that dies sooner counts as a failed start and is replaced with
// a delay that grows.
const stableAfter = time.Minute

func (c *Config) setDefaults() {
	setDefault(&c.ProbeInterval, 5*time.Second)
	setDefault(&c.ProbeTimeout, 3*time.Second)
	setDefault(&c.StartInterval, 250*time.Millisecond)
	setDefault(&c.InspectEvery, 30*time.Second)
	setDefault(&c.CollectEvery, 10*time.Minute)
	setDefault(&c.Resync, 2*time.Second)
	setDefault(&c.CallTimeout, time.Minute)
	if c.Health == (health.Policy{}) {
		c.Health = health.DefaultPolicy
	}
	if c.Policy.Backoff == nil {
		c.Policy.Backoff = backoff.Policy{Min: time.Second, Max: time.Minute}.Delay
	}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Pool is the pool of engines. It is safe for concurrent use. Nothing of it
// moves before Run; Acquire waits meanwhile.
type Pool struct {
	config  Config
	wake    chan struct{}  // capacity 1: look again
	actions chan struct{}  // tokens of the actions that run
	wg      sync.WaitGroup // probes and actions; waited for by Run

	// mu guards all below. It is never held across I/O.
	mu sync.Mutex

	members  map[string]*member // by engine id
	ops      map[string]*op     // by engine id: what is being done, or just was
	canStart bool               // of the newest inventory
	unready  string             // of the newest inventory
	starts   pool.Kind          // of the newest inventory
	listErr  error              // of the newest List; nil when it succeeded

	serial   uint64                  // highest number given to an engine
	failures map[string]pool.Failure // of starts, by cause
	grownAt  time.Time               // the last start
	peaks    pool.Peaks              // engines that were wanted

	startTook  time.Duration // how long starts take, the newest counting most; 0 when not known
	quarantine health.Quarantine

	wishes pool.Wishes
	asked  []chan string // starts that were asked for; each gets its engine's id

	waiters []*waiter // in the order they came
	scratch []pool.Engine
	known   bool // an inventory has been seen
	closed  bool // Run has ended

	counters Counters
	logs     []logLine // to be written once mu is free
}

// New returns a pool. It starts nothing.
func New(config Config) *Pool {
	config.setDefaults()
	return &Pool{
		config:   config,
		wake:     make(chan struct{}, 1),
		actions:  make(chan struct{}, parallelActions),
		members:  make(map[string]*member),
		ops:      make(map[string]*op),
		failures: make(map[string]pool.Failure),
		counters: newCounters(),
	}
}

// Run keeps the pool until ctx ends, then waits for everything it started. It
// stops no engine: which of them outlive the program is up to the provider.
// Requests that wait then, and later ones, are refused. Run is called once.
func (p *Pool) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	resync := time.NewTicker(p.config.Resync)
	defer func() {
		resync.Stop()
		cancel()
		p.wg.Wait()
		p.close()
	}()
	p.beginCollecting(ctx)
	for {
		p.pass(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-p.config.Provider.Watch():
		case <-resync.C:
		}
	}
}

// pass is one turn of the loop: observe, plan, act. It branches on nothing but
// the state of the world.
func (p *Pool) pass(ctx context.Context) {
	p.mu.Lock()
	settled := p.settledOps()
	p.mu.Unlock()

	inventory, err := p.list(ctx)
	if ctx.Err() != nil {
		return
	}

	now := time.Now()
	observed, known := p.takeIn(ctx, now, inventory, err, settled)
	if !known {
		return // what is known stays true until something better is known
	}
	// Requests for slots do not wait for this.
	wanted := pool.Size(observed, p.config.Policy).Engines
	peaks := p.peaks.Note(now, wanted, p.config.Policy.IdleTTL)
	observed.Peak = peaks.Most()
	plan := pool.Plan(observed, p.config.Policy)

	p.mu.Lock()
	defer p.unlock()
	p.peaks = peaks
	p.carryOut(ctx, now, plan.Actions, observed)
}

// takeIn takes in what the provider has, serves those who wait, and returns the
// input of a plan; known is false where the provider failed.
func (p *Pool) takeIn(ctx context.Context, now time.Time, inventory provider.Inventory, err error, settled []*op) (observed pool.Observed, known bool) {
	p.mu.Lock()
	defer p.unlock()
	p.noteList(now, err)
	if err != nil {
		return pool.Observed{}, false
	}
	p.observe(ctx, now, inventory, settled)
	p.noteStable(now)
	p.dispatch(now)
	p.known = true
	return p.everything(now), true
}

// carryOut begins the actions of a plan that was made for observed, while p.mu
// was free. What is about an engine that is not as it was is left to the next
// plan, and so is all where people wish something else. p.mu is held.
func (p *Pool) carryOut(ctx context.Context, now time.Time, actions []pool.Action, observed pool.Observed) {
	planned := make(map[string]pool.Engine, len(actions))
	for _, e := range observed.Engines {
		planned[e.ID] = e
	}
	if p.wished() != observed.Wishes {
		p.kick()
		return
	}
	for _, a := range actions {
		if m := p.members[a.ID]; m != nil && m.view() != planned[a.ID] {
			p.kick()
			continue
		}
		p.begin(ctx, now, a)
	}
}

// wished returns what people ask for now. p.mu is held.
func (p *Pool) wished() pool.Wishes {
	w := p.wishes
	w.Starts = len(p.asked)
	return w
}

// everything returns the input of a plan, which is the caller's. p.mu is held.
func (p *Pool) everything(now time.Time) pool.Observed {
	observed := p.observed(now)
	observed.Engines = slices.Clone(observed.Engines)
	observed.Wishes = p.wished()
	for _, w := range p.waiters {
		observed.Waiting = append(observed.Waiting, w.want())
	}
	for _, f := range p.failures {
		observed.Failures = append(observed.Failures, f)
	}
	slices.SortFunc(observed.Failures, func(a, b pool.Failure) int { return cmp.Compare(a.Cause, b.Cause) })
	return observed
}

// list asks the provider for its engines.
func (p *Pool) list(ctx context.Context) (provider.Inventory, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.CallTimeout)
	defer cancel()
	inventory, err := p.config.Provider.List(ctx)
	if err != nil {
		return provider.Inventory{}, fmt.Errorf("list engines: %w", err)
	}
	return inventory, nil
}

// noteList remembers how List went and tells when that changes. p.mu is held.
func (p *Pool) noteList(now time.Time, err error) {
	if (err == nil) != (p.listErr == nil) {
		if err != nil {
			p.publish(now, slog.LevelWarn, EventBlind, "", "The engines cannot be listed: "+err.Error()+". What plays goes on; nothing is started or stopped until they can. See to the place where engines come from (pool.provider).")
		} else {
			p.publish(now, slog.LevelInfo, EventSeeing, "", "The engines can be listed again.")
		}
	}
	p.listErr = err
}

// observed returns the input of a decision. What it returns is valid until
// p.mu, which is held, is released.
func (p *Pool) observed(now time.Time) pool.Observed {
	p.scratch = p.scratch[:0]
	for _, m := range p.members {
		p.scratch = append(p.scratch, m.view())
	}
	for id, o := range p.ops {
		if o.action.Op == pool.Start && p.members[id] == nil {
			p.scratch = append(p.scratch, pool.Engine{ID: id, Phase: pool.Starting, Since: o.since, Kind: p.starts})
		}
	}
	return pool.Observed{
		Time:     now,
		Engines:  p.scratch,
		CanStart: p.canStart,
		Unready:  p.unready,
		Starts:   p.starts,
		Serial:   p.serial,
		Peak:     p.peaks.Most(),
		GrownAt:  p.grownAt,
	}
}

// kick wakes the loop.
func (p *Pool) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// close refuses everyone who waits, and whoever comes later.
func (p *Pool) close() {
	p.mu.Lock()
	defer p.unlock()
	p.closed = true
	for _, m := range p.members {
		m.drain("the pool is shutting down")
	}
	for _, w := range p.waiters {
		w.done <- result{err: p.unavailable(ReasonClosed)}
	}
	p.waiters = nil
	for _, ask := range p.asked {
		close(ask)
	}
	p.asked = nil
}
