package stream

import (
	"cmp"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
)

// Mark says that something is wrong with a content, as seen on engines.
type Mark struct {
	Content content.Selector
	Reason  Reason
	Since   time.Time
	Until   time.Time
	Engines []string // ids of those that showed it, the first one first; at most [sameOnEngines]
	// Settled says that it is the content's own fault: engine after engine
	// showed it. What plays is kept as it is.
	Settled bool
}

// What the reasons of marks are, for the person who asks why a content does not
// play.
var markSentences = map[Reason]string{
	reasonLoop:    "the broadcast repeats itself",
	reasonFreeze:  "the broadcast stands still",
	reasonStarved: "media comes slower than it plays, from every engine",
	reasonDry:     "the engines get no media",
}

const (
	// marksMost bounds the contents that are marked.
	marksMost = 256
	// sameOnEngines is how many engines have to show the same before it is
	// settled that it is the content. One that shows it again, in a new session,
	// settles it too: every engine that could be had was tried before it was.
	sameOnEngines = 3
)

// marks are the contents that something is wrong with. They are guarded by
// their owner's mutex; time is an input.
type marks map[content.Selector]*Mark

// note adds that an engine showed a content at fault, and tells whether it is
// settled now. Of several faults the last one stays, unless another is settled.
func (m marks) note(name content.Selector, why Reason, engineID string, now time.Time) (settled bool) {
	lasts := handlings[why].mark
	if lasts == 0 {
		return false
	}
	mark := m.get(name, now)
	if mark != nil && mark.Settled && mark.Reason != why {
		return false
	}
	if mark == nil || mark.Reason != why {
		m.makeRoom(now)
		mark = &Mark{Content: name, Reason: why, Since: now}
		m[name] = mark
	}
	mark.Until = now.Add(lasts)
	again := slices.Contains(mark.Engines, engineID)
	if !again && len(mark.Engines) < sameOnEngines {
		mark.Engines = append(slices.Clip(mark.Engines), engineID)
	}
	mark.Settled = mark.Settled || again || len(mark.Engines) == sameOnEngines
	return mark.Settled
}

// shown tells whether it is of no use to leave an engine for a fault of the
// content: it showed it before, or so many did that it is settled. What is
// seen again lasts on.
func (m marks) shown(name content.Selector, why Reason, engineID string, now time.Time) bool {
	mark := m.get(name, now)
	return mark != nil && mark.Reason == why && (mark.Settled || slices.Contains(mark.Engines, engineID)) &&
		m.note(name, why, engineID, now)
}

// get returns the mark of a content, nil if there is none.
func (m marks) get(name content.Selector, now time.Time) *Mark {
	if mark := m[name]; mark != nil && now.Before(mark.Until) {
		return mark
	}
	delete(m, name)
	return nil
}

// list returns copies of the marks in force, the newest first.
func (m marks) list(now time.Time) []Mark {
	var all []Mark
	for name := range m {
		if mark := m.get(name, now); mark != nil {
			all = append(all, *mark)
		}
	}
	slices.SortFunc(all, func(a, b Mark) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Content.Value, b.Content.Value))
	})
	return all
}

// makeRoom drops what is over and, if need be, what is over next.
func (m marks) makeRoom(now time.Time) {
	var next *Mark
	for name, mark := range m {
		if m.get(name, now) != nil && (next == nil || mark.Until.Before(next.Until)) {
			next = mark
		}
	}
	if len(m) >= marksMost {
		delete(m, next.Content)
	}
}

// Marks lists the contents that something is wrong with, the newest mark first.
func (h *Hub) Marks() []Mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks.list(time.Now())
}

// markName is the name by which a stream's content is marked: its infohash,
// where that is known. The caller holds h.mu.
func (h *Hub) markName(s *Stream) content.Selector {
	name, known := h.known.name(s.content)
	if !known {
		name = s.content
	}
	return name
}

// markOf returns the mark of a stream's content, nil if there is none.
func (h *Hub) markOf(s *Stream) *Mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mark := h.marks.get(h.markName(s), time.Now()); mark != nil {
		copied := *mark
		return &copied
	}
	return nil
}

// note marks the content of s for what an engine showed.
func (s *Stream) note(why Reason, engineID string) {
	s.judge(why, engineID, marks.note)
}

// bears tells whether s has to live with a fault of its content, as every
// engine that could be had shows it.
func (s *Stream) bears(why Reason, engineID string) bool {
	return s.judge(why, engineID, marks.shown)
}

// judge asks the marks, and tells when they settle that a fault is the
// content's own.
func (s *Stream) judge(why Reason, engineID string, ask func(marks, content.Selector, Reason, string, time.Time) bool) bool {
	now := time.Now()
	h := s.hub
	h.mu.Lock()
	name := h.markName(s)
	before := h.marks.get(name, now)
	known := before != nil && before.Reason == why && before.Settled
	settled := ask(h.marks, name, why, engineID, now)
	h.mu.Unlock()
	if settled && !known {
		s.log.Warn("engine after engine shows the same fault: it is the content's own, which plays on as it is", "reason", why)
		h.emit(Event{Kind: EventSettled, Stream: s, Engine: engineID, Reason: why})
	}
	return settled
}

// explain adds to the error of a start what is known to be wrong with the
// content.
func (s *Stream) explain(err error) error {
	mark := s.hub.markOf(s)
	if mark == nil || err == nil {
		return err
	}
	told := *asError(err)
	sentence := markSentences[mark.Reason]
	if told.Detail != "" {
		sentence = told.Detail + "; " + sentence
	}
	told.Detail = sentence
	return &told
}
