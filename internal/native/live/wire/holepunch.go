package wire

import (
	"encoding/binary"
	"net/netip"
)

// HolepunchKind says what a message about hole punching does (BEP 55).
type HolepunchKind uint8

// The kinds of BEP 55.
const (
	Rendezvous     HolepunchKind = iota // connect me to that peer
	Connect                             // connect to that peer now; it does the same
	HolepunchError                      // it cannot be done
)

// HolepunchCode says why it cannot be done (BEP 55).
type HolepunchCode uint32

// The codes of BEP 55.
const (
	NoSuchPeer   HolepunchCode = iota + 1 // the address is not one
	NotConnected                          // the relaying peer is not connected to it
	NoSupport                             // it does not support hole punching
	NoSelf                                // it is the relaying peer
)

// Holepunch lets two peers that cannot be reached connect to each other at the
// same time, by a third to which both are connected (BEP 55, "ut_holepunch").
type Holepunch struct {
	Kind HolepunchKind
	Addr netip.AddrPort
	Code HolepunchCode // 0 unless Kind is HolepunchError
}

// Append writes the message: kind 1 | family 1 | address 4 or 16 | port 2 | code 4.
func (m *Holepunch) Append(b []byte) []byte {
	family := byte(1)
	if m.Addr.Addr().Unmap().Is4() {
		family = 0
	}
	b = appendAddr(append(b, byte(m.Kind), family), m.Addr)
	return binary.BigEndian.AppendUint32(b, uint32(m.Code))
}

// ParseHolepunch reads a message. Kinds that BEP 55 does not have are [ErrUnknown].
func ParseHolepunch(b []byte) (Holepunch, error) {
	if len(b) < 2 || b[1] > 1 {
		return Holepunch{}, malformed("hole punching without a family of addresses")
	}
	size := 4
	if b[1] == 1 {
		size = 16
	}
	if len(b) != 2+size+2+4 {
		return Holepunch{}, malformed("hole punching in %d bytes", len(b))
	}
	if HolepunchKind(b[0]) > HolepunchError {
		return Holepunch{}, ErrUnknown
	}
	addr, _ := netip.AddrFromSlice(b[2 : 2+size])
	m := Holepunch{
		Kind: HolepunchKind(b[0]),
		Addr: netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[2+size:])),
		Code: HolepunchCode(binary.BigEndian.Uint32(b[4+size:])),
	}
	if m.Kind != HolepunchError && (m.Code != 0 || !dialable(m.Addr)) {
		return Holepunch{}, malformed("hole punching to %v", m.Addr)
	}
	return m, nil
}
