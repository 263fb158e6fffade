package stream

import (
	"github.com/acequia-tv/acequia/internal/content"
)

// infohashes remembers which infohash a content id, URL or magnet link turned
// out to have, so that two names of one content meet without asking an engine.
// It is guarded by its owner's mutex.
type infohashes struct {
	of    map[content.Selector]string
	meant map[content.Selector]bool // content ids that were meant as infohashes
	order []content.Selector        // oldest first, for eviction
}

// mostInfohashes bounds the memory of names: 4,096 selectors are under 1 MiB.
const mostInfohashes = 4096

func newInfohashes() *infohashes {
	return &infohashes{of: make(map[content.Selector]string), meant: make(map[content.Selector]bool)}
}

// learn notes that an engine gave infohash for a selector.
func (m *infohashes) learn(s content.Selector, infohash string) {
	if s.Kind == content.Infohash || infohash == "" {
		return
	}
	if _, there := m.of[s]; !there {
		if len(m.order) == mostInfohashes {
			delete(m.of, m.order[0])
			delete(m.meant, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, s)
	}
	m.of[s] = infohash
}

// name returns the infohash selector of a content where it is known.
func (m *infohashes) name(s content.Selector) (content.Selector, bool) {
	ih, ok := s.Infohash()
	if !ok {
		ih, ok = m.of[s]
	}
	return s.Infohashed(ih), ok
}

// mistaken notes that a content id is an infohash in truth: it played as one,
// and not as a content id.
func (m *infohashes) mistaken(s content.Selector) {
	m.learn(s, s.Value)
	m.meant[s] = true
}

// best returns the selector under which a content is to be opened.
func (m *infohashes) best(s content.Selector) content.Selector {
	if m.meant[s] {
		return s.Infohashed(s.Value)
	}
	return s
}
