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

// The operations. All are idempotent: done twice, they change nothing more.
const (
	Start Op = "start" // bring the engine of that id into existence
	Clean Op = "clean" // empty the cache of the unused engine of that id
	Drain Op = "drain" // give the engine of that id no new playbacks, and have those it has move
	Stop  Op = "stop"  // end the engine of that id
)

// Cause is why an action is taken: one word, fit for a metric's label.
type Cause string

// The causes of actions.
const (
	BelowMin      Cause = "below_min"     // start: fewer than Policy.Min are fit
	Demand        Cause = "demand"        // start: requests wait for a slot, or soon would
	Wished        Cause = "wished"        // somebody asked for it
	Died          Cause = "died"          // stop: it ended by itself, collect it
	StartTimedOut Cause = "start_timeout" // stop: it never became ready
	NotAnswering  Cause = "not_answering" // stop: unhealthy for too long
	NotPlaying    Cause = "not_playing"   // stop: degraded and unused
	Idle          Cause = "idle"          // stop: not needed any more
	AboveMax      Cause = "above_max"     // stop: more than Policy.Max exist
	Outdated      Cause = "outdated"      // drain, stop: its settings or its program are old
	Leftover      Cause = "leftover"      // stop: it is at work though nobody plays anything on it
	TooOld        Cause = "too_old"       // stop: beyond Policy.MaxAge
	MemoryFull    Cause = "memory_full"   // stop: beyond Policy.MaxMemory
	CacheFull     Cause = "cache_full"    // clean, stop: beyond Policy.MaxCache
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

// Hold is something that is to be done, and not yet.
type Hold struct {
	Op     Op
	ID     string    // the engine; "" where it is about more than one
	Reason string    // what it waits for, in one phrase for a person
	Until  time.Time // when it will be done at the latest; zero when that is not known
}

// String returns the hold as a line of a plan.
func (h Hold) String() string {
	s := "later " + string(h.Op)
	if h.ID != "" {
		s += " " + h.ID
	}
	s += ": " + h.Reason
	if !h.Until.IsZero() {
		s += ", until " + h.Until.Format(time.TimeOnly)
	}
	return s
}

// Decision is what a plan comes to.
type Decision struct {
	Target  Target   // how many engines there should be
	Actions []Action // what is to be done now: stops before starts
	Held    []Hold   // what is to be done later
}

// planner is a plan in the making.
type planner struct {
	Decision
	o Observed
	p Policy
	// startsAt is when the next start may be made.
	startsAt time.Time
	mayStart bool
	// rest are the engines that are neither beyond help nor on their way out.
	rest []Engine
	// out is the engine whose replacement has begun; nil while there is none.
	out *Engine
}

// Plan returns what is to be done to bring the pool from what was observed to
// what the policy asks for; no actions when it is there.
//
// Doing a plan, or any part of it, and planning again leads to the same end as
// doing it once: plans are made anew from every observation and never kept.
//
// What holds of every plan: starts never bring the number of engines above
// Max; an engine that plays is not stopped unless a person wants it gone; and
// while no more than Max exist and others could be started, no ready engine is
// stopped that leaves fewer than Min ready.
func Plan(o Observed, p Policy) Decision {
	if o.Wishes.Scaled {
		p.Min = max(0, min(o.Wishes.Scale, p.Max))
	}
	pl := planner{o: o, p: p}
	pl.Target = Size(o, p)
	if !o.CanStart {
		return pl.Decision
	}
	pl.pace()
	pl.leaving()
	if o.Wishes.Paused {
		pl.hold("", "", time.Time{}, "the pool is paused")
		pl.starts(0, 0)
		return pl.Decision
	}
	pl.hopeless()
	pl.replace()
	pl.unneeded()
	pl.clean()
	pl.starts(pl.lacking())
	return pl.Decision
}

func (pl *planner) do(op Op, id string, c Cause, format string, args ...any) {
	pl.Actions = append(pl.Actions, Action{op, id, c, fmt.Sprintf(format, args...)})
}

func (pl *planner) hold(op Op, id string, until time.Time, format string, args ...any) {
	pl.Held = append(pl.Held, Hold{op, id, fmt.Sprintf(format, args...), until})
}

// pace finds out when the next start may be made.
func (pl *planner) pace() {
	reason := ""
	for _, f := range pl.o.Failures {
		if pl.p.Backoff == nil || f.Count == 0 {
			continue
		}
		if at := f.Last.Add(pl.p.Backoff(f.Count)); at.After(pl.startsAt) {
			pl.startsAt, reason = at, f.Reason
		}
	}
	pl.mayStart = !pl.o.Time.Before(pl.startsAt)
	if !pl.mayStart {
		pl.hold(Start, "", pl.startsAt, "the last start failed: %s", reason)
	}
}

// leaving stops the engines that are being emptied and are empty.
func (pl *planner) leaving() {
	for _, e := range pl.o.Engines {
		if e.Phase != Draining {
			continue
		}
		late := !e.Leave.By.IsZero() && !pl.o.Time.Before(e.Leave.By)
		switch {
		case !e.Leave.Remove:
			pl.hold(Stop, e.ID, time.Time{}, "it is out of service: %s", e.Leave.Reason)
		case e.Used == 0 || late:
			pl.do(Stop, e.ID, e.Leave.Cause, "%s", e.Leave.Reason)
		default:
			pl.hold(Stop, e.ID, e.Leave.By, "it still has %s", count(e.Used, "stream"))
		}
	}
}

// hopeless stops the engines that are beyond help.
func (pl *planner) hopeless() {
	o, p := pl.o, pl.p
	phases := make(map[Phase]int)
	for _, e := range o.Engines {
		phases[e.Phase]++
		age := o.Time.Sub(e.Since)
		switch {
		case e.Phase == Failed:
			pl.do(Stop, e.ID, Died, "it ended by itself: %s", cmp.Or(e.Reason, "no reason is known"))
		case e.Phase == Starting && age >= p.StartTimeout:
			pl.do(Stop, e.ID, StartTimedOut, "it was not ready %s after its start", seconds(age))
		case e.Phase == Unhealthy && age >= p.UnhealthyTTL:
			pl.do(Stop, e.ID, NotAnswering, "it has been unhealthy for %s: %s", seconds(age), e.Reason)
		default:
			pl.rest = append(pl.rest, e)
		}
	}

	// A degraded engine still plays some contents, so it goes only when enough
	// others are ready. Where there is no room to start its replacement beside
	// it, it goes first, one engine at a time.
	enough := phases[Ready] >= p.Min
	makeRoom := pl.mayStart && o.Unready == "" && len(pl.rest) >= p.Max && phases[Starting]+phases[Stopping]+phases[Draining] == 0
	pl.rest = slices.DeleteFunc(pl.rest, func(e Engine) bool {
		if e.Phase != Degraded || !enough && !makeRoom || idleFor(e, o.Time) < p.DegradedTTL {
			return false
		}
		makeRoom = false
		pl.do(Stop, e.ID, NotPlaying, "it is unused and was degraded %s ago: %s", seconds(o.Time.Sub(e.Since)), e.Reason)
		return true
	})
}

// unneeded stops the engines that nothing is asked of: those above Max at once,
// those above what is wanted when they have been idle for long enough.
func (pl *planner) unneeded() {
	o, p := pl.o, pl.p
	surplus, over := -max(p.Min, o.Peak), -p.Max
	if o.Wishes.Scaled {
		surplus = -p.Min
	}
	free := -p.keepFree(o)
	var idle []Engine
	for _, e := range pl.rest {
		if e.Phase == Stopping || e.Phase == Draining {
			continue
		}
		over++
		if e.Phase == Ready && !pl.isOut(e) {
			surplus++
			free += max(0, p.StreamsPerEngine-e.Used)
		}
		if e.Used == 0 && e.Phase != Cleaning {
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
	for _, e := range idle {
		counts := e.Phase == Ready && !pl.isOut(e)
		switch {
		case over > 0:
			pl.do(Stop, e.ID, AboveMax, "more than %s exist and it is unused", count(p.Max, "engine"))
			over--
		case counts && surplus > 0 && len(o.Waiting) == 0 && pl.mayGo(e, free):
		default:
			continue
		}
		if counts {
			surplus--
			free -= p.StreamsPerEngine
		}
		pl.drop(e.ID)
	}
}

// mayGo stops a ready engine that is idle and beyond the minimum if it is not
// needed; free is how many slots are free beyond those that are to be.
func (pl *planner) mayGo(e Engine, free int) bool {
	o, p := pl.o, pl.p
	age := idleFor(e, o.Time)
	quiet := later(e.idleSince().Add(p.IdleTTL), o.GrownAt.Add(p.Cooldown))
	switch {
	case o.Wishes.Scaled:
		pl.do(Stop, e.ID, Wished, "the pool is held at %s and it is unused", count(p.Min, "engine"))
	case free < p.StreamsPerEngine:
		return false
	case o.Time.Before(quiet):
		pl.hold(Stop, e.ID, quiet, "it is not needed, and has been unused for %s only", seconds(age))
		return false
	default:
		pl.do(Stop, e.ID, Idle, "it has been unused for %s, and the pool needs %s", seconds(age), pl.Target)
	}
	return true
}

// clean empties the caches that are full, of engines that nobody uses.
func (pl *planner) clean() {
	for _, e := range pl.rest {
		if e.Phase == Ready && e.Used == 0 && pl.p.cleanable(e) && !pl.isOut(e) {
			pl.do(Clean, e.ID, CacheFull, "its cache has %s, and the limit is %s", size(e.Wear.Cache), size(pl.p.MaxCache))
		}
	}
}

// starts brings the engines that lack to the minimum, to what is demanded and
// to what people ask for, within Max.
func (pl *planner) starts(below, grow int) {
	o, p := pl.o, pl.p
	n := max(below, grow) + o.Wishes.Starts
	switch {
	case n == 0 || !pl.mayStart:
		return
	case o.Unready != "":
		pl.hold(Start, "", time.Time{}, "%s", o.Unready)
		return
	}
	// Engines that this plan stops exist until they are gone.
	room := max(0, p.Max-len(o.Engines))
	if len(o.Failures) > 0 && n > 0 {
		// One engine tries whether starts work again.
		room = min(room, max(0, 1-phases(o, Starting)))
		if room < n {
			pl.hold(Start, "", time.Time{}, "%s more, once one start lasts", count(n-room, "engine"))
		}
	} else if room < n {
		pl.hold(Start, "", time.Time{}, "%s more, and there is room for %d: %d exist, at most %d may", count(n, "engine"), room, len(o.Engines), p.Max)
	}
	serial := highest(o)
	for i := range min(room, n) {
		id := idPrefix + strconv.FormatUint(serial+uint64(i)+1, 10)
		switch {
		case i < below && pl.out != nil && i == below-1:
			pl.do(Start, id, pl.outCause(), "it replaces %s", pl.out.ID)
		case i < below:
			pl.do(Start, id, BelowMin, "%s", pl.Target)
		case i < max(below, grow):
			pl.do(Start, id, Demand, "%s", pl.Target)
		default:
			pl.do(Start, id, Wished, "somebody asked for it")
		}
	}
}

// drop takes an engine out of the rest.
func (pl *planner) drop(id string) {
	pl.rest = slices.DeleteFunc(pl.rest, func(e Engine) bool { return e.ID == id })
}

// phases returns how many engines are in the phase.
func phases(o Observed, phase Phase) int {
	n := 0
	for i := range o.Engines {
		if o.Engines[i].Phase == phase {
			n++
		}
	}
	return n
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
