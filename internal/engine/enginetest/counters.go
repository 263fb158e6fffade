package enginetest

import (
	"context"
	"fmt"
	"time"
)

// Counters is what a [Fake] has counted since it was made, over all its lives,
// and how it stands now.
type Counters struct {
	Requests       int   // that reached the engine
	InFlight       int   // requests not yet done, now
	Opens          int   // sessions made
	Reopens        int   // opens that got a session which was there already
	OpenFailures   int   // opens that got an error
	Superseded     int   // sessions taken over by another
	Stopped        int   // sessions ended by a stop
	Expired        int   // sessions nobody stopped, ended by inactivity: leaks of the client
	StopsUnknown   int   // stops of sessions that were over or never were
	VersionCalls   int   // get_version
	CacheClears    int   // times it was told to clear its cache
	Stats          int   // polls of statistics
	StatsAsPlayer  int   // those of Stats without skip_player_activity=1
	Corrupt        int   // corrupt responses to a second reader
	Heads          int   // HEAD requests
	Active         int   // sessions that play or could, now
	Readers        int   // connections that media goes out on, now
	MaxReaders     int   // most readers of one content at a time
	MaxPerInfohash int   // most sessions of one infohash, superseded ones included, that were not over
	Bytes          int64 // media bytes sent
}

// Counters returns the counters as they are now.
func (f *Fake) Counters() Counters {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counters
}

// WaitFor waits until the counters meet a condition. Its error tells the
// counters as they were when ctx ended.
func (f *Fake) WaitFor(ctx context.Context, condition func(Counters) bool) error {
	for {
		f.mu.Lock()
		now, changed := f.counters, f.changed
		f.mu.Unlock()
		if condition(now) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("counters are %+v: %w", now, context.Cause(ctx))
		}
	}
}

// Leaked returns how many sessions are active that nobody has read for longer
// than after.
func (f *Fake) Leaked(after time.Duration) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.active {
		if s.holders == 0 && f.clock.Now().Sub(s.idle) > after {
			n++
		}
	}
	return n
}

// count changes the counters.
func (f *Fake) count(change func(*Counters)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counted(change)
}

// counted changes the counters. f.mu is held.
func (f *Fake) counted(change func(*Counters)) {
	change(&f.counters)
	close(f.changed)
	f.changed = make(chan struct{})
}
