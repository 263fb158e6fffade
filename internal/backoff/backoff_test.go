package backoff_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/backoff"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	p := backoff.Policy{Min: time.Second, Max: 10 * time.Second}
	for failures, want := range []time.Duration{
		0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second,
	} {
		if got := p.Delay(failures); got != want {
			t.Errorf("after %d failures the delay is %s, not %s", failures, got, want)
		}
	}
	for name, test := range map[string]struct {
		policy   backoff.Policy
		failures int
		want     time.Duration
	}{
		"no policy":          {backoff.Policy{}, 5, 0},
		"fewer than none":    {p, -1, 0},
		"max below min":      {backoff.Policy{Min: time.Second, Max: time.Millisecond}, 9, time.Second},
		"no overflow":        {backoff.Policy{Min: 1, Max: math.MaxInt64}, 1000, math.MaxInt64},
		"min equal to max":   {backoff.Policy{Min: time.Second, Max: time.Second}, 1, time.Second},
		"failures past int8": {p, math.MaxInt, 10 * time.Second},
	} {
		if got := test.policy.Delay(test.failures); got != test.want {
			t.Errorf("%s: %s, not %s", name, got, test.want)
		}
	}
}

func TestDelayGrowsWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := backoff.Policy{
			Min: time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "min")),
			Max: time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "max")),
		}
		n := rapid.IntRange(1, 100).Draw(t, "failures")
		got, next := p.Delay(n), p.Delay(n+1)
		if got < p.Min || got > max(p.Min, p.Max) || next < got {
			t.Fatalf("%+v: %s after %d failures, then %s", p, got, n, next)
		}
	})
}
