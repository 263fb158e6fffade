package pool_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/pool"
)

var now = time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// policy has two slots and one open per engine.
var policy = pool.Policy{
	Min: 1, Max: 3, StreamsPerEngine: 2, OpensPerEngine: 1,
	StartTimeout: time.Minute, IdleTTL: 5 * time.Minute,
	UnhealthyTTL: 15 * time.Second, DegradedTTL: time.Minute,
	Backoff: func(failures int) time.Duration { return time.Duration(failures) * 10 * time.Second },
}

// engine returns an engine of that phase, native, unused, since an hour.
func engine(id string, phase pool.Phase, edits ...func(*pool.Engine)) pool.Engine {
	e := pool.Engine{ID: id, Phase: phase, Since: ago(time.Hour), Kind: pool.KindNative}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

func used(n int) func(*pool.Engine) { return func(e *pool.Engine) { e.Used = n } }
func opening(n int) func(*pool.Engine) {
	return func(e *pool.Engine) { e.Used, e.Opening = max(e.Used, n), n }
}
func kind(k pool.Kind) func(*pool.Engine) { return func(e *pool.Engine) { e.Kind = k } }
func since(d time.Duration) func(*pool.Engine) {
	return func(e *pool.Engine) { e.Since = ago(d) }
}

func lastUsed(d time.Duration) func(*pool.Engine) {
	return func(e *pool.Engine) { e.LastUsed = ago(d) }
}

func TestPick(t *testing.T) {
	t.Parallel()
	official, unknown := kind(pool.KindOfficial), kind(pool.KindUnknown)
	for _, test := range []struct {
		name    string
		engines []pool.Engine
		request pool.Request
		want    string
	}{
		{"the only one", []pool.Engine{engine("a", pool.Ready)}, pool.Request{}, "a"},
		{"the least loaded", []pool.Engine{engine("a", pool.Ready, used(1)), engine("b", pool.Ready)}, pool.Request{}, "b"},
		{"the longest unused", []pool.Engine{
			engine("a", pool.Ready, lastUsed(time.Minute)), engine("b", pool.Ready, lastUsed(time.Hour)), engine("c", pool.Ready, lastUsed(time.Second)),
		}, pool.Request{}, "b"},
		{"one that was never used", []pool.Engine{engine("a", pool.Ready, lastUsed(time.Hour)), engine("b", pool.Ready)}, pool.Request{}, "b"},
		{"equals in order", []pool.Engine{engine("b", pool.Ready), engine("a", pool.Ready)}, pool.Request{}, "a"},
		{"load before disuse", []pool.Engine{engine("a", pool.Ready, lastUsed(time.Second)), engine("b", pool.Ready, used(1), lastUsed(time.Hour))}, pool.Request{}, "a"},
		{"not a full one", []pool.Engine{engine("a", pool.Ready, used(2)), engine("b", pool.Ready, used(1))}, pool.Request{}, "b"},
		{"not one busy opening", []pool.Engine{engine("a", pool.Ready, opening(1)), engine("b", pool.Ready, used(1))}, pool.Request{}, "b"},
		{"not an excluded one", []pool.Engine{engine("a", pool.Ready), engine("b", pool.Ready, used(1))}, pool.Request{Exclude: []string{"a", "x"}}, "b"},
		{"the one that is named", []pool.Engine{engine("a", pool.Ready), engine("b", pool.Degraded, used(1))}, pool.Request{Only: "b"}, "b"},
		{"a healthy one before a degraded one", []pool.Engine{engine("a", pool.Degraded), engine("b", pool.Ready, used(1))}, pool.Request{}, "b"},
		{"a degraded one before none", []pool.Engine{engine("a", pool.Degraded), engine("b", pool.Ready, used(2))}, pool.Request{}, "a"},
		{"an official one for a content id", []pool.Engine{engine("a", pool.Ready), engine("b", pool.Ready, official, used(1))}, pool.Request{Official: true}, "b"},
		{"any for the rest", []pool.Engine{engine("a", pool.Ready, unknown), engine("b", pool.Ready, official, used(1))}, pool.Request{}, "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			id, why := pool.Pick(pool.Observed{Time: now, Engines: test.engines}, policy, test.request)
			if id != test.want || why != pool.Fits {
				t.Errorf("picked %q (%s), not %q", id, why, test.want)
			}
		})
	}
}

func TestPickRefuses(t *testing.T) {
	t.Parallel()
	native := kind(pool.KindNative)
	official, unknown := kind(pool.KindOfficial), kind(pool.KindUnknown)
	id := pool.Request{Official: true}
	tried := func(ids ...string) pool.Request { return pool.Request{Exclude: ids} }
	for _, test := range []struct {
		name     string
		observed pool.Observed
		request  pool.Request
		want     pool.Refusal
	}{
		{"no engine at all", pool.Observed{}, pool.Request{}, pool.NoEngines},
		{"none ready", pool.Observed{Engines: []pool.Engine{
			engine("a", pool.Starting), engine("b", pool.Unhealthy), engine("c", pool.Failed), engine("d", pool.Stopping),
		}}, pool.Request{}, pool.NoEngines},
		{"all full", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, used(2)), engine("b", pool.Degraded, used(2))}}, pool.Request{}, pool.Full},
		{"more than full", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, used(3))}}, pool.Request{}, pool.Full},
		{"all busy opening", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, opening(1)), engine("b", pool.Ready, used(2))}}, pool.Request{}, pool.Busy},
		{"all tried", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready), engine("b", pool.Degraded)}}, tried("a", "b"), pool.AllTried},
		{"all tried, those that are gone do not matter", pool.Observed{Engines: []pool.Engine{
			engine("a", pool.Ready), engine("b", pool.Failed), engine("c", pool.Stopping),
		}}, tried("a"), pool.AllTried},
		{"all tried, yet one is coming", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready), engine("b", pool.Starting)}}, tried("a"), pool.NoEngines},
		{"all tried that are free", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready), engine("b", pool.Ready, used(2))}}, tried("a"), pool.Full},

		{"a content id, native engines", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, native)}}, id, pool.NoOfficial},
		{"a content id, native engines to start", pool.Observed{CanStart: true, Starts: pool.KindNative}, id, pool.NoOfficial},
		{"a content id, nothing known", pool.Observed{}, id, pool.NoEngines},
		{"a content id, one not asked yet", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, native), engine("b", pool.Starting, unknown)}}, id, pool.NoEngines},
		{"a content id, the official one is ill", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, native), engine("b", pool.Unhealthy, official)}}, id, pool.NoEngines},
		{"a content id, who knows what starts", pool.Observed{CanStart: true, Engines: []pool.Engine{engine("a", pool.Ready, native)}}, id, pool.NoEngines},
		{"a content id, the official one is full", pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, native), engine("b", pool.Ready, official, used(2))}}, id, pool.Full},
		{
			"a content id, the official one was tried",
			pool.Observed{Engines: []pool.Engine{engine("a", pool.Ready, native), engine("b", pool.Ready, official)}},
			pool.Request{Official: true, Exclude: []string{"b"}},
			pool.AllTried,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, why := pool.Pick(test.observed, policy, test.request)
			if got != "" || why != test.want {
				t.Errorf("picked %q (%s), not (%s)", got, why, test.want)
			}
			if final := why == pool.NoOfficial || why == pool.AllTried; why.Final() != final {
				t.Errorf("final: %t", why.Final())
			}
		})
	}
}

// phases are all there are, kinds too.
var (
	phases = []pool.Phase{pool.Starting, pool.Ready, pool.Degraded, pool.Unhealthy, pool.Failed, pool.Stopping}
	kinds  = []pool.Kind{pool.KindUnknown, pool.KindNative, pool.KindOfficial}
)

func drawEngine(t *rapid.T, id string) pool.Engine {
	e := pool.Engine{
		ID:    id,
		Phase: rapid.SampledFrom(phases).Draw(t, "phase"),
		Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
		Since: ago(time.Duration(rapid.IntRange(0, 600).Draw(t, "since")) * time.Second),
		Used:  rapid.IntRange(0, 3).Draw(t, "used"),
	}
	e.Opening = rapid.IntRange(0, e.Used).Draw(t, "opening")
	if rapid.Bool().Draw(t, "was used") {
		e.LastUsed = ago(time.Duration(rapid.IntRange(0, 600).Draw(t, "last used")) * time.Second)
	}
	return e
}

func drawRequest(t *rapid.T) pool.Request {
	return pool.Request{
		Official: rapid.Bool().Draw(t, "official"),
		Exclude:  rapid.SliceOfN(rapid.SampledFrom([]string{"engine-1", "engine-2", "engine-3"}), 0, 3).Draw(t, "exclude"),
		Only:     rapid.SampledFrom([]string{"", "", "", "engine-1", "engine-2"}).Draw(t, "only"),
	}
}

// Pick never breaks a rule, never refuses where an engine fits, and does not
// depend on the order of the engines.
func TestPickProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := drawObserved(t, policy)
		r := drawRequest(t)
		fits := func(e pool.Engine) bool {
			return (e.Phase == pool.Ready || e.Phase == pool.Degraded) &&
				e.Used < policy.StreamsPerEngine && e.Opening < policy.OpensPerEngine &&
				!slices.Contains(r.Exclude, e.ID) && (r.Only == "" || r.Only == e.ID) && (!r.Official || e.Kind == pool.KindOfficial)
		}
		id, why := pool.Pick(o, policy, r)
		i := slices.IndexFunc(o.Engines, func(e pool.Engine) bool { return e.ID == id })
		switch any := slices.ContainsFunc(o.Engines, fits); {
		case any != (id != "") || any != (why == pool.Fits):
			t.Fatalf("picked %q (%s) of %+v", id, why, o.Engines)
		case any && !fits(o.Engines[i]):
			t.Fatalf("picked %q, which does not fit, of %+v", id, o.Engines)
		}
		slices.Reverse(o.Engines)
		if again, whyAgain := pool.Pick(o, policy, r); again != id || whyAgain != why {
			t.Fatalf("picked %q (%s), and %q (%s) in reverse", id, why, again, whyAgain)
		}
	})
}
