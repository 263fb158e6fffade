package mpegts

import (
	"testing"

	"pgregory.net/rapid"
)

func TestClock(t *testing.T) {
	t.Parallel()
	const s, rate = ClockRate, 1000 // a packet of a kilobyte per second
	type tick struct {
		raw       int64
		signalled bool
	}
	for _, c := range []struct {
		name  string
		ticks []tick
		want  int64 // media time from the first to the last tick
		jumps int64
	}{
		{"steady", []tick{{raw: 5 * s}, {raw: 6 * s}, {raw: 7 * s}}, 2 * s, 0},
		{"wraps", []tick{{raw: PCRModulus - s}, {raw: 0}, {raw: s}}, 2 * s, 0},
		{"stands still", []tick{{raw: s}, {raw: s}}, 0, 0},
		{"loses some seconds", []tick{{raw: 0}, {raw: 9 * s}}, 9 * s, 0},
		{"leaps", []tick{{raw: 0}, {raw: s}, {raw: 2 * s}, {raw: 100 * s}, {raw: 101 * s}}, 4 * s, 1},
		{"goes back", []tick{{raw: 10 * s}, {raw: 11 * s}, {raw: 12 * s}, {raw: 3 * s}, {raw: 4 * s}}, 4 * s, 1},
		{"goes back a little", []tick{{raw: 10 * s}, {raw: 11 * s}, {raw: 12 * s}, {raw: 12*s - 1}, {raw: 13 * s}}, 4*s + 1, 1},
		{"announced, and another clock", []tick{{raw: 10 * s}, {raw: 11 * s}, {raw: 12 * s}, {14 * s, true}}, 3 * s, 1},
		{"announced, but goes on", []tick{{raw: 10 * s}, {10*s + s/10, true}}, s / 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var m mediaClock
			var first int64
			for i, k := range c.ticks {
				m.tick(k.raw, int64(1000+i*rate), k.signalled)
				if i == 0 {
					first = m.now
				}
			}
			if got := m.now - first; got != c.want || m.jumps != c.jumps {
				t.Errorf("%d ticks with %d jumps, want %d with %d", got, m.jumps, c.want, c.jumps)
			}
		})
	}
}

func TestClockRemembersJump(t *testing.T) {
	t.Parallel()
	var m mediaClock
	m.tick(50*ClockRate, 1000, false)
	m.tick(20*ClockRate, 2000, true)
	if want := (Jump{Pos: 2000, From: 50 * ClockRate, To: 20 * ClockRate, Signalled: true}); m.last != want {
		t.Errorf("last jump %+v, want %+v", m.last, want)
	}
	before := m.now
	m.tick(0, 1<<30, false)
	if got := m.now - before; got != maxJumpStep {
		t.Errorf("over a jump behind very many bytes %d ticks, want %d", got, maxJumpStep)
	}
}

func TestClockRate(t *testing.T) {
	t.Parallel()
	var m mediaClock
	const step = ClockRate / 25
	at := int64(0)
	run := func(pictures int, size int64) {
		for range pictures {
			at++
			m.tick(at*step, m.pos+size, false)
		}
	}
	run(10, 20_000)
	if m.rate != 500_000 {
		t.Errorf("rate %d after 0.4 s, want 500000", m.rate)
	}
	run(1000, 40_000)
	if m.rate < 990_000 || m.rate > 1_000_000 {
		t.Errorf("rate %d after 40 s at twice the rate, want about 1000000", m.rate)
	}
}

func TestClockCoasts(t *testing.T) {
	t.Parallel()
	var m mediaClock
	m.coast(2 * nominalRate)
	if m.now != 2*ClockRate {
		t.Errorf("without references: %d, want 2 s", m.now)
	}
	m.tick(77*ClockRate, 2*nominalRate, false)
	m.tick(78*ClockRate, 3*nominalRate, false)
	m.coast(4 * nominalRate)
	if m.now != 3*ClockRate {
		t.Errorf("between references: %d, want 3 s", m.now)
	}
	m.coast(6 * nominalRate)
	if m.now != 6*ClockRate {
		t.Errorf("3 s after the last reference: %d, want 6 s", m.now)
	}
	m.tick(82*ClockRate, 7*nominalRate, false)
	if m.now != 7*ClockRate || m.jumps != 0 {
		t.Errorf("with references again: %d with %d jumps, want 7 s with none", m.now, m.jumps)
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m mediaClock
		pos := int64(0)
		for range rapid.IntRange(1, 50).Draw(t, "ticks") {
			before := m.now
			pos += rapid.Int64Range(0, 1<<22).Draw(t, "bytes")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				m.coast(pos)
			case 1:
				m.stop()
			default:
				m.tick(rapid.Int64Range(0, PCRModulus-1).Draw(t, "raw"), pos, rapid.Bool().Draw(t, "signalled"))
			}
			if m.now < before {
				t.Fatalf("from %d back to %d", before, m.now)
			}
			if m.now-before > max(maxStep, m.worth(1<<22*51)) {
				t.Fatalf("from %d to %d", before, m.now)
			}
			if m.rate < 0 {
				t.Fatalf("rate %d", m.rate)
			}
		}
	})
}
