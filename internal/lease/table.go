// Package lease lends slots of the pool to other processes, each for as long as
// the borrower says, again and again, that it still uses it. A borrower that
// vanished gives its slots back by its silence.
package lease

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

// EventExpired is the type of event that tells of a borrower that fell silent.
// Its attributes are "engine", its id, and "borrower".
const EventExpired = "lease.expired"

// ErrUnknown says that there is no such lease, or not any more.
var ErrUnknown = errors.New("no such lease")

// mostWaiting bounds the requests that wait for a slot at the same time. The
// leases themselves are bounded by the slots that there are.
const mostWaiting = 1000

// Pool is where the slots come from; [reconcile.Pool] is one.
type Pool interface {
	Acquire(ctx context.Context, r reconcile.Request) (*reconcile.Slot, error)
}

// Config is what a [Table] stands on. All is required.
type Config struct {
	Pool   Pool
	TTL    time.Duration // a lease that is not renewed for so long expires
	Events *event.Log
}

// Lease is one slot that is lent, at one moment.
type Lease struct {
	ID       string
	Borrower string // who asked for it
	Content  string
	EngineID string
	URL      string // base of the engine's HTTP API
	Kind     pool.Kind
	Since    time.Time
	Expires  time.Time
	// Leaving says why what plays had better move to another engine; "" while
	// it may stay.
	Leaving string
}

// Claim is what a borrower says of a lease when it renews it: enough to lend
// the same slot anew in a process that does not know of it.
type Claim struct {
	Borrower string
	Content  string
	EngineID string
	Playing  bool // the session has played
}

// held is a lease with its slot. Guarded by Table.mu.
type held struct {
	Lease
	slot *reconcile.Slot
}

// Table holds the leases. It is safe for concurrent use. Leases expire while
// Run runs.
type Table struct {
	config Config

	// mu guards all below. It is never held while the pool is asked.
	mu      sync.Mutex
	leases  map[string]*held
	waiting int
	closed  bool
}

// New returns a table without leases.
func New(config Config) *Table {
	return &Table{config: config, leases: make(map[string]*held)}
}

// TTL is how long a lease lasts that is not renewed.
func (t *Table) TTL() time.Duration { return t.config.TTL }

// Run ends the leases that are not renewed, until ctx ends, and then all.
func (t *Table) Run(ctx context.Context) error {
	timer := time.NewTimer(t.config.TTL)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(t.expire(time.Now()))
		case <-ctx.Done():
			t.close()
			return nil
		}
	}
}

// expire ends what is not renewed and returns when to look again. A lease that
// begins meanwhile does not expire before that.
func (t *Table) expire(now time.Time) (again time.Duration) {
	var expired []*held
	again = t.config.TTL
	t.mu.Lock()
	for id, l := range t.leases {
		if left := l.Expires.Sub(now); left > 0 {
			again = min(again, left)
			continue
		}
		delete(t.leases, id)
		expired = append(expired, l)
	}
	t.mu.Unlock()
	for _, l := range expired {
		l.slot.Release()
		t.config.Events.Publish(event.Event{
			Time: now, Type: EventExpired,
			Message: fmt.Sprintf("A slot of engine %s is free again: %s, to whom it was lent, has not been heard of for %s.", l.EngineID, l.Borrower, t.config.TTL),
			Attrs:   map[string]string{"engine": l.EngineID, "borrower": l.Borrower},
		})
	}
	return again
}

func (t *Table) close() {
	t.mu.Lock()
	t.closed = true
	all := t.leases
	t.leases = nil
	t.mu.Unlock()
	for _, l := range all {
		l.slot.Release()
	}
}

// Lend lends the slot that suits the request best. It waits for one as
// [reconcile.Pool.Acquire] does, and fails as that does.
func (t *Table) Lend(ctx context.Context, borrower string, r reconcile.Request) (Lease, error) {
	slot, err := t.acquire(ctx, r)
	if err != nil {
		return Lease{}, err
	}
	if ctx.Err() != nil { // nobody is there to take it
		slot.Release()
		return Lease{}, context.Cause(ctx)
	}
	return t.keep(rand.Text(), borrower, r.Content, slot)
}

// acquire takes a slot of the pool.
func (t *Table) acquire(ctx context.Context, r reconcile.Request) (*reconcile.Slot, error) {
	t.mu.Lock()
	if t.waiting >= mostWaiting {
		t.mu.Unlock()
		return nil, &reconcile.Unavailable{
			Reason: reconcile.ReasonFull, Message: "Too many requests wait for a slot.", RetryAfter: 5 * time.Second,
		}
	}
	t.waiting++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.waiting--
		t.mu.Unlock()
	}()
	return t.config.Pool.Acquire(ctx, r)
}

// keep makes a lease of the slot. Where there is one of that id, the slot goes
// back.
func (t *Table) keep(id, borrower, content string, slot *reconcile.Slot) (Lease, error) {
	now := time.Now()
	t.mu.Lock()
	l, there := t.leases[id]
	closed := t.closed
	if !there && !closed {
		l = &held{slot: slot, Lease: Lease{
			ID: id, Borrower: borrower, Content: content,
			EngineID: slot.EngineID, URL: slot.URL, Kind: slot.Kind,
			Since: now, Expires: now.Add(t.config.TTL),
		}}
		t.leases[id] = l
	}
	var view Lease
	if l != nil {
		view = l.view()
	}
	t.mu.Unlock()
	if there || closed {
		slot.Release()
	}
	if closed {
		return Lease{}, &reconcile.Unavailable{Reason: reconcile.ReasonClosed, Message: "The pool is shutting down.", RetryAfter: 5 * time.Second}
	}
	return view, nil
}

// view returns the lease as it is now.
func (l *held) view() Lease {
	now := l.Lease
	now.Leaving = l.slot.DrainReason()
	return now
}

// Renew says that the borrower still uses the slot. A lease that is not known,
// because it has expired or this process is new, is made anew, on the same
// engine and without waiting: the error is that of the pool where there is no
// slot for it.
func (t *Table) Renew(ctx context.Context, id string, c Claim) (Lease, error) {
	if l, known := t.renew(id); known {
		return l, nil
	}
	slot, err := t.acquire(ctx, reconcile.Request{Content: c.Content, Only: c.EngineID, Wait: time.Nanosecond})
	if err != nil {
		return Lease{}, err
	}
	if c.Playing {
		slot.Report(reconcile.Outcome{Kind: reconcile.FirstByte})
	}
	return t.keep(id, c.Borrower, c.Content, slot)
}

func (t *Table) renew(id string) (view Lease, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.leases[id]
	if l == nil {
		return Lease{}, false
	}
	l.Expires = time.Now().Add(t.config.TTL)
	return l.view(), true
}

// Report tells how the engine did. It fails with [ErrUnknown].
func (t *Table) Report(id string, o reconcile.Outcome) error {
	t.mu.Lock()
	l := t.leases[id]
	t.mu.Unlock()
	if l == nil {
		return fmt.Errorf("lease %s: %w", id, ErrUnknown)
	}
	l.slot.Report(o)
	return nil
}

// End gives the slot back. It fails with [ErrUnknown].
func (t *Table) End(id string) error {
	t.mu.Lock()
	l := t.leases[id]
	delete(t.leases, id)
	t.mu.Unlock()
	if l == nil {
		return fmt.Errorf("lease %s: %w", id, ErrUnknown)
	}
	l.slot.Release()
	return nil
}

// List lists the leases, the oldest first.
func (t *Table) List() []Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Lease, 0, len(t.leases))
	for _, l := range t.leases {
		all = append(all, l.view())
	}
	slices.SortFunc(all, func(a, b Lease) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return all
}
