package stream

import (
	"slices"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
)

// step is one attempt to play a content.
type step struct {
	as       content.Selector
	exclude  []string // engines not to try
	only     string   // the one engine to try; "" for any
	official bool     // only an official engine will do
	guess    bool     // as is a guess at what the person meant; not worth long
	again    bool     // every engine was tried; this is their second try
}

// failed is an attempt that did not play.
type failed struct {
	step   step
	engine string // id; "" when no slot was found
	err    error
}

// maxAttempts bounds the engines that one start bothers.
const maxAttempts = 4

// avoid says which engines not to try.
type avoid struct {
	failed []string // they failed this content before: when all else fails, they are worth another try
	busy   []string // they play it already, and have room for one session of it: never
	only   string   // the one engine that will do; "" for any
}

// all returns both kinds.
func (a avoid) all() []string { return slices.Concat(a.failed, a.busy) }

// nextStep decides what to try after the attempts that failed, or that nothing
// is worth trying. It is a function of its arguments alone.
//
// The rules, the first that fits:
//   - one engine was wanted and no other: stop;
//   - out of attempts, or the pool has no engine or no slot: stop;
//   - a native engine cannot play this kind of id: an official one must;
//   - every engine was tried: what may have been meant as an infohash is tried
//     as one (lists mix up the two, and engines do not); a fault that a fresh
//     session may cure gets a second try on the engines that had it; else stop;
//   - otherwise: another engine.
func nextStep(want content.Selector, not avoid, tried []failed) (step, bool) {
	last := tried[len(tried)-1]
	exclude := not.all()
	curable := len(not.failed) > 0
	var opened int
	var guessed, again, missing bool
	for _, f := range tried {
		guessed = guessed || f.step.guess
		again = again || f.step.again
		if f.engine == "" {
			continue
		}
		opened++
		exclude = append(exclude, f.engine)
		class := engine.ClassOf(f.err)
		curable = curable || cures(class)
		missing = missing || class == engine.NotFound
	}
	if last.step.only != "" {
		return step{}, false
	}
	switch code := asError(last.err).Code; {
	case opened >= maxAttempts, code == CodeClosing,
		last.engine == "" && (code == CodeFull || code == CodeNoEngine):
		return step{}, false
	case code == CodeNotNative && last.engine != "":
		return step{as: want, exclude: exclude, official: true}, true
	case code == CodeNotNative:
		return step{}, false
	case code == CodeExhausted && want.Kind == content.ContentID && missing && !guessed:
		as := want
		as.Kind = content.Infohash
		return step{as: as, exclude: not.busy, guess: true}, true
	case code == CodeExhausted && curable && !again:
		return step{as: want, exclude: not.busy, again: true}, true
	case code == CodeExhausted, last.step.guess:
		return step{}, false
	}
	return step{as: want, exclude: exclude, official: last.step.official, again: last.step.again}, true
}

// cures tells whether a fresh session on the same engine may succeed where one
// failed with class.
func cures(class engine.Class) bool {
	switch class {
	case engine.SessionLost, engine.Sick, engine.NoData, engine.Garbage, engine.Overloaded:
		return true
	}
	return false
}
