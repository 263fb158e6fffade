package hls

import (
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// A Segmenter cuts a transport stream into segments and parts, and adds them to
// its [Playlist].
//
// Every cut lies before a PES packet of the video, or of the audio where there is no
// video, so that parts hold whole pictures; durations are the differences of decoding
// time stamps there. A segment begins with the program tables and, unless the
// stream broke or has had no random access point for a whole target duration,
// with a random access point. The bytes of all parts, one after the other, are the bytes fed from the
// first random access point on, but for the tables put before each segment.
//
// The stream breaks where its own packets say so: by the discontinuity_indicator
// on the PID of the clock, by a jump of clock references or time stamps, by other
// elementary streams in the program map table; and where the bytes fed leave a gap,
// or begin anew with clocks that go on ([Segmenter.Start]). A segment ends there, and
// the next one is marked as discontinuous.
//
// A Segmenter is for one goroutine.
type Segmenter struct {
	cfg     Config
	list    *Playlist
	scanner *mpegts.Scanner
	offset  int64 // what to add to the scanner's positions to get the stream's
	now     time.Time

	program program
	line    timeline
	backlog backlog
	picture picture // the last one, not yet placed in a part
	held    bool    // there is one

	begun    bool // a segment has been opened before
	open     bool // a segment is open
	broken   bool // the stream broke behind what was cut last
	jumpDue  bool // the break was noticed before the clock reference that shows it
	segment  int64
	part     int64 // time at which the open part begins
	preface  []byte
	access   int64 // time of the last random access point
	accesses bool  // there is one on this time line
	apart    int64 // distance of the last two random access points
	wall     time.Time
	wallAt   int64 // the time that wall belongs to
}

// A program is what must not change within a segment.
type program struct {
	known   bool
	pmt     uint16
	clock   uint16
	primary uint16 // the stream that is cut
	streams []mpegts.ElementaryStream
}

// A picture is the beginning of a PES packet of the stream that is cut.
type picture struct {
	pos     int64
	at      int64
	access  bool   // a decoder can start here
	preface []byte // the program tables in force
}

// NewSegmenter returns a Segmenter that adds to list. [Segmenter.Start] must come first.
func NewSegmenter(list *Playlist) *Segmenter {
	return &Segmenter{cfg: list.cfg, list: list, scanner: mpegts.NewScanner()}
}

// Start tells that the bytes fed next are those at position pos of the stream. preface
// holds the program tables in force there, as packets; it may be empty. date is
// when those bytes were sent. Where something was fed before, the stream breaks.
func (s *Segmenter) Start(pos int64, preface []byte, date time.Time) {
	s.now = date
	s.breakAt(s.scanner.Pos())
	s.scanner.Break()
	for p := range slices.Chunk(preface, mpegts.PacketSize) {
		s.scanner.Scan(p)
	}
	s.look(s.scanner.Pos())
	s.backlog.restart(s.scanner.Pos())
	s.offset = pos - s.scanner.Pos()
}

// Feed takes the next packets, whole ones, which arrived at now. They are kept
// and must never change.
func (s *Segmenter) Feed(now time.Time, packets []byte) {
	s.now = now
	s.backlog.add(packets)
	for p := range slices.Chunk(packets, mpegts.PacketSize) {
		s.packet(mpegts.Packet(p))
	}
	s.bound()
	s.list.expire(now)
}

// maxBacklog bounds what is kept while there is nothing to cut at: no picture, or
// none that a decoder could begin with.
const maxBacklog = 16 << 20

// bound keeps the backlog from growing without end.
func (s *Segmenter) bound() {
	pos := s.scanner.Pos()
	if pos-s.backlog.from <= maxBacklog {
		return
	}
	s.breakAt(pos)
	s.backlog.restart(pos)
}

// Close ends the playlist with what is left.
func (s *Segmenter) Close() {
	s.breakAt(s.scanner.Pos())
	s.list.end()
}

// packet takes one packet.
func (s *Segmenter) packet(p mpegts.Packet) {
	pos := s.scanner.Pos()
	points := s.scanner.Scan(p)
	if len(points) > 0 && s.held && points[0].Pos == s.picture.pos {
		s.picture.access, s.picture.preface = true, points[0].Preface
		points = points[1:]
	}
	if p.Errored() {
		return
	}
	pid := p.PID()
	if pid == mpegts.NullPID {
		return
	}
	if pid == mpegts.PATPID || pid == s.program.pmt || !s.program.known {
		s.look(pos)
	}
	if !s.program.known {
		return
	}
	if pid == s.program.clock {
		s.clock(p, pos)
	}
	here := len(points) > 0 && points[len(points)-1].Pos == pos
	if pid == s.program.primary && p.UnitStart() || here {
		s.begin(p, pos)
	}
	if here {
		s.picture.access, s.picture.preface = true, points[len(points)-1].Preface
	}
}

// look notes which program there is, after tables have come.
func (s *Segmenter) look(pos int64) {
	info, ok := s.scanner.Info()
	if !ok || s.program.known && s.program.pmt == info.PMTPID && s.program.clock == info.PCRPID &&
		slices.EqualFunc(s.program.streams, info.Streams, sameStream) {
		return
	}
	if s.program.known {
		s.breakAt(pos)
	}
	es, ok := info.First(mpegts.Video)
	if !ok {
		es, ok = info.First(mpegts.Audio)
	}
	if !ok {
		es.PID = mpegts.NullPID
	}
	s.program = program{known: true, pmt: info.PMTPID, clock: info.PCRPID, primary: es.PID, streams: info.Streams}
}

func sameStream(a, b mpegts.ElementaryStream) bool { return a.PID == b.PID && a.Type == b.Type }

// clock looks for breaks in a packet of the PID of the clock. A
// discontinuity_indicator announces the break, and the clock reference after
// it may show it (2.4.3.5 of ISO/IEC 13818-1): that is one break.
func (s *Segmenter) clock(p mpegts.Packet, pos int64) {
	if p.Discontinuity() && !s.jumpDue {
		s.breakAt(pos)
		s.jumpDue = true
	}
	if _, ok := p.PCR(); !ok {
		return
	}
	if jump, ok := s.scanner.LastJump(); ok && jump.Pos == pos && !s.jumpDue {
		s.breakAt(pos)
	}
	s.jumpDue = false
}

// begin takes the packet with which a picture begins, and places the picture
// before it: only now is it known how long that lasts, and whether a decoder can
// start with it.
func (s *Segmenter) begin(p mpegts.Packet, pos int64) {
	_, dts, stamped := p.PESTime()
	media := s.scanner.Time()
	var at int64
	if s.held {
		next, broken := s.line.next(dts, stamped, media, s.list.longestPicture())
		if broken {
			s.breakAt(pos)
			s.jumpDue = true // the clock reference may follow
		} else {
			s.settle(s.picture, next)
			at = next
		}
	}
	if !s.held {
		at = s.line.begin(dts, stamped, media)
	}
	s.picture, s.held = picture{pos: pos, at: at, preface: s.scanner.Preface()}, true
}

// breakAt ends the open segment before pos, where the stream breaks.
func (s *Segmenter) breakAt(pos int64) {
	if s.held {
		s.settle(s.picture, s.line.end())
		s.held = false
		s.line.finish()
	}
	if s.open {
		s.closePart(pos, s.line.at)
		s.closeSegment()
		s.broken = true
	} else if !s.begun {
		s.backlog.restart(pos)
	}
	s.accesses = false
}

// settle places a picture that lasts until end.
func (s *Segmenter) settle(f picture, end int64) {
	if f.access {
		s.measure(f.at)
	}
	switch {
	case !s.open && s.broken:
		s.openSegment(f, s.backlog.from)
	case !s.open && f.access:
		s.openSegment(f, f.pos)
	case !s.open: // nothing to begin with yet
		s.backlog.take(nil, f.pos)
	case f.at > s.segment && (f.access && s.wants(f.at-s.segment) || end-s.segment > s.list.most()):
		s.closePart(f.pos, f.at)
		s.closeSegment()
		s.openSegment(f, f.pos)
	case f.at > s.part && end-s.part > s.list.mostOfPart():
		s.closePart(f.pos, f.at)
	}
	if s.open {
		s.list.reached(end-s.segment, end-f.at, s.expected())
	}
}

// measure notes a random access point.
func (s *Segmenter) measure(at int64) {
	if s.accesses && at > s.access {
		s.apart = at - s.access
	}
	s.access, s.accesses = at, true
}

// wants tells whether a segment that lasts d is to end at a random access point
// rather than at the next one. The first segments are short, so that clients can
// begin.
func (s *Segmenter) wants(d int64) bool {
	aim := ticks(s.cfg.Segment)
	if s.list.starting() {
		return d >= min(aim, rate)
	}
	return d >= aim || d >= aim/2 && d+s.apart-aim > aim-d
}

// expected returns the longest that segments are going to be, as far as the
// distance of random access points tells.
func (s *Segmenter) expected() int64 {
	aim := ticks(s.cfg.Segment)
	if s.apart <= aim {
		return aim + s.apart/2
	}
	return s.apart
}

// openSegment begins a segment at position pos with f as its first picture.
func (s *Segmenter) openSegment(f picture, pos int64) {
	s.backlog.take(nil, pos)
	if !s.begun || s.broken {
		s.date(f.at)
	}
	s.list.open(segment{
		from: pos + s.offset, at: f.at, preface: f.preface,
		discontinuity: s.begun && s.broken, independent: f.access,
		date: s.wall.Add(duration(f.at - s.wallAt)),
	})
	s.segment, s.part, s.preface = f.at, f.at, f.preface
	s.begun, s.open, s.broken = true, true, false
}

// date ties the time line to the wall clock: to now, but never back.
func (s *Segmenter) date(at int64) {
	goesOn := s.wall.Add(duration(at - s.wallAt))
	if s.wall.IsZero() || goesOn.Before(s.now) {
		s.wall, s.wallAt = s.now, at
	}
}

// closePart ends the open part before position pos.
func (s *Segmenter) closePart(pos, at int64) {
	p := part{duration: at - s.part, end: pos + s.offset}
	if len(s.preface) > 0 {
		p.bufs = append(p.bufs, s.preface)
		s.preface = nil
	}
	p.bufs = s.backlog.take(p.bufs, pos)
	for _, b := range p.bufs {
		p.size += len(b)
	}
	s.list.add(p)
	s.part = at
}

func (s *Segmenter) closeSegment() {
	s.list.close(s.now)
	s.open = false
}
