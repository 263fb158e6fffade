package official

import (
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
)

var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func TestWatch(t *testing.T) {
	t.Parallel()
	well := look{answers: true, sockets: true, cache: -1}
	playing := look{answers: true, sockets: true, playing: true, cache: -1}
	silent := look{cache: -1}
	large := func(l look) look { l.cache = 101; return l }
	small := func(l look) look { l.cache = 100; return l }
	stuck := func(l look, n int) look { l.abandoned = n; return l }
	type step struct {
		after time.Duration // since the start
		look  look
		want  order
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"starts in time", []step{{time.Second, silent, carryOn}, {59 * time.Second, silent, carryOn}, {59500 * time.Millisecond, well, carryOn}, {61 * time.Second, silent, carryOn}}},
		{"never answers", []step{{time.Second, silent, carryOn}, {time.Minute, silent, restart}}},
		{"falls silent", []step{{1, well, carryOn}, {2, silent, carryOn}, {3, silent, carryOn}, {4, silent, restart}}},
		{"is slow at times", []step{{1, well, carryOn}, {2, silent, carryOn}, {3, silent, carryOn}, {4, well, carryOn}, {5, silent, carryOn}, {6, silent, carryOn}}},
		{"requests hang, nobody plays", []step{{1, stuck(well, 3), carryOn}, {time.Minute, stuck(well, 3), carryOn}, {61 * time.Second, stuck(well, 3), restart}}},
		{"few requests hang", []step{{1, stuck(well, 2), carryOn}, {time.Hour, stuck(well, 2), carryOn}}},
		{"requests hang, somebody plays", []step{{1, stuck(playing, 9), carryOn}, {time.Hour, stuck(playing, 9), carryOn}}},
		{"the last viewer left a moment ago", []step{{1, playing, carryOn}, {time.Hour, stuck(well, 9), carryOn}, {time.Hour + time.Minute, stuck(well, 9), restart}}},
		{"who plays is not known", []step{{1, look{answers: true, cache: 101}, carryOn}, {time.Hour, look{answers: true, cache: 101}, carryOn}}},
		{"cache at its limit", []step{{1, small(well), carryOn}, {time.Hour, small(well), carryOn}}},
		{"cache over its limit, cleared", []step{{1, large(well), carryOn}, {time.Hour, large(well), clearCache}, {time.Hour + 1, small(well), carryOn}, {2 * time.Hour, large(well), clearCache}}},
		{"cache over its limit, not cleared", []step{{1, well, carryOn}, {time.Hour, large(well), clearCache}, {time.Hour + 1, well, carryOn}, {time.Hour + 2, large(well), restartOnce}}},
		{"cache over its limit, somebody plays", []step{{1, large(playing), carryOn}, {time.Hour, large(playing), carryOn}}},
	} {
		w := &watch{started: epoch, policy: policy{
			startTimeout: time.Minute, probeFailures: 3, abandonedLimit: 2, cacheLimit: 100, idle: time.Minute,
		}}
		for i, s := range test.steps {
			s.look.at = epoch.Add(s.after)
			got, why := w.judge(s.look)
			if got != s.want {
				t.Errorf("%s, step %d: %v (%s); want %v", test.name, i, got, why, s.want)
			}
			if (why == "") != (got == carryOn) {
				t.Errorf("%s, step %d: the reason is %q", test.name, i, why)
			}
		}
	}
}

// A cache that cannot be cleared is told once and then left alone, and so is
// one that waits for a viewer to leave.
func TestWatchDoesNotRepeatItself(t *testing.T) {
	t.Parallel()
	w := &watch{started: epoch, policy: policy{startTimeout: time.Minute, probeFailures: 3, cacheLimit: 100}}
	told := 0
	for i := range 10 {
		w.judge(look{at: epoch.Add(time.Duration(i)), answers: true, sockets: true, playing: true, cache: 101})
		told += strings.Count(strings.Join(w.notes, " "), "too large")
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	w = &watch{started: epoch, giveUp: true, policy: w.policy}
	for i := range 10 {
		if got, why := w.judge(look{at: epoch.Add(time.Duration(i)), answers: true, sockets: true, cache: 101}); got != carryOn {
			t.Errorf("%v (%s) although nothing helps", got, why)
		}
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	l := lives{limit: 3, backoff: backoff.Policy{Min: time.Second, Max: 4 * time.Second}}
	for i, test := range []struct {
		planned bool
		steady  time.Duration
		delay   time.Duration
		again   bool
	}{
		{false, 0, time.Second, true},
		{false, 59 * time.Second, 2 * time.Second, true},
		{true, 0, 0, true},                      // a restart for the cache is no failure,
		{false, 0, 4 * time.Second, true},       // and does not excuse those before
		{false, time.Minute, time.Second, true}, // an engine that was well for a while begins anew
		{false, 0, 2 * time.Second, true},
		{false, 0, 4 * time.Second, true},
		{false, 0, 4 * time.Second, false},
	} {
		if delay, again := l.next(test.planned, test.steady); delay != test.delay || again != test.again {
			t.Errorf("end %d: %v, %v; want %v, %v", i, delay, again, test.delay, test.again)
		}
	}
}
