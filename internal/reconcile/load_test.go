package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

// A new process adopts the engines of the one before, starts none, and has the
// first slot as soon as an engine has answered.
func TestEnginesAreAdoptedAtOnce(t *testing.T) {
	const answerTime = 200 * time.Millisecond
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engines := memory.New(native)
		for n := range 10 {
			id := fmt.Sprintf("engine-%d", n+1)
			engines.Add(provider.Engine{ID: id, State: provider.Running, URL: urlOf(id), StartedAt: time.Now()})
		}
		policy := testPolicy()
		policy.Min, policy.Max = 10, 12
		p := reconcile.New(reconcile.Config{
			Provider: engines, Events: event.NewLog(100), Log: slog.New(slog.DiscardHandler), Policy: policy,
			Probe: func(context.Context, string) (reconcile.Identity, error) {
				time.Sleep(answerTime)
				return reconcile.Identity{Version: "3.2.3", Native: true}, nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		begun := time.Now()
		go func() { ended <- p.Run(ctx) }()
		slot, err := p.Acquire(ctx, reconcile.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > answerTime {
			t.Errorf("the first slot took %s", took)
		}
		slot.Release()
		synctest.Wait()
		for _, e := range p.Snapshot().Engines {
			if e.Phase != pool.Ready {
				t.Errorf("%s is %s", e.ID, e.Phase)
			}
		}
		time.Sleep(time.Hour)
		if n := engines.Calls(memory.OpStart) + engines.Calls(memory.OpStop); n != 0 {
			t.Errorf("%d engines were started or stopped", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Whatever happens to engines and provider, there are never more engines than
// may be, nothing that plays is stopped but by wish, and when it is over the
// pool is as it should be.
func TestPoolInAWildWorld(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			policy := testPolicy()
			policy.LookAhead, policy.MaxAge = 1, 10*time.Minute
			inWorld(t, native, policy, func(w *world) { w.goWild(rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func (w *world) goWild(random *rand.Rand) {
	held := make(map[*reconcile.Slot]bool)
	wished := make(map[string]bool)
	any := func() string {
		engines := w.pool.Snapshot().Engines
		if len(engines) == 0 {
			return ""
		}
		return engines[random.IntN(len(engines))].ID
	}
	ops := []memory.Operation{memory.OpList, memory.OpStart, memory.OpStop}
	faults := []memory.Fault{memory.NotDone, memory.DoneButFailed, memory.Hang}
	for range 600 {
		switch random.IntN(12) {
		case 0:
			w.provider.Crash(any(), "out of memory")
		case 1:
			w.provider.Remove(any())
		case 2:
			w.provider.Inject(ops[random.IntN(len(ops))], faults[random.IntN(len(faults))])
		case 3:
			w.ail(any(), []string{"error", "hang"}[random.IntN(2)])
		case 4, 5:
			w.ail(any(), "")
		case 6:
			if id := any(); id != "" && random.IntN(3) == 0 {
				wished[id] = w.pool.Remove(id, random.IntN(2) == 0) == nil
			}
		case 7, 8, 9:
			if s, err := w.pool.Acquire(w.Context(), reconcile.Request{Wait: time.Second}); err == nil {
				s.Report(reconcile.Outcome{Kind: reconcile.FirstByte})
				held[s] = true
			}
		default:
			for s := range held {
				s.Release()
				delete(held, s)
				break
			}
		}
		for s := range held { // as streams do
			if drained(s) {
				s.Release()
				delete(held, s)
			}
		}
		w.pass(time.Duration(random.IntN(4000)) * time.Millisecond)
		ctx, cancel := context.WithTimeout(w.Context(), time.Second) // a fault may hit it
		inventory, err := w.provider.List(ctx)
		cancel()
		if err == nil && len(inventory.Engines) > 4 {
			w.Fatalf("%d engines: %q", len(inventory.Engines), w.engines())
		}
	}
	for s := range held {
		s.Release()
	}
	for n := range 1000 {
		w.ail(fmt.Sprintf("engine-%d", n), "")
	}
	w.pass(time.Hour)
	asItShouldBe := func() bool {
		engines := w.pool.Snapshot().Engines
		return len(engines) == 2 && !slices.ContainsFunc(engines, func(e reconcile.EngineStatus) bool { return e.Phase != pool.Ready || e.Used != 0 })
	}
	if !asItShouldBe() {
		w.pass(30 * time.Second) // one of them was just being replaced for its age
	}
	if !asItShouldBe() {
		w.Errorf("in the end the engines are %q", w.engines())
	}
	events, _ := w.events.Since(0)
	for _, e := range events {
		if e.Type == reconcile.EventStopping && e.Attrs["cause"] == string(pool.Wished) && !wished[e.Attrs["engine"]] {
			w.Errorf("%s was stopped by a wish of nobody", e.Attrs["engine"])
		}
	}
}

// manyEngines returns a running pool of n ready engines.
func manyEngines(b *testing.B, n int) *reconcile.Pool {
	b.Helper()
	engines := memory.New(memory.Config{StartsNative: true})
	for i := range n {
		id := fmt.Sprintf("engine-%d", i+1)
		engines.Add(provider.Engine{ID: id, State: provider.Running, URL: urlOf(id), StartedAt: time.Now()})
	}
	policy := testPolicy()
	policy.Min, policy.Max, policy.StreamsPerEngine, policy.OpensPerEngine = n, n+10, 10, 10
	events := event.NewLog(10 * n)
	p := reconcile.New(reconcile.Config{
		Provider: engines, Events: events, Log: slog.New(slog.DiscardHandler), Policy: policy,
		Probe: func(context.Context, string) (reconcile.Identity, error) {
			return reconcile.Identity{Native: true}, nil
		},
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		<-ended
	})
	for ready := 0; ready < n; {
		changed := events.Changed()
		ready = 0
		for _, e := range p.Snapshot().Engines {
			if e.Phase == pool.Ready {
				ready++
			}
		}
		if ready < n {
			<-changed
		}
	}
	return p
}

// BenchmarkClaims is requests for slots of 200 engines at 1,000 a second, each
// playing for half a second, beside the pool's own work. A request that is late,
// because the machine was busy, is made at once, so that the rate is kept. It
// reports the rate and how long the median and the slowest of a hundred claims
// took.
func BenchmarkClaims(b *testing.B) {
	p := manyEngines(b, 200)
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	begun := time.Now()
	made := 0
	for b.Loop() {
		if early := time.Until(begun.Add(time.Duration(made) * time.Millisecond)); early > 0 {
			<-time.After(early)
		}
		made++
		wg.Go(func() {
			begun := time.Now()
			slot, err := p.Acquire(b.Context(), reconcile.Request{Content: "x"})
			d := time.Since(begun)
			if err != nil {
				b.Error(err)
				return
			}
			slot.Report(reconcile.Outcome{Kind: reconcile.FirstByte})
			mu.Lock()
			took = append(took, d)
			mu.Unlock()
			time.AfterFunc(500*time.Millisecond, slot.Release)
		})
	}
	rate := float64(made) / time.Since(begun).Seconds()
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(rate, "claims/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkPlanOfPool is the plan of a pool of 200 engines, as the loop makes
// it every time it looks.
func BenchmarkPlanOfPool(b *testing.B) {
	p := manyEngines(b, 200)
	b.ReportAllocs()
	for b.Loop() {
		p.Plan()
	}
}
