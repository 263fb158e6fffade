package mpegts

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// reference writes a PCR, or an OPCR, with the bits between set as reserved says.
func reference(base, ext int64, reserved byte) []byte {
	return []byte{
		byte(base >> 25), byte(base >> 17), byte(base >> 9), byte(base >> 1),
		byte(base<<7) | reserved&0x7e | byte(ext>>8), byte(ext),
	}
}

// A clocked is a packet, and where in it clocks are.
type clocked struct {
	packet     Packet
	references []int // offsets of 33 bits as of a PCR
	stamps     []int // offsets of 33 bits as of a PTS
}

// drawPacket draws a packet of any layout.
func drawPacket(t *rapid.T) (c clocked) {
	p := make(Packet, 0, PacketSize)
	bit := func(name string, b byte) byte {
		if rapid.Bool().Draw(t, name) {
			return b
		}
		return 0
	}
	flags := bit("start", 0x40) | bit("error", 0x80)
	pid := rapid.Uint16Range(0, 0x1fff).Draw(t, "pid")
	control := rapid.Byte().Draw(t, "control")
	p = append(p, SyncByte, flags|byte(pid>>8), byte(pid), control)
	base := rapid.Int64Range(0, ptsModulus-1)
	if p.HasAdaptation() {
		present := bit("pcr", 0x10) | bit("opcr", 0x08) | bit("private", 0x02) | bit("discontinuity", 0x80) | bit("random access", 0x40)
		field := []byte{present}
		for _, has := range []byte{0x10, 0x08} {
			if present&has != 0 {
				c.references = append(c.references, len(p)+1+len(field))
				field = append(field, reference(base.Draw(t, "base"), rapid.Int64Range(0, 511).Draw(t, "extension"), rapid.Byte().Draw(t, "reserved"))...)
			}
		}
		if present&0x02 != 0 {
			private := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "private data")
			field = append(append(field, byte(len(private))), private...)
		}
		field = append(field, slices.Repeat([]byte{0xff}, rapid.IntRange(0, PacketSize-5-len(field)).Draw(t, "stuffing"))...)
		if rapid.IntRange(0, 9).Draw(t, "empty field") == 0 {
			field, c.references = nil, nil
		}
		p = append(append(p, byte(len(field))), field...)
	}
	if p.HasPayload() {
		id := rapid.SampledFrom([]byte{0xe0, 0xc0, 0xbd, 0xbe, 0xbf, 0xbc, 0xff, 0xfd}).Draw(t, "stream id")
		has := rapid.SampledFrom([]byte{0, 0x40, 0x80, 0xc0}).Draw(t, "stamps")
		pes := []byte{0, 0, 1, id, 0, 0, 0x80, has | 0x3f&rapid.Byte().Draw(t, "pes flags"), 0}
		var stamps []int
		for i := byte(0); has&0x80 != 0 && i <= has>>6&1; i++ {
			stamps = append(stamps, len(p)+len(pes))
			pes = append(pes, stamp(rapid.Byte().Draw(t, "prefix")&0xf, base.Draw(t, "stamp"))...)
		}
		pes[8] = byte(len(pes) - 9)
		if hasPESHeader(id) && p.UnitStart() && !p.Scrambled() && len(p)+len(pes) <= PacketSize {
			c.stamps = stamps
		}
		p = append(p, pes...)
	}
	for len(p) < PacketSize {
		p = append(p, rapid.Byte().Draw(t, "rest"))
	}
	c.packet = p[:PacketSize]
	if c.packet.Errored() || pid == NullPID || c.packet.Scrambled() {
		c.references, c.stamps = nil, nil
	}
	return c
}

// Of a packet of any layout, the clocks are moved, modulo 2^33, the counter is counted on, and
// nothing else changes; and it can be undone.
func TestRetimerChangesNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawPacket(t)
		r := Retimer{active: true, shift: rapid.Int64Range(0, ptsModulus-1).Draw(t, "shift")}
		after := rapid.Byte().Draw(t, "counter before") & 0x0f
		r.counters[c.packet.PID()] = pending | retimedPID(after)
		got := bytes.Clone(c.packet)
		r.Apply(got)
		want := bytes.Clone(c.packet)
		if p := Packet(want); p.PID() != NullPID && !p.Errored() {
			if p.HasPayload() {
				after++
			}
			p.SetCC(after)
		}
		for _, at := range c.references {
			b := want[at:]
			base := int64(b[0])<<25 | int64(b[1])<<17 | int64(b[2])<<9 | int64(b[3])<<1 | int64(b[4])>>7
			copy(b, reference((base+r.shift)%ptsModulus, int64(b[4]&1)<<8|int64(b[5]), b[4]))
		}
		for _, at := range c.stamps {
			b := want[at:]
			moved := stamp(b[0]>>4, (timeStamp(b)+r.shift)%ptsModulus)
			moved[0], moved[2], moved[4] = moved[0]&^1|b[0]&1, moved[2]&^1|b[2]&1, moved[4]&^1|b[4]&1
			copy(b, moved)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("shift %d\n%x became\n%x, want\n%x", r.shift, c.packet, got, want)
		}
		if r.Undo(got); !bytes.Equal(got, c.packet) {
			t.Fatalf("%x undone is\n%x", c.packet, got)
		}
	})
}

// cast writes a stream of pictures and sound whose clock begins at base, in ticks of 90 kHz.
func cast(m *mux, base int64, pictures int) []byte {
	const picture, sound = stampRate / 25, 1920
	m.tables(0x1b)
	for i := range int64(pictures) {
		at := base + i*picture
		data := avcInter
		if i%5 == 0 {
			data = avcKey
		}
		m.pes(testVideoPID, &adaptation{pcr: at % ptsModulus * 300}, (at+picture*20)%ptsModulus, data)
		for s := i * picture / sound; s < (i+1)*picture/sound; s++ {
			m.pes(testAudioPID, nil, (base+s*sound+picture*10)%ptsModulus, fill(200))
		}
	}
	return m.out
}

// checkMonotonic fails the test if a clock in packets stands still, goes back or runs ahead.
func checkMonotonic(t *rapid.T, packets []byte) {
	last := map[uint16]int64{}
	clock := int64(-1)
	for p := range slices.Chunk(packets, PacketSize) {
		p := Packet(p)
		if pcr, ok := p.PCR(); ok {
			if step := (pcr - clock + PCRModulus) % PCRModulus; clock >= 0 && (step == 0 || step > ClockRate/5) {
				t.Fatalf("clock reference %d after %d", pcr, clock)
			}
			clock = pcr
		}
		if _, dts, ok := p.PESTime(); ok {
			if old, seen := last[p.PID()]; seen && (dts == old || StampStep(old, dts) > stampRate/5) {
				t.Fatalf("PID %#x: time stamp %d after %d", p.PID(), dts, old)
			}
			last[p.PID()] = dts
		}
	}
}

// Whatever the clocks of two sources, and wherever they wrap, the second goes on where the first
// stopped, and so does a third after it.
func TestRetimerGoesOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.OneOf(rapid.Int64Range(0, ptsModulus-1), rapid.Int64Range(ptsModulus-3*stampRate, ptsModulus-1), rapid.Int64Range(0, stampRate))
		sent := NewScanner()
		var all []byte
		var r Retimer
		for i := range 3 {
			m := newMux()
			for _, pid := range []uint16{PATPID, testPMTPID, testVideoPID, testAudioPID} {
				m.cc[pid] = rapid.Byte().Draw(t, "counter")
			}
			next := cast(m, base.Draw(t, "base"), rapid.IntRange(5, 40).Draw(t, "pictures"))
			if i > 0 {
				first := rapid.SampledFrom([]int{12, len(next) / PacketSize}).Draw(t, "packets at first")
				r.Continue(sent, all, next[:first*PacketSize])
			}
			was := bytes.Clone(next)
			r.Apply(next)
			sent.Scan(next)
			all = append(all, next...)
			if r.Undo(next); !bytes.Equal(next, was) {
				t.Fatal("undone packets are not what they were")
			}
		}
		checkMonotonic(t, all)
		if st := sent.Stats(); st.Jumps != 0 || st.Continuity != 0 || st.Errored != 0 {
			t.Fatalf("%+v", st)
		}
	})
}

// Tables that say something else get another version; those that say the same keep
// theirs, whatever version the new source gives them.
func TestRetimerVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		old, new uint8 // version of the program map table
		type2    uint8 // stream_type of the video after
		want     uint8
	}{
		{"the same", 3, 3, 0x1b, 3},
		{"the same, counted otherwise", 3, 9, 0x1b, 3},
		{"another codec", 3, 3, 0x24, 4},
		{"another codec, counted otherwise", 31, 9, 0x24, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			source := func(version, video uint8) []byte {
				m := newMux()
				m.section(PATPID, patSection(0, testProgram, testPMTPID))
				m.section(testPMTPID, pmtSection(testProgram, version, testVideoPID, es{typ: video, pid: testVideoPID}))
				m.pes(testVideoPID, &adaptation{pcr: 0}, 0, avcKey)
				return m.out
			}
			sent := NewScanner()
			old, next := source(c.old, 0x1b), source(c.new, c.type2)
			sent.Scan(old)
			var r Retimer
			r.Continue(sent, old, next)
			r.Apply(next)
			for i, want := range []uint8{0, c.want} {
				section := next[i*PacketSize+5:]
				size, _ := sectionSize(section)
				if got, ok := parseSection(section[:size]); !ok || got.version != want {
					t.Errorf("table %d: version %d, intact %v; want %d", i, got.version, ok, want)
				}
			}
		})
	}
}

// Clocks of a scrambled source stay, as its time stamps could not be moved along.
func TestRetimerLeavesScrambledClocksAlone(t *testing.T) {
	t.Parallel()
	sent := NewScanner()
	old := cast(newMux(), 1000, 10)
	sent.Scan(old)
	next := cast(newMux(), 5000_000, 10)
	for p := range slices.Chunk(next, PacketSize) {
		if Packet(p).PID() == testVideoPID {
			p[3] |= 0x80
		}
	}
	var r Retimer
	r.Continue(sent, old, next)
	was := bytes.Clone(next)
	r.Apply(next)
	for i := 0; i < len(next); i += PacketSize {
		Packet(next[i : i+PacketSize]).SetCC(Packet(was[i : i+PacketSize]).CC())
	}
	if !bytes.Equal(next, was) {
		t.Error("more was changed than continuity counters")
	}
}

func TestRetimerDoesNotAllocate(t *testing.T) {
	packets := cast(newMux(), 0, 50)
	r := Retimer{active: true, shift: 12345}
	if n := testing.AllocsPerRun(10, func() { r.Apply(packets); r.Undo(packets) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever the bytes, what is done can be undone.
func FuzzRetimer(f *testing.F) {
	whole := cast(newMux(), ptsModulus-stampRate, 6)
	f.Add(whole, uint16(8))
	f.Add(slices.Concat(whole, cast(newMux(), 5, 3)), uint16(len(whole)/PacketSize))
	long := newMux()
	long.section(PATPID, patSection(0, testProgram, testPMTPID))
	long.section(testPMTPID, pmtSection(testProgram, 1, testVideoPID, es{typ: 0x1b, pid: testVideoPID, descriptors: fill(200)}))
	long.pes(testVideoPID, &adaptation{pcr: PCRModulus - 1}, 0, avcKey)
	f.Add(slices.Concat(whole, long.out), uint16(len(whole)/PacketSize))
	f.Fuzz(func(t *testing.T, b []byte, first uint16) {
		b = bytes.Clone(b[:len(b)-len(b)%PacketSize])
		for i := 0; i < len(b); i += PacketSize {
			b[i] = SyncByte
		}
		old, next := b[:min(int(first)*PacketSize, len(b))], bytes.Clone(b[min(int(first)*PacketSize, len(b)):])
		sent := NewScanner()
		sent.Scan(old)
		var r Retimer
		r.Continue(sent, old, next)
		was := bytes.Clone(next)
		r.Apply(next)
		if r.Undo(next); !bytes.Equal(next, was) {
			t.Fatalf("%x undone is\n%x", was, next)
		}
	})
}

func BenchmarkRetimer(b *testing.B) {
	packets := cast(newMux(), 0, 500)
	r := Retimer{active: true, shift: 12345}
	b.SetBytes(int64(len(packets)))
	b.ReportAllocs()
	for b.Loop() {
		r.Apply(packets)
	}
}
