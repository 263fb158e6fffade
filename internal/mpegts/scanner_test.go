package mpegts

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const second = ClockRate

// scanAll scans stream in runs of the given numbers of packets, over and over, and returns copies of all points.
func scanAll(s *Scanner, stream []byte, packets []int) []RandomAccessPoint {
	var points []RandomAccessPoint
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(packets) > 0 {
			n = min(n, packets[i%len(packets)]*PacketSize)
		}
		points = append(points, s.Scan(stream[:n])...)
		stream = stream[n:]
	}
	return points
}

func positions(points []RandomAccessPoint) []int64 {
	var list []int64
	for _, p := range points {
		list = append(list, p.Pos)
	}
	return list
}

// pictures appends n pictures of video at 25 per second, and audio, and returns the positions of those
// that key says are key frames. The clock begins at pcr.
func (m *mux) pictures(n int, pcr int64, key func(i int) bool) (keys []int64) {
	for i := range n {
		if i%3 == 0 {
			m.tables(0x1b)
		}
		now := (pcr + int64(i)*second/25) % PCRModulus
		data := avcInter
		if key(i) {
			data = avcKey
		}
		pos := m.pes(testVideoPID, &adaptation{pcr: now}, now/300, append(slices.Clone(data), fill(2000)...))
		if key(i) {
			keys = append(keys, pos)
		}
		m.pes(testAudioPID, nil, now/300, fill(300))
	}
	return keys
}

// late appends a key frame that is told to be one only some packets after its first, and returns its position.
func (m *mux) late() (pos int64) {
	message := append([]byte{0x06, 4, 0xff, 0xff, 0x5a}, fill(600)...)
	return m.pes(testVideoPID, nil, 1, units(avcAny, avcSPS, avcPPS, message, avcIDR))
}

func every(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }
func never(int) bool             { return false }

func TestRandomAccessPoints(t *testing.T) {
	t.Parallel()
	m := newMux()
	want := m.pictures(100, 7*second, every(25))
	s := NewScanner()
	got := scanAll(s, m.out, nil)
	if diff := cmp.Diff(want, positions(got)); diff != "" {
		t.Fatalf("positions (-want +got):\n%s", diff)
	}
	for i, p := range got {
		if pts := (7*second + int64(i)*second) / 300; p.PTS != pts || p.Guess {
			t.Errorf("point %d: PTS %d, guess %v, want %d", i, p.PTS, p.Guess, pts)
		}
		if i > 0 && p.Time-got[i-1].Time != second {
			t.Errorf("point %d is %d ticks behind the one before, want one second", i, p.Time-got[i-1].Time)
		}
		// The tables come before every third picture, so those at 25 and 50 are not right behind them.
		before := NewScanner()
		before.Scan(m.out[:p.Pos])
		if !slices.Equal(p.Preface, before.Preface()) {
			t.Errorf("point %d: preface is not the one of the packets before it", i)
		}
	}
	st := s.Stats()
	if want := (Stats{Packets: int64(len(m.out) / PacketSize), RandomAccess: 4}); st != want {
		t.Errorf("stats %+v, want %+v", st, want)
	}
	if s.Pos() != int64(len(m.out)) {
		t.Errorf("position %d, want %d", s.Pos(), len(m.out))
	}
	if rate := float64(len(m.out)) / 4; float64(s.Rate()) < rate*0.95 || float64(s.Rate()) > rate*1.05 {
		t.Errorf("rate %d, want about %.0f", s.Rate(), rate)
	}
}

// TestPointBeforeRun has a picture told to be a key frame only some packets after its first one.
func TestPointBeforeRun(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	pos := m.late()
	s := NewScanner()
	head := int(pos) + PacketSize
	if got := s.Scan(m.out[:head]); len(got) != 0 {
		t.Fatalf("first packet alone: %+v", got)
	}
	before := NewScanner()
	before.Scan(m.out[:pos])
	want := before.Preface()
	// Tables with other counters and contents come in between, and must not show in the preface.
	between := newMux()
	between.cc[PATPID], between.cc[testPMTPID] = 1, 1
	between.section(PATPID, patSection(0, testProgram, testPMTPID))
	between.section(testPMTPID, pmtSection(testProgram, 1, testVideoPID, es{typ: 0x1b, pid: testVideoPID}))
	got := s.Scan(slices.Concat(between.out, m.out[head:]))
	if len(got) != 1 || got[0].Pos != pos || !slices.Equal(got[0].Preface, want) {
		t.Fatalf("points %+v, want one at %d", positions(got), pos)
	}
}

func TestPictureOfLostPackets(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	pos := m.late()
	torn := slices.Concat(m.out[:pos+PacketSize], m.out[pos+2*PacketSize:])
	s := NewScanner()
	if got := s.Scan(torn); len(got) != 0 {
		t.Errorf("points in a picture of which a packet is missing: %v", positions(got))
	}
	if got := s.Stats().Continuity; got != 1 {
		t.Errorf("%d continuity errors, want 1", got)
	}
}

func TestEndlessHeader(t *testing.T) {
	t.Parallel()
	for _, indicator := range []bool{false, true} {
		m := newMux()
		m.tables(0x1b)
		pos := m.pes(testVideoPID, &adaptation{randomAccess: indicator, pcr: -1}, 1, append(units(avcAny, avcSPS, avcPPS), fill(2*maxProbe)...))
		s := NewScanner()
		got := positions(scanAll(s, m.out, []int{7}))
		if want := []int64{pos}; indicator && !slices.Equal(got, want) || !indicator && got != nil {
			t.Errorf("with indicator %v: %v", indicator, got)
		}
		if cap(s.access.buf) > 2*maxProbe {
			t.Errorf("%d bytes kept of a picture", cap(s.access.buf))
		}
	}
}

func TestContinuity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(p []Packet) []Packet
		want int64
	}{
		{"whole", func(p []Packet) []Packet { return p }, 0},
		{"one lost", func(p []Packet) []Packet { return slices.Delete(p, 3, 4) }, 1},
		{"two gaps", func(p []Packet) []Packet { return slices.Delete(slices.Delete(p, 6, 9), 2, 3) }, 2},
		{"one sent twice", func(p []Packet) []Packet { return slices.Insert(p, 3, p[3]) }, 0},
		{"one sent three times", func(p []Packet) []Packet { return slices.Insert(p, 3, p[3], p[3]) }, 1},
		{"gap announced", func(p []Packet) []Packet {
			return slices.Replace(p, 3, 5, discontinuity(testVideoPID, p[5].CC()))
		}, 0},
		{"packet without payload", func(p []Packet) []Packet {
			m := newMux()
			m.cc[testVideoPID] = p[4].CC()
			m.packet(testVideoPID, false, &adaptation{pcr: -1}, nil)
			return slices.Insert(p, 4, Packet(m.out))
		}, 0},
		{"packet without payload out of place", func(p []Packet) []Packet {
			m := newMux()
			m.cc[testVideoPID] = p[4].CC() + 3
			m.packet(testVideoPID, false, &adaptation{pcr: -1}, nil)
			return slices.Insert(p, 4, Packet(m.out))
		}, 2},
		{"null packets", func(p []Packet) []Packet {
			return slices.Insert(p, 4, NullPacket(), NullPacket(), NullPacket(), NullPacket())
		}, 0},
		{"errored", func(p []Packet) []Packet {
			q := slices.Clone(p[4])
			q[1] |= 0x80
			return slices.Insert(p, 9, q)
		}, 0},
	} {
		m := newMux()
		m.pes(testVideoPID, nil, 0, fill(12*184))
		var list []Packet
		for b := m.out; len(b) > 0; b = b[PacketSize:] {
			list = append(list, Packet(b[:PacketSize]))
		}
		s := NewScanner()
		for _, p := range c.edit(list) {
			s.Scan(p)
		}
		if got := s.Stats().Continuity; got != c.want {
			t.Errorf("%s: %d continuity errors, want %d", c.name, got, c.want)
		}
	}
}

// TestRepeatedPacket sends the first packet of a key frame twice: it is one point.
func TestRepeatedPacket(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	pos := m.pes(testVideoPID, nil, 1, avcKey)
	head := pos + PacketSize
	s := NewScanner()
	got := s.Scan(slices.Concat(m.out[:head], m.out[pos:head], m.out[head:]))
	if diff := cmp.Diff([]int64{pos}, positions(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScrambled(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	var want []int64
	for i := range 100 {
		now := int64(i) * second / 25
		pos := m.pes(testVideoPID, &adaptation{pcr: now, randomAccess: i%20 == 7}, 1, avcKey)
		for at := pos; at < int64(len(m.out)); at += PacketSize {
			m.out[at+3] |= 0x80
		}
		if i%20 == 7 {
			want = append(want, pos)
		}
	}
	s := NewScanner()
	got := s.Scan(m.out)
	if diff := cmp.Diff(want, positions(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].PTS != -1 {
		t.Errorf("PTS %d of a scrambled header", got[0].PTS)
	}
	if st := s.Stats(); st.Scrambled != st.Packets-2 {
		t.Errorf("stats %+v", st)
	}
}

// TestGuesses looks for points in streams that have none.
func TestGuesses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		video uint8
		first int64
	}{
		{"readable", 0x1b, guessAfter},
		{"unreadable", 0xea, guessBlindAfter},
	} {
		m := newMux()
		m.tables(c.video)
		for i := range 25 * 20 {
			now := int64(i) * second / 25
			m.pes(testVideoPID, &adaptation{pcr: now}, now/300, avcInter)
		}
		got := scanAll(NewScanner(), m.out, nil)
		if len(got) != 1+int((20*second-c.first-1)/guessEvery) {
			t.Fatalf("%s: %d guesses", c.name, len(got))
		}
		// Media time begins a little above 0 with the packets before the first clock reference.
		for i, p := range got {
			if at := c.first + int64(i)*guessEvery; p.Time < at || p.Time > at+second/10 || !p.Guess || p.Preface == nil {
				t.Errorf("%s: guess %d at %d ticks, want %d: %+v", c.name, i, p.Time, at, p)
			}
		}
	}
}

func TestNoGuessesBetweenKeyFrames(t *testing.T) {
	t.Parallel()
	m := newMux()
	want := m.pictures(25*30, 0, every(250))
	if diff := cmp.Diff(want, positions(scanAll(NewScanner(), m.out, nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestGradual has recovery points as the only ones, and then key frames as well.
func TestGradual(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	point := units(avcAny, avcSPS, avcPPS, avcPoint, avcP)
	var want []int64
	for i := range 100 {
		now, data := int64(i)*second/25, avcInter
		switch {
		case i == 50:
			data = avcKey
		case i%25 == 0:
			data = point
		}
		pos := m.pes(testVideoPID, &adaptation{pcr: now}, now/300, data)
		if i%25 == 0 && i <= 50 {
			want = append(want, pos)
		}
	}
	if diff := cmp.Diff(want, positions(scanAll(NewScanner(), m.out, nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAudioOnly(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.section(PATPID, patSection(0, testProgram, testPMTPID))
	m.section(testPMTPID, pmtSection(testProgram, 0, testAudioPID, es{typ: 0x0f, pid: testAudioPID}))
	var want []int64
	for i := range 50 {
		now := int64(i) * second / 50
		pos := m.pes(testAudioPID, &adaptation{pcr: now}, now/300, fill(300))
		if i%5 == 0 {
			want = append(want, pos)
		}
	}
	if diff := cmp.Diff(want, positions(scanAll(NewScanner(), m.out, nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSilentVideo announces video that is not sent.
func TestSilentVideo(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.section(PATPID, patSection(0, testProgram, testPMTPID))
	m.section(testPMTPID, pmtSection(testProgram, 0, testAudioPID, es{typ: 0x1b, pid: testVideoPID}, es{typ: 0x0f, pid: testAudioPID}))
	for i := range 50 * 10 {
		now := int64(i) * second / 50
		m.pes(testAudioPID, &adaptation{pcr: now}, now/300, fill(300))
	}
	got := scanAll(NewScanner(), m.out, nil)
	if len(got) != 4 || !got[0].Guess || got[0].Time < guessBlindAfter || got[0].PTS < 0 {
		t.Errorf("points %+v, want guesses at 3, 5, 7 and 9 s", got)
	}
}

// TestVideoFallsSilent has the video end in a picture that could be a key frame, and go on with it later.
func TestVideoFallsSilent(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.section(PATPID, patSection(0, testProgram, testPMTPID))
	m.section(testPMTPID, pmtSection(testProgram, 0, testAudioPID, es{typ: 0x1b, pid: testVideoPID}, es{typ: 0x0f, pid: testAudioPID}))
	rest := m.packet(testVideoPID, true, nil, pesPacket(0, units(avcAny, avcSPS, avcPPS, append([]byte{0x06, 4, 0xff}, fill(300)...), avcIDR)))
	for i := range 50 * 4 {
		now := int64(i) * second / 50
		m.pes(testAudioPID, &adaptation{pcr: now}, now/300, fill(300))
	}
	for len(rest) > 0 {
		rest = m.packet(testVideoPID, false, nil, rest)
	}
	if got := scanAll(NewScanner(), m.out, nil); len(got) != 1 || !got[0].Guess || got[0].Time < guessBlindAfter {
		t.Errorf("points %+v, want one guess after 3 s", got)
	}
}

func TestClockOfStream(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.pictures(50, PCRModulus-second, never)
	s := NewScanner()
	s.Scan(m.out)
	if got := s.Time() / (second / 100); got != 196 {
		t.Errorf("%d hundredths of a second over a wrap, want 196", got)
	}
	if _, ok := s.LastJump(); ok {
		t.Error("a wrap is taken for a jump")
	}

	pos := int64(len(m.out))
	m.tables(0x1b)
	m.pes(testVideoPID, &adaptation{pcr: 0}, 0, avcInter)
	s.Scan(m.out[pos:])
	want := Jump{Pos: pos + 2*PacketSize, From: second - second/25, To: 0}
	if got, ok := s.LastJump(); !ok || got != want || s.Stats().Jumps != 1 {
		t.Errorf("jump %+v, %v, want %+v", got, ok, want)
	}

	end := int64(len(m.out))
	m.packet(testVideoPID, false, &adaptation{discontinuity: true, pcr: -1}, nil)
	m.pes(testVideoPID, &adaptation{pcr: 5 * second}, 0, avcInter)
	s.Scan(m.out[end:])
	if got, _ := s.LastJump(); !got.Signalled || got.To != 5*second {
		t.Errorf("jump %+v, want one that is announced", got)
	}
}

func TestBreak(t *testing.T) {
	t.Parallel()
	first, next := newMux(), newMux()
	first.pictures(10, 0, every(5))
	for _, pid := range []uint16{PATPID, testPMTPID, testVideoPID, testAudioPID} {
		next.cc[pid] = 9
	}
	want := next.pictures(10, 900*second, every(5))
	s := NewScanner()
	s.Scan(first.out)
	s.Break()
	got := s.Scan(next.out)
	for i := range want {
		want[i] += int64(len(first.out))
	}
	if diff := cmp.Diff(want, positions(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	jump, _ := s.LastJump()
	if st := s.Stats(); st.Continuity != 0 || st.Jumps != 1 || !jump.Signalled {
		t.Errorf("stats %+v, jump %+v: want no errors and one announced jump", st, jump)
	}
}

// TestBreakInPicture has a picture begin before a break, and a key frame go on behind it.
func TestBreakInPicture(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	pos := m.late()
	s := NewScanner()
	s.Scan(m.out[:pos+PacketSize])
	s.Break()
	if got := s.Scan(m.out[pos+PacketSize:]); len(got) != 0 {
		t.Errorf("points %v in a picture that a break cuts off", positions(got))
	}
}

// TestNewClock has the program change the PID of its clock, and so the clock.
func TestNewClock(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.pictures(10, 0, never)
	m.section(testPMTPID, pmtSection(testProgram, 1, testAudioPID, es{typ: 0x1b, pid: testVideoPID}))
	m.pes(testAudioPID, &adaptation{pcr: 900 * second}, 0, fill(10))
	s := NewScanner()
	s.Scan(m.out)
	if j, ok := s.LastJump(); ok {
		t.Errorf("jump %+v between two clocks", j)
	}
}

// TestNewVideo has another video stream, whose points are not held against those of the first.
func TestNewVideo(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	first := m.pes(testVideoPID, nil, 0, avcKey)
	m.section(testPMTPID, pmtSection(testProgram, 1, testVideoPID, es{typ: 0x1b, pid: 0x201}))
	then := m.pes(0x201, nil, 0, units(avcSPS, avcPPS, avcPoint, avcP))
	if diff := cmp.Diff([]int64{first, then}, positions(NewScanner().Scan(m.out))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestChangeOfProgram has the video change its PID and codec on the way.
func TestChangeOfProgram(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.tables(0x1b)
	m.pes(testVideoPID, nil, 0, avcInter)
	m.section(testPMTPID, pmtSection(testProgram, 1, testVideoPID, es{typ: 0x24, pid: 0x201}))
	m.pes(testVideoPID, nil, 0, avcKey)
	pos := m.pes(0x201, nil, 0, units(hevcVPS, hevcSPS, hevcPPS, hevcIDR, fill(300)))
	s := NewScanner()
	if diff := cmp.Diff([]int64{pos}, positions(s.Scan(m.out))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// checkScanning scans a stream as a whole and in runs, and checks what must hold for any packets.
func checkScanning(t interface{ Fatalf(string, ...any) }, stream []byte, runs []int) {
	one, many := NewScanner(), NewScanner()
	whole, cut := scanAll(one, stream, nil), scanAll(many, stream, runs)
	if diff := cmp.Diff(whole, cut); diff != "" {
		t.Fatalf("in runs of %v (-whole +cut):\n%s", runs, diff)
	}
	if one.Time() != many.Time() || one.Rate() != many.Rate() || one.Stats() != many.Stats() || !slices.Equal(one.Preface(), many.Preface()) {
		t.Fatalf("in runs of %v: %d ticks %+v, as a whole %d ticks %+v", runs, many.Time(), many.Stats(), one.Time(), one.Stats())
	}
	last := RandomAccessPoint{Pos: -1}
	for _, p := range whole {
		if p.Pos <= last.Pos || p.Time < last.Time || p.Pos%PacketSize != 0 || p.Pos >= one.Pos() || p.Time > one.Time() {
			t.Fatalf("point %+v after %+v", p, last)
		}
		if len(p.Preface) == 0 || len(p.Preface)%PacketSize != 0 || len(p.Preface) > 2*maxSectionPackets*PacketSize {
			t.Fatalf("preface of %d bytes", len(p.Preface))
		}
		if !Packet(stream[p.Pos:]).UnitStart() {
			t.Fatalf("point %+v is not at the beginning of a PES packet", p)
		}
		last = p
	}
	if len(one.tables.programs) > maxPrograms || len(one.tables.psi) > 1+maxPrograms {
		t.Fatalf("%d programs, %d PIDs with tables", len(one.tables.programs), len(one.tables.psi))
	}
	if n := cap(one.access.buf); n > 3*maxProbe {
		t.Fatalf("%d bytes kept of a picture", n)
	}
}

func TestScannerRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMux()
		data := [][]byte{avcKey, avcInter, units(avcAny, avcSPS, avcPPS, fill(700), avcPoint, avcP), units(hevcVPS, hevcSPS, hevcPPS, hevcCRA, fill(20)), fill(20)}
		pcr := rapid.Int64Range(0, PCRModulus-1).Draw(t, "clock")
		for range rapid.IntRange(1, 40).Draw(t, "parts") {
			switch rapid.IntRange(0, 6).Draw(t, "part") {
			case 0:
				m.tables(rapid.SampledFrom([]uint8{0x1b, 0x24, 0x02, 0x0f}).Draw(t, "type"))
			case 1:
				m.section(testPMTPID, bigPMT(rapid.Uint8Range(0, 3).Draw(t, "version")))
			case 2:
				m.cc[testVideoPID]++
			case 3:
				m.pes(testAudioPID, nil, 0, fill(100))
			default:
				pcr = (pcr + rapid.Int64Range(0, 20*second).Draw(t, "step")) % PCRModulus
				m.pes(testVideoPID, &adaptation{pcr: pcr, randomAccess: rapid.Bool().Draw(t, "indicator")}, pcr/300, rapid.SampledFrom(data).Draw(t, "picture"))
			}
		}
		checkScanning(t, m.out, rapid.SliceOfN(rapid.IntRange(1, 30), 1, 5).Draw(t, "runs"))
	})
}

func TestScannerAllocations(t *testing.T) {
	m := newMux()
	m.pictures(30, 0, every(50))
	s := NewScanner()
	s.Scan(m.out)
	m.out = m.out[:0]
	m.pictures(1000, 2*second, never)
	runs := m.out
	if n := testing.AllocsPerRun(100, func() { s.Scan(runs[:10*PacketSize]); runs = runs[10*PacketSize:] }); n != 0 {
		t.Errorf("%v allocations per run of packets", n)
	}
}

func FuzzScanner(f *testing.F) {
	m := newMux()
	m.pictures(3, 0, every(2))
	m.section(testPMTPID, bigPMT(1))
	m.pictures(2, PCRModulus-second, every(1))
	f.Add(m.out, []byte{0, 3})
	m = newMux()
	m.tables(0x24)
	m.pes(testVideoPID, &adaptation{pcr: 1, randomAccess: true}, 1, units(hevcVPS, hevcSPS, hevcPPS, hevcIDR, fill(300)))
	m.out = append(m.out, discontinuity(testVideoPID, 4)...)
	m.pes(testVideoPID, &adaptation{pcr: second}, 1, units(hevcVPS, hevcSPS, hevcPPS, hevcPoint, hevcTrail))
	f.Add(m.out, []byte{1})
	m = newMux()
	m.tables(0x02)
	m.pes(testVideoPID, nil, 1, slices.Concat(mpegSequence, mpegGroup, mpegI, mpegSlice))
	f.Add(m.out, []byte{})
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		var runs []int
		for _, x := range sizes {
			runs = append(runs, 1+int(x))
		}
		checkScanning(t, framed(b), runs)
	})
}

// framed makes packets of any bytes.
func framed(b []byte) []byte {
	var out []byte
	for ; len(b) > 0; b = b[min(len(b), PacketSize):] {
		p := make([]byte, PacketSize)
		copy(p, b)
		p[0] = SyncByte
		out = append(out, p...)
	}
	return out
}
