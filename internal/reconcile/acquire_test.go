package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

func TestAcquireWaitsForTheFirstEngine(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		begun := time.Now()
		slot, err := w.pool.Acquire(w.Context(), reconcile.Request{})
		if err != nil {
			w.Fatal(err)
		}
		if took := time.Since(begun); took != startDelay {
			w.Errorf("it took %s", took)
		}
		if slot.URL != urlOf(slot.EngineID) || slot.Kind != pool.KindNative {
			w.Errorf("%+v", slot)
		}
		slot.Release()
	})
}

// Ten at once fill the pool to its maximum and no further; who finds nothing
// is told so within its bound.
func TestDemandGrowsThePool(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var slots []*reconcile.Slot
		refusals := 0
		for range 10 {
			wg.Go(func() {
				slot, err := w.pool.Acquire(w.Context(), reconcile.Request{Wait: 30 * time.Second})
				if err == nil {
					slot.Report(reconcile.Outcome{Kind: reconcile.FirstByte})
				}
				mu.Lock()
				defer mu.Unlock()
				if u, ok := errors.AsType[*reconcile.Unavailable](err); ok {
					refusals++
					if u.Reason != reconcile.ReasonFull || u.RetryAfter <= 0 {
						w.Errorf("refused with %+v", u)
					}
					return
				}
				slots = append(slots, slot)
			})
		}
		begun := time.Now()
		wg.Wait()
		if took := time.Since(begun); took != 30*time.Second {
			w.Errorf("the last answer came after %s", took)
		}
		w.expect("engine-1 ready 2/2", "engine-2 ready 2/2", "engine-3 ready 2/2", "engine-4 ready 2/2")
		if refusals != 2 {
			w.Errorf("%d were refused", refusals)
		}
		for _, s := range slots {
			s.Release()
		}
	})
}

func TestReleaseServesTheLongestWaiting(t *testing.T) {
	policy := testPolicy()
	policy.Min, policy.Max, policy.StreamsPerEngine = 1, 1, 1
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		slot := w.playing()
		order := make(chan int, 3)
		for n := range 3 {
			go func() {
				s, err := w.pool.Acquire(w.Context(), reconcile.Request{})
				if err != nil {
					w.Error(err)
					return
				}
				order <- n
				s.Release()
			}()
			w.pass(time.Second)
		}
		if got := w.pool.Snapshot().Waiting; got != 3 {
			w.Errorf("%d wait", got)
		}
		begun := time.Now()
		slot.Release()
		slot.Release() // frees nothing more
		for want := range 3 {
			if got := <-order; got != want {
				w.Errorf("%d was served before %d", got, want)
			}
		}
		if took := time.Since(begun); took != 0 {
			w.Errorf("serving them took %s", took)
		}
		w.expect("engine-1 ready 0/1")
	})
}

func TestOpensPerEngineAreBounded(t *testing.T) {
	policy := testPolicy()
	policy.Min, policy.Max, policy.StreamsPerEngine, policy.OpensPerEngine = 1, 1, 9, 2
	for _, end := range []struct {
		name string
		end  func(*reconcile.Slot)
	}{
		{"opened", func(s *reconcile.Slot) { s.Report(reconcile.Outcome{Kind: reconcile.Opened}) }},
		{"first byte", func(s *reconcile.Slot) { s.Report(reconcile.Outcome{Kind: reconcile.FirstByte}) }},
		{"refused", func(s *reconcile.Slot) { s.Report(reconcile.Outcome{Kind: reconcile.Refused}) }},
		{"failed", func(s *reconcile.Slot) { s.Report(reconcile.Outcome{Kind: reconcile.Failed}) }},
		{"released", func(s *reconcile.Slot) { s.Release() }},
	} {
		t.Run(end.name, func(t *testing.T) {
			inWorld(t, native, policy, func(w *world) {
				w.pass(time.Minute)
				first, second := w.acquire(reconcile.Request{}), w.acquire(reconcile.Request{})
				u, took := w.refused(reconcile.Request{Wait: 5 * time.Second})
				if u.Reason != reconcile.ReasonBusy || took != 5*time.Second {
					w.Errorf("refused with %+v after %s", u, took)
				}
				time.AfterFunc(time.Second, func() {
					end.end(first)
					end.end(first) // counts once
				})
				begun := time.Now()
				third, err := w.pool.Acquire(w.Context(), reconcile.Request{})
				if took := time.Since(begun); err != nil || took != time.Second {
					w.Fatalf("served after %s: %v", took, err)
				}
				if u, _ := w.refused(reconcile.Request{Wait: 1}); u.Reason != reconcile.ReasonBusy {
					w.Errorf("refused with %+v", u)
				}
				for _, s := range []*reconcile.Slot{first, second, third} {
					s.Release()
				}
				w.expect("engine-1 ready 0/9")
			})
		})
	}
}

func TestRefusalsThatWaitingCannotHelpComeAtOnce(t *testing.T) {
	official := reconcile.Request{Official: true}
	t.Run("native engines and a content id", func(t *testing.T) {
		inWorld(t, native, testPolicy(), func(w *world) {
			w.pass(0) // no engine is ready yet
			if u, took := w.refused(official); u.Reason != reconcile.ReasonNoOfficial || took != 0 || u.RetryAfter != 0 {
				w.Errorf("refused with %+v after %s", u, took)
			}
			if got := w.provider.Calls(memory.OpStart); got != 2 {
				w.Errorf("%d engines were started", got)
			}
		})
	})
	t.Run("fixed engines and a content id", func(t *testing.T) {
		inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
			w.ail("static-2", "error")
			w.add(false, "static-1", "static-2")
			w.pass(time.Minute)
			// The second could be official for all that is known.
			if u, took := w.refused(reconcile.Request{Official: true, Wait: 3 * time.Second}); u.Reason != reconcile.ReasonNoEngines || took != 3*time.Second {
				w.Errorf("refused with %+v after %s", u, took)
			}
			refusal := make(chan error)
			go func() {
				_, err := w.pool.Acquire(w.Context(), official)
				refusal <- err
			}()
			w.pass(time.Second)
			w.ail("static-2", "") // and turns out not to be
			err := <-refusal
			if u, ok := errors.AsType[*reconcile.Unavailable](err); !ok || u.Reason != reconcile.ReasonNoOfficial {
				w.Errorf("refused with %v", err)
			}
		})
	})
	t.Run("an official engine takes the content id", func(t *testing.T) {
		inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
			w.add(false, "static-1")
			w.add(true, "static-2")
			w.pass(time.Second)
			for range 2 {
				if s := w.acquire(official); s.EngineID != "static-2" || s.Kind != pool.KindOfficial {
					w.Errorf("got %s, which is %s", s.EngineID, s.Kind)
				}
			}
			if u, _ := w.refused(reconcile.Request{Official: true, Wait: 1}); u.Reason != reconcile.ReasonFull {
				w.Errorf("refused with %+v", u)
			}
		})
	})
	t.Run("all engines tried", func(t *testing.T) {
		inWorld(t, native, testPolicy(), func(w *world) {
			w.pass(time.Minute)
			if s := w.acquire(reconcile.Request{Exclude: []string{"engine-1"}}); s.EngineID != "engine-2" {
				w.Errorf("got %s", s.EngineID)
			}
			u, took := w.refused(reconcile.Request{Exclude: []string{"engine-1", "engine-2"}})
			if u.Reason != reconcile.ReasonAllTried || took != 0 {
				w.Errorf("refused with %+v after %s", u, took)
			}
		})
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	errLeft := errors.New("the player left")
	policy := testPolicy()
	policy.Min, policy.Max, policy.StreamsPerEngine = 1, 1, 1
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		slot := w.playing()

		ctx, cancel := context.WithCancelCause(w.Context())
		time.AfterFunc(time.Second, func() { cancel(errLeft) })
		if _, err := w.pool.Acquire(ctx, reconcile.Request{}); !errors.Is(err, errLeft) {
			w.Errorf("a player that left gets %v", err)
		}
		deadline, cancelDeadline := context.WithTimeout(w.Context(), time.Second)
		defer cancelDeadline()
		_, err := w.pool.Acquire(deadline, reconcile.Request{})
		if u, ok := errors.AsType[*reconcile.Unavailable](err); !ok || u.Reason != reconcile.ReasonFull {
			w.Errorf("at its deadline a player gets %v", err)
		}
		s := w.pool.Snapshot()
		if s.Waiting != 0 || s.Counters.Unavailable[reconcile.ReasonFull] != 1 {
			w.Errorf("%d wait, refusals: %v", s.Waiting, s.Counters.Unavailable)
		}
		slot.Release()
		w.expect("engine-1 ready 0/1")
	})
}

// A slot that is given in the moment its taker gives up is not lost.
func TestAcquireWithAnEndedContext(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		for range 100 {
			if slot, err := w.pool.Acquire(ctx, reconcile.Request{}); err == nil {
				slot.Release()
			} else if !errors.Is(err, context.Canceled) {
				w.Fatal(err)
			}
		}
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")
	})
}

// Whoever waits is served when an engine comes to life, and refused when hope
// ends, whatever the provider does meanwhile.
func TestWaitersAreServedPromptly(t *testing.T) {
	t.Run("an engine comes to life while the provider hangs", func(t *testing.T) {
		inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
			w.ail("static-1", "error")
			w.add(false, "static-1")
			w.pass(time.Minute)
			w.provider.Inject(memory.OpList, memory.Hang)
			w.pass(2 * time.Second)
			w.ail("static-1", "")
			begun := time.Now()
			slot, err := w.pool.Acquire(w.Context(), reconcile.Request{})
			if took := time.Since(begun); err != nil || took > 10*time.Second {
				w.Fatalf("served after %s: %v", took, err)
			}
			slot.Release()
		})
	})
	t.Run("the last hope vanishes", func(t *testing.T) {
		inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
			w.ail("static-2", "error")
			w.add(false, "static-1", "static-2")
			w.pass(time.Minute)
			time.AfterFunc(time.Second, func() { w.provider.Remove("static-2") })
			u, took := w.refused(reconcile.Request{Exclude: []string{"static-1"}})
			if u.Reason != reconcile.ReasonAllTried || took != time.Second {
				w.Errorf("refused with %+v after %s", u, took)
			}
		})
	})
}

// A failure of several contents in a row makes an engine the last choice; one
// that plays makes it as good as the others again.
func TestPlaybackDecidesToo(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(false, "static-1", "static-2")
		w.pass(time.Second)
		fail := func(content string) {
			s := w.acquire(reconcile.Request{Content: content, Exclude: []string{"static-2"}})
			s.Report(reconcile.Outcome{Kind: reconcile.Failed, Class: "timeout"})
			s.Release()
		}
		for range 5 {
			fail("dead content")
		}
		w.expect("static-1 ready 0/2", "static-2 ready 0/2")
		fail("b")
		fail("c")
		w.expect("static-1 degraded 0/2", "static-2 ready 0/2")
		if e := w.pool.Snapshot().Engines[0]; e.LastError != "timeout" || !strings.Contains(e.Reason, "3 contents") {
			w.Errorf("%+v", e)
		}

		first, second := w.playing(), w.playing()
		if first.EngineID != "static-2" || second.EngineID != "static-2" {
			w.Errorf("chose %s and %s", first.EngineID, second.EngineID)
		}
		third := w.playing() // full elsewhere, and it plays
		if third.EngineID != "static-1" {
			w.Errorf("chose %s", third.EngineID)
		}
		w.expect("static-1 ready 1/2", "static-2 ready 2/2")
		for _, s := range []*reconcile.Slot{first, second, third} {
			s.Release()
		}
	})
}

// Many players come, wait, give up and go at the same moments, engines crash
// beneath them, and in the end no slot is left over and none was given twice.
func TestSlotsAreNeitherLostNorDoubled(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		const players = 60
		var wg sync.WaitGroup
		for n := range players {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), 1))
				second := func(most int) time.Duration { return time.Duration(random.IntN(most)) * time.Second }
				for range 30 {
					ctx, cancel := context.WithTimeout(w.Context(), second(5))
					slot, err := w.pool.Acquire(ctx, reconcile.Request{Content: fmt.Sprint(n), Wait: second(5)})
					if err == nil {
						for _, e := range w.pool.Snapshot().Engines {
							if e.Used > e.Slots {
								w.Errorf("%s has %d of %d slots in use", e.ID, e.Used, e.Slots)
							}
						}
						time.Sleep(second(4))
						slot.Report(reconcile.Outcome{Kind: []reconcile.OutcomeKind{reconcile.Opened, reconcile.FirstByte, reconcile.Failed}[random.IntN(3)]})
						time.Sleep(second(4))
						slot.Release()
					}
					cancel()
				}
			})
		}
		wg.Go(func() {
			for n := range 10 {
				time.Sleep(20 * time.Second)
				if engines := w.pool.Snapshot().Engines; len(engines) > 0 {
					w.provider.Crash(engines[n%len(engines)].ID, "exit status 2")
				}
			}
		})
		wg.Wait()
		w.pass(20 * time.Minute)
		s := w.pool.Snapshot()
		if s.Waiting != 0 || len(s.Engines) != 2 {
			w.Errorf("%d wait for %q", s.Waiting, w.engines())
		}
		for _, e := range s.Engines {
			if e.Used != 0 || e.Phase != pool.Ready {
				w.Errorf("%s is %s with %d slots in use", e.ID, e.Phase, e.Used)
			}
		}
		if s.Counters.Claims < players {
			w.Errorf("only %d slots were given out", s.Counters.Claims)
		}
		// All slots can still be claimed.
		for range 4 {
			w.playing()
		}
	})
}

// TestSnapshotIsACopy guards what surfaces may do with it.
func TestSnapshotIsACopy(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		s := w.pool.Snapshot()
		s.Engines[0].ID = "changed"
		clear(s.Counters.Starts)
		again := w.pool.Snapshot()
		if again.Engines[0].ID != "engine-1" || again.Counters.Starts[pool.BelowMin] != 2 {
			w.Errorf("%+v", again)
		}
	})
}

// BenchmarkAcquire claims and releases a slot among 200 engines, half of whose
// slots are in use, and tells the 99th percentile.
func BenchmarkAcquire(b *testing.B) {
	source := memory.New(memory.Config{Fixed: true})
	for n := range 200 {
		id := fmt.Sprintf("static-%d", n+1)
		source.Add(provider.Engine{ID: id, State: provider.Running, URL: "http://" + id})
	}
	events := event.NewLog(1000)
	policy := testPolicy()
	p := reconcile.New(reconcile.Config{
		Provider: source,
		Probe:    func(context.Context, string) (reconcile.Identity, error) { return reconcile.Identity{}, nil },
		Events:   events,
		Log:      slog.New(slog.DiscardHandler),
		Policy:   policy,
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	for range 200 {
		slot, err := p.Acquire(ctx, reconcile.Request{})
		if err != nil {
			b.Fatal(err)
		}
		slot.Report(reconcile.Outcome{Kind: reconcile.FirstByte})
	}
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		slot, err := p.Acquire(ctx, reconcile.Request{})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
		slot.Release()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
