package pool

import (
	"cmp"
	"slices"
	"time"
)

// worn says whether the engine is to be replaced by one of today, and why.
func (p Policy) worn(e Engine, now time.Time) (c Cause, worn bool) {
	w := e.Wear
	switch {
	case w.Outdated != "":
		return Outdated, true
	case w.Leftover != "":
		return Leftover, true
	case p.memoryFull(w):
		return MemoryFull, true
	case p.MaxCache > 0 && w.Cache >= p.MaxCache && p.uncleanable(e):
		return CacheFull, true
	case p.MaxAge > 0 && !w.StartedAt.IsZero() && now.Sub(w.StartedAt) >= p.MaxAge:
		return TooOld, true
	}
	return "", false
}

// memoryFull says whether the engine uses so much memory that it may soon be
// ended for it.
func (p Policy) memoryFull(w Wear) bool {
	return p.MaxMemory > 0 && w.Memory >= p.MaxMemory || w.MemoryLimit > 0 && w.Memory >= w.MemoryLimit/10*9
}

// cleanable says whether cleaning the cache is due and may help.
func (p Policy) cleanable(e Engine) bool {
	return p.MaxCache > 0 && e.Wear.Cache >= p.MaxCache && e.Wear.Cleanable &&
		(e.Wear.CleanedAt.IsZero() || e.LastUsed.After(e.Wear.CleanedAt))
}

// uncleanable says whether the cache is still full where cleaning it has been
// tried, or cannot be.
func (p Policy) uncleanable(e Engine) bool {
	return !e.Wear.Cleanable ||
		!e.Wear.CleanedAt.IsZero() && !e.LastUsed.After(e.Wear.CleanedAt) && e.Wear.MeasuredAt.After(e.Wear.CleanedAt)
}

// why says why the engine is to be replaced.
func (p Policy) why(e Engine, c Cause, now time.Time) string {
	switch c {
	case Outdated:
		return e.Wear.Outdated
	case Leftover:
		return "nobody plays anything on it, yet " + e.Wear.Leftover
	case MemoryFull:
		return "it uses " + size(e.Wear.Memory) + " of memory"
	case CacheFull:
		return "its cache has " + size(e.Wear.Cache) + ", and the limit is " + size(p.MaxCache)
	default:
		return "it is " + seconds(now.Sub(e.Wear.StartedAt)).String() + " old"
	}
}

func (pl *planner) isOut(e Engine) bool { return pl.out != nil && pl.out.ID == e.ID }

func (pl *planner) outCause() Cause {
	c, _ := pl.p.worn(*pl.out, pl.o.Time)
	return c
}

// replace replaces the engines that are worn, one at a time: a new one is
// started, the streams of the old one move, and it is stopped. What is no
// more than old waits until nobody uses it.
func (pl *planner) replace() {
	candidates := pl.candidates()
	if len(candidates) == 0 {
		return
	}
	out := candidates[0]
	for _, e := range pl.o.Engines {
		if e.Phase == Stopping || e.Phase == Draining && e.Leave.Remove {
			pl.hold(Drain, out.ID, time.Time{}, "%s goes first", e.ID)
			return
		}
	}
	if len(pl.Actions) > 0 {
		pl.hold(Drain, out.ID, time.Time{}, "%s goes first", pl.Actions[0].ID) // and makes room
		return
	}
	pl.out = &out
	cause, _ := pl.p.worn(out, pl.o.Time)
	reason := pl.p.why(out, cause, pl.o.Time)

	ready, free, starting := 0, 0, 0
	for _, e := range pl.rest {
		switch {
		case e.ID == out.ID:
		case e.Phase == Ready:
			ready++
			free += max(0, pl.p.StreamsPerEngine-e.Used)
		case e.Phase == Starting:
			starting++
		}
	}
	room := len(pl.o.Engines) < pl.p.Max
	switch {
	case out.Used > free:
		pl.hold(Drain, out.ID, time.Time{}, "%s; there is no free slot for its %s to move to", reason, count(out.Used, "stream"))
	case ready >= pl.p.Min, !room && starting == 0 && pl.mayStart && pl.o.Unready == "":
		if out.Used > 0 {
			pl.do(Drain, out.ID, cause, "%s", reason)
			break
		}
		pl.do(Stop, out.ID, cause, "%s", reason)
		pl.drop(out.ID)
		pl.out = nil
	default:
		pl.hold(Drain, out.ID, time.Time{}, "%s; another engine must be ready first", reason)
	}
}

// candidates returns the engines that are to be replaced, the first first.
func (pl *planner) candidates() []Engine {
	var all []Engine
	for _, e := range pl.rest {
		c, worn := pl.p.worn(e, pl.o.Time)
		serves := e.Phase == Ready || e.Phase == Degraded && c == Outdated
		if worn && serves && (e.Used == 0 || c == Outdated) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Engine) int {
		return cmp.Or(cmp.Compare(a.Used, b.Used), a.Wear.StartedAt.Compare(b.Wear.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}
