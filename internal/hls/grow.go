package hls

import (
	"time"
)

// What a Segmenter asks of its playlist and adds to it.

// beforehand bounds segments while the target duration is not fixed yet.
const beforehand = 12 * rate

// cushion is what clients are given to begin with, over one segment: a client that plays
// from the beginning then has that long to fetch the next one.
const cushion = rate

// most returns the most that a segment may last.
func (p *Playlist) most() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.target == 0 {
		return max(beforehand, ticks(p.cfg.Segment))
	}
	return p.target
}

// mostOfPart returns the most that a part may last.
func (p *Playlist) mostOfPart() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.target == 0 {
		return ticks(p.cfg.Part)
	}
	return p.partTarget
}

// longestPicture returns the most that one picture may last: no part is shorter
// than a picture.
func (p *Playlist) longestPicture() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.target == 0 {
		return maxStep
	}
	return p.partTarget
}

// starting tells whether there is not yet enough for clients to begin with.
func (p *Playlist) starting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.started
}

// reached notes how long the open segment and its last picture last, and how
// long segments are expected to be.
func (p *Playlist) reached(segment, picture, expected int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest = max(p.longest, segment, expected)
	p.lasting = max(p.lasting, picture)
}

// open adds a segment without media.
func (p *Playlist) open(s segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.msn, s.breaks = p.next, p.breaks
	p.next++
	if s.discontinuity {
		p.breaks++
	}
	p.segments = append(p.segments, &s)
}

// add adds a part to the open segment.
func (p *Playlist) add(part part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.growing().add(part)
	p.size += part.size
	p.lasting = max(p.lasting, part.duration)
	p.notify()
}

// close completes the open segment.
func (p *Playlist) close(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.growing()
	s.closed = true
	whole := span{bytes: int64(s.size), ticks: s.duration}
	p.total.bytes += whole.bytes
	p.total.ticks += whole.ticks
	p.fastest = max(p.fastest, whole.bits())
	p.started = p.started || p.total.ticks >= ticks(p.cfg.Segment)+cushion
	p.slide(now)
	p.window = max(p.window, p.listed())
	p.notify()
}

// end closes the playlist.
func (p *Playlist) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.notify()
}

// listed returns the duration of the complete segments. The caller holds mu.
func (p *Playlist) listed() int64 {
	sum := int64(0)
	for _, s := range p.segments {
		if s.closed {
			sum += s.duration
		}
	}
	return sum
}

// slide takes segments out of the list that the window, or the memory, has no room
// for. The caller holds mu.
func (p *Playlist) slide(now time.Time) {
	least := leastTargets * max(p.target, ceil(max(p.longest, ticks(p.cfg.Segment)))*rate)
	for len(p.segments) > leastTargets {
		oldest := p.segments[0]
		full := len(p.segments) > p.cfg.Window || p.listedSize() > p.cfg.Memory
		if !full || p.listed()-oldest.duration < least {
			break
		}
		// A client may still ask for it after it has played through the longest
		// playlist that had it (RFC 8216 section 6.2.2).
		p.retired = append(p.retired, retired{oldest, now.Add(duration(oldest.duration + p.window))})
		p.segments = append(p.segments[:0:0], p.segments[1:]...)
	}
}

// listedSize returns the bytes of listed segments. The caller holds mu.
func (p *Playlist) listedSize() int {
	size := 0
	for _, s := range p.segments {
		size += s.size
	}
	return size
}

// expire archives retired segments whose time is over or whose memory is needed: it lets go of their bytes.
func (p *Playlist) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.retired) > 0 && (!now.Before(p.retired[0].until) || p.size > p.cfg.Memory) {
		s := p.retired[0].segment
		p.size -= s.size
		s.parts = nil
		p.archive = append(p.archive, s)
		p.retired = append(p.retired[:0:0], p.retired[1:]...)
	}
}

// Forget drops the archived segments that begin before position from, which is as far as the
// bytes of the stream can still be had. It must be called as that moves on: until then the archive grows.
func (p *Playlist) Forget(from int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := 0
	for k < len(p.archive) && p.archive[k].from < from {
		k++
	}
	if k > 0 {
		p.archive = append(p.archive[:0:0], p.archive[k:]...)
	}
}
