package vod

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestReadahead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		rate, window int64
		readers      int
		want         int64
	}{
		{"unknown rate", 0, 128 << 20, 1, 16 << 20},
		{"slow content", 500_000, 128 << 20, 1, 16 << 20},
		{"eight seconds", 4 << 20, 128 << 20, 1, 32 << 20},
		{"half the window", 10 << 20, 128 << 20, 1, 64 << 20},
		{"its part of that", 10 << 20, 128 << 20, 4, 16 << 20},
		{"copying", 100 << 20, 128 << 20, 1, 32 << 20},
		{"small window", 0, 16 << 20, 1, 8 << 20},
		{"no reader yet", 0, 16 << 20, 0, 8 << 20},
	} {
		if got := readahead(tt.rate, tt.window, tt.readers); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1<<32).Draw(t, "limit")
		window := rapid.Int64Range(1, 1<<30).Draw(t, "window")
		floors := rapid.SliceOfN(rapid.Int64Range(1, 1<<28), 1, 20).Draw(t, "floors")
		var floor, sum int64
		for _, f := range floors {
			floor += f
		}
		got, ok := shares(limit, window, floors)
		if ok != (floor <= limit) {
			t.Fatalf("ok = %v, floors need %d of %d", ok, floor, limit)
		}
		for i, s := range got {
			if sum += s; s < floors[i] || s > max(window, floors[i]) {
				t.Fatalf("share %d = %d, floor %d, window %d", i, s, floors[i], window)
			}
		}
		if sum > limit {
			t.Fatalf("shares add up to %d, the limit is %d", sum, limit)
		}
	})
}

func TestEnds(t *testing.T) {
	t.Parallel()
	g := geometry{pieceLength: 1 << 20, total: 100<<20 + 1}
	for _, tt := range []struct {
		name              string
		off, size, window int64
		want              []span
	}{
		{"whole", 0, g.total, 128 << 20, []span{{0, 4}, {96, 101}}},
		{"a file within", 10<<20 + 5, 30 << 20, 128 << 20, []span{{10, 15}, {36, 41}}},
		{"a short file is one span", 10 << 20, 6 << 20, 128 << 20, []span{{10, 16}}},
		{"a tiny file", 10 << 20, 1, 128 << 20, []span{{10, 11}}},
		{"a window too small", 0, g.total, 16 << 20, nil},
	} {
		if diff := cmp.Diff(tt.want, g.ends(tt.off, tt.size, tt.window), cmp.AllowUnexported(span{})); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestRateMeter(t *testing.T) {
	t.Parallel()
	var m rateMeter
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 40 {
		m.add(now, 100_000)
		now = now.Add(100 * time.Millisecond)
	}
	if m.rate < 900_000 || m.rate > 1_200_000 {
		t.Errorf("rate = %d bytes per second, want about 1000000", m.rate)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	var r rates
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if d, u := r.now(); d != 0 || u != 0 {
		t.Errorf("rates of nothing = %d, %d", d, u)
	}
	for i := range 100 {
		r.add(sample{at: now.Add(time.Duration(i) * time.Second / 4), down: int64(i) * 1000, up: int64(i) * 10})
	}
	if d, u := r.now(); d != 4000 || u != 40 {
		t.Errorf("rates = %d, %d, want 4000, 40", d, u)
	}
	if len(r.samples) > 30 {
		t.Errorf("%d samples are kept", len(r.samples))
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	var b book
	given, met := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")
	if !b.add(given, true) || !b.add(met, false) || b.add(met, false) {
		t.Error("new and known addresses are mixed up")
	}
	if b.add(netip.MustParseAddrPort("10.0.0.3:0"), true) || b.add(netip.AddrPort{}, true) {
		t.Error("an address that nobody can dial was taken")
	}
	if b.add(netip.MustParseAddrPort("[::ffff:10.0.0.1]:1"), false) {
		t.Error("one address in two forms was taken twice")
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	dialled := map[netip.AddrPort]int{}
	for range 2400 { // ten minutes
		for _, a := range b.due(now, nil) {
			dialled[a]++
		}
		now = now.Add(250 * time.Millisecond)
	}
	if n := dialled[given]; n < 150 || n > 210 {
		t.Errorf("the address that was given was dialled %d times in ten minutes, want one in 3 s", n)
	}
	if n := dialled[met]; n < 8 || n > 20 {
		t.Errorf("the other address was dialled %d times in ten minutes, want ever more seldom", n)
	}
	if due := b.due(now.Add(time.Hour), map[netip.AddrPort]bool{given: true, met: true}); len(due) != 0 {
		t.Errorf("addresses that are connected are due: %v", due)
	}
	b.retry(met, now.Add(time.Hour))
	if due := b.due(now.Add(time.Hour), map[netip.AddrPort]bool{given: true}); len(due) != 1 || due[0] != met {
		t.Errorf("due after a retry: %v", due)
	}
	for i := range 2 * maxKnownPeers {
		b.add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 1), false)
	}
	if len(b.known) > maxKnownPeers {
		t.Errorf("%d addresses are known", len(b.known))
	}
}
