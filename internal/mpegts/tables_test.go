package mpegts

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/asticode/go-astits"
	"github.com/google/go-cmp/cmp"
)

func scan(m *mux) *Scanner {
	s := NewScanner()
	s.Scan(m.out)
	return s
}

func languageDescriptor(tag uint8, code string) []byte {
	return slices.Concat([]byte{tag, 4}, []byte(code), []byte{0})
}

func TestMediaInfo(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.section(PATPID, patSection(0, 0, 0x10, testProgram, testPMTPID)) // 0 is the network's
	m.section(testPMTPID, pmtSection(testProgram, 3, 0x1ff,
		es{typ: 0x24, pid: 0x201},
		es{typ: 0x0f, pid: 0x202, descriptors: languageDescriptor(0x0a, "SPA")},
		es{typ: 0x06, pid: 0x203, descriptors: slices.Concat(languageDescriptor(0x0a, "deu"), []byte{0x6a, 1, 0})},
		es{typ: 0x06, pid: 0x204, descriptors: slices.Concat([]byte{0x59, 8}, []byte("fra"), make([]byte, 5))},
		es{typ: 0x06, pid: 0x205, descriptors: []byte{0x05, 4, 'O', 'p', 'u', 's'}},
		es{typ: 0x06, pid: 0x206, descriptors: []byte{0x7f, 2, 0x15, 0}},
		es{typ: 0x86, pid: 0x207, descriptors: []byte{0x0a, 200}}, // longer than there is
		es{typ: 0x05, pid: 0x208},
		es{typ: 0x06, pid: 0x209, descriptors: slices.Concat(languageDescriptor(0x56, "d\x00u"), []byte{1})},
	))
	got, ok := scan(m).Info()
	want := MediaInfo{Program: testProgram, PMTPID: testPMTPID, PCRPID: 0x1ff, Streams: []ElementaryStream{
		{PID: 0x201, Type: 0x24, Kind: Video, Codec: HEVC},
		{PID: 0x202, Type: 0x0f, Kind: Audio, Codec: "AAC", Language: "spa"},
		{PID: 0x203, Type: 0x06, Kind: Audio, Codec: "AC-3", Language: "deu"},
		{PID: 0x204, Type: 0x06, Kind: Subtitle, Codec: "DVB subtitles", Language: "fra"},
		{PID: 0x205, Type: 0x06, Kind: Audio, Codec: "Opus"},
		{PID: 0x206, Type: 0x06, Kind: Audio, Codec: "AC-4"},
		{PID: 0x207, Type: 0x86, Kind: Audio, Codec: "DTS-HD"},
		{PID: 0x208, Type: 0x05, Kind: Data},
		{PID: 0x209, Type: 0x06, Kind: Subtitle, Codec: "Teletext"},
	}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("ok %v (-want +got):\n%s", ok, diff)
	}
	var kinds []string
	for _, es := range got.Streams[:4] {
		kinds = append(kinds, es.Kind.String())
	}
	if diff := cmp.Diff([]string{"video", "audio", "audio", "subtitle"}, kinds); diff != "" || Data.String() != "data" {
		t.Errorf("names of kinds (-want +got):\n%s", diff)
	}
	if es, ok := got.First(Audio); !ok || es.PID != 0x202 {
		t.Errorf("first audio: %+v, %v", es, ok)
	}
}

// TestProgramChoice looks at the program followed as the tables come in.
func TestProgramChoice(t *testing.T) {
	t.Parallel()
	radio, tv, hd := es{typ: 0x0f, pid: 0x301}, es{typ: 0x02, pid: 0x401}, es{typ: 0x1b, pid: 0x501}
	m, s := newMux(), NewScanner()
	step := func(want uint16, what string, pid uint16, section []byte) {
		t.Helper()
		m.out = m.out[:0]
		m.section(pid, section)
		s.Scan(m.out)
		info, ok := s.Info()
		if info.Program != want || ok != (want != 0) {
			t.Errorf("%s: program %d, want %d", what, info.Program, want)
		}
		if preface := s.Preface(); ok && Packet(preface[PacketSize:]).PID() != info.PMTPID || !ok && preface != nil {
			t.Errorf("%s: preface of another program", what)
		}
	}
	step(0, "PAT alone", PATPID, patSection(0, 1, 0x300, 2, 0x400, 3, 0x500))
	step(1, "audio is better than nothing", 0x300, pmtSection(1, 0, 0x301, radio))
	step(3, "video is better than audio", 0x500, pmtSection(3, 0, 0x501, hd))
	step(2, "the first in the PAT is better", 0x400, pmtSection(2, 0, 0x401, tv))
	step(2, "PMT of another PID", 0x300, pmtSection(2, 1, 0x301, radio))
	step(3, "without video", 0x400, pmtSection(2, 1, 0x401, radio))
	step(3, "PAT without some", PATPID, patSection(1, 3, 0x500))
	step(3, "PMT that the PAT no longer lists", 0x400, pmtSection(2, 2, 0x401, tv))
	step(0, "PAT without any", PATPID, patSection(2, 0, 0x10))
	step(0, "PAT with a new PID", PATPID, patSection(3, 3, 0x510))
	step(3, "and its PMT", 0x510, pmtSection(3, 0, 0x501, hd))
}

func TestTablesOnOnePID(t *testing.T) {
	t.Parallel()
	// With so many descriptors, the first one ends in a second packet.
	first := pmtSection(1, 0, 0x301, es{typ: 0x0f, pid: 0x301, descriptors: slices.Concat([]byte{0x80, 200}, fill(200))})
	second := pmtSection(2, 0, 0x401, es{typ: 0x1b, pid: 0x401})
	m := newMux()
	m.section(PATPID, patSection(0, 1, 0x300, 2, 0x300))
	m.section(0x300, slices.Concat(first, second))
	if info, _ := scan(m).Info(); info.Program != 1 {
		t.Errorf("where no pointer_field points to the second table: program %d, want 1", info.Program)
	}
	rest := m.packet(0x300, true, nil, slices.Concat([]byte{0}, first))
	m.packet(0x300, true, nil, slices.Concat([]byte{byte(len(rest))}, rest, second, bytes.Repeat([]byte{stuffing}, PacketSize))[:PacketSize-4])
	if info, _ := scan(m).Info(); info.Program != 2 {
		t.Errorf("program %d, want 2", info.Program)
	}
}

func TestBadTables(t *testing.T) {
	t.Parallel()
	good := pmtSection(testProgram, 0, testVideoPID, es{typ: 0x1b, pid: testVideoPID})
	for name, section := range map[string][]byte{
		"wrong CRC":          slices.Concat(good[:len(good)-1], []byte{good[len(good)-1] ^ 1}),
		"not yet applicable": func() []byte { b := bytes.Clone(good[:len(good)-4]); b[5] &^= 1; return withCRC(b) }(),
		"short form":         func() []byte { b := bytes.Clone(good[:len(good)-4]); b[1] &^= 0x80; return withCRC(b) }(),
		"too short":          {2, 0xb0, 0},
		"streams too long":   func() []byte { b := bytes.Clone(good[:len(good)-4]); b[16] = 99; return withCRC(b) }(),
		"other table":        func() []byte { b := bytes.Clone(good[:len(good)-4]); b[0] = 3; return withCRC(b) }(),
	} {
		m := newMux()
		m.section(PATPID, patSection(0, testProgram, testPMTPID))
		m.section(testPMTPID, section)
		s := scan(m)
		if info, ok := s.Info(); ok {
			t.Errorf("%s: took %+v", name, info)
		}
		if s.Preface() != nil {
			t.Errorf("%s: preface without PMT", name)
		}
		m.section(testPMTPID, good)
		if _, ok := scan(m).Info(); !ok {
			t.Errorf("%s: good table after it not taken", name)
		}
	}
}

// TestTornTables has tables that cannot be put together before ones that can.
func TestTornTables(t *testing.T) {
	t.Parallel()
	for name, tear := range map[string]func(m *mux){
		"pointer out of the packet": func(m *mux) { m.packet(testPMTPID, true, nil, slices.Concat([]byte{200}, fill(183))) },
		"pointer missing":           func(m *mux) { m.packet(testPMTPID, true, nil, fill(1)) },
		"cut off by the next one":   func(m *mux) { m.packet(testPMTPID, true, nil, append([]byte{0}, bigPMT(1)...)) },
		"cut off in its length":     func(m *mux) { m.packet(testPMTPID, true, nil, []byte{0, 2, 0xb0}) },
		"larger than any":           func(m *mux) { m.packet(testPMTPID, true, nil, slices.Concat([]byte{0, 2, 0xbf, 0xff}, fill(180))) },
		"in too many packets": func(m *mux) {
			m.packet(testPMTPID, true, nil, slices.Concat([]byte{0}, bigPMT(1)[:100]))
			for _, x := range bigPMT(1)[100:] {
				m.packet(testPMTPID, false, nil, []byte{x})
			}
		},
		"beginning of none": func(m *mux) { m.packet(testPMTPID, false, nil, fill(184)) },
	} {
		m := newMux()
		m.section(PATPID, patSection(0, testProgram, testPMTPID))
		tear(m)
		s := NewScanner()
		s.Scan(m.out)
		if info, ok := s.Info(); ok {
			t.Errorf("%s: took %+v", name, info)
		}
		m.section(testPMTPID, pmtSection(testProgram, 2, testVideoPID, es{typ: 0x1b, pid: testVideoPID}))
		s = NewScanner()
		s.Scan(m.out)
		if _, ok := s.Info(); !ok {
			t.Errorf("%s: the table after it is not taken", name)
		}
	}
}

// TestPATOfSeveralSections merges sections of one version.
func TestPATOfSeveralSections(t *testing.T) {
	t.Parallel()
	part := func(number uint8, programs ...uint16) []byte {
		b := patSection(5, programs...)
		b[6], b[7] = number, 1
		return withCRC(b[:len(b)-crcSize])
	}
	m := newMux()
	for range 2 {
		m.section(PATPID, part(0, 1, 0x300))
		m.section(PATPID, part(1, 2, 0x400))
	}
	m.section(0x400, pmtSection(2, 0, 0x401, es{typ: 0x1b, pid: 0x401}))
	s := scan(m)
	if info, _ := s.Info(); info.Program != 2 || len(s.tables.programs) != 2 {
		t.Errorf("program %d of %d, want 2 of 2", info.Program, len(s.tables.programs))
	}
}

func withCRC(b []byte) []byte {
	c := crc32(b)
	return append(b, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
}

// bigPMT is a table that takes several packets.
func bigPMT(version uint8) []byte {
	return pmtSection(testProgram, version, testVideoPID,
		es{typ: 0x1b, pid: testVideoPID},
		es{typ: 0x0f, pid: testAudioPID, descriptors: slices.Concat([]byte{0x80, 240}, fill(240), []byte{0x81, 240}, fill(240))},
	)
}

func TestPreface(t *testing.T) {
	t.Parallel()
	m, s := newMux(), NewScanner()
	write := func(f func()) {
		m.out = m.out[:0]
		f()
		s.Scan(m.out)
	}
	pat := func() { m.section(PATPID, patSection(0, testProgram, testPMTPID)) }

	write(pat)
	if s.Preface() != nil {
		t.Fatal("preface without PMT")
	}
	write(func() { m.section(testPMTPID, bigPMT(0)) })
	checkPreface(t, s.Preface(), m, 3)
	first := s.Preface()
	if &first[0] != &s.Preface()[0] {
		t.Error("preface made anew without need")
	}
	kept := bytes.Clone(first)

	write(pat)
	checkPreface(t, s.Preface(), m, 3)
	write(func() { m.section(testPMTPID, bigPMT(0)) })
	checkPreface(t, s.Preface(), m, 3)
	write(func() {
		m.section(testPMTPID, pmtSection(testProgram, 1, testVideoPID, es{typ: 0x1b, pid: testVideoPID}))
	})
	checkPreface(t, s.Preface(), m, 1)
	write(func() { m.out = append(m.out[:0], half(m)...) })
	checkPreface(t, s.Preface(), m, 1)
	for range 16 { // to the same counters
		write(func() {
			m.section(testPMTPID, pmtSection(testProgram, 1, testVideoPID, es{typ: 0x1b, pid: testVideoPID}))
			m.out[1] |= 0x20 // transport_priority
		})
	}
	if p := Packet(s.Preface()[PacketSize:]); p[1]&0x20 == 0 {
		t.Error("preface is not of the packets received last")
	}
	checkPreface(t, s.Preface(), m, 1)
	if !bytes.Equal(first, kept) {
		t.Error("a preface has changed")
	}
}

// half returns the first packet of a table that takes three.
func half(m *mux) []byte {
	m.packet(testPMTPID, true, nil, append([]byte{0}, bigPMT(2)...))
	return m.out
}

// checkPreface checks that a preface is PAT and PMT, the latter in pmtPackets packets, for a receiver that
// goes on with the next packet that m writes.
func checkPreface(t *testing.T, preface []byte, m *mux, pmtPackets int) {
	t.Helper()
	if len(preface) != (1+pmtPackets)*PacketSize {
		t.Fatalf("preface of %d bytes, want %d packets", len(preface), 1+pmtPackets)
	}
	last := map[uint16]uint8{}
	for b := preface; len(b) > 0; b = b[PacketSize:] {
		p := Packet(b)
		if cc, ok := last[p.PID()]; ok && p.CC() != (cc+1)&15 {
			t.Errorf("PID %#x: counter %d after %d", p.PID(), p.CC(), cc)
		}
		last[p.PID()] = p.CC()
	}
	for pid, cc := range last {
		if cc != (m.cc[pid]-1)&15 {
			t.Errorf("PID %#x: last counter %d, the next packet has %d", pid, cc, m.cc[pid]&15)
		}
	}
	// Behind it, packets enough for the demuxer to find out about their size.
	dmx := astits.NewDemuxer(context.Background(), bytes.NewReader(slices.Concat(preface, NullPacket(), NullPacket())))
	var pats, pmts int
	for {
		d, err := dmx.NextData()
		if err != nil {
			break
		}
		if d.PAT != nil {
			pats++
		}
		if d.PMT != nil {
			pmts++
		}
	}
	if pats != 1 || pmts != 1 {
		t.Errorf("an independent parser finds %d PATs and %d PMTs in the preface", pats, pmts)
	}
}

// TestLostTablePacket drops the middle of a table and expects the table to be ignored.
func TestLostTablePacket(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.section(PATPID, patSection(0, testProgram, testPMTPID))
	m.section(testPMTPID, bigPMT(0))
	s := NewScanner()
	s.Scan(slices.Concat(m.out[:2*PacketSize], m.out[3*PacketSize:]))
	if _, ok := s.Info(); ok {
		t.Error("took a table of which a packet is missing")
	}
	if got := s.Stats().Continuity; got != 1 {
		t.Errorf("%d continuity errors, want 1", got)
	}
}
