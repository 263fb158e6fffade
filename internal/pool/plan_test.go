package pool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/pool"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	wait := func(n int) func(*pool.Observed) {
		return func(o *pool.Observed) { o.Waiting = make([]pool.Request, n) }
	}
	waiting := func(rs ...pool.Request) func(*pool.Observed) {
		return func(o *pool.Observed) { o.Waiting = rs }
	}
	failures := func(n int, last time.Duration) func(*pool.Observed) {
		return func(o *pool.Observed) { o.Failures = []pool.Failure{{Cause: "call", Count: n, Last: ago(last)}} }
	}
	unready := func(o *pool.Observed) { o.Unready = "the image is being pulled" }
	fixed := func(o *pool.Observed) { o.CanStart = false }
	serial := func(n uint64) func(*pool.Observed) { return func(o *pool.Observed) { o.Serial = n } }
	busy := func(id string) pool.Engine { return engine(id, pool.Ready, used(2)) }

	type engines []pool.Engine
	for _, test := range []struct {
		name    string
		engines engines
		edit    func(*pool.Observed)
		want    []string // "op id cause"
	}{
		{"an empty pool", nil, nil, []string{"start engine-1 below_min"}},
		{"a pool as it should be", engines{engine("engine-1", pool.Ready, since(time.Minute))}, nil, nil},
		{"one is starting", engines{engine("engine-1", pool.Starting, since(time.Second))}, nil, nil},
		{"engines of someone else", engines{engine("engine-1", pool.Failed)}, fixed, nil},
		{"numbers are not used again", nil, serial(7), []string{"start engine-8 below_min"}},
		{"nor those of engines found", engines{engine("engine-12", pool.Failed)}, serial(7), []string{"stop engine-12 died", "start engine-13 below_min"}},

		{"one died", engines{engine("engine-1", pool.Failed)}, nil, []string{"stop engine-1 died", "start engine-2 below_min"}},
		{"one died in use", engines{engine("engine-1", pool.Failed, used(1))}, nil, []string{"stop engine-1 died", "start engine-2 below_min"}},
		{"one is slow to start", engines{engine("engine-1", pool.Starting, since(time.Minute-1))}, nil, nil},
		{"one does not start", engines{engine("engine-1", pool.Starting, since(time.Minute))}, nil, []string{"stop engine-1 start_timeout", "start engine-2 below_min"}},
		{"one has just become unhealthy", engines{engine("engine-1", pool.Unhealthy, since(time.Second))}, nil, []string{"start engine-2 below_min"}},
		{
			"one is unhealthy, in use too",
			engines{engine("engine-1", pool.Unhealthy, used(1), since(15*time.Second)), engine("engine-2", pool.Ready, since(0))},
			nil,
			[]string{"stop engine-1 not_answering"},
		},
		{"one is being stopped", engines{engine("engine-1", pool.Stopping)}, nil, []string{"start engine-2 below_min"}},

		{"a degraded one in use gets company", engines{engine("engine-1", pool.Degraded, used(1))}, nil, []string{"start engine-2 below_min"}},
		{"a degraded one waits for its replacement", engines{engine("engine-1", pool.Degraded), engine("engine-2", pool.Starting, since(0))}, nil, nil},
		{"a degraded one goes when replaced", engines{engine("engine-1", pool.Degraded), engine("engine-2", pool.Ready, since(0))}, nil, []string{"stop engine-1 not_playing"}},
		{"a degraded one in use stays", engines{engine("engine-1", pool.Degraded, used(1)), engine("engine-2", pool.Ready, since(0))}, nil, nil},
		{"a degraded one just used stays", engines{engine("engine-1", pool.Degraded, lastUsed(time.Second)), engine("engine-2", pool.Ready, since(0))}, nil, nil},
		{"without room degraded ones go one by one", engines{engine("engine-1", pool.Degraded), engine("engine-2", pool.Degraded), busy("engine-3")}, func(o *pool.Observed) {
			o.Engines[2].Phase = pool.Degraded
		}, []string{"stop engine-1 not_playing"}},
		{"and not while one is on its way", engines{engine("engine-1", pool.Degraded), engine("engine-2", pool.Degraded), engine("engine-3", pool.Starting, since(0))}, nil, nil},

		{"a request, no free slot", engines{busy("engine-1")}, wait(1), []string{"start engine-2 demand"}},
		{"two fit on one", engines{busy("engine-1")}, wait(2), []string{"start engine-2 demand"}},
		{"three take two", engines{busy("engine-1")}, wait(3), []string{"start engine-2 demand", "start engine-3 demand"}},
		{"many take no more than max", engines{busy("engine-1")}, wait(100), []string{"start engine-2 demand", "start engine-3 demand"}},
		{"a full house", engines{busy("engine-1"), busy("engine-2"), busy("engine-3")}, wait(9), nil},
		{"one being stopped takes room", engines{busy("engine-1"), busy("engine-2"), engine("engine-3", pool.Stopping)}, wait(9), nil},
		{"a starting engine is enough", engines{busy("engine-1"), engine("engine-2", pool.Starting, since(0))}, wait(2), nil},
		{"a starting engine is not enough", engines{busy("engine-1"), engine("engine-2", pool.Starting, since(0))}, wait(3), []string{"start engine-3 demand"}},
		{"a slot is free, all is just busy", engines{engine("engine-1", pool.Ready, opening(1))}, wait(1), nil},
		{"an empty pool in demand", nil, wait(3), []string{"start engine-1 below_min", "start engine-2 demand"}},
		{"the free slot has been tried", engines{engine("engine-1", pool.Ready), busy("engine-2")}, waiting(pool.Request{Exclude: []string{"engine-1"}}), []string{"start engine-3 demand"}},
		{
			"the free slot suits one of two",
			engines{engine("engine-1", pool.Ready, used(1)), busy("engine-2")},
			waiting(pool.Request{Exclude: []string{"engine-2"}}, pool.Request{}),
			[]string{"start engine-3 demand"},
		},
		{"no start brings an official engine", engines{busy("engine-1")}, func(o *pool.Observed) {
			o.Starts = pool.KindNative
			o.Waiting = []pool.Request{{Official: true}}
		}, nil},
		{"a start may bring an official engine", engines{engine("engine-1", pool.Ready, since(0))}, waiting(pool.Request{Official: true}), []string{"start engine-2 demand"}},

		{"a failed start delays the next", nil, failures(1, 9*time.Second), nil},
		{"not for ever", nil, failures(1, 10*time.Second), []string{"start engine-1 below_min"}},
		{"longer each time", nil, failures(3, 29*time.Second), nil},
		{"stops do not wait", engines{engine("engine-1", pool.Failed)}, failures(3, 0), []string{"stop engine-1 died"}},
		{"nothing can be started now", engines{engine("engine-1", pool.Failed)}, unready, []string{"stop engine-1 died"}},
		{"what cannot be replaced now is kept", engines{engine("engine-1", pool.Degraded), engine("engine-2", pool.Degraded), engine("engine-3", pool.Degraded)}, unready, nil},
		{"what cannot be replaced is kept", engines{engine("engine-1", pool.Degraded), engine("engine-2", pool.Degraded), engine("engine-3", pool.Degraded)}, failures(3, 0), nil},

		{"idle above min", engines{engine("engine-1", pool.Ready), engine("engine-2", pool.Ready)}, nil, []string{"stop engine-1 idle"}},
		{"the longest idle goes", engines{engine("engine-1", pool.Ready, lastUsed(6*time.Minute)), engine("engine-2", pool.Ready, lastUsed(7*time.Minute))}, nil, []string{"stop engine-2 idle"}},
		{"idle for a short time", engines{engine("engine-1", pool.Ready, lastUsed(time.Minute)), engine("engine-2", pool.Ready, since(time.Minute))}, nil, nil},
		{"idle, the others in use", engines{engine("engine-1", pool.Ready), busy("engine-2"), busy("engine-3")}, nil, []string{"stop engine-1 idle"}},
		{"idle, yet somebody waits", engines{engine("engine-1", pool.Ready), busy("engine-2")}, waiting(pool.Request{Official: true}), []string{"start engine-3 demand"}},
		{"idle, the other one is not ready yet", engines{engine("engine-1", pool.Ready), engine("engine-2", pool.Starting, since(0))}, nil, nil},

		{"outdated and unused", engines{outdated("engine-1"), engine("engine-2", pool.Ready, since(0))}, nil, []string{"stop engine-1 outdated"}},
		{"outdated, and the only one", engines{outdated("engine-1")}, nil, []string{"start engine-2 outdated"}},
		{"outdated, its replacement is on its way", engines{outdated("engine-1"), engine("engine-2", pool.Starting, since(0))}, nil, nil},
		{"outdated, and its streams can move", engines{outdated("engine-1", used(2)), engine("engine-2", pool.Ready, since(0))}, nil, []string{"drain engine-1 outdated"}},
		{"outdated, and its streams cannot move", engines{outdated("engine-1", used(2)), busy("engine-2")}, nil, []string{"start engine-3 demand"}},
		{"outdated, all of them", engines{outdated("engine-1"), outdated("engine-2"), outdated("engine-3", used(1))}, nil, []string{"stop engine-1 outdated"}},
		{"one after the other", engines{outdated("engine-1"), engine("engine-2", pool.Stopping), engine("engine-3", pool.Ready, since(0))}, nil, nil},
		{"being emptied", engines{engine("engine-1", pool.Draining, used(1), leaving(pool.Outdated)), engine("engine-2", pool.Ready, since(0))}, nil, nil},
		{"empty", engines{engine("engine-1", pool.Draining, leaving(pool.Outdated)), engine("engine-2", pool.Ready, since(0))}, nil, []string{"stop engine-1 outdated"}},
		{"out of service", engines{engine("engine-1", pool.Draining), engine("engine-2", pool.Ready, since(0))}, nil, nil},

		{"somebody asks for engines", engines{engine("engine-1", pool.Ready, since(0))}, func(o *pool.Observed) { o.Wishes.Starts = 2 }, []string{"start engine-2 wished", "start engine-3 wished"}},
		{"the pool is paused", engines{engine("engine-1", pool.Failed)}, func(o *pool.Observed) { o.Wishes.Paused = true }, nil},
		{"the pool is held at two", engines{engine("engine-1", pool.Ready)}, func(o *pool.Observed) { o.Wishes.Scaled, o.Wishes.Scale = true, 2 }, []string{"start engine-2 below_min"}},
		{"the pool is held at none", engines{engine("engine-1", pool.Ready, since(0)), busy("engine-2")}, func(o *pool.Observed) { o.Wishes.Scaled = true }, []string{"stop engine-1 wished"}},
		{"as many were wanted a moment ago", engines{engine("engine-1", pool.Ready), engine("engine-2", pool.Ready)}, func(o *pool.Observed) { o.Peak = 2 }, nil},
		{"the pool has just grown", engines{engine("engine-1", pool.Ready), engine("engine-2", pool.Ready)}, func(o *pool.Observed) { o.GrownAt = o.Time }, []string{"stop engine-1 idle"}},

		{
			"max was lowered",
			engines{engine("engine-1", pool.Ready, since(0)), busy("engine-2"), busy("engine-3"), busy("engine-4"), engine("engine-5", pool.Starting, since(0))},
			nil,
			[]string{"stop engine-5 above_max", "stop engine-1 above_max"},
		},
		{"max was lowered, all in use", engines{busy("engine-1"), busy("engine-2"), busy("engine-3"), busy("engine-4")}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := pool.Observed{Time: now, CanStart: true, Engines: test.engines}
			if test.edit != nil {
				test.edit(&o)
			}
			before := slices.Clone(o.Engines)
			plan := pool.Plan(o, policy).Actions
			var got []string
			for _, a := range plan {
				got = append(got, fmt.Sprintf("%s %s %s", a.Op, a.ID, a.Cause))
				if a.Reason == "" || !strings.Contains(a.String(), a.ID) {
					t.Errorf("%q has no reason", a)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, o.Engines); diff != "" {
				t.Errorf("the plan changed what was observed:\n%s", diff)
			}
		})
	}
}

// outdated returns a ready engine that is not as one would be today.
func outdated(id string, edits ...func(*pool.Engine)) pool.Engine {
	e := engine(id, pool.Ready, append(edits, since(0))...)
	e.Wear.Outdated = "there is a newer image"
	return e
}

// leaving marks an engine that is stopped once it is empty.
func leaving(c pool.Cause) func(*pool.Engine) {
	return func(e *pool.Engine) { e.Leave = pool.Leave{Cause: c, Reason: "it leaves", Remove: true} }
}

// Free slots are kept ready, more of them while somebody plays.
func TestFreeSlotsAreKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		spare, ahead, used int
		want               int // engines
	}{
		{0, 0, 2, 1}, {1, 0, 2, 2}, {0, 1, 2, 2}, {0, 1, 1, 1}, {2, 1, 1, 2}, {0, 3, 0, 1}, {3, 0, 0, 2}, {9, 9, 0, 3},
	} {
		p := policy
		p.Spare, p.LookAhead = test.spare, test.ahead
		o := pool.Observed{Time: now, CanStart: true, Engines: []pool.Engine{engine("engine-1", pool.Ready, used(test.used), since(0))}}
		d := pool.Plan(o, p)
		if got := 1 + len(d.Actions); got != test.want || d.Target.Engines != test.want {
			t.Errorf("%+v: %d engines, wanted %s", test, got, d.Target)
		}
	}
}

// What is put off is told, with what it waits for.
func TestHolds(t *testing.T) {
	t.Parallel()
	p := policy
	p.Cooldown = time.Minute
	for name, test := range map[string]struct {
		edit func(*pool.Observed)
		want string
	}{
		"a failed start": {func(o *pool.Observed) {
			o.Failures = []pool.Failure{{Cause: "call", Reason: "no such image", Count: 1, Last: now}}
		}, "later start: the last start failed: no such image, until 12:00:10"},
		"a pause": {func(o *pool.Observed) { o.Wishes.Paused = true }, "the pool is paused"},
		"no room": {func(o *pool.Observed) { o.Wishes.Starts = 9 }, "there is room for 1"},
		"growth":  {func(o *pool.Observed) { o.GrownAt = now }, "later stop engine-1: it is not needed"},
		"streams": {func(o *pool.Observed) { o.Engines[0] = outdated("engine-1", used(3)) }, "there is no free slot for its 3 streams to move to"},
		"unmoved": {func(o *pool.Observed) {
			o.Engines[0] = engine("engine-1", pool.Draining, used(1), leaving(pool.Wished))
		}, "it still has 1 stream"},
		"no starts": {func(o *pool.Observed) { o.Unready, o.Wishes.Starts = "the image is being pulled", 1 }, "the image is being pulled"},
	} {
		o := pool.Observed{Time: now, CanStart: true, Engines: []pool.Engine{engine("engine-1", pool.Ready), engine("engine-2", pool.Ready)}}
		test.edit(&o)
		var all []string
		for _, h := range pool.Plan(o, p).Held {
			all = append(all, h.String())
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPeaks(t *testing.T) {
	t.Parallel()
	var r pool.Peaks
	for i, step := range []struct{ at, engines, want int }{
		{0, 3, 3}, {1, 1, 3}, {2, 2, 3}, {9, 1, 3}, {10, 1, 2}, {12, 1, 1}, {13, 5, 5}, {23, 0, 0}, {40, 0, 0},
	} {
		r = r.Note(now.Add(time.Duration(step.at)*time.Second), step.engines, 10*time.Second)
		if got := r.Most(); got != step.want {
			t.Errorf("step %d: %d, not %d", i, got, step.want)
		}
	}
}

func TestPlanOfOddPolicies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		edit func(*pool.Policy)
		want int // starts in an empty pool with one request
	}{
		{"scale to zero", func(p *pool.Policy) { p.Min = 0 }, 1},
		{"max below min", func(p *pool.Policy) { p.Min, p.Max = 3, 2 }, 2},
		{"no engines at all", func(p *pool.Policy) { p.Max = 0 }, 0},
		{"no slots", func(p *pool.Policy) { p.StreamsPerEngine = 0 }, 1},
		{"no backoff", func(p *pool.Policy) { p.Backoff = nil }, 1},
	} {
		p := policy
		test.edit(&p)
		o := pool.Observed{Time: now, CanStart: true, Waiting: make([]pool.Request, 1)}
		if p.Backoff == nil {
			o.Failures = []pool.Failure{{Cause: "call", Count: 1, Last: now}}
		}
		if got := pool.Plan(o, p).Actions; len(got) != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]uint64{
		"engine-1": 1, "engine-42": 42, "engine-": 0, "engine-x": 0, "static-1": 0, "": 0, "engine--1": 0,
		"engine-99999999999999999999999": 0,
	} {
		if got := pool.Number(id); got != want {
			t.Errorf("%q: %d", id, got)
		}
	}
}

func drawPolicy(t *rapid.T) pool.Policy {
	p := policy
	p.Min = rapid.IntRange(0, 3).Draw(t, "min")
	p.Max = rapid.IntRange(max(1, p.Min), 5).Draw(t, "max")
	p.StreamsPerEngine = rapid.IntRange(1, 3).Draw(t, "streams")
	return p
}

func drawObserved(t *rapid.T, p pool.Policy) pool.Observed {
	o := pool.Observed{
		Time:     now,
		CanStart: true,
		Starts:   rapid.SampledFrom([]pool.Kind{pool.KindNative, pool.KindUnknown}).Draw(t, "starts"),
	}
	if n := rapid.IntRange(0, 2).Draw(t, "failures"); n > 0 {
		o.Failures = []pool.Failure{{Cause: "call", Count: n, Last: ago(time.Duration(rapid.IntRange(0, 60).Draw(t, "last failure")) * time.Second)}}
	}
	o.Serial = uint64(rapid.IntRange(0, p.Max+1).Draw(t, "engines"))
	for n := range o.Serial {
		o.Engines = append(o.Engines, drawEngine(t, fmt.Sprintf("engine-%d", n+1)))
	}
	for range rapid.IntRange(0, 5).Draw(t, "waiting") {
		o.Waiting = append(o.Waiting, drawRequest(t))
	}
	return o
}

func count(o pool.Observed, phases ...pool.Phase) int {
	n := 0
	for _, e := range o.Engines {
		if slices.Contains(phases, e.Phase) {
			n++
		}
	}
	return n
}

// apply does a plan in an ideal world: what is started starts, what is stopped
// is gone.
func apply(o pool.Observed, plan []pool.Action) pool.Observed {
	o.Engines = slices.Clone(o.Engines)
	for _, a := range plan {
		i := slices.IndexFunc(o.Engines, func(e pool.Engine) bool { return e.ID == a.ID })
		switch {
		case a.Op == pool.Stop && i >= 0:
			o.Engines = slices.Delete(o.Engines, i, i+1)
		case a.Op == pool.Start && i < 0:
			o.Engines = append(o.Engines, pool.Engine{ID: a.ID, Phase: pool.Starting, Since: o.Time, Kind: o.Starts})
			o.Serial = max(o.Serial, pool.Number(a.ID))
		}
	}
	return o
}

// What every single plan promises.
func TestPlanIsSafe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		o := drawObserved(t, p)
		plan := pool.Plan(o, p).Actions
		byID := make(map[string]pool.Engine)
		for _, e := range o.Engines {
			byID[e.ID] = e
		}
		starts, readyStops := 0, 0
		seen := make(map[string]bool)
		for _, a := range plan {
			if seen[a.ID] {
				t.Fatalf("two actions on %s: %v", a.ID, plan)
			}
			seen[a.ID] = true
			e, exists := byID[a.ID]
			if a.Op == pool.Start {
				starts++
				if exists {
					t.Fatalf("start of %s, which exists", a.ID)
				}
				continue
			}
			switch {
			case !exists || e.Phase == pool.Stopping:
				t.Fatalf("stop of %+v", e)
			case e.Used > 0 && (e.Phase == pool.Ready || e.Phase == pool.Degraded):
				t.Fatalf("stop of an engine that plays: %+v", e)
			case e.Phase == pool.Ready && a.Cause != pool.AboveMax:
				readyStops++
			}
		}
		if starts > 0 && len(o.Engines)+starts > p.Max {
			t.Fatalf("%d starts beside %d engines with a maximum of %d", starts, len(o.Engines), p.Max)
		}
		if readyStops > 0 && count(o, pool.Ready)-readyStops < p.Min {
			t.Fatalf("%d of %d ready engines stopped with a minimum of %d", readyStops, count(o, pool.Ready), p.Min)
		}
		if again := pool.Plan(o, p).Actions; !slices.Equal(plan, again) {
			t.Fatalf("planned %v, and then %v", plan, again)
		}
	})
}

// Plans settle, twice is as good as once, and where they settle the minimum is
// kept unless there is no room or starts are to wait.
func TestPlansSettle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		o := drawObserved(t, p)
		for round := 0; ; round++ {
			plan := pool.Plan(o, p).Actions
			if len(plan) == 0 {
				break
			}
			once := apply(o, plan)
			if diff := cmp.Diff(once, apply(once, plan)); diff != "" {
				t.Fatalf("doing %v again changed:\n%s", plan, diff)
			}
			if round > 2*p.Max+2 {
				t.Fatalf("still planning %v for %+v", plan, o.Engines)
			}
			o = once
		}
		// After failures starts wait, and then one tries alone.
		delayed := len(o.Failures) > 0 &&
			(count(o, pool.Starting) > 0 || now.Before(o.Failures[0].Last.Add(p.Backoff(o.Failures[0].Count))))
		if fit := count(o, pool.Starting, pool.Ready); fit < p.Min && len(o.Engines) < p.Max && !delayed {
			t.Fatalf("settled with %d fit engines of at least %d: %+v", fit, p.Min, o.Engines)
		}
	})
}

// Doing any part of a plan leads to the same number of engines as doing it all.
func TestPartsOfPlansConverge(t *testing.T) {
	t.Parallel()
	settle := func(t *rapid.T, o pool.Observed, p pool.Policy) pool.Observed {
		for range 4*p.Max + 4 {
			plan := pool.Plan(o, p).Actions
			if len(plan) == 0 {
				return o
			}
			o = apply(o, plan)
		}
		t.Fatalf("did not settle: %+v", o.Engines)
		return o
	}
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		o := drawObserved(t, p)
		clear(o.Waiting) // exclusions of engines to come would make their order matter
		plan := pool.Plan(o, p).Actions
		var part []pool.Action
		for _, a := range plan {
			if rapid.Bool().Draw(t, "done") {
				part = append(part, a)
			}
		}
		all, some := settle(t, apply(o, plan), p), settle(t, apply(o, part), p)
		if len(all.Engines) != len(some.Engines) {
			t.Fatalf("all of %v leads to %+v, some of it to %+v", plan, all.Engines, some.Engines)
		}
	})
}

func BenchmarkPlan(b *testing.B) {
	p := policy
	p.Max = 300
	o := pool.Observed{Time: now, CanStart: true}
	for n := range 200 {
		o.Engines = append(o.Engines, engine(fmt.Sprintf("engine-%d", n+1), pool.Ready, used(n%3)))
	}
	o.Waiting = make([]pool.Request, 1000)
	for i := range o.Waiting[:500] {
		o.Waiting[i].Exclude = []string{"engine-1", "engine-7"}
	}
	b.ReportAllocs()
	for b.Loop() {
		pool.Plan(o, p)
	}
}

func BenchmarkPick(b *testing.B) {
	o := pool.Observed{Time: now, CanStart: true}
	for n := range 200 {
		o.Engines = append(o.Engines, engine(fmt.Sprintf("engine-%d", n+1), pool.Ready, used(n%3)))
	}
	b.ReportAllocs()
	for b.Loop() {
		pool.Pick(o, policy, pool.Request{Exclude: []string{"engine-1"}})
	}
}
