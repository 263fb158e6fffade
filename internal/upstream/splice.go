package upstream

import (
	"bytes"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// Verdict is how far a [Splicer] is.
type Verdict int

// The verdicts of a Splicer.
const (
	Searching Verdict = iota // the packets so far do not reach the seam
	Joined                   // the seam is found: what follows continues the old source
	Missed                   // the new source does not overlap the old one
)

const (
	// anchorPackets is how many of the old source's last packets must be found
	// again: enough that repeated tables and padding cannot be mistaken.
	anchorPackets = 32
	// anchorMedia is how many of them must carry media: a pause in the content
	// may leave padding only, so that the anchor reaches further back then.
	anchorMedia = 8
	// shortOverlap is the least that must match where the new source begins
	// inside the anchor.
	shortOverlap = 4
	// passedBy is how far the clock of the new source must be past the old
	// source's last before there is no overlap: the last clock reference lies
	// up to 100 ms before the last packet (ISO/IEC 13818-1, 2.7.2), and some
	// multiplexers are lax.
	passedBy = mpegts.ClockRate
	// sameClock is how far apart two clocks may be and still count as one.
	sameClock = 30 * 60 * mpegts.ClockRate
)

// TailSize is how many bytes of the old source a Splicer wants to see: at
// 50 Mbit/s they still span the 100 ms within which a clock reference lies.
const TailSize = 4096 * mpegts.PacketSize

// Splicer finds where a new source continues an old one. The bytes of one live
// content are the same on every engine, and a fresh session starts some
// seconds behind live: so the packets that the old source sent last come by
// again, and what follows them is what the old source would have sent next.
// Padding is not compared: relays add it and leave it out.
//
// A Splicer is for one goroutine. Its memory is bounded by [TailSize].
type Splicer struct {
	anchor  []byte // the old source's last packets
	last    []byte // the last of them
	clock   int64  // the old source's last clock reference; -1 where there is none
	pid     uint16 // of that clock
	window  []byte // the new source's last packets, less than the anchor, then those being searched
	verdict Verdict
	passed  bool // the new source's clock is past the old one's
}

// NewSplicer returns a splicer for a source whose last packets are tail: whole
// packets, at most [TailSize] of them, fewer where the source was short.
func NewSplicer(tail []byte) *Splicer {
	s := &Splicer{clock: -1}
	media := 0
	var anchor [][]byte // the last one first
	for at := len(tail) - mpegts.PacketSize; at >= 0; at -= mpegts.PacketSize {
		p := mpegts.Packet(tail[at : at+mpegts.PacketSize])
		if p.PID() == mpegts.NullPID {
			continue
		}
		if len(anchor) < anchorPackets || media < anchorMedia {
			anchor = append(anchor, p)
		}
		if carriesMedia(p) {
			media++
		}
		if pcr, ok := p.PCR(); ok && s.clock < 0 {
			s.clock, s.pid = pcr, p.PID()
		}
	}
	if media == 0 {
		s.verdict = Missed
		return s
	}
	slices.Reverse(anchor)
	s.anchor = bytes.Join(anchor, nil)
	s.last = s.anchor[len(s.anchor)-mpegts.PacketSize:]
	return s
}

// Feed looks at the next packets of the new source. With [Joined] it returns
// those that come after the seam; the caller sends them, and all that follow,
// and feeds no more. With [Missed] the caller does without an overlap.
func (s *Splicer) Feed(packets []byte) (rest []byte, v Verdict) {
	if s.verdict != Searching {
		return nil, s.verdict
	}
	for at := 0; at < len(packets); at += mpegts.PacketSize {
		p := packets[at : at+mpegts.PacketSize]
		if mpegts.Packet(p).PID() == mpegts.NullPID {
			continue
		}
		s.window = append(s.window, p...)
		if bytes.Equal(p, s.last) && s.matches(len(s.window)) {
			s.verdict = Joined
			return packets[at+mpegts.PacketSize:], Joined
		}
		if s.beyond(mpegts.Packet(p)) {
			s.verdict = Missed
			return nil, Missed
		}
	}
	if excess := len(s.window) - (len(s.anchor) - mpegts.PacketSize); excess > 0 {
		s.window = s.window[:copy(s.window, s.window[excess:])]
	}
	return nil, Searching
}

// Passed tells whether the new source has reached media that the old one never
// sent. Before that, joining anywhere would repeat what viewers have seen.
func (s *Splicer) Passed() bool { return s.passed }

// ahead returns how far the clock of packets of the new source is past the old
// one's last reference; 0 where it is not, or is another clock.
func (s *Splicer) ahead(packets []byte) time.Duration {
	var most int64
	for at := 0; at < len(packets) && s.clock >= 0; at += mpegts.PacketSize {
		p := mpegts.Packet(packets[at : at+mpegts.PacketSize])
		if pcr, ok := p.PCR(); ok && p.PID() == s.pid {
			if d := clockDifference(pcr, s.clock); d <= sameClock {
				most = max(most, d)
			}
		}
	}
	return time.Duration(most * 1000 / (mpegts.ClockRate / 1_000_000)) // ticks of 27 MHz to ns
}

// matches tells whether the packets of the window that end at end are the end
// of the anchor.
func (s *Splicer) matches(end int) bool {
	n := min(end, len(s.anchor))
	if n < len(s.anchor) && n < shortOverlap*mpegts.PacketSize {
		return false
	}
	found := s.window[end-n : end]
	if !bytes.Equal(found, s.anchor[len(s.anchor)-n:]) {
		return false
	}
	for at := 0; at < n; at += mpegts.PacketSize {
		if carriesMedia(mpegts.Packet(found[at : at+mpegts.PacketSize])) {
			return true
		}
	}
	return false
}

// beyond tells whether a packet of the new source shows that the seam cannot
// come any more: its clock is well past the old one's, or is another clock.
func (s *Splicer) beyond(p mpegts.Packet) bool {
	pcr, ok := p.PCR()
	if !ok || s.clock < 0 {
		return false
	}
	if p.PID() != s.pid {
		s.passed = true
		return true
	}
	ahead := clockDifference(pcr, s.clock)
	other := ahead > sameClock || ahead < -sameClock
	s.passed = s.passed || ahead > 0 || other
	return ahead > passedBy || other
}

// clockDifference is a - b on a clock that wraps around, in ticks of 27 MHz.
func clockDifference(a, b int64) int64 {
	d := (a - b) % mpegts.PCRModulus
	switch {
	case d > mpegts.PCRModulus/2:
		d -= mpegts.PCRModulus
	case d < -mpegts.PCRModulus/2:
		d += mpegts.PCRModulus
	}
	return d
}

// carriesMedia tells whether a packet can identify a place in a stream: not
// padding, not the tables that come by again and again.
func carriesMedia(p mpegts.Packet) bool {
	return p.PID() >= 0x20 && p.PID() != mpegts.NullPID && p.HasPayload()
}
