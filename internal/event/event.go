// Package event is the log of what happened, for people: bounded, numbered and
// in memory. It feeds live views and the history.
package event

import (
	"maps"
	"sync"
	"time"
)

// Event is one thing that happened. An Event that was published is never
// changed.
type Event struct {
	Seq  uint64    // its number, set by [Log.Publish]; the first is 1
	Time time.Time // when it happened

	// Type is stable and names what happened as "thing.happened", for example
	// "engine.ready". It is the key to filter and to translate by.
	Type string
	// Message says it in one plain sentence.
	Message string
	// Attrs are the facts the message was made of, by the attribute keys of the
	// program's logs ("engine", "reason").
	Attrs map[string]string
}

// Log keeps the newest events. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	ring    []Event       // guarded by mu; event n is at (n-1) % cap
	last    uint64        // guarded by mu; number of the newest event
	changed chan struct{} // guarded by mu; closed and replaced by Publish
}

// NewLog returns an empty log that keeps the newest capacity events, at least
// one.
func NewLog(capacity int) *Log {
	return &Log{
		ring:    make([]Event, 0, max(1, capacity)),
		changed: make(chan struct{}),
	}
}

// Publish numbers the event, adds it, and returns its number. It never blocks
// on a reader. It keeps a copy of Attrs.
func (l *Log) Publish(e Event) uint64 {
	e.Attrs = maps.Clone(e.Attrs)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.Seq = l.last
	if len(l.ring) < cap(l.ring) {
		l.ring = append(l.ring, e)
	} else {
		l.ring[(e.Seq-1)%uint64(cap(l.ring))] = e
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return e.Seq
}

// Since returns the events after number seq, oldest first, and how many of
// them are no longer kept. A seq from the future (of an earlier process, whose
// numbers are gone) counts as 0, so that a reader who reconnects gets
// everything rather than nothing.
func (l *Log) Since(seq uint64) (events []Event, missed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > l.last {
		seq = 0
	}
	if oldest := l.last - uint64(len(l.ring)); seq < oldest {
		missed = oldest - seq
		seq = oldest
	}
	events = make([]Event, 0, l.last-seq)
	for n := seq; n < l.last; n++ {
		events = append(events, l.ring[n%uint64(cap(l.ring))])
	}
	return events, missed
}

// Last returns the number of the newest event, 0 when there is none.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Changed returns a channel that is closed by the next Publish. A reader that
// follows the log takes the channel first, then calls [Log.Since], then waits:
// in that order it misses nothing.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
