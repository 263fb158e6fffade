package pool_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/pool"
)

// tick is the time between two plans of a world.
const tick = 5 * time.Second

// world is a provider and its viewers as a model, in which everything that can
// go wrong does.
type world struct {
	*rapid.T
	p    pool.Policy
	o    pool.Observed
	wild bool // things go wrong

	waiting int // streams without an engine
	peaks   pool.Peaks
	started map[string]time.Time
	starts  int
}

func newWorld(t *rapid.T) *world {
	p := policy
	p.Min = rapid.IntRange(0, 3).Draw(t, "min")
	p.Max = rapid.IntRange(max(1, p.Min), 6).Draw(t, "max")
	p.StreamsPerEngine = rapid.IntRange(1, 3).Draw(t, "slots")
	p.OpensPerEngine = 9
	p.Spare = rapid.IntRange(0, 2).Draw(t, "spare")
	p.LookAhead = rapid.IntRange(0, 2).Draw(t, "look-ahead")
	p.MaxAge = time.Duration(rapid.SampledFrom([]int{0, 20}).Draw(t, "max age")) * time.Minute
	p.DrainTimeout, p.Cooldown = 5*time.Minute, time.Minute
	return &world{
		T: t, p: p, o: pool.Observed{Time: now, CanStart: true}, wild: true,
		started: make(map[string]time.Time),
	}
}

func (w *world) chance(percent int) bool {
	return w.wild && rapid.IntRange(1, 100).Draw(w.T, "chance") <= percent
}

func (w *world) enter(e *pool.Engine, phase pool.Phase) {
	if e.Phase != phase {
		e.Phase, e.Since = phase, w.o.Time
	}
}

// live lets time pass and the world change.
func (w *world) live() {
	w.o.Time = w.o.Time.Add(tick)
	for i := range w.o.Engines {
		e := &w.o.Engines[i]
		switch {
		case e.Phase == pool.Stopping:
		case w.chance(1):
			w.enter(e, pool.Failed)
			e.Leave = pool.Leave{}
			w.failed(e)
		case w.chance(1) && e.Phase == pool.Ready:
			w.enter(e, rapid.SampledFrom([]pool.Phase{pool.Unhealthy, pool.Degraded}).Draw(w.T, "sick"))
		case w.chance(30) && (e.Phase == pool.Unhealthy || e.Phase == pool.Degraded):
			w.enter(e, pool.Ready)
		case e.Phase == pool.Starting && !w.chance(90):
			w.enter(e, pool.Ready)
		case e.Phase == pool.Ready && w.chance(1):
			if w.chance(50) {
				e.Wear.Outdated = "a new image is there"
				break
			}
			w.enter(e, pool.Draining)
			e.Leave = pool.Leave{Cause: pool.Wished, Reason: "so it was wished", Remove: true, By: w.o.Time.Add(w.p.DrainTimeout)}
		}
	}
	w.move()
}

func (w *world) failed(e *pool.Engine) {
	if w.o.Time.Sub(w.started[e.ID]) < time.Minute {
		n := 0
		if len(w.o.Failures) > 0 {
			n = w.o.Failures[0].Count
		}
		w.o.Failures = []pool.Failure{{Cause: "died", Count: n + 1, Last: w.o.Time}}
	}
}

// move has streams leave the engines that are lost to them, and find others.
func (w *world) move() {
	for i := range w.o.Engines {
		e := &w.o.Engines[i]
		if e.Phase != pool.Failed && e.Phase != pool.Unhealthy && e.Phase != pool.Stopping && e.Phase != pool.Draining {
			continue
		}
		for e.Used > 0 && (e.Phase != pool.Draining || w.claim()) {
			if e.Phase != pool.Draining {
				w.waiting++
			}
			e.Used--
			e.LastUsed = w.o.Time
		}
	}
	for w.waiting > 0 && w.claim() {
		w.waiting--
	}
	w.o.Waiting = make([]pool.Request, w.waiting)
	if len(w.o.Failures) > 0 && slices.ContainsFunc(w.o.Engines, func(e pool.Engine) bool {
		return e.Phase == pool.Ready && w.o.Time.Sub(e.Since) >= time.Minute && e.Since.After(w.o.Failures[0].Last)
	}) {
		w.o.Failures = nil
	}
}

// claim takes a slot, where there is one.
func (w *world) claim() bool {
	id, _ := pool.Pick(w.o, w.p, pool.Request{})
	i := slices.IndexFunc(w.o.Engines, func(e pool.Engine) bool { return e.ID == id })
	if i < 0 {
		return false
	}
	w.o.Engines[i].Used++
	w.o.Engines[i].LastUsed = w.o.Time
	return true
}

// demand brings the streams to n, as far as there is room.
func (w *world) demand(n int) {
	have := w.waiting
	for _, e := range w.o.Engines {
		have += e.Used
	}
	for ; have < n; have++ {
		w.waiting++
	}
	for ; have > n && w.waiting > 0; have-- {
		w.waiting--
	}
	for i := range w.o.Engines {
		for e := &w.o.Engines[i]; have > n && e.Used > 0; have-- {
			e.Used--
			e.LastUsed = w.o.Time
		}
	}
	w.move()
}

// keep plans, checks the plan, and does it, or not.
func (w *world) keep() []pool.Action {
	w.peaks = w.peaks.Note(w.o.Time, pool.Size(w.o, w.p).Engines, w.p.IdleTTL)
	w.o.Peak = w.peaks.Most()
	plan := pool.Plan(w.o, w.p).Actions
	ready := count(w.o, pool.Ready)
	for _, a := range plan {
		i := slices.IndexFunc(w.o.Engines, func(e pool.Engine) bool { return e.ID == a.ID })
		switch {
		case a.Op == pool.Start && i >= 0 || a.Op != pool.Start && i < 0:
			w.Fatalf("%v of %+v", a, w.o.Engines)
		case a.Op == pool.Start:
			w.start(a)
			continue
		}
		e := &w.o.Engines[i]
		w.check(a, *e, ready)
		switch {
		case a.Op == pool.Drain:
			w.enter(e, pool.Draining)
			e.Leave = pool.Leave{Cause: a.Cause, Reason: a.Reason, Remove: true}
			ready--
		case w.chance(20): // the provider fails, and nothing is done
		default:
			if e.Phase == pool.Ready {
				ready--
			}
			w.waiting += e.Used
			w.o.Engines = slices.Delete(w.o.Engines, i, i+1)
		}
	}
	if len(w.o.Engines) > w.p.Max {
		w.Fatalf("%d engines of at most %d after %v", len(w.o.Engines), w.p.Max, plan)
	}
	return plan
}

func (w *world) start(a pool.Action) {
	w.starts++
	w.o.Serial = max(w.o.Serial, pool.Number(a.ID))
	w.o.GrownAt = w.o.Time
	done, reported := true, true
	if w.chance(20) {
		done, reported = w.chance(50), false
	}
	if done {
		w.started[a.ID] = w.o.Time
		w.o.Engines = append(w.o.Engines, pool.Engine{
			ID: a.ID, Phase: pool.Starting, Since: w.o.Time, Wear: pool.Wear{StartedAt: w.o.Time, Memory: -1, Cache: -1},
		})
	}
	if !reported {
		n := 0
		if len(w.o.Failures) > 0 {
			n = w.o.Failures[0].Count
		}
		w.o.Failures = []pool.Failure{{Cause: "call", Count: n + 1, Last: w.o.Time}}
	}
}

// check says what no plan may do, whatever happened.
func (w *world) check(a pool.Action, e pool.Engine, ready int) {
	plays := e.Used > 0 && (e.Phase == pool.Ready || e.Phase == pool.Degraded || e.Phase == pool.Draining)
	switch {
	case a.Reason == "":
		w.Fatalf("%+v without a reason", a)
	case a.Op == pool.Stop && plays && a.Cause != pool.Wished:
		w.Fatalf("%v, on which %d streams play", a, e.Used)
	case a.Op == pool.Stop && plays && w.o.Time.Before(e.Leave.By):
		w.Fatalf("%v before its streams had time to move", a)
	case a.Cause == pool.Idle && w.o.Time.Sub(later(e.LastUsed, e.Since)) < w.p.IdleTTL:
		w.Fatalf("%v, idle for too short a time", a)
	case a.Cause == pool.Idle && w.o.Time.Sub(w.o.GrownAt) < w.p.Cooldown:
		w.Fatalf("%v, right after the pool has grown", a)
	case e.Phase == pool.Ready && ready <= w.p.Min && len(w.o.Engines) < w.p.Max:
		w.Fatalf("%v leaves less than the minimum ready, and there is room for more: %+v", a, w.o.Engines)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Whatever goes wrong, the rules hold; and when nothing goes wrong any more,
// all is as it should be and stays so.
func TestWorldSettles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(10, 150).Draw(t, "steps") {
			if w.chance(10) {
				w.demand(rapid.IntRange(0, w.p.Max*w.p.StreamsPerEngine+2).Draw(t, "streams"))
			}
			w.live()
			w.keep()
		}
		w.wild = false
		n := rapid.IntRange(0, w.p.Max*w.p.StreamsPerEngine).Draw(t, "streams in the end")
		for i := range w.o.Engines {
			w.o.Engines[i].Wear.StartedAt = w.o.Time // what is old is replaced for ever
		}
		w.p.MaxAge = 0
		w.demand(n)
		var last []pool.Action
		for range time.Hour / tick {
			w.live()
			w.demand(n)
			if plan := w.keep(); len(plan) > 0 {
				last = plan
				continue
			}
		}
		for range 30 * time.Minute / tick {
			w.live()
			if plan := w.keep(); len(plan) > 0 {
				t.Fatalf("after an hour of quiet: %v, and before that %v, of %+v", plan, last, w.o.Engines)
			}
		}
		w.checkSettled(n)
	})
}

func (w *world) checkSettled(n int) {
	if w.waiting > 0 {
		w.Fatalf("%d streams wait: %+v", w.waiting, w.o.Engines)
	}
	free := 0
	for _, e := range w.o.Engines {
		if e.Phase != pool.Ready && e.Phase != pool.Degraded || e.Phase == pool.Degraded && e.Used == 0 {
			w.Fatalf("left over: %+v", e)
		}
		free += w.p.StreamsPerEngine - e.Used
		if e.Wear.Outdated != "" && (e.Used == 0 || free >= e.Used) && len(w.o.Engines) < w.p.Max {
			w.Fatalf("outdated: %+v", e)
		}
	}
	want := w.p.Spare
	if n > 0 {
		want = max(want, w.p.LookAhead)
	}
	if got := count(w.o, pool.Ready); got < w.p.Min && len(w.o.Engines) < w.p.Max {
		w.Fatalf("%d ready of at least %d", got, w.p.Min)
	}
	if free < want && len(w.o.Engines) < w.p.Max {
		w.Fatalf("%d slots are free of %d: %+v", free, want, w.o.Engines)
	}
}

// A demand that comes and goes does not make engines come and go.
func TestNoFlapping(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.wild, w.p.MaxAge = false, 0
		most := w.p.Max * w.p.StreamsPerEngine
		low := rapid.IntRange(0, most).Draw(t, "low")
		high := rapid.IntRange(low, most).Draw(t, "high")
		period := rapid.IntRange(1, int(w.p.IdleTTL/tick)-2).Draw(t, "steps of one half")
		const hour = int(time.Hour / tick)
		for step := range 2 * hour {
			w.live()
			if step/period%2 == 0 {
				w.demand(low)
			} else {
				w.demand(high)
			}
			w.keep()
			if step == hour {
				w.starts = 0
			}
		}
		if w.starts > 0 {
			t.Fatalf("%d engines were started in the second hour of %d to %d streams, every %d steps", w.starts, low, high, period)
		}
	})
}

// BenchmarkPlanOfMany is a plan for 200 engines, of which some play, some are
// worn and some are sick, with requests waiting.
func BenchmarkPlanOfMany(b *testing.B) {
	p := policy
	p.Min, p.Max, p.Spare, p.LookAhead = 50, 220, 10, 10
	p.MaxAge, p.MaxCache, p.MaxMemory = time.Hour, 1<<30, 1<<30
	o := pool.Observed{Time: now, CanStart: true}
	phases := []pool.Phase{pool.Ready, pool.Ready, pool.Ready, pool.Starting, pool.Degraded, pool.Unhealthy}
	for n := range 200 {
		e := engine(fmt.Sprintf("engine-%d", n+1), phases[n%len(phases)], used(n%3))
		e.Wear = pool.Wear{StartedAt: ago(time.Duration(n) * time.Minute), Cache: int64(n) << 24, Memory: int64(n) << 22}
		o.Engines = append(o.Engines, e)
	}
	o.Waiting = make([]pool.Request, 1000)
	b.ReportAllocs()
	for b.Loop() {
		pool.Plan(o, p)
	}
}
