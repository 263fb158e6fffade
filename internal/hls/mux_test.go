package hls

import (
	"encoding/binary"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// The PIDs of the streams that tests build.
const (
	pmtPID   = 0x100
	videoPID = 0x101
	audioPID = 0x102
)

// A mux writes a transport stream picture by picture.
type mux struct {
	out   []byte
	cc    map[uint16]uint8
	clock int64 // of the next picture, in ticks of 90 kHz
	audio bool  // the program has audio only
	more  bool  // the program has a second audio stream
}

func newMux() *mux { return &mux{cc: make(map[uint16]uint8)} }

// packet appends a packet. A payload that does not fill it is preceded by stuffing.
// pcr is left out if negative.
func (m *mux) packet(pid uint16, start bool, pcr int64, discontinuity bool, payload []byte) {
	p := make([]byte, 4, mpegts.PacketSize)
	p[0], p[1], p[2] = mpegts.SyncByte, byte(pid>>8), byte(pid)
	if start {
		p[1] |= 0x40
	}
	room := mpegts.PacketSize - 4 - len(payload)
	if room > 0 || pcr >= 0 || discontinuity {
		p[3] |= 0x20
		field := make([]byte, room)
		field[0] = byte(room - 1)
		if room > 1 {
			for i := range field[2:] {
				field[2+i] = 0xff
			}
			if discontinuity {
				field[1] |= 0x80
			}
			if pcr >= 0 {
				field[1] |= 0x10
				base := uint64(pcr / 300)
				binary.BigEndian.PutUint32(field[2:], uint32(base>>1))
				field[6], field[7] = byte(base<<7)|0x7e, 0
			}
		}
		p = append(p, field...)
	}
	if len(payload) > 0 {
		p[3] |= 0x10 | m.cc[pid]&0x0f
		m.cc[pid]++
	} else {
		p[3] |= (m.cc[pid] - 1) & 0x0f
	}
	m.out = append(m.out, append(p, payload...)...)
}

// tables appends the program association table and the program map table.
func (m *mux) tables() {
	m.packet(mpegts.PATPID, true, -1, false, section(0x00, []byte{0, 1, 0xe0 | pmtPID>>8, pmtPID & 0xff}))
	clock, streams := uint16(videoPID), []byte{}
	if m.audio {
		clock = audioPID
	} else {
		streams = append(streams, 0x1b, 0xe0|videoPID>>8, videoPID&0xff, 0xf0, 0)
	}
	streams = append(streams, 0x0f, 0xe0|audioPID>>8, audioPID&0xff, 0xf0, 0)
	if m.more {
		streams = append(streams, 0x0f, 0xe0|(audioPID+1)>>8, (audioPID+1)&0xff, 0xf0, 0)
	}
	m.packet(pmtPID, true, -1, false, section(0x02, append([]byte{0xe0 | byte(clock>>8), byte(clock), 0xf0, 0}, streams...)))
}

// section returns the payload of a packet with one section of program 1.
func section(table byte, body []byte) []byte {
	s := []byte{table, 0xb0, byte(len(body) + 9), 0, 1, 0xc1, 0, 0}
	s = append(s, body...)
	crc := ^uint32(0)
	for _, b := range s {
		crc ^= uint32(b) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return append([]byte{0}, binary.BigEndian.AppendUint32(s, crc)...)
}

// A shot is a picture to be written.
type shot struct {
	key           bool
	lasts         int64 // ticks until the next picture
	packets       int   // at least 1
	discontinuity bool  // announce a break before it
	unstamped     bool  // without time stamps
}

// write appends a picture, which carries the clock reference, and a packet of audio.
func (m *mux) write(s shot) {
	pid := uint16(videoPID)
	if m.audio {
		pid = audioPID
	}
	if s.discontinuity {
		m.packet(pid, false, -1, true, nil)
	}
	head := pes(0xe0, (m.clock+9000)%(1<<33), !s.unstamped)
	if s.key {
		head = append(head, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x67, 66, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65, 0x88)
	} else {
		head = append(head, 0, 0, 1, 9, 0x30, 0, 0, 1, 0x41, 0x9a, 0x80)
	}
	m.packet(pid, true, m.clock%(1<<33)*300, s.discontinuity, append(head, 0x55))
	for range max(s.packets, 1) - 1 {
		m.packet(pid, false, -1, false, make([]byte, 184))
	}
	if !m.audio {
		m.packet(audioPID, true, -1, false, append(pes(0xc0, (m.clock+9000)%(1<<33), true), 1, 2, 3))
	}
	m.clock += s.lasts
}

// pes returns the header of a PES packet, whose PTS is its DTS.
func pes(stream byte, pts int64, stamped bool) []byte {
	if !stamped {
		return []byte{0, 0, 1, stream, 0, 0, 0x80, 0, 0}
	}
	return []byte{
		0, 0, 1, stream, 0, 0, 0x80, 0x80, 5,
		0x21 | byte(pts>>29)&0x0e, byte(pts >> 22), byte(pts>>14) | 1, byte(pts >> 7), byte(pts<<1) | 1,
	}
}

// group appends n pictures of 25 a second, the first of which is a key picture with tables
// before it.
func (m *mux) group(n int) {
	m.tables()
	for i := range n {
		m.write(shot{key: i == 0, lasts: rate / 25, packets: 3})
	}
}

// take returns what was written since the last call.
func (m *mux) take() []byte {
	b := m.out
	m.out = nil
	return b
}
