package hls

import (
	"errors"
	"sync"
	"time"
)

// ErrTooFar says that a client waits for what is too far in the future for it
// to have reason to.
var ErrTooFar = errors.New("hls: the playlist is far from there yet")

// leastTargets is how many target durations a playlist lists at least (RFC 8216 section 6.2.2).
const leastTargets = 3

// A Playlist is the media playlist of a live stream, with the media that it
// lists. It is safe for concurrent use: one [Segmenter] adds to it, any number of
// clients read.
type Playlist struct {
	cfg Config

	mu       sync.Mutex    // guards what follows
	changed  chan struct{} // closed at the next change
	segments []*segment    // listed, oldest first; the last one may be open
	retired  []retired     // no longer listed, still there for clients that know them
	archive  []*segment    // older than those, without their bytes
	next     int64         // media sequence number of the next segment
	breaks   int64         // discontinuities before it
	shown    bool          // clients may see it
	ended    bool
	size     int // bytes of listed and retired segments
	made     map[bool][]byte

	// The durations that are fixed with the first playlist shown, in ticks; 0
	// before.
	target     int64
	partTarget int64

	started bool  // there was enough to show
	longest int64 // segment so far, or expected
	lasting int64 // longest part or picture so far
	window  int64 // longest playlist so far
	total   span  // of all segments that were closed
	fastest int64 // highest rate of a segment, in bits per second
}

// A span is an amount of media.
type span struct{ bytes, ticks int64 }

// bits returns the rate in bits per second, rounded up.
func (s span) bits() int64 {
	if s.ticks == 0 {
		return 0
	}
	return (s.bytes*8*rate + s.ticks - 1) / s.ticks
}

// A retired segment is one that is no longer listed.
type retired struct {
	*segment
	until time.Time
}

// NewPlaylist returns an empty playlist.
func NewPlaylist(cfg Config) *Playlist {
	return &Playlist{cfg: cfg, changed: make(chan struct{}), made: make(map[bool][]byte)}
}

// Changed returns a channel that is closed when there is more: a part, a
// segment, or the end.
func (p *Playlist) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Show lets clients see the playlist as soon as it has enough for them to begin.
// Before it, what a stream has in store can be added all at once, so that the first
// client sees all of it.
func (p *Playlist) Show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = true
	p.notify()
}

// notify drops what was rendered and wakes those who wait. The caller holds mu.
func (p *Playlist) notify() {
	clear(p.made)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Target returns the target duration, 0 until the playlist was shown first.
func (p *Playlist) Target() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return duration(p.target)
}

// Ended tells whether nothing will be added any more.
func (p *Playlist) Ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// ready tells whether clients can begin. The caller holds mu.
func (p *Playlist) ready() bool {
	return p.shown && p.started || p.ended && len(p.segments) > 0
}

// Reached tells whether the playlist has what a client asks for; without
// directives, whether it has enough to begin with. The error is [ErrTooFar].
func (p *Playlist) Reached(d Directives) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return true, nil
	}
	if !p.ready() || !d.Block {
		return p.ready(), nil
	}
	last := p.next - 1 // the last complete segment
	growing := 0       // parts of the one after it
	if s := p.growing(); s != nil {
		last--
		growing = len(s.parts)
	}
	msn, part := d.MSN, d.Part
	if part >= 0 && msn <= last {
		// A part behind the last one is the first of the next segment.
		if s := p.find(msn); s == nil || part < len(s.parts) {
			return true, nil
		}
		msn, part = msn+1, 0
	}
	switch {
	case msn <= last:
		return true, nil
	case msn > last+2, part >= 0 && msn == last+1 && part > growing+p.partsAhead():
		return false, ErrTooFar
	case part < 0 || msn > last+1:
		return false, nil
	}
	return part < growing, nil
}

// partsAhead is how many parts ahead a client may ask for (section 6.2.5.2 of the second
// edition). The caller holds mu.
func (p *Playlist) partsAhead() int {
	return max(3, int(3*rate/max(p.partTarget, 1)))
}

// growing returns the open segment, nil if there is none. The caller holds mu.
func (p *Playlist) growing() *segment {
	if n := len(p.segments); n > 0 && !p.segments[n-1].closed {
		return p.segments[n-1]
	}
	return nil
}

// find returns a segment, listed, retired or archived. The caller holds mu.
func (p *Playlist) find(msn int64) *segment {
	for _, s := range p.segments {
		if s.msn == msn {
			return s
		}
	}
	for _, r := range p.retired {
		if r.msn == msn {
			return r.segment
		}
	}
	if len(p.archive) > 0 {
		if i := msn - p.archive[0].msn; i >= 0 && i < int64(len(p.archive)) {
			return p.archive[i]
		}
	}
	return nil
}

// Media returns the segment or the part of a name. Without it, due tells
// whether it is the one that clients are told to expect next: it may be there
// after the next change.
func (p *Playlist) Media(n Name) (m Media, ok, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.find(n.MSN)
	switch {
	case s != nil && n.Part < 0 && s.closed:
		return s.media(), true, false
	case s != nil && n.Part >= 0 && n.Part < len(s.parts):
		part := s.parts[n.Part]
		return Media{Bufs: part.bufs, Size: part.size, End: part.end}, true, false
	}
	return Media{}, false, !p.ended && n == p.hint()
}

// hint returns the name of the next part. The caller holds mu.
func (p *Playlist) hint() Name {
	if s := p.growing(); s != nil {
		return Name{MSN: s.msn, Part: len(s.parts)}
	}
	return Name{MSN: p.next, Part: 0}
}

// freeze fixes the durations that must not change any more once a client has
// seen them. The caller holds mu.
//
// The part target is what parts really are: as many pictures as fit into the part
// configured, which must not be much less than what is told.
func (p *Playlist) freeze() {
	if p.target == 0 {
		p.target = ceil(max(p.longest, ticks(p.cfg.Segment))) * rate
		p.partTarget = p.lasting
	}
}
