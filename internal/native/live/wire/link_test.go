package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	anacrolix "github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
	utHolepunch "github.com/anacrolix/torrent/peer_protocol/ut-holepunch"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

var (
	zero  time.Time
	addrs = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	addr  = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	h := NewHandshake(channel.Hash{1, 2}, [20]byte([]byte(PeerIDPrefix+"abcdefghijkl")))
	b := h.Append(nil)
	if want := "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x00\x01\x02"; len(b) != HandshakeSize || !strings.HasPrefix(string(b), want) {
		t.Errorf("%q", b)
	}
	got, err := ParseHandshake(b)
	if err != nil || got != h || !got.Extended() {
		t.Errorf("%+v, %v", got, err)
	}
	// What another implementation makes of it.
	theirs, err := pp.Handshake(t.Context(), struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(b), io.Discard}, nil, [20]byte{}, pp.PeerExtensionBits{})
	if err != nil || !theirs.SupportsExtended() || channel.Hash(theirs.Hash) != h.Infohash || theirs.PeerID != h.PeerID {
		t.Errorf("another implementation reads %+v, %v", theirs, err)
	}
	b[25] = 0
	if got, err := ParseHandshake(b); err != nil || got.Extended() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, b[:67], append([]byte{18}, b[1:]...), bytes.Repeat([]byte{1}, 68)} {
		if _, err := ParseHandshake(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFrames(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte{7}, MaxFrame-2)
	b := []byte{0, 0, 0, 0} // keep-alive
	for _, payload := range [][]byte{[]byte("abc"), nil, large, []byte("x")} {
		var err error
		if b, err = AppendFrame(b, LiveID, payload); err != nil {
			t.Fatal(err)
		}
	}
	b = append(b, 0, 0, 0, 5, 4, 0, 0, 0, 1) // have of BEP 3
	for _, in := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b)), iotest.DataErrReader(bytes.NewReader(b))} {
		r := NewReader(in)
		for i, want := range []Frame{
			{KeepAlive: true},
			{Extended: true, ID: LiveID, Payload: []byte("abc")},
			{Extended: true, ID: LiveID, Payload: []byte{}},
			{Extended: true, ID: LiveID, Payload: large},
			{Extended: true, ID: LiveID, Payload: []byte("x")},
			{Foreign: 4, Payload: []byte{0, 0, 0, 1}},
		} {
			got, err := r.Next()
			if err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("frame %d: %s", i, diff)
			}
		}
		if f, err := r.Next(); err != io.EOF {
			t.Fatalf("after the end: %+v, %v", f, err)
		}
	}
	if _, err := AppendFrame(nil, LiveID, append(large, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too large a frame was written: %v", err)
	}
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"no id":       {[]byte{0, 0, 0, 1, 20}, ErrMalformed},
		"too large":   {[]byte{0, 1, 0, 1, 20, 1}, ErrMalformed},
		"a gigabyte":  {[]byte{0x40, 0, 0, 0, 20, 1}, ErrMalformed},
		"a handshake": {[]byte(protocol), ErrMalformed},
		"cut length":  {[]byte{0, 0}, io.ErrUnexpectedEOF},
		"cut":         {[]byte{0, 0, 0, 3, 20, 1}, io.ErrUnexpectedEOF},
		"no frame":    {[]byte{0, 0, 0, 3}, io.ErrUnexpectedEOF},
	} {
		if f, err := NewReader(bytes.NewReader(tt.b)).Next(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// Who only promises bytes takes no memory.
func TestPromisesCostNothing(t *testing.T) { // not in parallel: it counts
	b := binary.BigEndian.AppendUint32(nil, MaxFrame)
	r := NewReader(bytes.NewReader(append(b, 20, 1)))
	if _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	if cap(r.buf) > 8<<10 {
		t.Errorf("%d bytes for 2", cap(r.buf))
	}
}

var hello = Hello{
	Extensions:   Extensions{Live: LiveID, Metadata: MetadataID, Peers: PeersID, Holepunch: HolepunchID},
	Client:       "Acequia 1.0",
	Port:         8621,
	Requests:     32,
	MetadataSize: 150,
	YourIP:       netip.MustParseAddr("192.0.2.7"),
	Live: &Live{
		Version: Version, Role: Support, Upload: 1e6, Substreams: 8, Low: 100, High: 700, Epoch: 1_800_000_000,
		Clock: 1_800_000_000_000_000,
	},
}

func TestHello(t *testing.T) {
	t.Parallel()
	b := hello.Append(nil)
	got, err := ParseHello(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hello, got, addr); diff != "" {
		t.Error(diff)
	}
	// What another implementation makes of it.
	var theirs pp.ExtendedHandshakeMessage
	if err := anacrolix.Unmarshal(b, &theirs); err != nil {
		t.Fatal(err)
	}
	if theirs.M["ut_pex"] != PeersID || theirs.Port != 8621 || theirs.V != hello.Client || theirs.MetadataSize != 150 || net.IP(theirs.YourIp).String() != "192.0.2.7" {
		t.Errorf("another implementation reads %+v", theirs)
	}
	empty, err := ParseHello((&Hello{}).Append(nil))
	if diff := cmp.Diff(Hello{}, empty, addr); err != nil || diff != "" {
		t.Error(diff, err)
	}
}

// The example of BEP 10, and other clients.
func TestForeignHellos(t *testing.T) {
	t.Parallel()
	h, err := ParseHello([]byte("d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	if diff := cmp.Diff(Hello{Client: "\u00b5Torrent 1.2", Port: 6881}, h, addr); err != nil || diff != "" {
		t.Error(diff, err)
	}
	h, err = ParseHello([]byte("d1:v500:" + strings.Repeat("x", 500) + "6:yourip3:abce"))
	if err != nil || len(h.Client) != maxClient || h.YourIP.IsValid() {
		t.Errorf("%+v, %v", h, err)
	}
	// A later version, with a role that is not known.
	h, err = ParseHello([]byte("d2:ald4:newsi1e4:rolei9e1:si8e1:vi2eee"))
	if err != nil || h.Live == nil || h.Live.Version != 2 || h.Live.Role != Viewer {
		t.Errorf("%+v, %v", h, err)
	}
	for name, text := range map[string]string{
		"nothing":       "",
		"a list":        "le",
		"too large":     "d1:v5000:" + strings.Repeat("x", 5000) + "e",
		"port":          "d1:pi65536ee",
		"port as text":  "d1:p4:6881e",
		"id":            "d1:md7:al_livei256eee",
		"negative id":   "d1:md7:al_livei-1eee",
		"metadata":      "d13:metadata_sizei16385ee",
		"no version":    "d2:ald1:si8eee",
		"no substreams": "d2:ald1:vi1eee",
		"substreams":    "d2:ald1:si33e1:vi1eee",
		"window":        "d2:ald2:hii1e2:loi2e1:si8e1:vi1eee",
		"upload":        "d2:ald1:si8e2:upi-1e1:vi1eee",
		"epoch":         "d2:ald2:epi4294967296e1:si8e1:vi1eee",
	} {
		if h, err := ParseHello([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// The examples of BEP 9.
func TestMetadata(t *testing.T) {
	t.Parallel()
	data := strings.Repeat("x", 3425)
	for text, want := range map[string]Metadata{
		"d8:msg_typei0e5:piecei0ee":                           {Kind: MetadataRequest},
		"d8:msg_typei1e5:piecei0e10:total_sizei3425ee" + data: {Kind: MetadataData, Total: 3425, Data: []byte(data)},
		"d8:msg_typei2e5:piecei0ee":                           {Kind: MetadataReject},
		"d8:msg_typei0e5:piecei7ee":                           {Kind: MetadataRequest, Piece: 7},
	} {
		got, err := ParseMetadata([]byte(text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%.50s: %v %s", text, err, diff)
		}
		if back := string(want.Append(nil)); back != text {
			t.Errorf("%.50s was written as %.50s", text, back)
		}
	}
	if m, err := ParseMetadata([]byte("d8:msg_typei3e5:piecei0ee")); err != ErrUnknown {
		t.Errorf("%+v, %v", m, err)
	}
	for _, text := range []string{
		"", "i1e", "de", "d8:msg_typei-1e5:piecei0ee", "d8:msg_typei0ee", "d8:msg_typei0e5:piecei-1ee", "d8:msg_typei0e5:piecei0eex",
		"d8:msg_typei1e5:piecei0ee", "d8:msg_typei1e5:piecei1e10:total_sizei1eex", "d8:msg_typei1e5:piecei0e10:total_sizei2eex",
		"d8:msg_typei1e5:piecei0e10:total_sizei0ee", "d8:msg_typei1e5:piecei0e10:total_sizei99999ee" + strings.Repeat("x", 99999),
	} {
		if m, err := ParseMetadata([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60s: %+v, %v", text, m, err)
		}
	}
}

func addrPorts() *rapid.Generator[netip.AddrPort] {
	return rapid.Custom(func(t *rapid.T) netip.AddrPort {
		size := rapid.SampledFrom([]int{4, 16}).Draw(t, "size")
		b := rapid.SliceOfN(rapid.ByteRange(1, 200), size, size).Draw(t, "address")
		a, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(a, rapid.Uint16Min(1).Draw(t, "port"))
	})
}

func TestPeers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m Peers
		for _, a := range rapid.SliceOfN(addrPorts(), 0, MaxPeers).Draw(t, "added") {
			m.Added = append(m.Added, Peer{a, PeerFlags(rapid.Byte().Draw(t, "flags"))})
		}
		m.Dropped = rapid.SliceOfN(addrPorts(), 0, MaxPeers).Draw(t, "dropped")
		b := m.Append(nil)
		got, err := ParsePeers(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Added) != len(m.Added) || len(got.Dropped) != len(m.Dropped) || !bytes.Equal(got.Append(nil), b) {
			t.Fatalf("%+v became %+v", m, got)
		}
		theirs, err := pp.LoadPexMsg(b)
		if err != nil || theirs.Len() != len(m.Added)+len(m.Dropped) {
			t.Fatalf("another implementation reads %+v, %v", theirs, err)
		}
	})
	// Nobody is dialled at nowhere; flags may be missing.
	m, err := ParsePeers([]byte("d5:added24:\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x01\xe0\x00\x00\x01\x00\x01\x01\x02\x03\x04\x00\x05e"))
	want := Peers{Added: []Peer{{Addr: netip.MustParseAddrPort("1.2.3.4:5")}}}
	if diff := cmp.Diff(want, m, addrs); err != nil || diff != "" {
		t.Error(diff, err)
	}
	for _, text := range []string{"", "le", "d5:added5:abcdee", "d6:added66:abcdefe", "d7:dropped1:ae", "d5:added306:" + strings.Repeat("abcdef", 51) + "e"} {
		if m, err := ParsePeers([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40s: %+v, %v", text, m, err)
		}
	}
}

func TestHolepunch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := Holepunch{Kind: HolepunchKind(rapid.IntRange(0, 2).Draw(t, "kind")), Addr: addrPorts().Draw(t, "address")}
		if m.Kind == HolepunchError {
			m.Code = rapid.SampledFrom([]HolepunchCode{NoSuchPeer, NotConnected, NoSupport, NoSelf}).Draw(t, "code")
		}
		b := m.Append(nil)
		if got, err := ParseHolepunch(b); err != nil || got != m && m.Addr.Addr().Is4() {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
		var theirs utHolepunch.Msg
		if err := theirs.UnmarshalBinary(b); err != nil || byte(theirs.MsgType) != byte(m.Kind) || theirs.AddrPort != m.Addr || uint32(theirs.ErrCode) != uint32(m.Code) {
			t.Fatalf("another implementation reads %+v, %v", theirs, err)
		}
	})
	good := (&Holepunch{Addr: netip.MustParseAddrPort("192.0.2.1:80")}).Append(nil)
	if _, err := ParseHolepunch(append([]byte{3}, good[1:]...)); err != ErrUnknown {
		t.Error(err)
	}
	for _, b := range [][]byte{nil, good[:11], append(good, 0), append([]byte{0, 2}, good[2:]...), make([]byte, 12), append([]byte{0, 1}, good[2:]...), append(good[:11:11], 1)} {
		if m, err := ParseHolepunch(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %+v, %v", b, m, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	b, err := AppendFrame([]byte{0, 0, 0, 0}, LiveID, []byte("abc"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(protocol))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		for total := 0; ; {
			frame, err := r.Next()
			if err != nil {
				return
			}
			if total += 4 + len(frame.Payload); total > len(b) || len(frame.Payload) > MaxFrame {
				t.Fatalf("%d bytes out of %d", total, len(b))
			}
		}
	})
}

func FuzzParseHello(f *testing.F) {
	f.Add(hello.Append(nil))
	f.Add([]byte("d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHello(b)
		if err != nil {
			return
		}
		again, err := ParseHello(h.Append(nil))
		if diff := cmp.Diff(h, again, addr); err != nil || diff != "" {
			t.Fatal(diff, err)
		}
	})
}

// The messages of other extensions, each of which may come as any bytes.
func FuzzExtensions(f *testing.F) {
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei3eeabc"))
	f.Add((&Peers{Added: []Peer{{Addr: netip.MustParseAddrPort("[2001:db8::1]:80"), Flags: PeerReached}}}).Append(nil))
	f.Add((&Holepunch{Addr: netip.MustParseAddrPort("192.0.2.1:80")}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseMetadata(b); err == nil {
			if again, err := ParseMetadata(m.Append(nil)); err != nil || !cmp.Equal(m, again) {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
		if m, err := ParsePeers(b); err == nil && len(m.Added)+len(m.Dropped) > 4*MaxPeers {
			t.Fatalf("%d peers", len(m.Added)+len(m.Dropped))
		}
		if m, err := ParseHolepunch(b); err == nil {
			if again, err := ParseHolepunch(m.Append(nil)); err != nil || again != m {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
	})
}
