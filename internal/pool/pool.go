// Package pool decides how many engines there should be and which of them
// takes the next playback.
//
// It is pure: what is observed, the time included, goes in as a value and a
// decision comes out. Starting, stopping and claiming are done elsewhere. All
// functions are safe for concurrent use and keep nothing they are given.
package pool

import (
	"slices"
	"time"
)

// Phase is what an engine is good for right now.
type Phase string

// The phases of an engine.
const (
	Starting  Phase = "starting"  // started, not answering yet
	Ready     Phase = "ready"     // plays
	Degraded  Phase = "degraded"  // answers, yet contents fail on it: last choice
	Unhealthy Phase = "unhealthy" // runs, does not answer
	Failed    Phase = "failed"    // no longer runs, though nobody stopped it
	Cleaning  Phase = "cleaning"  // unused; its cache is being emptied, then it is ready again
	Draining  Phase = "draining"  // takes no new playbacks; those it has move elsewhere
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

	// Leave is how it leaves the pool; its zero value is that it stays. It is
	// set while the phase is Draining.
	Leave Leave
	// Wear is what there is to know of its age.
	Wear Wear
}

// Leave says how an engine that is being emptied leaves the pool.
type Leave struct {
	Cause  Cause  // why
	Reason string // the same in one phrase for a person
	// Remove says that it is stopped once it is empty. Otherwise it is out of
	// service until somebody says what becomes of it.
	Remove bool
	// By is when it is stopped even though it is not empty; zero for never.
	By time.Time
}

// Wear is what time does to an engine.
type Wear struct {
	StartedAt time.Time // zero when not known
	// Outdated says what a start would do otherwise today; "" when nothing.
	Outdated string
	// Leftover says what it was found doing though nobody plays anything on it;
	// "" when nothing. Sessions of an earlier process are what it may be.
	Leftover    string
	Memory      int64 // bytes in use; negative when not known
	MemoryLimit int64 // bytes that it may use; 0 without a limit
	Cache       int64 // bytes of its cache; negative when not known
	// MeasuredAt is when Memory and Cache were measured.
	MeasuredAt time.Time
	// Cleanable says that its cache can be emptied while it runs; CleanedAt is
	// when that was last tried, zero for never.
	Cleanable bool
	CleanedAt time.Time
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
	// Unready says why a start would bring no engine now; none is planned then.
	Unready string
	// Starts is the kind of engine that a start brings; KindUnknown when it
	// cannot be told beforehand.
	Starts Kind
	// Serial is the highest number ever given to an engine. Numbers are not
	// reused, so that an engine id means one engine for ever.
	Serial uint64
	// Failures are the starts that brought no engine that lasts, by what went
	// wrong. A start that lasts ends them all.
	Failures []Failure
	// Peak is how many engines were wanted at most of late: demand that comes and
	// goes does not make engines come and go. See [Peaks].
	Peak int
	// GrownAt is when an engine was last started; zero for never.
	GrownAt time.Time

	// Waiting are the requests that found no slot and wait for one.
	Waiting []Request
	// Wishes are what people asked for.
	Wishes Wishes
}

// Failure is what is known of starts that failed in one way.
type Failure struct {
	Cause  string    // what went wrong, one word
	Reason string    // the newest in the words of whoever failed
	Count  int       // in a row
	Last   time.Time // the newest
}

// Wishes are what people asked for, beyond the policy.
type Wishes struct {
	// Paused says that nothing is started or stopped but what people ask for.
	Paused bool
	// Scaled says that there shall be Scale engines, whatever the demand.
	Scaled bool
	Scale  int
	// Starts is how many engines shall be started beyond what is needed.
	Starts int
}

// Policy is what the operator wants.
type Policy struct {
	Min int // engines kept ready
	Max int // bound on engines that exist, those being stopped included

	// Spare is how many slots are kept free and ready; LookAhead is the same
	// while somebody plays. The greater of the two counts.
	Spare, LookAhead int

	StreamsPerEngine int // slots of one engine
	OpensPerEngine   int // sessions being opened on one engine at the same time

	StartTimeout time.Duration // a start that takes longer has failed
	DrainTimeout time.Duration // an engine that a person removes may keep its streams for so long; 0 for ever
	IdleTTL      time.Duration // an engine above Min unused for so long is stopped
	Cooldown     time.Duration // nothing is stopped for being idle for so long after a start
	UnhealthyTTL time.Duration // an engine unhealthy for so long is replaced
	DegradedTTL  time.Duration // an unused engine degraded for so long is replaced

	MaxAge    time.Duration // an unused engine that old is replaced; 0 at no age
	MaxMemory int64         // an unused engine with that many bytes in use is replaced; 0 never
	MaxCache  int64         // an unused engine with a cache of that many bytes is cleaned or replaced; 0 never

	// Backoff returns how long to wait with the next start after so many
	// failures in a row. It must be a pure function. Nil waits for nothing.
	Backoff func(failures int) time.Duration
}

// DefaultPolicy returns the policy of a small home, without a limit to age,
// memory and caches.
func DefaultPolicy() Policy {
	return Policy{
		Min:              1,
		Max:              4,
		StreamsPerEngine: 4,
		OpensPerEngine:   2,
		StartTimeout:     time.Minute,
		DrainTimeout:     5 * time.Minute,
		IdleTTL:          5 * time.Minute,
		Cooldown:         time.Minute,
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
	// Only names the one engine that will do; empty where any may.
	Only string
}

// plain says that any engine will do.
func (r Request) plain() bool { return !r.Official && len(r.Exclude) == 0 && r.Only == "" }

// rejects says that the request is not for the engine.
func (r Request) rejects(id string) bool {
	return r.Only != "" && r.Only != id || slices.Contains(r.Exclude, id)
}
