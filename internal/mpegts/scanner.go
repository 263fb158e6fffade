package mpegts

// A RandomAccessPoint is a position at which a decoder can start.
type RandomAccessPoint struct {
	// Pos is where the packet lies with which the access unit begins, in bytes since
	// the first one scanned.
	Pos int64
	// Time is the media time there (see [Scanner.Time]).
	Time int64
	// PTS is the presentation time stamp of the access unit, modulo 2^33 ticks of
	// 90 kHz; -1 if it has none.
	PTS int64
	// Preface is what [Scanner.Preface] was there.
	Preface []byte
	// Guess reports that nothing says that a decoder can start here, but that there
	// has been no better point for long.
	Guess bool
}

// Stats counts what a [Scanner] has seen.
type Stats struct {
	Packets      int64
	Continuity   int64 // continuity counters that do not follow: packets lost, or out of place
	Errored      int64 // packets with the transport_error_indicator set
	Scrambled    int64 // packets of the stream searched for random access points that are scrambled
	Jumps        int64 // breaks of the clock
	RandomAccess int64 // random access points, without guesses
}

// A Scanner follows the packets of a transport stream and finds what a relay must
// know: the program, its media time, losses, and random access points.
//
// Of several programs it looks at the first one, in the order of the program association
// table, that has video, or else at the first one with audio. A random access point is
//
//   - with video in a codec that the Scanner can read, a PES packet whose first
//     picture is one that decoding can start with, whatever the random_access_indicator
//     says: it may be missing, or set where it should not be;
//   - with scrambled video, or in another codec, a PES packet with the indicator;
//   - without video, a PES packet of the first audio stream, at most every 100 ms of media time.
//
// Where there is none for long (12 s if the video can be read, so that no usual distance of
// key frames is taken for it, 3 s if not), the Scanner guesses, and gives the beginning of a
// PES packet every 2 s, so that viewers can still join.
//
// What it finds depends on the packets only, never on how they were cut into runs. Its memory
// is bounded whatever the packets hold. It is not safe for concurrent use.
type Scanner struct {
	pos    int64
	pids   [pidCount]pidState
	marked []uint16 // PIDs with flags watched or tabled
	stats  Stats
	clock  mediaClock
	found  []RandomAccessPoint // result of Scan

	tables  tables
	primary stream // searched for random access points
	second  uint16 // PID of the audio to fall back on when the video is silent, or NullPID
	pcrPID  uint16 // or NullPID
	pcrOff  bool   // a discontinuity was announced before the next clock reference
	access  access
}

// A pidState is what is known of one PID: the last continuity counter in the lower
// four bits, and flags.
type pidState uint8

const (
	lastCC    pidState = 0x0f
	counted   pidState = 0x10 // lastCC is valid
	duplicate pidState = 0x20 // the last packet repeated the one before
	watched   pidState = 0x40 // the packets are looked into
	tabled    pidState = 0x80 // the packets carry tables; watched is set, too
)

// NewScanner returns a Scanner whose first packet is at position 0.
func NewScanner() *Scanner {
	s := new(Scanner)
	s.tables.attend()
	s.follow(nil)
	return s
}

// Scan takes the next packets, whole ones, and returns the random access points found with
// them, in order of position. A point may lie before run, as it can take some packets to
// see what a picture is: at most the first 16 KiB of the picture. The result is valid until the next call; its
// prefaces are for good.
func (s *Scanner) Scan(run []byte) []RandomAccessPoint {
	s.found = s.found[:0]
	for ; len(run) >= PacketSize; run = run[PacketSize:] {
		s.packet(Packet(run[:PacketSize:PacketSize]))
		s.pos += PacketSize
	}
	return s.found
}

// packet looks at the packet at s.pos.
func (s *Scanner) packet(p Packet) {
	s.stats.Packets++
	if p.Errored() {
		s.stats.Errored++
		return
	}
	pid := p.PID()
	if pid == NullPID {
		return
	}
	state := &s.pids[pid]
	follows := continuous
	if cc := pidState(p.CC()); p.HasPayload() && *state&counted != 0 && cc == (*state+1)&lastCC {
		*state = *state&(watched|tabled) | counted | cc
	} else {
		follows = s.count(state, p)
	}
	if *state&watched != 0 && follows != repeated {
		s.inspect(p, pid, follows == broken)
	}
}

// A continuity says how a packet follows the one before it on its PID.
type continuity uint8

const (
	continuous continuity = iota
	repeated              // it is the same packet once more
	broken                // what is between is missing
)

// count judges the continuity counter of a packet for which it is not simply the next (2.4.3.3).
func (s *Scanner) count(state *pidState, p Packet) continuity {
	cc, last := pidState(p.CC()), *state&lastCC
	known, dup := *state&counted != 0, *state&duplicate != 0
	*state = *state&(watched|tabled) | counted | cc
	switch {
	case !known, !p.HasPayload() && cc == last:
		return continuous
	case p.Discontinuity():
		return broken
	case !p.HasPayload():
		s.stats.Continuity++
		return broken
	case cc == last && !dup:
		*state |= duplicate
		return repeated
	}
	s.stats.Continuity++
	return broken
}

// inspect looks into a packet of a PID that is watched. lost reports that packets
// before it are missing. A PID may be several things at once.
func (s *Scanner) inspect(p Packet, pid uint16, lost bool) {
	if pid == s.pcrPID {
		s.reference(p)
	}
	if !p.HasPayload() {
		return
	}
	if s.pids[pid]&tabled != 0 {
		s.table(p, pid)
	}
	if pid == s.primary.pid {
		s.picture(p, lost)
	} else if pid == s.second && p.UnitStart() {
		s.standIn(p)
	}
}

// reference takes the clock reference of a packet of the PCR PID.
func (s *Scanner) reference(p Packet) {
	s.pcrOff = s.pcrOff || p.Discontinuity()
	if pcr, ok := p.PCR(); ok {
		s.clock.tick(pcr, s.pos, s.pcrOff)
		s.pcrOff = false
	}
}

// Break tells that the next packets do not follow those scanned: continuity
// counters begin anew without an error being counted, and a jump of the clock counts as
// announced. Positions and media time go on.
func (s *Scanner) Break() {
	for i := range s.pids {
		s.pids[i] &= watched | tabled
	}
	s.access.open = false
	s.pcrOff = true
}

// Pos returns the position of the next packet: how many bytes have been scanned.
func (s *Scanner) Pos() int64 { return s.pos }

// Time returns the media time reached, in ticks of [ClockRate]. It follows the clock references of the
// program from an arbitrary beginning, never goes back, and advances over a jump of
// the clock by what the bytes in between are usually worth. Where there are no references, it
// is estimated by bytes.
func (s *Scanner) Time() int64 { return s.clock.now }

// Rate returns the bytes per second of media time, averaged over some seconds; 0 if it
// is not known yet.
func (s *Scanner) Rate() int64 { return s.clock.rate }

// LastJump returns the last break of the clock. ok is false if there has been none.
func (s *Scanner) LastJump() (j Jump, ok bool) { return s.clock.last, s.clock.jumps > 0 }

// Stats returns the counts so far.
func (s *Scanner) Stats() Stats {
	st := s.stats
	st.Jumps = s.clock.jumps
	return st
}

// Info returns the program being looked at. ok is false while none is known.
func (s *Scanner) Info() (info MediaInfo, ok bool) {
	if s.tables.current == nil {
		return MediaInfo{}, false
	}
	return s.tables.current.info, true
}

// Preface returns the packets of the program association table and of the program map table
// of the program being looked at, nil while they are not known. They are as received,
// but for the continuity counters, which lead up to the last ones scanned on their
// PIDs: sent before the packet scanned next, they let a receiver start there and see no break. The
// slice never changes; the same one is returned as long as it is right.
func (s *Scanner) Preface() []byte { return s.tables.preface(s.counters()) }
