package upstream

import (
	"github.com/acequia-tv/acequia/internal/mpegts"
)

const (
	// heldMost bounds what a [Seam] keeps of a new source while it looks for
	// the place to join: at 50 Mbit/s more than a second, at 5 Mbit/s thirteen.
	heldMost = 8 << 20
	// markedFor is for how many bytes after a break the first packet of each
	// PID is marked as discontinuous. Later ones belong to tables and tracks
	// that come so seldom that nobody counts on their continuity.
	markedFor = 4 << 20
)

// Seam joins a new source to an old one. Where the two overlap it goes on with
// the very packet that the old source would have sent next. Where they do not,
// it goes on at the first random access point that viewers have not seen, with
// the tables before it and the break indicated as ISO/IEC 13818-1 says
// (2.4.3.5): decoders then reset their counters and clocks instead of
// reporting loss.
//
// A Seam is for one goroutine.
type Seam struct {
	splicer *Splicer
	scanner *mpegts.Scanner
	held    []byte // the new source's packets that may have to be sent
	heldPos int64  // position of the first of them, counted from the source's beginning
	fresh   int64  // position from which on viewers have not seen it; -1 while unknown
	points  []mpegts.RandomAccessPoint
	verdict Verdict
	joined  bool
	breaks  breaks
}

// NewSeam returns the seam to a source whose last packets are tail, at most
// [TailSize] bytes.
func NewSeam(tail []byte) *Seam {
	return &Seam{splicer: NewSplicer(tail), scanner: mpegts.NewScanner(), fresh: -1}
}

// Feed takes the next packets of the new source and returns those to send,
// none while the seam is not reached. The result is valid until the next call.
func (s *Seam) Feed(packets []byte) []byte {
	if s.joined {
		return s.breaks.mark(packets)
	}
	if s.verdict == Searching {
		rest, v := s.splicer.Feed(packets)
		if v == Joined {
			s.verdict, s.joined = Joined, true
			s.held, s.points = nil, nil
			return rest
		}
		s.verdict = v
	}
	s.hold(packets)
	if s.verdict == Missed {
		return s.enter()
	}
	return nil
}

// GiveUp ends the search for an overlap: the source is so far behind that
// viewers had better see something twice than wait for it.
func (s *Seam) GiveUp() {
	if s.verdict == Searching {
		s.verdict = Missed
	}
}

// Joined tells whether packets are coming through.
func (s *Seam) Joined() bool { return s.joined }

// Seamless tells whether the old source is continued without a break.
func (s *Seam) Seamless() bool { return s.verdict == Joined }

// Done tells whether Feed does nothing any more but pass packets on.
func (s *Seam) Done() bool { return s.joined && s.breaks.done() }

// hold keeps packets of which the place to join may be one.
func (s *Seam) hold(packets []byte) {
	end := s.heldPos + int64(len(s.held)+len(packets))
	s.points = append(s.points, s.scanner.Scan(packets)...)
	s.held = append(s.held, packets...)
	if s.fresh < 0 && s.splicer.Passed() {
		s.fresh = end - int64(len(packets))
	}
	if excess := len(s.held) - heldMost; excess > 0 {
		s.held = s.held[:copy(s.held, s.held[excess:])]
		s.heldPos += int64(excess)
	}
	// Points that were dropped, or that viewers have seen, are of no use.
	keep := s.points[:0]
	for _, p := range s.points {
		if p.Pos >= s.heldPos && (s.fresh < 0 || p.Pos >= s.fresh) {
			keep = append(keep, p)
		}
	}
	s.points = keep
}

// enter joins at the first point that is left, if there is one.
func (s *Seam) enter() []byte {
	if len(s.points) == 0 {
		return nil
	}
	at := s.points[0]
	if s.fresh < 0 {
		at = s.points[len(s.points)-1] // given up: the nearest to live
	}
	out := append([]byte(nil), at.Preface...)
	out = append(out, s.held[at.Pos-s.heldPos:]...)
	info, _ := s.scanner.Info()
	s.breaks = breaks{left: markedFor, clock: info.PCRPID}
	s.joined = true
	s.held, s.points = nil, nil
	return s.breaks.mark(out)
}

// breaks indicates a break on each PID where it first shows: a packet without
// payload that carries the discontinuity_indicator goes before it, because the
// packet itself may have no room for one. The PID of the clock has it set also
// in every packet up to its first clock reference.
type breaks struct {
	left  int    // bytes for which PIDs are still looked at
	clock uint16 // PID of the clock; 0 once its reference was marked
	seen  [0x2000 / 64]uint64
	out   []byte
}

func (b *breaks) done() bool { return b.left <= 0 }

// mark returns packets with the indications among them. The result is valid
// until the next call; packets are not changed.
func (b *breaks) mark(packets []byte) []byte {
	if b.done() {
		return packets
	}
	b.left -= len(packets)
	b.out = b.out[:0]
	for at := 0; at < len(packets); at += mpegts.PacketSize {
		p := mpegts.Packet(packets[at : at+mpegts.PacketSize])
		pid := p.PID()
		if word, bit := pid/64, uint64(1)<<(pid%64); pid != mpegts.NullPID && b.seen[word]&bit == 0 {
			b.seen[word] |= bit
			b.out = append(b.out, mpegts.DiscontinuityPacket(pid, nextCounter(p))...)
		}
		b.out = append(b.out, p...)
		if pid == b.clock && b.clock != 0 {
			mpegts.Packet(b.out[len(b.out)-mpegts.PacketSize:]).SetDiscontinuity(true)
			if _, ok := p.PCR(); ok {
				b.clock = 0
			}
		}
	}
	return b.out
}

// nextCounter is the continuity counter that the first packet with payload
// after a break has, when p is the first packet.
func nextCounter(p mpegts.Packet) uint8 {
	if p.HasPayload() {
		return p.CC()
	}
	return p.CC() + 1
}
