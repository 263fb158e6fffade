package wire

import (
	"cmp"
	"net/netip"

	"github.com/acequia-tv/acequia/internal/native/bencode"
	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

// Names of extended messages, as they stand in handshakes.
const (
	liveName      = "al_live"
	metadataName  = "ut_metadata"  // BEP 9
	peersName     = "ut_pex"       // BEP 11
	holepunchName = "ut_holepunch" // BEP 55
)

// Bounds of a handshake.
const (
	maxHello  = 4 << 10 // bytes
	maxClient = 128     // bytes
	maxQueue  = 1 << 16
)

// Role is what a peer is in a channel.
type Role uint8

const (
	// Viewer plays the channel and passes it on.
	Viewer Role = iota
	// Broadcaster is the source of the channel.
	Broadcaster
	// Support passes the channel on and does not play it.
	Support

	roles
)

// Extensions are the ids under which a peer expects extended messages; 0 is one
// that it does not take.
type Extensions struct{ Live, Metadata, Peers, Holepunch byte }

// Live is what a peer says of itself for the live extension.
type Live struct {
	Version    int    // the newest it speaks; both ends speak the lower one
	Role       Role   // of a later version's roles: Viewer
	Upload     uint64 // bytes per second that it means to give, 0 if not known; below 2^63
	Substreams int    // as in the channel's info; another number is another channel
	Low, High  uint64 // the units that it holds are in [Low, High), both below 2^63
	Epoch      uint32 // of those units, 0 if it holds none yet
	Clock      int64  // its clock, in microseconds since 1970
}

// Hello is the handshake of the extension protocol (BEP 10).
type Hello struct {
	Extensions   Extensions
	Client       string     // name and version, for people; at most 128 bytes
	Port         uint16     // where it listens, 0 if nowhere
	Requests     int        // how many requests it queues ("reqq"), 0 if it does not say
	MetadataSize int        // bytes of the channel's info, 0 if it does not have it
	YourIP       netip.Addr // how the receiver looks from there; zero if it does not say
	Live         *Live      // nil if it does not speak the live extension
}

// Append writes the payload of the message with id [HelloID].
func (h *Hello) Append(b []byte) []byte {
	m := bencode.Dict{}
	for name, id := range map[string]byte{
		liveName: h.Extensions.Live, metadataName: h.Extensions.Metadata,
		peersName: h.Extensions.Peers, holepunchName: h.Extensions.Holepunch,
	} {
		if id != 0 {
			m[name] = bencode.Int(id)
		}
	}
	d := bencode.Dict{"m": m}
	set := func(key string, n int64) {
		if n != 0 {
			d[key] = bencode.Int(n)
		}
	}
	set("p", int64(h.Port))
	set("reqq", int64(h.Requests))
	set("metadata_size", int64(h.MetadataSize))
	if h.Client != "" {
		d["v"] = bencode.String(h.Client)
	}
	if h.YourIP.IsValid() {
		d["yourip"] = bencode.String(h.YourIP.Unmap().AsSlice())
	}
	if l := h.Live; l != nil {
		d["al"] = bencode.Dict{
			"v": bencode.Int(l.Version), "role": bencode.Int(l.Role), "up": bencode.Int(l.Upload),
			"s": bencode.Int(l.Substreams), "lo": bencode.Int(l.Low), "hi": bencode.Int(l.High),
			"ep": bencode.Int(l.Epoch), "us": bencode.Int(l.Clock),
		}
	}
	return d.Append(b)
}

// numbers reads numbers of a dictionary that must be within bounds.
type numbers struct {
	d   bencode.Dict
	err error
}

// get returns the number under a key, 0 if there is none.
func (n *numbers) get(key string, least, most int64) int64 {
	v, ok := n.d[key]
	if !ok {
		return 0
	}
	i, ok := v.(bencode.Int)
	if (!ok || int64(i) < least || int64(i) > most) && n.err == nil {
		n.err = malformed("%q of a handshake", key)
	}
	return int64(i)
}

const maxInt64 = 1<<63 - 1

// ParseHello reads the handshake of the extension protocol. What other clients
// say beside what is used here is ignored.
func ParseHello(b []byte) (Hello, error) {
	if len(b) > maxHello {
		return Hello{}, malformed("a handshake of %d bytes, at most %d", len(b), maxHello)
	}
	d, err := bencode.DecodeDict(b)
	if err != nil {
		return Hello{}, malformed("handshake: %v", err)
	}
	n := numbers{d: d}
	h := Hello{
		Port:         uint16(n.get("p", 0, 1<<16-1)),
		Requests:     int(n.get("reqq", 0, maxQueue)),
		MetadataSize: int(n.get("metadata_size", 0, MaxMetadata)),
	}
	m := numbers{d: d.Dict("m")}
	h.Extensions = Extensions{
		Live:      byte(m.get(liveName, 0, 255)),
		Metadata:  byte(m.get(metadataName, 0, 255)),
		Peers:     byte(m.get(peersName, 0, 255)),
		Holepunch: byte(m.get(holepunchName, 0, 255)),
	}
	if h.Client, _ = d.String("v"); len(h.Client) > maxClient {
		h.Client = h.Client[:maxClient]
	}
	if ip, ok := d.String("yourip"); ok {
		addr, _ := netip.AddrFromSlice([]byte(ip)) // of another length: not said
		h.YourIP = addr.Unmap()
	}
	if err := cmp.Or(n.err, m.err); err != nil {
		return Hello{}, err
	}
	h.Live, err = liveOf(d.Dict("al"))
	return h, err
}

func liveOf(d bencode.Dict) (*Live, error) {
	if d == nil {
		return nil, nil //nolint:nilnil // what a peer does not say is no error
	}
	n := numbers{d: d}
	l := Live{
		Version:    int(n.get("v", 1, 1<<16)),
		Role:       Role(n.get("role", 0, 255)),
		Upload:     uint64(n.get("up", 0, maxInt64)),
		Substreams: int(n.get("s", 1, channel.MaxSubstreams)),
		Low:        uint64(n.get("lo", 0, maxInt64)),
		High:       uint64(n.get("hi", 0, maxInt64)),
		Epoch:      uint32(n.get("ep", 0, 1<<32-1)),
		Clock:      n.get("us", 0, maxInt64),
	}
	switch {
	case n.err != nil:
		return nil, n.err
	case l.Version == 0 || l.Substreams == 0:
		return nil, malformed("a live handshake without version or substreams")
	case l.Low > l.High:
		return nil, malformed("units from %d to %d", l.Low, l.High)
	case l.Role >= roles:
		l.Role = Viewer
	}
	return &l, nil
}
