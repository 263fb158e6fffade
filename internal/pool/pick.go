package pool

import "time"

// Refusal says why no engine fits a request.
type Refusal string

// The refusals, each with what may end it.
const (
	Fits       Refusal = ""             // an engine fits: no refusal
	NoEngines  Refusal = "no_engines"   // none that could play it is ready: wait for one
	Full       Refusal = "full"         // all slots are in use: wait for a free one
	Busy       Refusal = "busy"         // slots are free, yet too much is being opened: wait a moment
	NoOfficial Refusal = "no_official"  // a content id, and no engine here will ever play one
	AllTried   Refusal = "all_excluded" // every engine there is has been excluded
)

// Final says that waiting does not help.
func (r Refusal) Final() bool { return r == NoOfficial || r == AllTried }

// Pick returns the id of the engine that takes the request: one that is ready,
// of the right kind, not excluded, with a free slot and not too busy opening.
// Of several it takes the least loaded, of those the longest unused. A degraded
// engine is taken only when nothing better fits, and one that is to be replaced
// before that. When nothing fits, id is empty and the refusal says why.
func Pick(o Observed, p Policy, r Request) (id string, why Refusal) {
	var best *Engine
	for i := range o.Engines {
		e := &o.Engines[i]
		if p.takes(*e, r) && (best == nil || p.better(*e, *best, o.Time)) {
			best = e
		}
	}
	if best == nil {
		return "", refusal(o, p, r)
	}
	return best.ID, Fits
}

// takes says whether the request can be placed on the engine now.
func (p Policy) takes(e Engine, r Request) bool {
	return plays(e, r) && e.Used < p.StreamsPerEngine && e.Opening < p.OpensPerEngine
}

// plays says whether the engine would do for the request, had it a free slot.
func plays(e Engine, r Request) bool {
	return (e.Phase == Ready || e.Phase == Degraded) &&
		(!r.Official || e.Kind == KindOfficial) &&
		!r.rejects(e.ID)
}

// better says whether a request goes to a rather than to b, both of which take
// it. One that is to be replaced is left to empty itself.
func (p Policy) better(a, b Engine, now time.Time) bool {
	_, wornA := p.worn(a, now)
	_, wornB := p.worn(b, now)
	switch {
	case a.Phase != b.Phase:
		return a.Phase == Ready
	case wornA != wornB:
		return wornB
	case a.Used != b.Used:
		return a.Used < b.Used
	case !a.LastUsed.Equal(b.LastUsed):
		return a.LastUsed.Before(b.LastUsed)
	}
	return a.ID < b.ID
}

// refusal says why no engine takes the request.
func refusal(o Observed, p Policy, r Request) Refusal {
	if r.Official && neverOfficial(o) {
		return NoOfficial
	}
	excluded, hopeful, playing, free := 0, 0, 0, 0
	for _, e := range o.Engines {
		switch {
		case e.Phase == Failed || e.Phase == Stopping || e.Phase == Draining:
		case r.Official && e.Kind == KindNative:
		case r.rejects(e.ID):
			excluded++
		case !plays(e, r):
			hopeful++ // starting or being cleaned, or unhealthy and perhaps not for ever
		default:
			playing++
			if e.Used < p.StreamsPerEngine {
				free++
			}
		}
	}
	switch {
	case free > 0:
		return Busy
	case playing > 0:
		return Full
	case excluded > 0 && hopeful == 0:
		return AllTried
	}
	return NoEngines
}

// neverOfficial says that no engine there is, and none that could be started,
// plays content ids. As long as nothing is known of any engine it does not
// say so.
func neverOfficial(o Observed) bool {
	if o.CanStart && o.Starts != KindNative {
		return false
	}
	known := o.CanStart
	for _, e := range o.Engines {
		switch e.Kind {
		case KindNative:
			known = true
		case KindOfficial, KindUnknown:
			return false
		}
	}
	return known
}

// unplaced returns how many of the waiting requests would find no slot even if
// every engine that is starting were ready and nothing were busy opening, and
// how many slots would be free when all others had one. Requests that no
// started engine could serve do not count.
func unplaced(o Observed, p Policy, fit []Engine) (missing, left int) {
	free := make([]int, len(fit))
	total := 0
	for i, e := range fit {
		free[i] = max(0, p.StreamsPerEngine-e.Used)
		total += free[i]
	}
	plain := 0
	for _, r := range o.Waiting {
		switch {
		case r.plain():
			plain++
			continue
		case r.Official && o.Starts == KindNative, r.Only != "":
			continue // no engine that could be started would do
		}
		if i := placeFor(r, fit, free); i >= 0 {
			free[i]--
			total--
		} else {
			missing++
		}
	}
	return missing + max(0, plain-total), max(0, total-plain)
}

// placeFor returns the index of the first engine with a free slot that will do
// for the request, -1 when there is none.
func placeFor(r Request, fit []Engine, free []int) int {
	for i, e := range fit {
		if free[i] > 0 && (!r.Official || e.Kind != KindNative) && !r.rejects(e.ID) {
			return i
		}
	}
	return -1
}

// idleFor returns for how long the engine has been unused.
func idleFor(e Engine, now time.Time) time.Duration {
	if e.Used > 0 {
		return 0
	}
	return now.Sub(e.idleSince())
}
