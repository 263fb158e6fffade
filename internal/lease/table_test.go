package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/lease"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

const ttl = 15 * time.Second

type world struct {
	*testing.T
	pool   *reconcile.Pool
	table  *lease.Table
	events *event.Log
	stop   func() // ends the table
}

// inWorld runs play in virtual time with a pool of two engines of two slots.
func inWorld(t *testing.T, play func(*world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := memory.New(memory.Config{Fixed: true})
		for _, id := range []string{"engine-1", "engine-2"} {
			source.Add(provider.Engine{ID: id, State: provider.Running, URL: "http://" + id})
		}
		policy := pool.DefaultPolicy()
		policy.StreamsPerEngine, policy.OpensPerEngine = 2, 2
		w := &world{T: t, events: event.NewLog(100)}
		w.pool = reconcile.New(reconcile.Config{
			Provider: source, Events: w.events, Log: slog.New(slog.DiscardHandler), Policy: policy,
			Probe: func(context.Context, string) (reconcile.Identity, error) {
				return reconcile.Identity{Native: true}, nil
			},
		})
		w.table = lease.New(lease.Config{Pool: w.pool, TTL: ttl, Events: w.events})
		end := func(run func(context.Context) error) func() {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- run(ctx) }()
			return func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				ended <- nil
			}
		}
		defer end(w.pool.Run)()
		w.stop = end(w.table.Run)
		defer w.stop()
		synctest.Wait()
		play(w)
	})
}

// used is how many slots of the pool are claimed.
func (w *world) used() int {
	n := 0
	for _, e := range w.pool.Snapshot().Engines {
		n += e.Used
	}
	return n
}

func (w *world) lend() lease.Lease {
	w.Helper()
	l, err := w.table.Lend(w.Context(), "proxy", reconcile.Request{Content: "x", Wait: time.Second})
	if err != nil {
		w.Fatal(err)
	}
	return l
}

func (w *world) renew(l lease.Lease) (lease.Lease, error) {
	return w.table.Renew(w.Context(), l.ID, lease.Claim{Borrower: "proxy", Content: l.Content, EngineID: l.EngineID})
}

func TestSilenceEndsALease(t *testing.T) {
	inWorld(t, func(w *world) {
		kept, silent := w.lend(), w.lend()
		if w.used() != 2 {
			w.Fatalf("%d slots are used", w.used())
		}
		for range 12 {
			time.Sleep(ttl / 3)
			if _, err := w.renew(kept); err != nil {
				w.Fatal(err)
			}
		}
		if all := w.table.List(); len(all) != 1 || all[0].ID != kept.ID || w.used() != 1 {
			w.Errorf("%+v, %d slots are used", all, w.used())
		}
		if err := w.table.End(silent.ID); !errors.Is(err, lease.ErrUnknown) {
			w.Errorf("the end of what has expired: %v", err)
		}
		events, _ := w.events.Since(0)
		last := events[len(events)-1]
		if last.Type != lease.EventExpired || last.Attrs["engine"] != silent.EngineID || last.Attrs["borrower"] != "proxy" {
			w.Errorf("%+v", last)
		}
	})
}

// Its slot is free no later than the time of a lease after the last renewal,
// whenever that was.
func TestExpiryIsPunctual(t *testing.T) {
	inWorld(t, func(w *world) {
		time.Sleep(7 * time.Second)
		l := w.lend()
		time.Sleep(4 * time.Second)
		if _, err := w.renew(l); err != nil {
			w.Fatal(err)
		}
		time.Sleep(ttl - time.Millisecond)
		if w.used() != 1 {
			w.Error("it expired too soon")
		}
		time.Sleep(2 * time.Millisecond)
		if w.used() != 0 {
			w.Error("it has not expired")
		}
	})
}

func TestEndGivesTheSlotBack(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.lend()
		if err := w.table.End(l.ID); err != nil || w.used() != 0 {
			w.Errorf("%v, %d slots are used", err, w.used())
		}
		if err := w.table.Report(l.ID, reconcile.Outcome{Kind: reconcile.Failed}); !errors.Is(err, lease.ErrUnknown) {
			w.Errorf("a report on what has ended: %v", err)
		}
	})
}

func TestRenewalTellsThatTheEngineLeaves(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.lend()
		if err := w.pool.Drain(l.EngineID); err != nil {
			w.Fatal(err)
		}
		again, err := w.renew(l)
		if err != nil || again.Leaving == "" {
			w.Errorf("%+v, %v", again, err)
		}
	})
}

// A process that does not know a lease takes the borrower's word for it.
func TestUnknownLeaseIsMadeAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.lend()
		before := w.table
		w.table = lease.New(lease.Config{Pool: w.pool, TTL: ttl, Events: w.events})
		if err := before.End(l.ID); err != nil { // as if that process had ended
			w.Fatal(err)
		}
		again, err := w.renew(l)
		if err != nil || again.EngineID != l.EngineID || again.URL != l.URL || w.used() != 1 {
			w.Fatalf("%+v, %v, %d slots are used", again, err, w.used())
		}
		if _, err := w.renew(l); err != nil || w.used() != 1 {
			w.Errorf("%v, %d slots are used", err, w.used())
		}
		w.table.End(l.ID)
	})
}

// There is no slot for a lease whose engine is full meanwhile, or gone.
func TestRenewalDoesNotOvercommit(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.lend()
		time.Sleep(ttl + time.Second)
		for range 4 {
			w.lend()
		}
		_, err := w.renew(l)
		if why, ok := errors.AsType[*reconcile.Unavailable](err); !ok || why.Reason != reconcile.ReasonFull {
			w.Errorf("%v", err)
		}
		l.EngineID = "engine-9"
		_, err = w.renew(l)
		if why, ok := errors.AsType[*reconcile.Unavailable](err); !ok || why.Reason != reconcile.ReasonAllTried {
			w.Errorf("%v", err)
		}
		if w.used() != 4 {
			w.Errorf("%d slots are used", w.used())
		}
	})
}

func TestNobodyTakesTheSlot(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := w.table.Lend(ctx, "proxy", reconcile.Request{}); err == nil || w.used() != 0 {
			w.Errorf("%v, %d slots are used", err, w.used())
		}
	})
}

func TestClosedTableLendsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.lend()
		w.stop()
		if w.used() != 0 {
			w.Errorf("%d slots are used", w.used())
		}
		_, err := w.renew(l)
		if why, ok := errors.AsType[*reconcile.Unavailable](err); !ok || why.Reason != reconcile.ReasonClosed || w.used() != 0 {
			w.Errorf("%v, %d slots are used", err, w.used())
		}
	})
}

// fullPool has no slot for anybody who does not wait for ever.
type fullPool struct{}

func (fullPool) Acquire(ctx context.Context, _ reconcile.Request) (*reconcile.Slot, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestLineIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := lease.New(lease.Config{Pool: fullPool{}, TTL: ttl, Events: event.NewLog(10)})
		ctx, cancel := context.WithCancel(t.Context())
		for range 1000 {
			go table.Lend(ctx, "proxy", reconcile.Request{})
		}
		synctest.Wait()
		_, err := table.Lend(ctx, "proxy", reconcile.Request{})
		if why, ok := errors.AsType[*reconcile.Unavailable](err); !ok || why.Reason != reconcile.ReasonFull || why.RetryAfter == 0 {
			t.Errorf("%v", err)
		}
		cancel()
		synctest.Wait()
		if _, err := table.Lend(ctx, "proxy", reconcile.Request{}); !errors.Is(err, context.Canceled) {
			t.Errorf("when the line is empty again: %v", err)
		}
	})
}
