// Package memory provides engines that exist in memory only: for tests of what
// stands on a provider. It fails on demand, in both ways that matter: not
// done, and done but reported failed.
package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/provider"
)

// ErrInjected is the error of every injected fault.
var ErrInjected = errors.New("injected fault")

// Fault is one way in which an operation goes wrong.
type Fault int

// The faults.
const (
	NotDone       Fault = iota + 1 // the operation fails and changes nothing
	DoneButFailed                  // the operation is done and reported failed
	Hang                           // the operation changes nothing and ends with its context
)

// Operation is a method of the provider that faults can be injected into.
type Operation string

// The operations.
const (
	OpList  Operation = "list"
	OpStart Operation = "start"
	OpStop  Operation = "stop"
)

// Config is how the engines behave.
type Config struct {
	// StartDelay is how long an engine is Starting before it runs.
	StartDelay time.Duration
	// StartsNative is what the inventory says.
	StartsNative bool
	// Fixed makes the provider refuse Start and Stop; its engines come from Add.
	Fixed bool
	// URL returns the address of an engine; nil gives "http://<id>.memory".
	URL func(id string) string
}

// Provider is a provider in memory. It is safe for concurrent use.
type Provider struct {
	config Config
	watch  chan struct{}

	mu      sync.Mutex
	engines map[string]provider.Engine // guarded by mu
	unready string                     // guarded by mu
	faults  map[Operation][]Fault      // guarded by mu; the next is first
	calls   map[Operation]int          // guarded by mu
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider without engines.
func New(config Config) *Provider {
	if config.URL == nil {
		config.URL = func(id string) string { return "http://" + id + ".memory" }
	}
	return &Provider{
		config:  config,
		watch:   make(chan struct{}, 1),
		engines: make(map[string]provider.Engine),
		faults:  make(map[Operation][]Fault),
		calls:   make(map[Operation]int),
	}
}

// List implements [provider.Provider].
func (p *Provider) List(ctx context.Context) (provider.Inventory, error) {
	if err := p.fault(ctx, OpList, func() {}); err != nil {
		return provider.Inventory{}, fmt.Errorf("list engines: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	engines := slices.SortedFunc(maps.Values(p.engines), func(a, b provider.Engine) int { return cmp.Compare(a.ID, b.ID) })
	return provider.Inventory{
		Engines:      engines,
		CanStart:     !p.config.Fixed,
		StartsNative: p.config.StartsNative && !p.config.Fixed,
		Unready:      p.unready,
	}, nil
}

// Start implements [provider.Provider].
func (p *Provider) Start(ctx context.Context, spec provider.Spec) (provider.Engine, error) {
	if p.config.Fixed {
		return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, provider.ErrUnsupported)
	}
	if !provider.ValidID(spec.ID) {
		return provider.Engine{}, fmt.Errorf("start engine %q: not a valid id", spec.ID)
	}
	if err := p.fault(ctx, OpStart, func() { p.create(spec.ID) }); err != nil {
		return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, err)
	}
	p.create(spec.ID)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.engines[spec.ID], nil
}

// create adds the engine if it does not exist.
func (p *Provider) create(id string) {
	p.mu.Lock()
	_, exists := p.engines[id]
	if !exists {
		p.engines[id] = provider.Engine{ID: id, State: provider.Starting, StartedAt: time.Now()}
	}
	p.mu.Unlock()
	if exists {
		return
	}
	p.wake()
	if p.config.StartDelay > 0 {
		time.AfterFunc(p.config.StartDelay, func() { p.run(id) })
		return
	}
	p.run(id)
}

// run ends the engine's start.
func (p *Provider) run(id string) {
	p.change(id, func(e *provider.Engine) {
		if e.State == provider.Starting {
			e.State, e.URL = provider.Running, p.config.URL(id)
		}
	})
}

// Stop implements [provider.Provider].
func (p *Provider) Stop(ctx context.Context, id string) error {
	if p.config.Fixed {
		if p.has(id) {
			return fmt.Errorf("stop engine %s: %w", id, provider.ErrUnsupported)
		}
		return nil
	}
	if err := p.fault(ctx, OpStop, func() { p.Remove(id) }); err != nil {
		return fmt.Errorf("stop engine %s: %w", id, err)
	}
	p.Remove(id)
	return nil
}

// Watch implements [provider.Provider].
func (p *Provider) Watch() <-chan struct{} { return p.watch }

// Add makes an engine exist that nobody started: adopted, or fixed.
func (p *Provider) Add(e provider.Engine) {
	p.mu.Lock()
	p.engines[e.ID] = e
	p.mu.Unlock()
	p.wake()
}

// Remove makes an engine vanish behind everyone's back.
func (p *Provider) Remove(id string) {
	p.mu.Lock()
	delete(p.engines, id)
	p.mu.Unlock()
	p.wake()
}

// Crash makes a running engine fail.
func (p *Provider) Crash(id, reason string) {
	p.change(id, func(e *provider.Engine) {
		e.State, e.URL, e.Reason = provider.Failed, "", reason
	})
}

// SetUnready sets why Start brings no engine now, which the inventory says and
// nothing else heeds.
func (p *Provider) SetUnready(reason string) {
	p.mu.Lock()
	p.unready = reason
	p.mu.Unlock()
	p.wake()
}

// Inject adds faults for the coming calls of the operation, one each.
func (p *Provider) Inject(op Operation, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[op] = append(p.faults[op], faults...)
}

// Calls returns how often the operation was called.
func (p *Provider) Calls(op Operation) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[op]
}

// fault counts the call and plays the next fault of the operation, if any; do
// does the operation.
func (p *Provider) fault(ctx context.Context, op Operation, do func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	p.calls[op]++
	var f Fault
	if queue := p.faults[op]; len(queue) > 0 {
		f, p.faults[op] = queue[0], queue[1:]
	}
	p.mu.Unlock()

	switch f {
	case NotDone:
		return ErrInjected
	case DoneButFailed:
		do()
		return ErrInjected
	case Hang:
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

// change edits an engine that exists.
func (p *Provider) change(id string, edit func(*provider.Engine)) {
	p.mu.Lock()
	e, exists := p.engines[id]
	if exists {
		edit(&e)
		p.engines[id] = e
	}
	p.mu.Unlock()
	if exists {
		p.wake()
	}
}

func (p *Provider) has(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, exists := p.engines[id]
	return exists
}

func (p *Provider) wake() {
	select {
	case p.watch <- struct{}{}:
	default:
	}
}
