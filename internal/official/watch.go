package official

import (
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
)

// look is what was seen of an engine at one time.
type look struct {
	at        time.Time
	answers   bool  // it told its version
	sockets   bool  // whether the next two are known
	playing   bool  // somebody is connected to its API
	abandoned int   // requests that hang although their clients are long gone
	cache     int64 // bytes of the cache directory; negative where not looked at
}

// order is what follows from a look.
type order int

const (
	carryOn order = iota
	clearCache
	restart     // the engine has failed
	restartOnce // the engine is well, but its cache is not
)

// idleTime is the idle time of engines that people use: players of HLS connect
// anew for every segment.
const idleTime = time.Minute

// watch judges one life of an engine. It is a function of what is seen, and
// owned by one goroutine.
type watch struct {
	policy  policy
	started time.Time

	ready    bool
	misses   int
	quiet    time.Time // since when nobody is connected; zero while somebody is
	cleared  bool      // its cache was cleared and has been too large since
	told     bool      // that its cache is too large while somebody plays
	giveUp   bool      // its cache cannot be cleared
	notes    []string  // for the log, since the last look
	wasReady time.Time // when it became ready
}

// policy is when a watch finds fault.
type policy struct {
	startTimeout   time.Duration
	probeFailures  int
	abandonedLimit int           // 0 does not look
	cacheLimit     int64         // bytes
	idle           time.Duration // how long nobody must be connected for the engine to count as idle
}

// judge says what to do about a look, and why.
func (w *watch) judge(l look) (order, string) {
	w.notes = nil
	if !l.answers {
		return w.missed(l)
	}
	if !w.ready {
		w.wasReady = l.at
		w.notes = append(w.notes, fmt.Sprintf("engine is ready %s after its start", l.at.Sub(w.started).Round(time.Millisecond)))
	} else if w.misses > 0 {
		w.notes = append(w.notes, "engine answers again")
	}
	w.ready, w.misses = true, 0
	switch {
	case !l.sockets || l.playing:
		w.quiet = time.Time{}
	case w.quiet.IsZero():
		w.quiet = l.at
	}
	idle := !w.quiet.IsZero() && l.at.Sub(w.quiet) >= w.policy.idle
	if w.policy.abandonedLimit > 0 && l.abandoned > w.policy.abandonedLimit && idle {
		return restart, fmt.Sprintf("%d requests hang in it although their clients are gone, and nobody plays", l.abandoned)
	}
	return w.judgeCache(l, idle)
}

func (w *watch) missed(l look) (order, string) {
	if !w.ready {
		if l.at.Sub(w.started) >= w.policy.startTimeout {
			return restart, fmt.Sprintf("it did not answer within %s of its start", w.policy.startTimeout)
		}
		return carryOn, ""
	}
	w.misses++
	if w.misses >= w.policy.probeFailures {
		return restart, fmt.Sprintf("it runs, but did not answer %d probes in a row", w.misses)
	}
	return carryOn, ""
}

func (w *watch) judgeCache(l look, idle bool) (order, string) {
	if l.cache < 0 || w.giveUp {
		return carryOn, ""
	}
	if l.cache <= w.policy.cacheLimit {
		w.cleared, w.told = false, false
		return carryOn, ""
	}
	switch {
	case !idle:
		if !w.told {
			w.told = true
			w.notes = append(w.notes, "engine's cache is too large, and is cleared when nobody plays")
		}
		return carryOn, ""
	case !w.cleared:
		w.cleared = true
		return clearCache, "its cache is too large, and nobody plays"
	default:
		return restartOnce, "its cache stayed too large after the engine was told to clear it"
	}
}

// Lives that end sooner than this after the engine became ready count as
// failed starts: an engine that crashes once a day is restarted for ever.
const steadyTime = time.Minute

// lives counts how engines end.
type lives struct {
	limit    int // failures in a row before giving up
	backoff  backoff.Policy
	failures int
}

// next says how long to wait before the next start, or that there is none.
func (l *lives) next(planned bool, steady time.Duration) (delay time.Duration, again bool) {
	if planned {
		return 0, true
	}
	if steady >= steadyTime {
		l.failures = 0
	}
	l.failures++
	return l.backoff.Delay(l.failures), l.failures <= l.limit
}
