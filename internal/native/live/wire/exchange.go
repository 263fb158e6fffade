package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/acequia-tv/acequia/internal/native/bencode"
)

// MaxPeers bounds what one message of peer exchange adds, and what it drops, of
// each family of addresses (BEP 11).
const MaxPeers = 50

// PeerFlags say what is known of a peer (BEP 11).
type PeerFlags byte

// The flags of BEP 11.
const (
	PeerEncrypts  PeerFlags = 1 << iota // prefers encryption
	PeerSeeds                           // only uploads; in a channel: broadcaster or support
	PeerUTP                             // supports uTP
	PeerHolepunch                       // supports ut_holepunch
	PeerReached                         // outgoing connection: the peer is reachable
)

// Peer is a peer that somebody is connected to.
type Peer struct {
	Addr  netip.AddrPort
	Flags PeerFlags
}

// Peers tells who joined and left a peer's neighbours since the last message
// (BEP 11, "ut_pex").
type Peers struct {
	Added   []Peer           // at most MaxPeers of each family
	Dropped []netip.AddrPort // the same
}

// Append writes the message.
func (m *Peers) Append(b []byte) []byte {
	var added, added6, flags, flags6, dropped, dropped6 []byte
	for _, p := range m.Added {
		if p.Addr.Addr().Unmap().Is4() {
			added, flags = appendAddr(added, p.Addr), append(flags, byte(p.Flags))
		} else {
			added6, flags6 = appendAddr(added6, p.Addr), append(flags6, byte(p.Flags))
		}
	}
	for _, a := range m.Dropped {
		if a.Addr().Unmap().Is4() {
			dropped = appendAddr(dropped, a)
		} else {
			dropped6 = appendAddr(dropped6, a)
		}
	}
	return bencode.Dict{
		"added": bencode.String(added), "added.f": bencode.String(flags),
		"added6": bencode.String(added6), "added6.f": bencode.String(flags6),
		"dropped": bencode.String(dropped), "dropped6": bencode.String(dropped6),
	}.Append(b)
}

// ParsePeers reads a message. Addresses that nobody can be dialled at are left
// out; flags that are not there are 0.
func ParsePeers(b []byte) (Peers, error) {
	d, err := bencode.DecodeDict(b)
	if err != nil {
		return Peers{}, malformed("peers: %v", err)
	}
	var m Peers
	for _, family := range []struct {
		suffix string
		size   int
	}{{"", 4}, {"6", 16}} {
		added, err := parseAddrs(d, "added"+family.suffix, family.size)
		if err != nil {
			return Peers{}, err
		}
		flags, _ := d.String("added" + family.suffix + ".f")
		for i, a := range added {
			p := Peer{Addr: a}
			if i < len(flags) {
				p.Flags = PeerFlags(flags[i])
			}
			if dialable(a) {
				m.Added = append(m.Added, p)
			}
		}
		dropped, err := parseAddrs(d, "dropped"+family.suffix, family.size)
		if err != nil {
			return Peers{}, err
		}
		m.Dropped = append(m.Dropped, dropped...)
	}
	return m, nil
}

func dialable(a netip.AddrPort) bool {
	return a.Port() != 0 && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast()
}

// appendAddr writes an address in compact form: 4 or 16 bytes, and the port.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	b = append(b, a.Addr().Unmap().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

func parseAddrs(d bencode.Dict, key string, size int) ([]netip.AddrPort, error) {
	s, _ := d.String(key)
	if len(s)%(size+2) != 0 || len(s)/(size+2) > MaxPeers {
		return nil, malformed("%d bytes of %q", len(s), key)
	}
	var addrs []netip.AddrPort
	for b := []byte(s); len(b) > 0; b = b[size+2:] {
		addr, _ := netip.AddrFromSlice(b[:size])
		addrs = append(addrs, netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[size:])))
	}
	return addrs, nil
}
