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
	// Degraded: it answers probes, yet several contents in a row did not play
	// on it. What plays may go on; others are better for what comes next.
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
	// Forget is how long playback failures count after the newest of them.
	Forget time.Duration
	// Grace is how long after its start an engine may miss probes without
	// becoming Unhealthy. 0 grants it only what Fall does.
	Grace time.Duration
}

// DefaultPolicy suits probes every five seconds: an engine that hangs is
// Unhealthy within 20 s.
var DefaultPolicy = Policy{
	Fall:         3,
	Rise:         2,
	PlaybackFall: 3,
	Forget:       5 * time.Minute,
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

	failed       []string  // contents in a row that failed; never changed in place
	lastPlayback time.Time // the newest playback failure
}

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

// Played returns r after content gave its first byte.
func (p Policy) Played(r Record, at time.Time) Record {
	r.failed = nil
	return p.judge(r, at)
}

// PlaybackFailed returns r after content did not play on the engine, by the
// engine's fault as far as the caller can tell. An empty content counts as
// different from all others.
func (p Policy) PlaybackFailed(r Record, at time.Time, content string, err error) Record {
	r = p.forget(r, at)
	r.lastPlayback = at
	r.LastError = err.Error()
	known := content != "" && slices.Contains(r.failed, content)
	if !known && len(r.failed) < p.PlaybackFall {
		r.failed = append(slices.Clone(r.failed), content)
	}
	return p.judge(r, at)
}

// forget drops playback failures that are too long ago.
func (p Policy) forget(r Record, at time.Time) Record {
	if at.Sub(r.lastPlayback) >= p.Forget {
		r.failed = nil
	}
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

	case len(r.failed) >= p.PlaybackFall:
		return Degraded, fmt.Sprintf("%d contents in a row did not play on it: %s", len(r.failed), r.LastError)
	}
	return Healthy, ""
}
