package wire

import "github.com/acequia-tv/acequia/internal/native/live/channel"

// HandshakeSize is the size of BitTorrent's handshake in bytes.
const HandshakeSize = 68

const (
	protocol     = "\x13BitTorrent protocol"
	extendedByte = 5    // of the reserved ones
	extendedBit  = 0x10 // BEP 10
)

// PeerIDPrefix begins the peer ids of this program and version (BEP 20).
const PeerIDPrefix = "-AL0100-"

// Handshake is what each side of a link sends first (BEP 3).
type Handshake struct {
	Reserved [8]byte // bits of extensions; the ones not known are kept
	Infohash channel.Hash
	PeerID   [20]byte
}

// NewHandshake returns the handshake of this program.
func NewHandshake(infohash channel.Hash, peerID [20]byte) Handshake {
	h := Handshake{Infohash: infohash, PeerID: peerID}
	h.Reserved[extendedByte] = extendedBit
	return h
}

// Extended reports whether the sender speaks the extension protocol (BEP 10).
func (h *Handshake) Extended() bool { return h.Reserved[extendedByte]&extendedBit != 0 }

// Append writes the handshake.
func (h *Handshake) Append(b []byte) []byte {
	b = append(b, protocol...)
	b = append(b, h.Reserved[:]...)
	b = append(b, h.Infohash[:]...)
	return append(b, h.PeerID[:]...)
}

// ParseHandshake reads a handshake.
func ParseHandshake(b []byte) (Handshake, error) {
	if len(b) != HandshakeSize || string(b[:len(protocol)]) != protocol {
		return Handshake{}, malformed("not a handshake of BitTorrent")
	}
	return Handshake{
		Reserved: [8]byte(b[20:]),
		Infohash: channel.Hash(b[28:]),
		PeerID:   [20]byte(b[48:]),
	}, nil
}
