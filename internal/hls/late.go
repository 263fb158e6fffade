package hls

import (
	"slices"
	"sync"
	"time"
)

// leastSegments is how many segments a client is given to begin with: it plays the
// first of them then, as clients begin three from the end.
const leastSegments = 3

// Late is the playlist as it was some time ago, for a client that watches
// behind live: a live playlist that ends so much earlier, and goes on at the pace of the
// clock. Every client begins at its place in it without knowing of anything but live
// playlists. It lists all from there on that can still be had, so that one
// that was paused finds its place again. It is safe for concurrent use.
type Late struct {
	list *Playlist

	mu    sync.Mutex // guards what follows; taken before that of list
	first int64      // media sequence number of the first segment listed
	moved bool       // that has been another one
	edge  int64      // time up to which segments are listed at since
	since time.Time  // zero until the playlist was shown first
}

// Late returns the playlist from the segment on that has the byte at position pos, or
// from the oldest one.
func (p *Playlist) Late(pos int64) *Late {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all()
	i := 0
	for i+1 < len(all) && all[i+1].from <= pos {
		i++
	}
	// A client needs something to begin with.
	i = max(0, min(i, len(all)-leastSegments))
	l := &Late{list: p, first: p.next}
	if i < len(all) {
		l.first = all[i].msn
	}
	return l
}

// all returns the complete segments, oldest first. The caller holds mu.
func (p *Playlist) all() []*segment {
	all := slices.Grow([]*segment(nil), len(p.archive)+len(p.retired)+len(p.segments))
	all = append(all, p.archive...)
	for _, r := range p.retired {
		all = append(all, r.segment)
	}
	for _, s := range p.segments {
		if s.closed {
			all = append(all, s)
		}
	}
	return all
}

// Text returns the playlist as it is to be at now.
func (l *Late) Text(now time.Time) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.list
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freeze()
	all := p.all()
	if len(all) > 0 && all[0].msn > l.first { // what is older cannot be had any more
		l.first, l.moved = all[0].msn, true
	}
	all = all[min(len(all), max(0, int(l.first-p.oldest(all)))):]
	n := l.listed(all, now)
	text := p.renderHead(false, all[:n])
	for _, s := range all[:n] {
		if s.discontinuity {
			text = append(text, "#EXT-X-DISCONTINUITY\n"...)
		}
		text = s.renderDate(text)
		text = s.renderURI(text)
	}
	if p.ended && n == len(all) {
		text = append(text, "#EXT-X-ENDLIST\n"...)
	}
	return text
}

// oldest returns the media sequence number of the first of all, which may be none. The
// caller holds mu.
func (p *Playlist) oldest(all []*segment) int64 {
	if len(all) == 0 {
		return p.next
	}
	return all[0].msn
}

// listed returns how many of the segments are listed at now. At least there must be enough to begin with
// and, once segments have left the playlist, three target durations (RFC 8216
// section 6.2.2). The caller holds both mu.
func (l *Late) listed(segments []*segment, now time.Time) (n int) {
	edge := l.edge + ticks(now.Sub(l.since))
	least := int64(0)
	if l.moved {
		least = leastTargets * l.list.target
	}
	sum, last := int64(0), int64(0)
	for _, s := range segments {
		if end := s.at + s.duration; n >= leastSegments && sum >= least && (l.since.IsZero() || end > edge) {
			break
		}
		n++
		sum += s.duration
		last = s.at + s.duration
	}
	if l.since.IsZero() || last > edge {
		l.edge, l.since = last, now
	}
	return n
}
