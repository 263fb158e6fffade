// Package unit has the piece in which a live channel is signed, passed on and
// repaired: whole packets of a transport stream behind a header, with a signature
// that anybody can verify who knows the channel's key. [Gate] keeps what is forged,
// replayed or said twice in different ways from a viewer.
//
// The package is pure: time is an input. [Signer] and [Verifier] are safe for
// concurrent use; a [Gate] is owned by one goroutine.
package unit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

// Sizes in bytes.
const (
	HeaderSize = 32
	Overhead   = HeaderSize + len(channel.Signature{})
	MaxPayload = channel.MaxUnit
	MaxSize    = Overhead + MaxPayload
)

// Flags say what a unit begins with, or stands beside.
type Flags uint16

const (
	// RandomAccess says that a decoder can start with this unit, given its tables.
	RandomAccess Flags = 1 << iota
	// Discontinuity says that the broadcaster lost input before this unit, or its clock jumped.
	Discontinuity
	// Tables says that the unit has the program association and map tables.
	Tables
	// Last says that no unit comes after this one in its epoch.
	Last

	known = RandomAccess | Discontinuity | Tables | Last
)

// NoClock stands for a unit without a program clock reference.
const NoClock = 1<<48 - 1

// clockBound is where the program clock reference begins anew: 2^33 ticks of
// 90 kHz, in those of 27 MHz (ISO/IEC 13818-1, 2.4.3.5).
const clockBound = 1 << 33 * 300

// Header says what a unit is. On the wire it is HeaderSize bytes, big endian:
//
//	epoch 4 | seq 8 | time 8 | flags 2 | length 2 | duration 2 | clock 6
type Header struct {
	Epoch    uint32 // run of the broadcaster; grows, never 0
	Seq      uint64 // number of the unit in its epoch
	Time     int64  // when the broadcaster cut it, in microseconds since 1970
	Flags    Flags
	Length   uint16 // of the payload in bytes, a multiple of 188
	Duration uint16 // how much time it covers, in milliseconds
	Clock    uint64 // first program clock reference in it, in ticks of 27 MHz, or NoClock
}

// Substream returns the part of the channel to which the unit belongs, where a
// channel has n of them. Viewers subscribe to substreams, each where it comes
// soonest.
func (h *Header) Substream(n int) int { return int(h.Seq % uint64(n)) }

// Unit is a piece of a broadcast.
type Unit struct {
	Header
	Signature channel.Signature
	Payload   []byte
}

// Size returns how many bytes the unit has on the wire.
func (u *Unit) Size() int { return Overhead + len(u.Payload) }

var (
	// ErrMalformed says that bytes are no unit. Whoever sent them is broken or hostile.
	ErrMalformed = errors.New("malformed unit")
	// ErrForged says that the channel did not sign the unit. So is who sent it.
	ErrForged = errors.New("forged unit")
)

func (h *Header) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, h.Epoch)
	b = binary.BigEndian.AppendUint64(b, h.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Flags))
	b = binary.BigEndian.AppendUint16(b, h.Length)
	b = binary.BigEndian.AppendUint16(b, h.Duration)
	return append(b, byte(h.Clock>>40), byte(h.Clock>>32), byte(h.Clock>>24), byte(h.Clock>>16), byte(h.Clock>>8), byte(h.Clock))
}

func parseHeader(b []byte) Header {
	return Header{
		Epoch:    binary.BigEndian.Uint32(b),
		Seq:      binary.BigEndian.Uint64(b[4:]),
		Time:     int64(binary.BigEndian.Uint64(b[12:])),
		Flags:    Flags(binary.BigEndian.Uint16(b[20:])),
		Length:   binary.BigEndian.Uint16(b[22:]),
		Duration: binary.BigEndian.Uint16(b[24:]),
		Clock:    uint64(binary.BigEndian.Uint16(b[26:]))<<32 | uint64(binary.BigEndian.Uint32(b[28:])),
	}
}

func (h *Header) check() error {
	switch {
	case h.Epoch == 0:
		return fmt.Errorf("%w: epoch 0", ErrMalformed)
	case h.Time < 0:
		return fmt.Errorf("%w: before 1970", ErrMalformed)
	case h.Flags&^known != 0:
		return fmt.Errorf("%w: flags %#x", ErrMalformed, uint16(h.Flags))
	case h.Length == 0 || h.Length > MaxPayload || h.Length%mpegts.PacketSize != 0:
		return fmt.Errorf("%w: a payload of %d bytes", ErrMalformed, h.Length)
	case h.Clock != NoClock && h.Clock >= clockBound:
		return fmt.Errorf("%w: clock %d", ErrMalformed, h.Clock)
	}
	return nil
}

// check reports what is wrong with the unit but for its signature.
func (u *Unit) check() error {
	if err := u.Header.check(); err != nil {
		return err
	}
	if len(u.Payload) != int(u.Length) {
		return fmt.Errorf("%w: %d bytes of payload instead of %d", ErrMalformed, len(u.Payload), u.Length)
	}
	for at := 0; at < len(u.Payload); at += mpegts.PacketSize {
		if u.Payload[at] != mpegts.SyncByte {
			return fmt.Errorf("%w: no packet at byte %d", ErrMalformed, at)
		}
	}
	return nil
}

// Append writes the unit as it goes over the wire: header, signature, payload.
func (u *Unit) Append(b []byte) []byte {
	b = u.append(b)
	b = append(b, u.Signature[:]...)
	return append(b, u.Payload...)
}

// Parse reads exactly one unit and does not verify it. The payload is a part of
// b, not a copy.
func Parse(b []byte) (Unit, error) {
	if len(b) < Overhead {
		return Unit{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	u := Unit{
		Header:    parseHeader(b),
		Signature: channel.Signature(b[HeaderSize:Overhead]),
		Payload:   b[Overhead:],
	}
	return u, u.check()
}

// Digest is the SHA-256 of a payload.
type Digest [sha256.Size]byte
