package stream

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	var m meter
	now := time.Unix(1000, 0)
	if m.rate(now) != 0 {
		t.Error("a rate without a byte")
	}
	near := func(at string, want int64) {
		t.Helper()
		if got := m.rate(now); got < want*9/10 || got > want*11/10 {
			t.Errorf("%s: %d bytes per second, want %d", at, got, want)
		}
	}
	for i := range 300 { // half a minute at 1000 bytes per second
		m.add(100, now)
		now = now.Add(100 * time.Millisecond)
		if i == 20 {
			near("after two seconds", 1000)
		}
	}
	near("after half a minute", 1000)
	for range 200 {
		m.add(500, now)
		now = now.Add(100 * time.Millisecond)
	}
	near("20 s after it rose", 5000)
	now = now.Add(11 * time.Second)
	near("after a pause", 0)
	if m.sum() != 130_000 {
		t.Errorf("%d bytes in sum", m.sum())
	}
}
