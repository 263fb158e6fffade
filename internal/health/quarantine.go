package health

import (
	"maps"
	"slices"
	"time"
)

// Quarantine keeps contents away from engines that seem to kill them: the same
// content was playing when several engines died. It is a value, changed only by
// the methods of [QuarantinePolicy], which return the new one. Its zero value
// has none.
type Quarantine struct {
	suspects map[string]suspect // by content; never changed in place
}

// suspect is a content that was playing when engines died.
type suspect struct {
	engines []string  // that died, each once
	newest  time.Time // death
}

// QuarantinePolicy says when a content is kept away, and for how long. It is a
// value, safe for concurrent use.
type QuarantinePolicy struct {
	// Deaths is how many engines must have died of it. 0 keeps nothing away.
	Deaths int
	// For is how long it is kept away after the newest death, and how long a
	// death counts.
	For time.Duration
}

// maxSuspects bounds how many contents are remembered; the oldest go first.
const maxSuspects = 1000

// Died returns q after an engine died while these contents played on it.
func (p QuarantinePolicy) Died(q Quarantine, at time.Time, engine string, contents []string) Quarantine {
	if p.Deaths == 0 || len(contents) == 0 {
		return q
	}
	suspects := make(map[string]suspect, len(q.suspects)+len(contents))
	for content, s := range q.suspects {
		if at.Sub(s.newest) < p.For {
			suspects[content] = s
		}
	}
	for _, content := range contents {
		s := suspects[content]
		if content == "" || slices.Contains(s.engines, engine) {
			continue
		}
		suspects[content] = suspect{engines: append(slices.Clone(s.engines), engine), newest: at}
	}
	for len(suspects) > maxSuspects {
		delete(suspects, slices.MinFunc(slices.Collect(maps.Keys(suspects)), func(a, b string) int {
			return suspects[a].newest.Compare(suspects[b].newest)
		}))
	}
	return Quarantine{suspects}
}

// Until returns until when the content is kept away, and how many engines died
// of it; not when it is free.
func (p QuarantinePolicy) Until(q Quarantine, at time.Time, content string) (until time.Time, deaths int, kept bool) {
	s, found := q.suspects[content]
	until = s.newest.Add(p.For)
	if !found || p.Deaths == 0 || len(s.engines) < p.Deaths || !at.Before(until) {
		return time.Time{}, 0, false
	}
	return until, len(s.engines), true
}

// List returns the contents that are kept away, ordered.
func (p QuarantinePolicy) List(q Quarantine, at time.Time) []string {
	var kept []string
	for content := range q.suspects {
		if _, _, is := p.Until(q, at, content); is {
			kept = append(kept, content)
		}
	}
	slices.Sort(kept)
	return kept
}
