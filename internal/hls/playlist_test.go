package hls

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// What a client that waits is told, for every kind of thing that it may wait for.
func TestReached(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	if ok, err := r.list.Reached(Directives{Block: true, MSN: 0, Part: -1}); ok || err != nil {
		t.Errorf("empty: %v, %v", ok, err)
	}
	for range 4 {
		m.group(75)
	}
	m.group(40) // the last picture but one ends the third part of segment 4
	r.feed(m.take(), 13*time.Second)
	if r.newest.Open.MSN != 4 || len(r.newest.Open.Parts) != 3 || len(r.newest.Segments[3].Parts) != 7 {
		t.Fatalf("the rig has %+v", r.newest)
	}
	for _, c := range []struct {
		msn     int64
		part    int
		ok, far bool
	}{
		{0, -1, true, false},
		{3, -1, true, false},
		{4, -1, false, false},
		{5, -1, false, false},
		{6, -1, false, true},
		{3, 6, true, false},
		{4, 0, true, false},
		{4, 2, true, false},
		{4, 3, false, false},
		{4, 8, false, false},
		{4, 30, false, true},
		{3, 7, true, false},  // is part 0 of segment 4
		{2, 99, true, false}, // is part 0 of segment 3
		{5, 0, false, false},
		{6, 0, false, true},
		{1 << 62, 0, false, true},
	} {
		ok, err := r.list.Reached(Directives{Block: true, MSN: c.msn, Part: c.part})
		if ok != c.ok || errors.Is(err, ErrTooFar) != c.far {
			t.Errorf("part %d of segment %d: %v, %v; want %v, too far %v", c.part, c.msn, ok, err, c.ok, c.far)
		}
	}
	if _, ok, due := r.list.Media(Name{MSN: 4, Part: 3}); ok || !due {
		t.Errorf("the hinted part: there %v, due %v", ok, due)
	}
	for _, n := range []Name{{4, -1}, {4, 4}, {5, 0}, {9, -1}} {
		if _, ok, due := r.list.Media(n); ok || due {
			t.Errorf("%s: there %v, due %v", n, ok, due)
		}
	}
	// Between two segments, the first part of the next one is due.
	r.seg.Start(1<<30, nil, r.now)
	if _, ok, due := r.list.Media(Name{MSN: 5, Part: 0}); ok || !due {
		t.Errorf("after a break: there %v, due %v", ok, due)
	}
}

// Segments that are no longer listed stay for as long as the protocol asks, and not longer.
func TestRetiredSegments(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	longest := 0.0
	for i := range 30 {
		m.group(75)
		r.feed(m.take(), 3*time.Second)
		if i < 4 {
			continue
		}
		length := 0.0
		for _, s := range r.newest.Segments {
			length += s.Duration
		}
		longest = max(longest, length)
		if first := r.newest.MediaSequence; first > 10 {
			// A segment of 3 s and playlists of 18 s: 7 more segments come in that time.
			if m, ok, _ := r.list.Media(Name{MSN: first - 7, Part: -1}); !ok || m.Bufs == nil {
				t.Fatalf("segment %d is gone, %d is listed first", first-7, first)
			}
			if m, ok, _ := r.list.Media(Name{MSN: first - 9, Part: -1}); !ok || m.Bufs != nil {
				t.Fatalf("segment %d: there %v, with %d bytes in memory; %d is listed first", first-9, ok, len(m.Bufs), first)
			}
		}
	}
	if longest != 18 {
		t.Errorf("the longest playlist had %gs", longest)
	}
}

// Memory is bounded, but for a playlist of three target durations.
func TestMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ memory, most int }{
		{600_000, 700_000}, // room for the window, not for what is retired
		{100_000, 500_000}, // not even for three target durations
	} {
		t.Run(fmt.Sprint(c.memory), func(t *testing.T) {
			t.Parallel()
			cfg := testConfig
			cfg.Memory = c.memory
			r, m := newRig(t, cfg), newMux()
			for range 40 {
				m.group(75)
				r.feed(m.take(), 3*time.Second)
				if r.list.size > c.most {
					t.Fatalf("%d bytes are kept", r.list.size)
				}
			}
			if r.list.size < 100_000 {
				t.Errorf("only %d bytes are kept", r.list.size)
			}
		})
	}
}

func TestMultivariant(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	for range 4 {
		m.group(75)
		r.feed(m.take(), 3*time.Second)
	}
	s := r.list.segments[0]
	want := fmt.Sprintf("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d\nx/y.m3u8\n", (s.size*8+2)/3, (s.size*8+2)/3)
	if got := string(r.list.Multivariant("x/y.m3u8")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
