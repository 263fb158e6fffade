package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

func TestDrainTakesAnEngineOutOfService(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		slot := w.playing()
		for range 2 {
			if err := w.pool.Drain("engine-1"); err != nil {
				w.Fatal(err)
			}
		}
		if !drained(slot) || w.told(reconcile.EventDraining) != 1 {
			w.Error("its stream was not told to move, once")
		}
		w.pass(startDelay)
		w.expect("engine-1 draining 1/2", "engine-2 ready 0/2", "engine-3 ready 0/2")
		slot.Release()
		w.pass(time.Hour)
		w.expect("engine-1 draining 0/2", "engine-2 ready 0/2", "engine-3 ready 0/2")

		if err := w.pool.Undrain("engine-1"); err != nil {
			w.Error(err)
		}
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2", "engine-3 ready 0/2")
		for _, err := range []error{w.pool.Drain("engine-9"), w.pool.Undrain("engine-9"), w.pool.Remove("engine-9", false), w.pool.Restart("engine-9")} {
			if !errors.Is(err, reconcile.ErrUnknown) {
				w.Errorf("an unknown engine: %v", err)
			}
		}
	})
}

func TestRemoveWaitsForTheStreamsToMove(t *testing.T) {
	policy := testPolicy()
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		slot, stays := w.playing(), w.playing()
		for _, id := range []string{"engine-1", "engine-2"} {
			if err := w.pool.Remove(id, false); err != nil {
				w.Fatal(err)
			}
		}
		w.pass(time.Minute)
		w.expect("engine-1 draining 1/2", "engine-2 draining 1/2", "engine-3 ready 0/2", "engine-4 ready 0/2")
		if err := w.pool.Undrain("engine-1"); !errors.Is(err, reconcile.ErrGone) {
			w.Errorf("undrained: %v", err)
		}
		slot.Release()
		w.pass(3 * time.Second)
		w.expect("engine-2 draining 1/2", "engine-3 ready 0/2", "engine-4 ready 0/2")
		w.pass(policy.DrainTimeout)
		w.expect("engine-3 ready 0/2", "engine-4 ready 0/2")
		stays.Release()
		if got := w.pool.Snapshot().Counters.Stops[pool.Wished]; got != 2 {
			w.Errorf("%d stops were asked for", got)
		}

		slot = w.playing()
		if err := w.pool.Remove(slot.EngineID, true); err != nil {
			w.Fatal(err)
		}
		w.pass(startDelay)
		w.expect("engine-4 ready 0/2", "engine-5 ready 0/2")
		slot.Release()
	})
}

func TestRestartBringsAnotherEngine(t *testing.T) {
	policy := testPolicy()
	inWorld(t, native, policy, func(w *world) {
		if _, err := w.pool.Start(w.Context(), 1); err != nil {
			w.Fatal(err)
		}
		w.pass(startDelay)
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2", "engine-3 ready 0/2")
		for range 2 {
			if err := w.pool.Restart("engine-2"); err != nil {
				w.Fatal(err)
			}
		}
		w.pass(startDelay)
		w.expect("engine-1 ready 0/2", "engine-3 ready 0/2", "engine-4 ready 0/2")
	})
}

func TestStartBeyondWhatIsNeeded(t *testing.T) {
	policy := testPolicy()
	inWorld(t, native, policy, func(w *world) {
		ids, err := w.pool.Start(w.Context(), 2)
		if err != nil || len(ids) != 2 {
			w.Fatalf("%v, %v", ids, err)
		}
		begun := time.Now()
		for _, id := range ids {
			if err := w.pool.Await(w.Context(), id); err != nil {
				w.Fatal(err)
			}
		}
		if took := time.Since(begun); took != startDelay {
			w.Errorf("they were ready after %s", took)
		}
		_, err = w.pool.Start(w.Context(), 1)
		if u, ok := errors.AsType[*reconcile.Unavailable](err); !ok || u.Reason != reconcile.ReasonFull {
			w.Errorf("a fifth: %v", err)
		}
		w.pass(policy.IdleTTL + time.Minute)
		if got := len(w.engines()); got != 2 {
			w.Errorf("later there are %q", w.engines())
		}
		if err := w.pool.Await(w.Context(), "engine-9"); !errors.Is(err, reconcile.ErrUnknown) {
			w.Errorf("awaited one that is not there: %v", err)
		}

		w.provider.Inject(memory.OpStart, memory.NotDone)
		ids, err = w.pool.Start(w.Context(), 1)
		if err != nil {
			w.Fatal(err)
		}
		if err := w.pool.Await(w.Context(), ids[0]); !errors.Is(err, reconcile.ErrGone) && !errors.Is(err, reconcile.ErrUnknown) {
			w.Errorf("awaited one that did not start: %v", err)
		}
	})
}

func TestWishesOnFixedEngines(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(false, "static-1", "static-2")
		w.pass(time.Second)
		if err := w.pool.Drain("static-1"); err != nil {
			w.Error(err)
		}
		w.expect("static-1 draining 0/2", "static-2 ready 0/2")
		_, err := w.pool.Start(w.Context(), 1)
		for _, err := range []error{err, w.pool.Remove("static-2", true), w.pool.Restart("static-2")} {
			if !errors.Is(err, provider.ErrUnsupported) {
				w.Errorf("stopped: %v", err)
			}
		}
	})
}

func TestPause(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		w.pool.Pause()
		w.pool.Pause()
		w.provider.Crash("engine-1", "exit status 2")
		w.pass(time.Hour)
		w.expect("engine-1 failed 0/2", "engine-2 ready 0/2")
		w.playing().Release()
		plan, known := w.pool.Plan()
		if !known || len(plan.Actions) != 0 || len(plan.Held) != 1 || !strings.Contains(plan.Held[0].String(), "paused") {
			w.Errorf("the plan is %+v", plan)
		}
		if err := w.pool.Remove("engine-2", false); err != nil {
			w.Error(err)
		}
		w.pass(time.Second)
		w.expect("engine-1 failed 0/2")
		w.pool.Resume()
		w.pass(startDelay)
		w.expect("engine-3 ready 0/2", "engine-4 ready 0/2")
		if w.told(reconcile.EventPaused) != 1 || w.told(reconcile.EventResumed) != 1 {
			w.Error("the pause was not told once")
		}
	})
}

func TestScale(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		if err := w.pool.Scale(4); err != nil {
			w.Fatal(err)
		}
		w.pass(time.Hour)
		if got := len(w.engines()); got != 4 {
			w.Errorf("%d engines", got)
		}
		slot := w.playing()
		if err := w.pool.Scale(0); err != nil {
			w.Fatal(err)
		}
		w.pass(time.Minute)
		w.expect(slot.EngineID + " ready 1/2")
		slot.Release()
		w.pass(time.Minute)
		w.expect()
		if u, _ := w.refused(reconcile.Request{Wait: time.Minute}); u.Reason != reconcile.ReasonNoEngines {
			w.Errorf("refused with %+v", u)
		}
		w.pool.Auto()
		w.pass(startDelay)
		if got := len(w.engines()); got != 2 {
			w.Errorf("%d engines", got)
		}
		for _, n := range []int{-1, 5} {
			if w.pool.Scale(n) == nil {
				w.Errorf("scaled to %d", n)
			}
		}
	})
}
