package upstream_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/upstream"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const s = time.Second
	even := func(at time.Duration) time.Duration { return at }
	for name, tt := range map[string]struct {
		media func(at time.Duration) time.Duration
		least time.Duration // behind after two minutes
		most  time.Duration
	}{
		"even":                 {even, 0, 0},
		"a burst first":        {func(at time.Duration) time.Duration { return at + 12*s }, 0, 0},
		"half":                 {func(at time.Duration) time.Duration { return at / 2 }, 29 * s, 31 * s},
		"a twentieth too slow": {func(at time.Duration) time.Duration { return at * 19 / 20 }, 2900 * time.Millisecond, 3100 * time.Millisecond},
		"a gap, made good":     {func(at time.Duration) time.Duration { return gap(at, 100*s, 4*s, true) }, 0, 0},
		"a gap, not made good": {func(at time.Duration) time.Duration { return gap(at, 100*s, 4*s, false) }, 4 * s, 4 * s},
		"a gap long ago":       {func(at time.Duration) time.Duration { return gap(at, 20*s, 4*s, false) }, 0, 0},
		"in lumps":             {func(at time.Duration) time.Duration { return at.Truncate(2 * s) }, 0, 2 * s},
		"stopped":              {func(at time.Duration) time.Duration { return min(at, 30*s) }, 59 * s, 61 * s},
	} {
		var p upstream.Pace
		begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		for at := time.Duration(0); at <= 2*time.Minute; at += 250 * time.Millisecond {
			p.Note(begin.Add(at), tt.media(at))
		}
		if got := p.Behind(); got < tt.least || got > tt.most {
			t.Errorf("%s: behind by %v, want %v to %v", name, got, tt.least, tt.most)
		}
	}
}

// gap is media time with a hole in it.
func gap(at, from, size time.Duration, good bool) time.Duration {
	switch {
	case at < from:
		return at
	case at < from+size:
		return from
	case good:
		return at
	}
	return at - size
}

// Behind is what a full search of the last minute finds.
func TestPaceIsTheMostLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p upstream.Pace
		now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		type note struct {
			at    time.Time
			media time.Duration
		}
		var notes []note
		media := time.Duration(0)
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 1500), 1, 300).Draw(t, "media per half second") {
			now = now.Add(500 * time.Millisecond)
			media += time.Duration(step) * time.Millisecond
			p.Note(now, media)
			notes = append(notes, note{now, media})
		}
		var want time.Duration
		for _, n := range notes {
			if age := now.Sub(n.at); age <= time.Minute {
				want = max(want, age-(media-n.media))
			}
		}
		if got := p.Behind(); got != want {
			t.Fatalf("behind by %v, want %v", got, want)
		}
	})
}
