package pool

import (
	"fmt"
	"strings"
	"time"
)

// Target is how many engines there should be.
type Target struct {
	Engines int
	Reason  string // why, in one phrase for a person
}

// String returns the target as a phrase: "3 engines (5 streams, 1 slot free)".
func (t Target) String() string {
	return fmt.Sprintf("%s (%s)", count(t.Engines, "engine"), t.Reason)
}

// Size returns how many engines there should be, whatever there are: enough for
// the streams that play, the requests that wait and the slots that are to be
// free, no fewer than Min and no more than Max.
func Size(o Observed, p Policy) Target {
	if !o.CanStart {
		return Target{len(o.Engines), "they are started by somebody else"}
	}
	if o.Wishes.Scaled {
		return Target{max(0, min(o.Wishes.Scale, p.Max)), "somebody asked for as many"}
	}
	used := playing(o)
	slots := used + len(o.Waiting) + p.keepFree(o)
	needed := (slots + p.StreamsPerEngine - 1) / max(1, p.StreamsPerEngine)
	switch {
	case needed <= p.Min && p.Min <= p.Max:
		return Target{p.Min, "the minimum"}
	case needed > p.Max || p.Min > p.Max:
		return Target{p.Max, "the maximum"}
	}
	var parts []string
	part := func(n int, one string) {
		if n > 0 {
			parts = append(parts, count(n, one))
		}
	}
	part(used, "stream")
	part(len(o.Waiting), "waiting request")
	part(p.keepFree(o), "free slot")
	return Target{needed, strings.Join(parts, ", ")}
}

// Peaks remembers how many engines were wanted of late. A value, changed only
// by Note, which returns the new one.
type Peaks struct {
	// wanted has fewer and fewer engines, at later and later times, so it has
	// no more entries than there are numbers of engines. Never changed in place.
	wanted []peak
}

type peak struct {
	engines int
	at      time.Time // the last
}

// Note returns r after so many engines were wanted, without what is more than
// window ago.
func (r Peaks) Note(at time.Time, engines int, window time.Duration) Peaks {
	var wanted []peak
	for _, p := range r.wanted {
		if p.engines > engines && at.Sub(p.at) < window {
			wanted = append(wanted, p)
		}
	}
	return Peaks{append(wanted, peak{engines, at})}
}

// Most returns the most engines that were wanted.
func (r Peaks) Most() int {
	if len(r.wanted) == 0 {
		return 0
	}
	return r.wanted[0].engines
}

// playing returns how many slots are used.
func playing(o Observed) int {
	n := 0
	for i := range o.Engines {
		n += o.Engines[i].Used
	}
	return n
}

// keepFree returns how many slots are to be free and ready.
func (p Policy) keepFree(o Observed) int {
	if playing(o)+len(o.Waiting) > 0 {
		return max(p.Spare, p.LookAhead)
	}
	return p.Spare
}

// lacking returns how many engines lack to the minimum, and how many to what is
// demanded.
func (pl *planner) lacking() (below, grow int) {
	o, p := pl.o, pl.p
	fit, degraded := 0, 0
	var serving []Engine
	for _, e := range pl.rest {
		if pl.isOut(e) {
			continue
		}
		switch e.Phase {
		case Starting, Ready, Cleaning:
			fit++
			serving = append(serving, e)
		case Degraded:
			degraded += max(0, p.StreamsPerEngine-e.Used)
			serving = append(serving, e)
		}
	}
	below = max(0, p.Min-fit)
	if o.Wishes.Scaled {
		return below, 0
	}
	missing, left := unplaced(o, p, serving)
	missing += max(0, p.keepFree(o)-max(0, left-degraded))
	if pl.out != nil && pl.out.Phase != Draining {
		// Its streams will move: a slot must be free for each.
		missing += max(0, pl.out.Used-len(o.Waiting)-left)
	}
	return below, (missing + p.StreamsPerEngine - 1) / max(1, p.StreamsPerEngine)
}

func seconds(d time.Duration) time.Duration { return d.Round(time.Second) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// count says how many things of one kind there are.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// size says a size in the unit that people know it by.
func size(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
