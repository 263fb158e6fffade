package stream

import (
	"errors"
	"time"

	"github.com/acequia-tv/acequia/internal/upstream"
)

// Reason says in one word why a stream moves to another engine: a
// [upstream.Failure], or one of those below. The words appear in states, events,
// metrics and logs.
type Reason string

// The reasons that are no failure of a source.
const (
	ReasonLeaving Reason = "leaving" // the engine goes: it is unhealthy, or about to be stopped
	ReasonAsked   Reason = "asked"   // a person wants it so
)

// The reasons of sources that still play, or failed.
const (
	reasonStall   = Reason(upstream.FailureStall)
	reasonLoop    = Reason(upstream.FailureLoop)
	reasonFreeze  = Reason(upstream.FailureFreeze)
	reasonStarved = Reason(upstream.FailureStarved)
	reasonDry     = Reason(upstream.FailureDry)
	reasonLost    = Reason(upstream.FailureLost)
)

var (
	errLeaving = errors.New("the engine leaves the pool")
	errAsked   = errors.New("asked to move to another engine")
)

// causes are what a source is stopped with, by the reason for which another one
// replaces it.
var causes = map[Reason]error{
	ReasonLeaving: errLeaving, ReasonAsked: errAsked,
	reasonStall: upstream.ErrStalled, reasonLoop: upstream.ErrLoop, reasonFreeze: upstream.ErrFrozen,
	reasonStarved: upstream.ErrStarved, reasonDry: upstream.ErrDry, reasonLost: upstream.ErrLost,
}

// reasonOf returns why a source that ended with err was left.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errLeaving):
		return ReasonLeaving
	case errors.Is(err, errAsked):
		return ReasonAsked
	}
	return Reason(upstream.FailureOf(err))
}

// taking is when a new source takes over from one that still plays.
type taking string

const (
	takeAtOnce   taking = "as soon as it delivers"
	takeJoined   taking = "once it goes on where the old one stopped, or the old one is lost"
	takeIfBetter taking = "if it proves better"
)

// handling is what a reason means.
type handling struct {
	take    taking
	attempt bool          // one attempt, and then again after a while; else until an engine is found
	blame   bool          // the pool is told that the engine failed
	mark    time.Duration // how long the content is marked with it; 0 is not
}

// handlings says what each reason means, for as long as the old source plays.
// Once it is lost the search goes on until an engine is found or the outage is
// too long, and who delivers takes over.
//
// A content is marked where it may be its own fault. Half an hour is what engines
// keep of a broadcast, so that a loop in it may last; what has to do with peers
// changes faster.
var handlings = map[Reason]handling{
	ReasonLeaving:  {take: takeAtOnce},
	ReasonAsked:    {take: takeAtOnce, attempt: true},
	reasonLost:     {take: takeAtOnce, attempt: true},
	reasonStall:    {take: takeJoined, blame: true},
	reasonLoop:     {take: takeJoined, mark: 10 * time.Minute},
	reasonFreeze:   {take: takeJoined, mark: 10 * time.Minute},
	reasonStarved:  {take: takeIfBetter, attempt: true, blame: true, mark: 5 * time.Minute},
	reasonDry:      {take: takeIfBetter, attempt: true, blame: true, mark: 5 * time.Minute},
	Reason("open"): {take: takeAtOnce, blame: true}, Reason("eof"): {take: takeAtOnce, blame: true},
	Reason("reset"): {take: takeAtOnce, blame: true}, Reason("garbage"): {take: takeAtOnce, blame: true},
}

const (
	// betterBy is how far ahead of a starved source another one must be to be
	// better: more than the lumps in which engines deliver.
	betterBy = time.Second
	// trialTime is how long a source may take to prove better. What it sends
	// comes with its first burst.
	trialTime = 4 * time.Second
	// fewTrials in ten minutes are [calmTime] apart; each more doubles that.
	mostCalm     = 5 * time.Minute
	trialsMemory = 10 * time.Minute
)

// calmAfter is how long no other engine is tried for a reason that may be the
// content's own, after so many trials of late: so that a stream neither goes to
// and fro between two engines that are no better, nor bothers all the others.
func calmAfter(trials int) time.Duration {
	calm := calmTime
	for range trials - 1 {
		if calm = 2 * calm; calm > mostCalm {
			return mostCalm
		}
	}
	return calm
}
