package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Op is what an action does.
type Op string

// The operations. Both are idempotent: done twice, they change nothing more.
const (
	Start Op = "start" // bring the engine of that id into existence
	Stop  Op = "stop"  // end the engine of that id
)

// Cause is why an action is taken: one word, fit for a metric's label.
type Cause string

// The causes of starts and stops.
const (
	BelowMin      Cause = "below_min"     // start: fewer than Policy.Min are fit
	Demand        Cause = "demand"        // start: requests wait for a slot
	Died          Cause = "died"          // stop: it ended by itself, collect it
	StartTimedOut Cause = "start_timeout" // stop: it never became ready
	NotAnswering  Cause = "not_answering" // stop: unhealthy for too long
	NotPlaying    Cause = "not_playing"   // stop: degraded and unused
	Idle          Cause = "idle"          // stop: not needed any more
	AboveMax      Cause = "above_max"     // stop: more than Policy.Max exist
)

// Action is one step of a plan.
type Action struct {
	Op     Op
	ID     string // the engine
	Cause  Cause
	Reason string // why, in one phrase for a person
}

// String returns the action as a line of a plan.
func (a Action) String() string {
	return fmt.Sprintf("%s %s: %s", a.Op, a.ID, a.Reason)
}

// Plan returns what is to be done to bring the pool from what was observed to
// what the policy asks for; nothing when it is there. Stops come before starts.
//
// Doing a plan, or any part of it, and planning again leads to the same end as
// doing it once: plans are made anew from every observation and never kept.
//
// What holds of every plan: starts never bring the number of engines above
// Max; an engine in use is stopped only when it does not play any more; and
// while no more than Max exist, no ready engine is stopped that leaves fewer
// than Min ready.
func Plan(o Observed, p Policy) []Action {
	if !o.CanStart {
		return nil
	}
	waitUntil := time.Time{}
	if o.StartFailures > 0 && p.Backoff != nil {
		waitUntil = o.LastStartFailure.Add(p.Backoff(o.StartFailures))
	}
	mayStart := !o.Time.Before(waitUntil)

	stops, rest := hopeless(o, p, mayStart)
	plan := slices.Concat(stops, unneeded(o, p, rest))
	if mayStart {
		plan = append(plan, starts(o, p, rest)...)
	}
	return plan
}

// hopeless returns the stops of engines that are beyond help, and the engines
// that remain.
func hopeless(o Observed, p Policy, mayStart bool) (stops []Action, rest []Engine) {
	count := make(map[Phase]int)
	for _, e := range o.Engines {
		count[e.Phase]++
		age := o.Time.Sub(e.Since)
		stop := func(c Cause, format string, args ...any) {
			stops = append(stops, Action{Stop, e.ID, c, fmt.Sprintf(format, args...)})
		}
		switch {
		case e.Phase == Failed:
			stop(Died, "it ended by itself: %s", cmp.Or(e.Reason, "no reason is known"))
		case e.Phase == Starting && age >= p.StartTimeout:
			stop(StartTimedOut, "it was not ready %s after its start", seconds(age))
		case e.Phase == Unhealthy && age >= p.UnhealthyTTL:
			stop(NotAnswering, "it has been unhealthy for %s: %s", seconds(age), e.Reason)
		default:
			rest = append(rest, e)
		}
	}

	// A degraded engine still plays some contents, so it goes only when enough
	// others are ready. Where there is no room to start its replacement beside
	// it, it goes first, one engine at a time.
	enough := count[Ready] >= p.Min
	makeRoom := mayStart && len(rest) >= p.Max && count[Starting]+count[Stopping] == 0
	rest = slices.DeleteFunc(rest, func(e Engine) bool {
		if e.Phase != Degraded || !enough && !makeRoom || idleFor(e, o.Time) < p.DegradedTTL {
			return false
		}
		makeRoom = false
		stops = append(stops, Action{
			Stop, e.ID, NotPlaying,
			fmt.Sprintf("it is unused and was degraded %s ago: %s", seconds(o.Time.Sub(e.Since)), e.Reason),
		})
		return true
	})
	return stops, rest
}

// unneeded returns the stops of engines that nothing is asked of: those above
// Max at once, those above Min when they have been idle for long enough.
func unneeded(o Observed, p Policy, rest []Engine) []Action {
	spare, over := -p.Min, -p.Max
	var idle []Engine
	for _, e := range rest {
		if e.Phase == Stopping {
			continue
		}
		over++
		if e.Phase == Ready {
			spare++
		}
		if e.Used == 0 {
			idle = append(idle, e)
		}
	}
	slices.SortFunc(idle, func(a, b Engine) int {
		return cmp.Or(
			cmp.Compare(usefulness(a.Phase), usefulness(b.Phase)),
			a.idleSince().Compare(b.idleSince()),
			cmp.Compare(a.ID, b.ID),
		)
	})

	var stops []Action
	for _, e := range idle {
		age := idleFor(e, o.Time)
		switch {
		case over > 0:
			stops = append(stops, Action{Stop, e.ID, AboveMax, fmt.Sprintf("more than %d engines exist and it is unused", p.Max)})
			over--
		case e.Phase == Ready && spare > 0 && len(o.Waiting) == 0 && age >= p.IdleTTL:
			stops = append(stops, Action{Stop, e.ID, Idle, fmt.Sprintf("it has been unused for %s and %d ready engines are enough", seconds(age), p.Min)})
		default:
			continue
		}
		if e.Phase == Ready {
			spare--
		}
	}
	return stops
}

// starts returns the starts that bring the fit engines of rest to the number
// that is wanted, within Max.
func starts(o Observed, p Policy, rest []Engine) []Action {
	fit := 0
	var serving []Engine
	for _, e := range rest {
		switch e.Phase {
		case Starting, Ready:
			fit++
			serving = append(serving, e)
		case Degraded:
			serving = append(serving, e)
		}
	}
	below := max(0, p.Min-fit)
	missing := unplaced(o, p, serving)
	grow := (missing + p.StreamsPerEngine - 1) / max(1, p.StreamsPerEngine)

	// Engines that this plan stops exist until they are gone.
	room := max(0, p.Max-len(o.Engines))
	serial := highest(o)
	var plan []Action
	for n := range min(room, max(below, grow)) {
		a := Action{Op: Start, ID: idPrefix + strconv.FormatUint(serial+uint64(n)+1, 10)}
		if n < below {
			a.Cause, a.Reason = BelowMin, fmt.Sprintf("%d of at least %d engines are fit", fit, p.Min)
		} else {
			a.Cause, a.Reason = Demand, fmt.Sprintf("%d requests wait for a slot", missing)
		}
		plan = append(plan, a)
	}
	return plan
}

// usefulness orders phases: the least useful are given up first.
func usefulness(p Phase) int {
	return slices.Index([]Phase{Failed, Unhealthy, Degraded, Starting, Ready}, p)
}

// idPrefix begins the id of every engine that a plan starts.
const idPrefix = "engine-"

// Number returns the number in an id that a plan gave, 0 for other ids.
func Number(id string) uint64 {
	digits, ok := strings.CutPrefix(id, idPrefix)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// highest returns the highest number ever given to an engine.
func highest(o Observed) uint64 {
	n := o.Serial
	for _, e := range o.Engines {
		n = max(n, Number(e.ID))
	}
	return n
}

func seconds(d time.Duration) time.Duration { return d.Round(time.Second) }
