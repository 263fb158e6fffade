package upstream

import (
	"github.com/acequia-tv/acequia/internal/mpegts"
)

// heldMost bounds what a [Seam] keeps of a new source while it looks for the
// place to join: at 50 Mbit/s more than a second, at 5 Mbit/s thirteen.
const heldMost = 8 << 20

// lookSize is how many bytes are looked at in one go, so that the place from
// which on viewers have not seen the source is known as closely.
const lookSize = 348 * mpegts.PacketSize

// Seam joins a new source to an old one. Where the two overlap it goes on with
// the very packet that the old source would have sent next. Where they do not,
// it goes on at the first random access point that viewers have not seen, with
// the tables before it. [mpegts.Retimer] then makes the clocks and counters of
// the new source go on where those of the old one stopped.
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
}

// NewSeam returns the seam to a source whose last packets are tail, at most
// [TailSize] bytes.
func NewSeam(tail []byte) *Seam {
	return &Seam{splicer: NewSplicer(tail), scanner: mpegts.NewScanner(), fresh: -1}
}

// Feed takes the next packets of the new source and returns those to send,
// none while the seam is not reached, and all once it is. The result is valid
// as long as packets, and may share its memory.
func (s *Seam) Feed(packets []byte) []byte {
	for !s.joined && len(packets) > 0 {
		n := min(len(packets), lookSize)
		if out := s.look(packets[:n]); s.joined {
			return append(out, packets[n:]...)
		}
		packets = packets[n:]
	}
	return packets
}

func (s *Seam) look(packets []byte) []byte {
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
	s.joined = true
	s.held, s.points = nil, nil
	return out
}
