package mpegts

import "slices"

// A mux writes transport streams for tests.
type mux struct {
	out []byte
	cc  map[uint16]uint8
}

// The PIDs and the program of the streams that tests build.
const (
	testProgram  = 1
	testPMTPID   = 0x100
	testVideoPID = 0x101
	testAudioPID = 0x102
)

func newMux() *mux { return &mux{cc: map[uint16]uint8{}} }

// An adaptation says what goes into an adaptation field.
type adaptation struct {
	discontinuity bool
	randomAccess  bool
	pcr           int64 // -1: none
}

// packet appends one packet with as much of payload as fits, and returns the rest. A payload too
// short to fill it is preceded by stuffing.
func (m *mux) packet(pid uint16, start bool, a *adaptation, payload []byte) (rest []byte) {
	var field []byte // with its length
	if a != nil {
		field = []byte{0, 0}
		if a.discontinuity {
			field[1] |= 0x80
		}
		if a.randomAccess {
			field[1] |= 0x40
		}
		if a.pcr >= 0 {
			field[1] |= 0x10
			base, ext := a.pcr/300, a.pcr%300
			field = append(field, byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1), byte(base<<7)|0x7e|byte(ext>>8), byte(ext))
		}
	}
	room := PacketSize - 4
	if short := room - len(field) - len(payload); short > 0 {
		if field == nil {
			field, short = append(field, 0), short-1
			if short > 0 {
				field, short = append(field, 0), short-1
			}
		}
		for range short {
			field = append(field, 0xff)
		}
	}
	n := min(len(payload), room-len(field))
	control := byte(0x10)
	if field != nil {
		field[0] = byte(len(field) - 1)
		control = 0x30
		if n == 0 {
			control = 0x20
		}
	}
	header := []byte{SyncByte, byte(pid >> 8), byte(pid), control}
	if start {
		header[1] |= 0x40
	}
	cc := m.cc[pid]
	if n > 0 {
		m.cc[pid] = cc + 1
	} else {
		cc--
	}
	header[3] |= cc & 0x0f
	m.out = append(m.out, slices.Concat(header, field, payload[:n])...)
	return payload[n:]
}

// discontinuity is a packet without payload that sets the discontinuity_indicator of
// pid. next is the counter of the packet to follow: packets without payload do not
// count (2.4.3.3).
func discontinuity(pid uint16, next uint8) Packet {
	m := newMux()
	m.cc[pid] = next & 0x0f
	m.packet(pid, false, &adaptation{discontinuity: true, pcr: -1}, nil)
	return m.out
}

// section appends a section, in as many packets as it takes.
func (m *mux) section(pid uint16, section []byte) {
	payload := append([]byte{0}, section...)
	for start := true; len(payload) > 0; start = false {
		if pad := PacketSize - 4 - len(payload); pad > 0 {
			payload = append(payload, slices.Repeat([]byte{0xff}, pad)...)
		}
		payload = m.packet(pid, start, nil, payload)
	}
}

// longSection builds a section of the long form.
func longSection(id uint8, extension uint16, version uint8, body []byte) []byte {
	size := 5 + len(body) + crcSize
	b := []byte{id, 0xb0 | byte(size>>8), byte(size), byte(extension >> 8), byte(extension), 0xc1 | version<<1, 0, 0}
	b = append(b, body...)
	c := crc32(b)
	return append(b, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
}

// patSection builds a PAT of pairs of program number and PMT PID.
func patSection(version uint8, programs ...uint16) []byte {
	var body []byte
	for i := 0; i < len(programs); i += 2 {
		body = append(body, byte(programs[i]>>8), byte(programs[i]), 0xe0|byte(programs[i+1]>>8), byte(programs[i+1]))
	}
	return longSection(0, 1, version, body)
}

// An es is an entry of a PMT.
type es struct {
	typ         uint8
	pid         uint16
	descriptors []byte
}

func pmtSection(program uint16, version uint8, pcrPID uint16, streams ...es) []byte {
	body := []byte{0xe0 | byte(pcrPID>>8), byte(pcrPID), 0xf0, 0}
	for _, s := range streams {
		body = append(body, s.typ, 0xe0|byte(s.pid>>8), byte(s.pid), 0xf0|byte(len(s.descriptors)>>8), byte(len(s.descriptors)))
		body = append(body, s.descriptors...)
	}
	return longSection(2, program, version, body)
}

// tables appends PAT and PMT of one program with video of the given type and audio.
func (m *mux) tables(video uint8) {
	m.section(PATPID, patSection(0, testProgram, testPMTPID))
	m.section(testPMTPID, pmtSection(testProgram, 0, testVideoPID, es{typ: video, pid: testVideoPID}, es{typ: 0x0f, pid: testAudioPID}))
}

// pes appends a PES packet and returns the position of its first packet. pts is in ticks of 90 kHz.
func (m *mux) pes(pid uint16, a *adaptation, pts int64, data []byte) (pos int64) {
	pos = int64(len(m.out))
	rest := m.packet(pid, true, a, pesPacket(pts, data))
	for len(rest) > 0 {
		rest = m.packet(pid, false, nil, rest)
	}
	return pos
}

func pesPacket(pts int64, data []byte) []byte {
	header := []byte{
		0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5,
		0x21 | byte(pts>>29)&0x0e, byte(pts >> 22), byte(pts>>14) | 1, byte(pts >> 7), byte(pts<<1) | 1,
	}
	return append(header, data...)
}

// units joins NAL units, with start codes.
func units(nals ...[]byte) []byte {
	var b []byte
	for _, n := range nals {
		b = append(b, 0, 0, 0, 1)
		b = append(b, n...)
	}
	return b
}

// fill returns n bytes that contain no start code.
func fill(n int) []byte { return slices.Repeat([]byte{0xa5}, n) }

// NAL units of H.264: parameter sets, delimiters, and slices that begin with first_mb_in_slice 0 and the given slice_type.
var (
	avcSPS   = []byte{0x67, 0x42, 0, 0x1e, 0xa5}
	avcPPS   = []byte{0x68, 0xce, 0x3c, 0x80}
	avcIDR   = append([]byte{0x65, 0x88}, fill(600)...) // slice_type 7
	avcI     = append([]byte{0x41, 0x88}, fill(600)...) // slice_type 7
	avcSomeI = append([]byte{0x41, 0xb0}, fill(600)...) // slice_type 2: other slices may differ
	avcP     = append([]byte{0x41, 0x9a}, fill(600)...) // slice_type 5
	avcAny   = []byte{0x09, 0xf0}                       // any slice_type may follow
	avcIOnly = []byte{0x09, 0x10}                       // slice_type I only
	avcPoint = []byte{0x06, 5, 3, 1, 2, 3, 6, 1, 0xc4, 0x80}
	avcOther = []byte{0x06, 5, 3, 6, 1, 6, 0x80}
)

// avcKey is an access unit that decoding can start with, avcInter one that it cannot.
var (
	avcKey   = units(avcAny, avcSPS, avcPPS, avcIDR)
	avcInter = units(avcAny, avcP)
)
