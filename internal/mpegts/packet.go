// Package mpegts looks at MPEG transport streams (ISO/IEC 13818-1, Rec. ITU-T
// H.222.0) on their way through: it finds packet borders in bytes from anywhere
// ([Framer]), and what a relay must know of the packets ([Scanner]): programs,
// media time, losses and the points at which a decoder can start. It demultiplexes
// no more than that takes, and changes packets only where one source follows another
// ([Retimer]).
//
// Clause numbers in comments are those of ISO/IEC 13818-1:2019.
package mpegts

// Sizes and fixed values of clause 2.4.3.
const (
	PacketSize = 188
	SyncByte   = 0x47

	// PATPID carries the program association table.
	PATPID = 0x0000
	// NullPID carries packets to be thrown away.
	NullPID = 0x1fff
)

const pidCount = 0x2000

// A Packet is one transport packet (2.4.3.2): exactly PacketSize bytes, of which
// the first one is SyncByte. Its methods read and write those bytes in place, and
// believe no length found in them beyond the packet's own.
type Packet []byte

// PID returns the packet identifier.
func (p Packet) PID() uint16 { return uint16(p[1]&0x1f)<<8 | uint16(p[2]) }

// Errored reports the transport_error_indicator: the packet holds at least one
// wrong bit, anywhere.
func (p Packet) Errored() bool { return p[1]&0x80 != 0 }

// UnitStart reports the payload_unit_start_indicator (PUSI): a PES packet begins
// with the payload, or a section within it.
func (p Packet) UnitStart() bool { return p[1]&0x40 != 0 }

// Scrambled reports whether the transport_scrambling_control bits say that the
// payload is scrambled.
func (p Packet) Scrambled() bool { return p[3]&0xc0 != 0 }

// HasAdaptation reports whether there is an adaptation field.
func (p Packet) HasAdaptation() bool { return p[3]&0x20 != 0 }

// HasPayload reports whether there is a payload.
func (p Packet) HasPayload() bool { return p[3]&0x10 != 0 }

// CC returns the continuity counter, 0 to 15.
func (p Packet) CC() uint8 { return p[3] & 0x0f }

// SetCC sets the continuity counter to the lower four bits of cc.
func (p Packet) SetCC(cc uint8) { p[3] = p[3]&0xf0 | cc&0x0f }

// flags returns the flags of the adaptation field (2.4.3.4), 0 if it has none.
func (p Packet) flags() byte {
	if !p.HasAdaptation() || p[4] == 0 {
		return 0
	}
	return p[5]
}

// Discontinuity reports the discontinuity_indicator: continuity counter, system
// time base or both break here on purpose.
func (p Packet) Discontinuity() bool { return p.flags()&0x80 != 0 }

// RandomAccess reports the random_access_indicator: the sender says that a
// decoder can start with the PES packet that begins here.
func (p Packet) RandomAccess() bool { return p.flags()&0x40 != 0 }

// PCR returns the program clock reference (2.4.3.5) in ticks of 27 MHz, from 0 to
// below [PCRModulus]. ok is false if the packet carries none.
func (p Packet) PCR() (pcr int64, ok bool) {
	if p.flags()&0x10 == 0 || p[4] < 7 {
		return 0, false
	}
	base := int64(p[6])<<25 | int64(p[7])<<17 | int64(p[8])<<9 | int64(p[9])<<1 | int64(p[10])>>7
	ext := int64(p[10]&1)<<8 | int64(p[11])
	return (base*300 + ext) % PCRModulus, true
}

// Payload returns the payload, which may be empty, aliasing the packet.
func (p Packet) Payload() []byte {
	if !p.HasPayload() {
		return nil
	}
	start := 4
	if p.HasAdaptation() {
		start += 1 + int(p[4])
	}
	if start >= PacketSize {
		return nil
	}
	return p[start:PacketSize:PacketSize]
}

// NullPacket returns a new packet of [NullPID] without content.
func NullPacket() Packet {
	p := make(Packet, PacketSize)
	p[0], p[1], p[2], p[3] = SyncByte, NullPID>>8, NullPID&0xff, 0x10
	for i := 4; i < PacketSize; i++ {
		p[i] = 0xff
	}
	return p
}
