package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

func TestMinimumIsKeptReady(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(startDelay - 1)
		w.expect("engine-1 starting 0/2", "engine-2 starting 0/2")
		if w.pool.Ready() {
			w.Error("ready before any engine is")
		}
		w.pass(1)
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")
		if !w.pool.Ready() {
			w.Error("not ready though the engines are")
		}
		e := w.pool.Snapshot().Engines[0]
		if e.Kind != pool.KindNative || e.Version != "3.2.3" || e.URL != urlOf("engine-1") || e.StartedAt.IsZero() {
			w.Errorf("the status is %+v", e)
		}

		w.pass(time.Hour)
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")
		if got := w.provider.Calls(memory.OpStart); got != 2 {
			w.Errorf("%d engines were started", got)
		}
	})
}

func TestNothingIsStartedWhileTheProviderIsUnready(t *testing.T) {
	inWorldOf(t, native, func(p *memory.Provider) provider.Provider {
		p.SetUnready("the image is being pulled")
		return p
	}, testPolicy(), func(w *world) {
		w.pass(time.Hour)
		w.expect()
		if got := w.provider.Calls(memory.OpStart); got != 0 {
			w.Errorf("%d engines were started", got)
		}
		_, err := w.pool.Acquire(w.Context(), reconcile.Request{Content: "x", Wait: time.Second})
		if err == nil || !strings.Contains(err.Error(), "the image is being pulled") {
			w.Errorf("a request is refused with %v", err)
		}
		if got := w.pool.Snapshot().Unready; got != "the image is being pulled" {
			w.Errorf("the snapshot says %q", got)
		}
		w.provider.SetUnready("")
		w.pass(startDelay)
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")
	})
}

func TestEventsTellTheStory(t *testing.T) {
	policy := testPolicy()
	policy.Min = 1
	inWorld(t, native, policy, func(w *world) {
		w.pass(2 * time.Minute)
		w.provider.Crash("engine-1", "exit status 2")
		w.pass(startDelay)
		events, _ := w.events.Since(0)
		var got []string
		for _, e := range events {
			got = append(got, e.Type+" "+e.Attrs["engine"])
			if e.Message == "" || e.Time.IsZero() {
				w.Errorf("%+v", e)
			}
		}
		want := []string{
			"engine.starting engine-1", "engine.ready engine-1",
			"engine.lost engine-1", "engine.stopping engine-1", "engine.starting engine-2",
			"engine.stopped engine-1", "engine.ready engine-2",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestCrashedEngineIsReplaced(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(2 * time.Minute)
		lost, kept := w.playing(), w.playing()
		w.provider.Crash(lost.EngineID, "exit status 2: panic")
		w.pass(0)
		if !drained(lost) || !strings.Contains(lost.DrainReason(), "exit status 2: panic") {
			w.Errorf("the slot of the lost engine: %q", lost.DrainReason())
		}
		if drained(kept) || kept.DrainReason() != "" {
			w.Errorf("the slot of another engine: %q", kept.DrainReason())
		}
		w.expect("engine-2 ready 1/2", "engine-3 starting 0/2")
		w.pass(startDelay)
		w.expect("engine-2 ready 1/2", "engine-3 ready 0/2")
		lost.Release()
		kept.Release()
		w.expect("engine-2 ready 0/2", "engine-3 ready 0/2")
	})
}

// An engine that always dies young is tried again ever more slowly, and a
// good one is replaced at once again later.
func TestCrashLoop(t *testing.T) {
	policy := testPolicy()
	policy.Min = 1
	inWorld(t, native, policy, func(w *world) {
		end := time.Now().Add(10 * time.Minute)
		for time.Now().Before(end) {
			for _, e := range w.pool.Snapshot().Engines {
				if e.Phase == pool.Ready {
					w.provider.Crash(e.ID, "exit status 2")
				}
			}
			w.pass(time.Second)
		}
		// 1+2+4+8+16+32 s, then once a minute.
		if got := w.provider.Calls(memory.OpStart); got < 10 || got > 18 {
			w.Errorf("%d starts in ten minutes", got)
		}
		u, _ := w.refused(reconcile.Request{Wait: 1})
		if u.Reason != reconcile.ReasonNoEngines || !strings.Contains(u.Message, "exit status 2") {
			w.Errorf("refused with %+v", u)
		}

		w.pass(5 * time.Minute)
		engines := w.pool.Snapshot().Engines
		if len(engines) != 1 || engines[0].Phase != pool.Ready {
			w.Fatalf("not recovered: %q", w.engines())
		}
		before := w.provider.Calls(memory.OpStart)
		w.provider.Crash(engines[0].ID, "exit status 2")
		w.pass(0)
		if got := w.provider.Calls(memory.OpStart); got != before+1 {
			w.Error("an engine that had lasted was not replaced at once")
		}

		w.pass(5 * time.Minute)
		w.provider.Inject(memory.OpStart, memory.NotDone)
		w.provider.Crash(w.pool.Snapshot().Engines[0].ID, "exit status 2")
		w.pass(10 * time.Second)
		if !w.pool.Ready() {
			w.Error("old failures still delay starts")
		}
	})
}

// Whatever a provider reports, the pool ends up with what exists, and with
// what it wants.
func TestProviderFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		op     memory.Operation
		faults []memory.Fault
	}{
		{"starts not done", memory.OpStart, []memory.Fault{memory.NotDone, memory.NotDone, memory.NotDone}},
		{"starts done but reported failed", memory.OpStart, []memory.Fault{memory.DoneButFailed, memory.DoneButFailed, memory.DoneButFailed}},
		{"a start that hangs", memory.OpStart, []memory.Fault{memory.Hang}},
		{"stops not done", memory.OpStop, []memory.Fault{memory.NotDone, memory.NotDone}},
		{"stops done but reported failed", memory.OpStop, []memory.Fault{memory.DoneButFailed, memory.DoneButFailed}},
		{"stops that hang", memory.OpStop, []memory.Fault{memory.Hang, memory.Hang}},
		{"inventories that fail", memory.OpList, []memory.Fault{memory.NotDone, memory.NotDone, memory.NotDone}},
		{"an inventory that hangs", memory.OpList, []memory.Fault{memory.Hang}},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := testPolicy()
			policy.StartTimeout = 20 * time.Second // less than a call may take
			inWorld(t, native, policy, func(w *world) {
				w.provider.Inject(test.op, test.faults...)
				w.pass(10 * time.Minute)
				if test.op == memory.OpStop {
					w.provider.Crash("engine-1", "exit status 2")
					w.provider.Crash("engine-2", "exit status 2")
					w.pass(10 * time.Minute)
				}
				inventory, err := w.provider.List(w.Context())
				if err != nil {
					w.Fatal(err)
				}
				snapshot := w.pool.Snapshot()
				if len(inventory.Engines) != 2 || len(snapshot.Engines) != 2 {
					w.Fatalf("%d engines exist, the pool has %q", len(inventory.Engines), w.engines())
				}
				for i, e := range snapshot.Engines {
					if e.ID != inventory.Engines[i].ID || e.Phase != pool.Ready {
						w.Errorf("%s is %s", e.ID, e.Phase)
					}
				}
			})
		})
	}
}

// A provider whose stops fail is not asked without a pause.
func TestFailedStopsArePaced(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		faults := make([]memory.Fault, 1000)
		for i := range faults {
			faults[i] = memory.NotDone
		}
		w.provider.Inject(memory.OpStop, faults...)
		w.pass(time.Minute)
		w.provider.Crash("engine-1", "exit status 2")
		w.pass(10 * time.Minute)
		if got := w.provider.Calls(memory.OpStop); got < 10 || got > 18 {
			w.Errorf("%d stops in ten minutes", got)
		}
		if w.told(reconcile.EventStopFailed) != w.provider.Calls(memory.OpStop) {
			w.Error("not every failed stop was told")
		}
		w.expect("engine-1 stopping 0/2", "engine-2 ready 0/2", "engine-3 ready 0/2")
	})
}

func TestFailedInventoryChangesNothing(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		slot := w.playing()
		w.provider.Inject(memory.OpList, memory.NotDone, memory.NotDone)
		w.pass(3 * time.Second)
		if got := w.pool.Snapshot().Blind; !strings.Contains(got, "injected fault") {
			w.Errorf("blind: %q", got)
		}
		w.expect("engine-1 ready 1/2", "engine-2 ready 0/2")
		if drained(slot) || !w.pool.Ready() {
			w.Error("engines were given up because they could not be listed")
		}
		w.pass(5 * time.Second)
		if w.pool.Snapshot().Blind != "" {
			w.Error("still blind")
		}
		if w.told(reconcile.EventBlind) != 1 || w.told(reconcile.EventSeeing) != 1 {
			w.Error("the outage was not told once")
		}
	})
}

func TestEngineThatNeverAnswersIsReplaced(t *testing.T) {
	policy := testPolicy()
	policy.Min = 1
	policy.StartTimeout = 20 * time.Second
	inWorld(t, native, policy, func(w *world) {
		w.ail("engine-1", "hang")
		w.pass(policy.StartTimeout - time.Second)
		w.expect("engine-1 starting 0/2")
		w.pass(10 * time.Second)
		w.expect("engine-2 ready 0/2")
		if got := w.pool.Snapshot().Counters.Stops[pool.StartTimedOut]; got != 1 {
			w.Errorf("%d starts timed out", got)
		}
	})
}

func TestEngineThatHangsIsReplaced(t *testing.T) {
	policy := testPolicy()
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		slot := w.playing()
		w.ail(slot.EngineID, "hang")
		begun := time.Now()
		<-slot.Draining()
		// At worst it hung right after a probe: three probes, each due 5 s after
		// the one before, the last of which gives up after 3 s.
		if took := time.Since(begun); took > 18*time.Second {
			w.Errorf("it took %s to notice", took)
		}
		w.pass(0)
		w.expect("engine-1 unhealthy 1/2", "engine-2 ready 0/2", "engine-3 starting 0/2")
		slot.Release()
		w.pass(policy.UnhealthyTTL + 2*time.Second)
		w.expect("engine-2 ready 0/2", "engine-3 ready 0/2")
	})
}

func TestEngineThatRecoversInTimeIsKept(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		slot := w.playing()
		w.ail("engine-1", "error")
		<-slot.Draining()
		w.ail("engine-1", "")
		w.pass(11 * time.Second)
		w.expect("engine-1 ready 1/2", "engine-2 ready 0/2", "engine-3 ready 0/2")
		if !drained(slot) {
			w.Error("a drained slot came back")
		}
		if w.told(reconcile.EventRecovered) != 1 {
			w.Error("the recovery was not told")
		}
		slot.Release()
		w.pass(10 * time.Minute) // the surplus goes
		if got := len(w.engines()); got != 2 {
			w.Errorf("the engines are %q", w.engines())
		}
	})
}

func TestFixedEngines(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(true, "static-1")
		w.ail("static-2", "error")
		w.add(false, "static-2")
		w.pass(time.Second)
		w.expect("static-1 ready 0/2", "static-2 unhealthy 0/2")

		w.pass(time.Hour)
		w.ail("static-2", "")
		w.pass(10 * time.Second)
		w.expect("static-1 ready 0/2", "static-2 ready 0/2")
		s := w.pool.Snapshot()
		if s.Engines[0].Kind != pool.KindOfficial || s.Engines[1].Kind != pool.KindNative {
			w.Errorf("%+v", s.Engines)
		}
		if n := w.provider.Calls(memory.OpStart) + w.provider.Calls(memory.OpStop); n != 0 {
			w.Errorf("the pool tried to start or stop them %d times", n)
		}
	})
}

func TestEngineThatVanishes(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(false, "static-1")
		w.pass(0)
		slot := w.playing()
		w.provider.Remove("static-1")
		w.pass(0)
		if !drained(slot) {
			w.Error("the slot was not drained")
		}
		w.expect()
		for range 3 {
			slot.Report(reconcile.Outcome{Kind: reconcile.Failed})
		}
		slot.Release()
		if w.told(reconcile.EventDegraded) != 0 {
			w.Error("an engine that is gone was judged")
		}
		before := w.probed(urlOf("static-1"))
		w.pass(time.Hour)
		if got := w.probed(urlOf("static-1")); got != before {
			w.Errorf("an engine that is gone was probed %d times", got-before)
		}

		w.add(false, "static-1")
		w.pass(0)
		w.expect("static-1 ready 0/2")
	})
}

// A failed engine that cannot be replaced is lost to its slots all the same.
func TestFixedEngineThatFails(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(false, "static-1")
		w.pass(0)
		slot := w.playing()
		w.provider.Crash("static-1", "out of memory")
		w.pass(time.Minute)
		w.expect("static-1 failed 1/2")
		if !strings.Contains(slot.DrainReason(), "out of memory") {
			w.Errorf("drained because %q", slot.DrainReason())
		}
		if w.told(reconcile.EventLost) != 1 {
			w.Error("the loss was not told once")
		}
	})
}

// An engine that fails while it is probed has failed, and nothing else.
func TestLateProbesAreIgnored(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(false, "static-1")
		w.pass(time.Second)
		w.ail("static-1", "hang")
		w.pass(15 * time.Second) // in the third probe that hangs
		w.provider.Crash("static-1", "out of memory")
		w.pass(time.Minute)
		w.expect("static-1 failed 0/2")
		if w.told(reconcile.EventUnhealthy) != 0 {
			w.Error("a failed engine was called unhealthy")
		}
	})
}

func TestEngineThatMoves(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		w.add(false, "static-1")
		w.pass(time.Second)
		w.ail("elsewhere", "error")
		w.provider.Add(provider.Engine{ID: "static-1", State: provider.Running, URL: urlOf("elsewhere")})
		w.pass(20 * time.Second)
		w.expect("static-1 unhealthy 0/2")
	})
}

// What is being stopped takes no part in anything any more, even when it comes
// to life again.
func TestEngineBeingStopped(t *testing.T) {
	policy := testPolicy()
	policy.Min, policy.Max = 1, 1
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		w.provider.Inject(memory.OpStop, memory.Hang)
		w.ail("engine-1", "error")
		w.pass(40 * time.Second)
		w.expect("engine-1 stopping 0/2")
		w.ail("engine-1", "")
		w.pass(12 * time.Second)
		w.expect("engine-1 stopping 0/2")
		w.provider.Add(provider.Engine{ID: "engine-1", State: provider.Running, URL: urlOf("engine-1"), StartedAt: time.Now()})
		w.pass(15 * time.Second)
		w.expect("engine-1 stopping 0/2")
		if w.told(reconcile.EventRecovered) != 0 || w.told(reconcile.EventReady) != 1 {
			w.Error("an engine being stopped was judged")
		}
		w.pass(time.Hour)
		w.expect("engine-1 ready 0/2") // its stop failed, and it is well
	})
}

func TestNumbersAreNotReused(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(2 * time.Minute)
		w.provider.Remove("engine-2")
		w.pass(startDelay)
		w.expect("engine-1 ready 0/2", "engine-3 ready 0/2")
	})
}

// Engines that never become ready are started ever more slowly.
func TestStartsThatTimeOutArePaced(t *testing.T) {
	policy := testPolicy()
	policy.Min, policy.Max, policy.StartTimeout = 1, 1, 4*time.Second
	inWorld(t, native, policy, func(w *world) {
		for n := range 500 {
			w.ail(fmt.Sprintf("engine-%d", n+1), "error")
		}
		w.pass(20 * time.Minute)
		if got := w.provider.Calls(memory.OpStart); got < 15 || got > 30 {
			w.Errorf("%d starts in twenty minutes", got)
		}
	})
}

// stubborn is a provider whose stops succeed and change nothing.
type stubborn struct {
	*memory.Provider
	stops *atomic.Int32
}

func (s stubborn) Stop(context.Context, string) error {
	s.stops.Add(1)
	return nil
}

func TestStopsWithoutEffectArePaced(t *testing.T) {
	var stops atomic.Int32
	wrap := func(p *memory.Provider) provider.Provider { return stubborn{p, &stops} }
	inWorldOf(t, native, wrap, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		w.provider.Crash("engine-1", "exit status 2")
		w.pass(10 * time.Minute)
		if got := stops.Load(); got < 10 || got > 18 {
			w.Errorf("%d stops in ten minutes", got)
		}
		if w.told(reconcile.EventStopped) != 0 {
			w.Error("an engine that is still there was called stopped")
		}
	})
}

// An engine that someone restarted under its id is a new one.
func TestEngineThatWasRestarted(t *testing.T) {
	inWorld(t, memory.Config{Fixed: true}, testPolicy(), func(w *world) {
		add := func() {
			w.provider.Add(provider.Engine{ID: "docker-1", State: provider.Running, URL: urlOf("docker-1"), StartedAt: time.Now()})
		}
		add()
		w.pass(time.Second)
		slot := w.playing()
		add()
		w.pass(0)
		if !drained(slot) {
			w.Error("the slot was not drained")
		}
		w.expect("docker-1 ready 0/2")
		slot.Release()
		w.expect("docker-1 ready 0/2")
	})
}

func TestIdleEnginesGo(t *testing.T) {
	policy := testPolicy()
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		var slots []*reconcile.Slot
		for range 4 {
			slots = append(slots, w.playing())
		}
		w.pass(500 * time.Millisecond) // between two looks at everything
		begun := time.Now()
		slot, err := w.pool.Acquire(w.Context(), reconcile.Request{})
		if err != nil {
			w.Fatal(err)
		}
		if took := time.Since(begun); took != startDelay {
			w.Errorf("an engine for the fifth was there after %s", took)
		}
		w.expect("engine-1 ready 2/2", "engine-2 ready 2/2", "engine-3 ready 1/2")
		slots = append(slots, slot)
		for _, s := range slots {
			s.Release()
		}
		w.pass(policy.IdleTTL / 2)
		for _, s := range slots {
			s.Release() // is no use of the engine any more
		}
		w.pass(policy.IdleTTL/2 - time.Second)
		if got := len(w.engines()); got != 3 {
			w.Errorf("too soon the engines are %q", w.engines())
		}
		w.pass(5 * time.Second)
		if got := len(w.engines()); got != 2 {
			w.Errorf("later the engines are %q", w.engines())
		}
	})
}

func TestDegradedEngineIsReplaced(t *testing.T) {
	policy := testPolicy()
	policy.Min = 1
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		playing := w.playing()
		for _, content := range []string{"a", "b", "c"} {
			s := w.acquire(reconcile.Request{Content: content})
			s.Report(reconcile.Outcome{Kind: reconcile.Failed, Class: "no data"})
			s.Release()
		}
		w.pass(startDelay)
		w.expect("engine-1 degraded 1/2", "engine-2 ready 0/2")
		if drained(playing) {
			w.Error("what plays on a degraded engine was drained")
		}
		if s := w.acquire(reconcile.Request{}); s.EngineID != "engine-2" {
			w.Errorf("a degraded engine was chosen before a good one")
		} else {
			s.Release()
		}
		playing.Release()
		w.pass(policy.DegradedTTL + 2*time.Second)
		w.expect("engine-2 ready 0/2")
	})
}

func TestShutdown(t *testing.T) {
	inWorld(t, native, testPolicy(), func(w *world) {
		w.pass(time.Minute)
		slot := w.acquire(reconcile.Request{Exclude: []string{"engine-1"}})
		w.provider.Inject(memory.OpStart, memory.Hang)
		w.provider.Crash("engine-1", "exit status 2")
		w.pass(0)
		waited := make(chan error)
		go func() {
			_, err := w.pool.Acquire(w.Context(), reconcile.Request{Exclude: []string{"engine-2"}})
			waited <- err
		}()
		w.pass(0)
		if drained(slot) {
			w.Error("the slot was drained too early")
		}
		w.shutdown()
		err := <-waited
		if u, ok := errors.AsType[*reconcile.Unavailable](err); !ok || u.Reason != reconcile.ReasonClosed || u.RetryAfter <= 0 {
			w.Errorf("refused with %v", err)
		}
		if u, _ := w.refused(reconcile.Request{}); u.Reason != reconcile.ReasonClosed {
			w.Errorf("refused with %+v", u)
		}
		if !drained(slot) {
			w.Error("the slot was not drained")
		}
		slot.Report(reconcile.Outcome{Kind: reconcile.Failed})
		slot.Release()
	})
}
