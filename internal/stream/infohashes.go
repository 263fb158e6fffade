package stream

import (
	"github.com/acequia-tv/acequia/internal/content"
)

// infohashes remembers which infohash a content id or URL turned out to have,
// so that two names of one content meet without asking an engine. It is guarded
// by its owner's mutex.
type infohashes struct {
	of    map[content.Selector]*Name
	order []*Name                       // oldest first, for eviction
	fresh map[content.Selector]struct{} // not saved yet
	// learnt receives when there is something to save.
	learnt chan struct{}
}

// longestName bounds the names that are remembered, in bytes: 4,096 of them are
// at most 4 MiB, and mostly less than 1.
const longestName = 1 << 10

func newInfohashes() *infohashes {
	return &infohashes{
		of:     make(map[content.Selector]*Name),
		fresh:  make(map[content.Selector]struct{}),
		learnt: make(chan struct{}, 1),
	}
}

// key is the name of a content as a whole: all its files have one infohash.
func key(s content.Selector) content.Selector {
	return content.Selector{Kind: s.Kind, Value: s.Value}
}

// learn notes that an engine gave infohash for a selector.
func (m *infohashes) learn(s content.Selector, infohash string) {
	m.put(Name{Content: key(s), Infohash: infohash})
}

// mistaken notes that a content id is an infohash in truth: it played as one,
// and not as a content id.
func (m *infohashes) mistaken(s content.Selector) {
	m.put(Name{Content: key(s), Infohash: s.Value, Mistaken: true})
}

// put remembers n, and has it saved if it is news.
func (m *infohashes) put(n Name) {
	if known := m.of[n.Content]; known != nil && *known == n {
		return
	}
	if m.hold(n) {
		m.fresh[n.Content] = struct{}{}
		select {
		case m.learnt <- struct{}{}:
		default:
		}
	}
}

// hold keeps n in memory, in place of what was known and, if need be, of the
// oldest. It returns false for what is not worth keeping.
func (m *infohashes) hold(n Name) bool {
	if _, told := n.Content.Infohash(); told || n.Infohash == "" || len(n.Content.Value) > longestName {
		return false
	}
	if known := m.of[n.Content]; known != nil {
		*known = n
		return true
	}
	if len(m.order) == MostNames {
		oldest := m.order[0].Content
		delete(m.of, oldest)
		delete(m.fresh, oldest)
		m.order = m.order[1:]
	}
	m.of[n.Content] = &n
	m.order = append(m.order, &n)
	return true
}

// load adds what was saved before, as older than all that was learnt since.
func (m *infohashes) load(names []Name) {
	since := m.of
	order := m.order
	m.of, m.order = make(map[content.Selector]*Name), nil
	for _, n := range names {
		switch learnt := since[n.Content]; {
		case learnt == nil:
			m.hold(n)
		case *learnt == n:
			delete(m.fresh, n.Content)
		}
	}
	for _, n := range order {
		m.hold(*n)
	}
}

// unsaved returns what was learnt since the last call.
func (m *infohashes) unsaved() []Name {
	var names []Name
	for s := range m.fresh {
		names = append(names, *m.of[s])
	}
	clear(m.fresh)
	return names
}

// again has names saved with what is learnt next, as they were not saved.
func (m *infohashes) again(names []Name) {
	for _, n := range names {
		if m.of[n.Content] != nil {
			m.fresh[n.Content] = struct{}{}
		}
	}
}

// name returns the infohash selector of a content where it is known.
func (m *infohashes) name(s content.Selector) (content.Selector, bool) {
	ih, ok := s.Infohash()
	if n := m.of[key(s)]; !ok && n != nil {
		ih, ok = n.Infohash, true
	}
	return s.Infohashed(ih), ok
}

// best returns the selector under which a content is to be opened.
func (m *infohashes) best(s content.Selector) content.Selector {
	if n := m.of[key(s)]; n != nil && n.Mistaken {
		return s.Infohashed(s.Value)
	}
	return s
}
