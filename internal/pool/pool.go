// Package pool decides how many engines there should be and which of them
// takes the next playback.
//
// It is pure: what is observed, the time included, goes in as a value and a
// decision comes out. Starting, stopping and claiming are done elsewhere. All
// functions are safe for concurrent use and keep nothing they are given.
package pool

import "time"

// Phase is what an engine is good for right now.
type Phase string

// The phases of an engine.
const (
	Starting  Phase = "starting"  // started, not answering yet
	Ready     Phase = "ready"     // plays
	Degraded  Phase = "degraded"  // answers, yet contents fail on it: last choice
	Unhealthy Phase = "unhealthy" // runs, does not answer
	Failed    Phase = "failed"    // no longer runs, though nobody stopped it
	Stopping  Phase = "stopping"  // being stopped
)

// Kind tells which contents an engine can play.
type Kind string

// The kinds of engine.
const (
	KindUnknown  Kind = ""         // not asked yet
	KindNative   Kind = "native"   // our own: infohash, magnet link, transport file
	KindOfficial Kind = "official" // AceStream Engine: content ids too
)

// Engine is one engine as observed.
type Engine struct {
	ID     string
	Phase  Phase
	Since  time.Time // when the phase began
	Reason string    // why it is degraded, unhealthy or failed
	Kind   Kind

	Used     int       // slots claimed
	Opening  int       // of them, those whose session is still being opened
	LastUsed time.Time // the last claim or release; zero when never used
}

// idleSince returns since when an unused engine has been of no use.
func (e Engine) idleSince() time.Time {
	if e.LastUsed.After(e.Since) {
		return e.LastUsed
	}
	return e.Since
}

// Observed is all that a decision depends on, beside the policy.
type Observed struct {
	Time    time.Time
	Engines []Engine

	// CanStart says that engines can be started and stopped.
	CanStart bool
	// Starts is the kind of engine that a start brings; KindUnknown when it
	// cannot be told beforehand.
	Starts Kind
	// Serial is the highest number ever given to an engine. Numbers are not
	// reused, so that an engine id means one engine for ever.
	Serial uint64
	// StartFailures counts the starts in a row that brought no engine that
	// lasts; LastStartFailure is when the newest of them failed.
	StartFailures    int
	LastStartFailure time.Time

	// Waiting are the requests that found no slot and wait for one.
	Waiting []Request
}

// Policy is what the operator wants.
type Policy struct {
	Min int // engines kept ready
	Max int // bound on engines that exist, those being stopped included

	StreamsPerEngine int // slots of one engine
	OpensPerEngine   int // sessions being opened on one engine at the same time

	StartTimeout time.Duration // a start that takes longer has failed
	IdleTTL      time.Duration // an engine above Min unused for so long is stopped
	UnhealthyTTL time.Duration // an engine unhealthy for so long is replaced
	DegradedTTL  time.Duration // an unused engine degraded for so long is replaced

	// Backoff returns how long to wait with the next start after so many
	// failures in a row. It must be a pure function. Nil waits for nothing.
	Backoff func(failures int) time.Duration
}

// DefaultPolicy returns the policy of a small home.
func DefaultPolicy() Policy {
	return Policy{
		Min:              1,
		Max:              4,
		StreamsPerEngine: 4,
		OpensPerEngine:   2,
		StartTimeout:     time.Minute,
		IdleTTL:          5 * time.Minute,
		UnhealthyTTL:     15 * time.Second,
		DegradedTTL:      time.Minute,
	}
}

// Request is what a playback asks of the engine it is given.
type Request struct {
	// Official says that only an official engine can play the content.
	Official bool
	// Exclude lists the engines that must not be chosen, by id: those on which
	// the content has already failed.
	Exclude []string
}

// plain says that any engine will do.
func (r Request) plain() bool { return !r.Official && len(r.Exclude) == 0 }
