// Package health judges an engine from what is observed of it, with
// hysteresis: one slow answer does not condemn it, one good answer after many
// bad ones does not acquit it.
//
// It decides only. Probing, and the clock, are the caller's.
package health

import (
	"fmt"
	"slices"
	"time"
)

// State is the verdict on an engine.
type State string

// The verdicts.
const (
	// Starting: it has not answered a probe yet.
	Starting State = "starting"
	// Healthy: it answers probes and nothing speaks against it.
	Healthy State = "healthy"
	// Degraded: it answers probes, yet something else speaks against it: several
	// contents in a row did not play on it, it has lost its network, it keeps
	// being restarted. What plays may go on; others are better for what comes
	// next.
	Degraded State = "degraded"
	// Unhealthy: it does not answer probes.
	Unhealthy State = "unhealthy"
)

// Policy says how much evidence a verdict takes. It is a value, safe for
// concurrent use.
type Policy struct {
	// Fall is how many probes in a row must fail to become Unhealthy.
	Fall int
	// Rise is how many probes in a row must succeed to leave Unhealthy.
	Rise int
	// PlaybackFall is how many different contents in a row must fail to become
	// Degraded. Different ones, because a dead content that a player keeps
	// asking for says nothing about the engine.
	PlaybackFall int
	// SilentFall is the same for contents that opened and sent nothing. It takes
	// more of them: mostly it is the content that nobody sends.
	SilentFall int
	// SlowFall is the same for contents that took SlowOpen or more to open.
	SlowFall int
	SlowOpen time.Duration
	// Forget is how long playback failures count after the newest of them.
	Forget time.Duration
	// OfflineFall is how many looks in a row must find the engine without its
	// network to become Degraded.
	OfflineFall int
	// LonelyFor is how long all sessions of an engine must be without a peer to
	// become Degraded.
	LonelyFor time.Duration
	// RestartFall is how many restarts within RestartWindow make it Degraded.
	RestartFall   int
	RestartWindow time.Duration
	// Grace is how long after its start an engine may miss probes without
	// becoming Unhealthy. 0 grants it only what Fall does.
	Grace time.Duration
}

// DefaultPolicy suits probes every five seconds: an engine that hangs is
// Unhealthy within 20 s.
var DefaultPolicy = Policy{
	Fall:          3,
	Rise:          2,
	PlaybackFall:  3,
	SilentFall:    5,
	SlowFall:      3,
	SlowOpen:      20 * time.Second,
	Forget:        5 * time.Minute,
	OfflineFall:   3,
	LonelyFor:     3 * time.Minute,
	RestartFall:   3,
	RestartWindow: 10 * time.Minute,
}

// Record is what is known about one engine: a value, changed only by the
// methods of [Policy], which return the new one.
type Record struct {
	State  State
	Since  time.Time // when State was entered
	Reason string    // why State is Degraded or Unhealthy, for a person
	// LastError is the newest failure, "" when there was none. It stays after a
	// recovery.
	LastError string

	answered int // probes in a row that succeeded
	missed   int // probes in a row that failed

	failed streak // contents that did not play
	silent streak // contents that opened and sent nothing
	slow   streak // contents that were slow to open

	offline  int         // looks in a row that found no network
	lonely   time.Time   // since when no session has a peer; zero when one has
	restarts []time.Time // the newest last; never changed in place
}

// streak is the different contents in a row of which something bad is known. A
// value: contents is never changed in place.
type streak struct {
	contents []string
	newest   time.Time
	reason   string // of the newest
}

// add returns s with another content; an empty one counts as different from all
// others. No more than limit are kept.
func (s streak) add(at time.Time, content, reason string, limit int) streak {
	s.newest, s.reason = at, reason
	known := content != "" && slices.Contains(s.contents, content)
	if !known && len(s.contents) < limit {
		s.contents = append(slices.Clone(s.contents), content)
	}
	return s
}

// reaches says whether the streak is at least n long; none is where n is 0.
func (s streak) reaches(n int) bool { return n > 0 && len(s.contents) >= n }

// New returns the record of an engine that started at the given time.
func New(at time.Time) Record {
	return Record{State: Starting, Since: at}
}

// Probe returns r after a probe that ended at the given time; err is nil when
// it succeeded.
func (p Policy) Probe(r Record, at time.Time, err error) Record {
	if err != nil {
		r.answered = 0
		r.missed++
		r.LastError = err.Error()
		return p.judge(r, at)
	}
	r.answered++
	r.missed = 0
	return p.judge(p.forget(r, at), at)
}

// Opened returns r after content opened on the engine, which took so long.
func (p Policy) Opened(r Record, at time.Time, content string, took time.Duration) Record {
	if p.SlowFall == 0 || took < p.SlowOpen {
		r.slow = streak{}
		return p.judge(r, at)
	}
	r = p.forget(r, at)
	r.LastError = fmt.Sprintf("it took %s to open a content", took.Round(time.Second))
	r.slow = r.slow.add(at, content, r.LastError, p.SlowFall)
	return p.judge(r, at)
}

// Played returns r after content gave its first byte.
func (p Policy) Played(r Record, at time.Time) Record {
	r.failed, r.silent = streak{}, streak{}
	return p.judge(r, at)
}

// PlaybackFailed returns r after content did not play on the engine, by the
// engine's fault as far as the caller can tell. An empty content counts as
// different from all others.
func (p Policy) PlaybackFailed(r Record, at time.Time, content string, err error) Record {
	r = p.forget(r, at)
	r.LastError = err.Error()
	r.failed = r.failed.add(at, content, r.LastError, p.PlaybackFall)
	return p.judge(r, at)
}

// Silent returns r after content opened on the engine and sent nothing.
func (p Policy) Silent(r Record, at time.Time, content string) Record {
	r = p.forget(r, at)
	r.silent = r.silent.add(at, content, "no data came", p.SilentFall)
	return p.judge(r, at)
}

// Network returns r after the engine told whether it is connected to its
// network.
func (p Policy) Network(r Record, at time.Time, connected bool) Record {
	if connected {
		r.offline = 0
	} else {
		r.offline++
	}
	return p.judge(r, at)
}

// Peers returns r after a look at all sessions of the engine; connected says
// whether any has a peer, or there is none.
func (p Policy) Peers(r Record, at time.Time, connected bool) Record {
	switch {
	case connected:
		r.lonely = time.Time{}
	case r.lonely.IsZero():
		r.lonely = at
	}
	return p.judge(r, at)
}

// Restarted returns the record of the engine that went on, under the same id,
// from the one that r is about.
func (p Policy) Restarted(r Record, at time.Time) Record {
	fresh := New(at)
	fresh.LastError = r.LastError
	fresh.restarts = append(slices.Clone(r.restarts), at)
	return p.forget(fresh, at)
}

// forget drops what is too long ago.
func (p Policy) forget(r Record, at time.Time) Record {
	for _, s := range []*streak{&r.failed, &r.silent, &r.slow} {
		if at.Sub(s.newest) >= p.Forget {
			*s = streak{}
		}
	}
	old := 0
	for _, t := range r.restarts {
		if at.Sub(t) >= p.RestartWindow {
			old++
		}
	}
	r.restarts = r.restarts[old:]
	return r
}

// judge applies the rules below to r and notes the change of state, if any.
func (p Policy) judge(r Record, at time.Time) Record {
	state, reason := p.verdict(r, at)
	if state != r.State {
		r.State, r.Since, r.Reason = state, at, reason
	}
	return r
}

// verdict is the ordered list of rules: the first that matches decides.
func (p Policy) verdict(r Record, at time.Time) (State, string) {
	switch {
	case r.State == Starting && r.answered == 0 && (r.missed < p.Fall || at.Sub(r.Since) < p.Grace):
		return Starting, "" // slow is not sick yet

	case r.State == Starting && r.answered == 0:
		return Unhealthy, "it has never answered: " + r.LastError

	case r.missed >= p.Fall:
		return Unhealthy, fmt.Sprintf("it missed %d probes in a row: %s", r.missed, r.LastError)

	case r.State == Unhealthy && r.answered < p.Rise:
		return Unhealthy, r.Reason // one answer is not a recovery

	case r.failed.reaches(p.PlaybackFall):
		return Degraded, fmt.Sprintf("%d contents in a row did not play on it: %s", len(r.failed.contents), r.failed.reason)

	case r.silent.reaches(p.SilentFall):
		return Degraded, fmt.Sprintf("%d contents in a row opened on it and sent nothing", len(r.silent.contents))

	case r.slow.reaches(p.SlowFall):
		return Degraded, fmt.Sprintf("%d contents in a row took %s or more to open on it", len(r.slow.contents), p.SlowOpen)

	case p.OfflineFall > 0 && r.offline >= p.OfflineFall:
		return Degraded, "it says that it is not connected to its network"

	case p.LonelyFor > 0 && !r.lonely.IsZero() && at.Sub(r.lonely) >= p.LonelyFor:
		return Degraded, fmt.Sprintf("none of its sessions had a peer for %s", p.LonelyFor)

	case p.RestartFall > 0 && len(r.restarts) >= p.RestartFall:
		return Degraded, fmt.Sprintf("it was restarted %d times within %s", len(r.restarts), p.RestartWindow)
	}
	return Healthy, ""
}
