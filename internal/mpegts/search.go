package mpegts

const (
	// guessAfter is the media time without a random access point after which points
	// are guessed. Encoders left to themselves make key frames 250 pictures apart: 10.4 s at 24
	// pictures per second.
	guessAfter = 12 * ClockRate
	// guessBlindAfter is the same if the video cannot be read.
	guessBlindAfter = 3 * ClockRate
	// guessEvery is the distance of guesses.
	guessEvery = 2 * ClockRate
	// audioEvery is the least distance of random access points without video.
	audioEvery = ClockRate / 10
	// maxProbe bounds the part of a PES packet that is searched for its first slice. What
	// comes before it, parameter sets and messages such as captions, takes some
	// hundreds of bytes.
	maxProbe = 16 << 10
)

// A stream is the elementary stream that is searched for random access points.
type stream struct {
	pid   uint16 // NullPID if there is none
	kind  Kind
	codec Codec
}

// access is the search for random access points in the primary stream.
type access struct {
	last     int64 // media time of the last one, guess or not
	intra    int64 // media time of the last one that was accepted at sight
	hasIntra bool  // there has been one
	any      bool  // there has been any
	guessing bool  // the last one was a guess
	heard    int64 // media time at which the primary stream last began a PES packet

	open    bool // the PES packet below is undecided
	probe   probe
	buf     []byte // its beginning, if that is more than one packet's
	point   RandomAccessPoint
	tables  counters
	preface []byte // made early, as the tables have changed since
	due     bool   // if it is refused, it makes a guess
}

// table takes a packet that carries tables.
func (s *Scanner) table(p Packet, pid uint16) {
	a := &s.tables.find(pid).assembler
	a.feed(p)
	for {
		section, packets, ok := a.next()
		if !ok {
			return
		}
		if s.access.open && s.access.preface == nil {
			s.access.preface = s.tables.preface(s.access.tables)
		}
		if s.tables.take(pid, section, packets) {
			s.follow(s.tables.choose())
		}
	}
}

// follow makes p, which may be nil, the program to look at, or takes note of a change in it.
func (s *Scanner) follow(p *program) {
	primary, second, pcrPID := stream{pid: NullPID}, uint16(NullPID), uint16(NullPID)
	if p != nil {
		pcrPID = p.info.PCRPID
		es, ok := p.info.First(Video)
		audio, hasAudio := p.info.First(Audio)
		if !ok {
			es = audio
		} else if hasAudio {
			second = audio.PID
		}
		primary = stream{pid: es.PID, kind: es.Kind, codec: es.Codec}
	}
	if pcrPID != s.pcrPID {
		s.clock.stop()
	}
	if primary != s.primary {
		s.access = access{buf: s.access.buf[:0], last: s.clock.now, heard: s.clock.now}
	}
	s.tables.current = p
	s.primary, s.second, s.pcrPID = primary, second, pcrPID
	s.watch()
}

// watch sets the flags of the PIDs that matter.
func (s *Scanner) watch() {
	for _, pid := range s.marked {
		s.pids[pid] &^= watched | tabled
	}
	s.marked = append(s.marked[:0], s.primary.pid, s.second, s.pcrPID)
	for _, c := range s.tables.psi {
		s.marked = append(s.marked, c.pid)
		s.pids[c.pid] |= tabled
	}
	for _, pid := range s.marked {
		s.pids[pid] |= watched
	}
}

// counters returns the last continuity counters of the tables looked at.
func (s *Scanner) counters() (c counters) {
	if p := s.tables.current; p != nil {
		c.pat, c.pmt = uint8(s.pids[PATPID]&lastCC), uint8(s.pids[p.pid]&lastCC)
	}
	return c
}

// picture takes a packet of the primary stream.
func (s *Scanner) picture(p Packet, lost bool) {
	if p.Scrambled() {
		s.stats.Scrambled++
	}
	a := &s.access
	if a.open && (lost || p.UnitStart()) {
		s.settle(refused) // the packet ended before its first slice
	}
	switch {
	case p.UnitStart() && s.primary.kind == Audio:
		s.sound(p)
	case p.UnitStart():
		s.begin(p)
	case a.open:
		s.search(p.Payload())
	}
}

// begin starts the search of a PES packet of the primary stream.
func (s *Scanner) begin(p Packet) {
	s.clock.coast(s.pos)
	now := s.clock.now
	a := &s.access
	a.heard, a.open = now, true
	a.probe = probe{codec: s.primary.codec, randomAccess: p.RandomAccess(), pts: -1}
	a.buf, a.preface = a.buf[:0], nil
	a.point = RandomAccessPoint{Pos: s.pos, Time: now}
	a.tables = s.counters()

	wait := int64(guessAfter)
	switch {
	case a.guessing:
		wait = guessEvery
	case p.Scrambled() || !readable(s.primary.codec):
		wait = guessBlindAfter
	}
	a.due = now-a.last >= wait

	if p.Scrambled() {
		s.settle(a.probe.told())
		return
	}
	s.search(p.Payload())
}

// search takes more bytes of the PES packet.
func (s *Scanner) search(payload []byte) {
	a := &s.access
	pes := payload
	if len(a.buf) > 0 {
		a.buf = append(a.buf, payload...)
		pes = a.buf
	}
	v := a.probe.decide(pes)
	switch {
	case v != undecided:
		s.settle(v)
	case len(pes) > maxProbe:
		s.settle(a.probe.told())
	case len(a.buf) == 0:
		a.buf = append(a.buf, payload...)
	}
}

// settle ends the search of a PES packet.
func (s *Scanner) settle(v verdict) {
	a := &s.access
	a.open = false
	switch {
	case v == accepted:
		a.intra, a.hasIntra = a.point.Time, true
	case v == gradual && a.hasIntra && a.point.Time-a.intra < guessAfter:
		v = refused // there are better ones
	}
	if v == refused && !a.due {
		return
	}
	a.point.PTS, a.point.Guess = a.probe.pts, v == refused
	a.point.Preface = a.preface
	if a.preface == nil {
		a.point.Preface = s.tables.preface(a.tables)
	}
	s.report(a.point)
}

// sound takes the beginning of a PES packet of the audio of a program without video.
func (s *Scanner) sound(p Packet) {
	s.clock.coast(s.pos)
	if a := &s.access; !a.any || s.clock.now-a.last >= audioEvery {
		s.reportAt(p, false)
	}
}

// standIn takes the beginning of a PES packet of audio, which matters when the video is silent.
func (s *Scanner) standIn(p Packet) {
	s.clock.coast(s.pos)
	a := &s.access
	if s.clock.now-a.heard < guessBlindAfter || s.clock.now-a.last < guessEvery {
		return
	}
	if a.open {
		s.settle(refused) // points are reported in order
	}
	s.reportAt(p, true)
}

// reportAt reports the packet p, with which a PES packet begins.
func (s *Scanner) reportAt(p Packet, guess bool) {
	pes := probe{pts: -1}
	if !p.Scrambled() {
		pes.header(p.Payload())
	}
	s.report(RandomAccessPoint{Pos: s.pos, Time: s.clock.now, PTS: pes.pts, Preface: s.Preface(), Guess: guess})
}

// report adds a random access point to what Scan returns.
func (s *Scanner) report(p RandomAccessPoint) {
	a := &s.access
	a.last, a.any, a.guessing = p.Time, true, p.Guess
	if !p.Guess {
		s.stats.RandomAccess++
	}
	s.found = append(s.found, p)
}
