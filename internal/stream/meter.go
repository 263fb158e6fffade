package stream

import (
	"sync"
	"time"
)

// meterSpan is how far back a meter looks at least, and half of how far it does.
const meterSpan = 5 * time.Second

// meter counts bytes, and tells at which rate they came of late. The zero meter
// is ready for use. It is safe for concurrent use.
type meter struct {
	mu    sync.Mutex // guards what follows
	total int64
	since time.Time // when the span began
	now   int64     // bytes in it
	last  int64     // bytes in the span before
	whole bool      // there was one before
}

func (m *meter) add(n int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	m.total += n
	m.now += n
}

// turn begins another span when the current one is over. The caller holds mu.
func (m *meter) turn(now time.Time) {
	switch age := now.Sub(m.since); {
	case m.since.IsZero():
		m.since = now
	case age >= 2*meterSpan:
		m.since, m.last, m.now, m.whole = now, 0, 0, true
	case age >= meterSpan:
		m.since, m.last, m.now, m.whole = m.since.Add(meterSpan), m.now, 0, true
	}
}

func (m *meter) sum() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// rate returns the bytes per second of the last 5 to 10 s; of the time since the
// beginning where that is shorter, but of a second at least.
func (m *meter) rate(now time.Time) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	span := now.Sub(m.since)
	if m.whole {
		span += meterSpan
	}
	return int64(float64(m.now+m.last) / max(span, time.Second).Seconds())
}
