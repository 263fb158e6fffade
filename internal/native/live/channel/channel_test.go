package channel

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2/bep44"
	anacrolix "github.com/anacrolix/torrent/bencode"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/native/bencode"
)

// A channel of which everything is known: the key of RFC 8032, 7.1, test 1.
var (
	key  = NewKey([SeedSize]byte(unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")))
	info = Info{Name: "News", Key: key.Public(), Unit: MaxUnit, Substreams: 8}
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// The test vector of BEP 44, "mutable". Its private key is in an expanded form,
// so the signature is verified rather than made.
func TestVectorOfBEP44(t *testing.T) {
	t.Parallel()
	item := Item{
		Key:   PublicKey(unhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")),
		Seq:   1,
		Value: []byte("12:Hello World!"),
		Signature: Signature(unhex("305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff" +
			"1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01")),
	}
	if got := string(signable(item.Seq, item.Value)); got != "3:seqi1e1:v12:Hello World!" {
		t.Errorf("signed is %q", got)
	}
	if got := item.Target().String(); got != "4a533d47ec9c7d95b1ad75f576cffc641853b750" {
		t.Errorf("target %s", got)
	}
	if err := item.Verify(item.Target()); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Item){
		"seq":       func(i *Item) { i.Seq = 2 },
		"value":     func(i *Item) { i.Value = []byte("12:Hello world!") },
		"signature": func(i *Item) { i.Signature[0] ^= 1 },
		"key":       func(i *Item) { i.Key[0] ^= 1 },
		"size":      func(i *Item) { i.Value = make([]byte, MaxItem+1) },
	} {
		other := item
		if change(&other); other.Verify(item.Target()) == nil {
			t.Errorf("an item with another %s is believed", name)
		}
	}
}

// Names are 40 hex digits that every client of an engine takes, and stay what
// they are: a change of the form is a change of every channel's name.
func TestNames(t *testing.T) {
	t.Parallel()
	if got := hex.EncodeToString(info.Key[:]); got != "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" {
		t.Fatalf("public key %s", got)
	}
	encoded, err := info.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := "d5:alived1:k32:" + string(info.Key[:]) + "1:m6:mpegts1:si8e1:ui16356e1:vi1ee4:name4:News12:piece lengthi16384ee"
	if string(encoded) != want {
		t.Errorf("info is %q, want %q", encoded, want)
	}
	for kind, h := range map[content.Kind]Hash{content.ContentID: info.Key.ContentID(), content.Infohash: info.Infohash()} {
		s, err := content.New(kind, h.String())
		if err != nil || s.Value != h.String() {
			t.Errorf("%s: %v, %v", kind, s, err)
		}
		if back, err := ParseHash(h.String()); err != nil || back != h {
			t.Errorf("%s: %v, %v", kind, back, err)
		}
	}
	if got := info.Key.ContentID().String(); got != "5b27aa5589179770e47575b162a1ded97b8bfc6d" {
		t.Errorf("content id %s", got)
	}
	if got := info.Infohash().String(); got != "b05bd690434659be0f69c02706260740c56e3f44" {
		t.Errorf("infohash %s", got)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("g", 40), strings.Repeat("a", 41)} {
		if h, err := ParseHash(bad); err == nil {
			t.Errorf("%q was read as %v", bad, h)
		}
	}
}

func TestKeysAreNotLogged(t *testing.T) {
	t.Parallel()
	seed := key.Seed()
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		got := fmt.Sprintf(format, key)
		if strings.Contains(got, hex.EncodeToString(seed[:4])) || !strings.Contains(got, key.Public().ContentID().String()) {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func infos() *rapid.Generator[Info] {
	return rapid.Custom(func(t *rapid.T) Info {
		return Info{
			Name:       rapid.StringN(1, 30, MaxName).Draw(t, "name"),
			Key:        PublicKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")),
			Unit:       mpegts.PacketSize * rapid.IntRange(1, 87).Draw(t, "packets"),
			Substreams: rapid.IntRange(1, MaxSubstreams).Draw(t, "substreams"),
			Private:    rapid.Bool().Draw(t, "private"),
		}
	})
}

func TestInfoRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := infos().Draw(t, "info")
		b, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseInfo(b); err != nil || got != i {
			t.Fatalf("%+v became %+v, %v", i, got, err)
		}
	})
}

func TestBadInfos(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d bencode.Dict){
		"a torrent":        func(d bencode.Dict) { delete(d, "alive") },
		"another version":  func(d bencode.Dict) { d.Dict("alive")["v"] = bencode.Int(2) },
		"a field more":     func(d bencode.Dict) { d["x"] = bencode.Int(1) },
		"a key too short":  func(d bencode.Dict) { d.Dict("alive")["k"] = bencode.String("k") },
		"no name":          func(d bencode.Dict) { delete(d, "name") },
		"a long name":      func(d bencode.Dict) { d["name"] = bencode.String(strings.Repeat("n", MaxName+1)) },
		"a broken name":    func(d bencode.Dict) { d["name"] = bencode.String("\xff") },
		"half a packet":    func(d bencode.Dict) { d.Dict("alive")["u"] = bencode.Int(94) },
		"too large a unit": func(d bencode.Dict) { d.Dict("alive")["u"] = bencode.Int(188 * 88) },
		"a huge unit":      func(d bencode.Dict) { d.Dict("alive")["u"] = bencode.Int(188 << 32) },
		"no substreams":    func(d bencode.Dict) { d.Dict("alive")["s"] = bencode.Int(0) },
		"33 substreams":    func(d bencode.Dict) { d.Dict("alive")["s"] = bencode.Int(33) },
		"other media":      func(d bencode.Dict) { d.Dict("alive")["m"] = bencode.String("mp4") },
		"private by two":   func(d bencode.Dict) { d["private"] = bencode.Int(2) },
	} {
		d := info.dict()
		change(d)
		if i, err := ParseInfo(d.Append(nil)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
	if _, err := (Info{}).Encode(); !errors.Is(err, ErrFormat) {
		t.Errorf("an empty info was encoded: %v", err)
	}
}

var record = Record{
	Infohash: info.Infohash(),
	Name:     "News",
	Trackers: []string{"udp://tracker.example:6969"},
	Hints:    []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7764"), netip.MustParseAddrPort("[2001:db8::1]:7764")},
	Time:     time.Unix(1_800_000_000, 0),
}

// What is published is what is read, and another implementation of BEP 44 signs
// and finds it in the same way.
func TestRecord(t *testing.T) {
	t.Parallel()
	item, err := key.Publish(record)
	if err != nil {
		t.Fatal(err)
	}
	got, err := item.Record(key.Public().ContentID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if _, err := item.Record(Hash{}); !errors.Is(err, ErrForged) {
		t.Errorf("an item of another target: %v", err)
	}

	var v any
	if err := anacrolix.Unmarshal(item.Value, &v); err != nil {
		t.Fatal(err)
	}
	seed := key.Seed()
	other, err := bep44.NewItem(v, nil, item.Seq, 0, ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	if other.Sig != item.Signature || Hash(other.Target()) != item.Target() {
		t.Error("another implementation signs or finds it in another way")
	}
}

func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Record){
		"name":     func(r *Record) { r.Name = strings.Repeat("n", MaxName+1) },
		"trackers": func(r *Record) { r.Trackers = make([]string, MaxTrackers+1) },
		"tracker":  func(r *Record) { r.Trackers = []string{strings.Repeat("t", MaxURL+1)} },
		"nothing":  func(r *Record) { r.Trackers = []string{""} },
		"hints":    func(r *Record) { r.Hints = slices.Repeat(record.Hints[:1], MaxHints+1) },
		"no port":  func(r *Record) { r.Hints = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:0")} },
		"no hint":  func(r *Record) { r.Hints = []netip.AddrPort{{}} },
		"time":     func(r *Record) { r.Time = time.Time{} },
		"whole":    func(r *Record) { r.Trackers = slices.Repeat([]string{strings.Repeat("t", MaxURL)}, 4) },
	} {
		r := record
		change(&r)
		if item, err := key.Publish(r); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %q, %v", name, item.Value, err)
		}
	}
	// What the key signed can still be wrong.
	for name, value := range map[string]bencode.Value{
		"no dictionary": bencode.String("Hello World!"),
		"no infohash":   bencode.Dict{"n": bencode.String("x")},
		"cut hint":      bencode.Dict{"ih": bencode.String(make([]byte, 20)), "b": bencode.String("\x04abc")},
		"other family":  bencode.Dict{"ih": bencode.String(make([]byte, 20)), "b": bencode.String("\x05abcdef")},
		"no port":       bencode.Dict{"ih": bencode.String(make([]byte, 20)), "b": bencode.String("\x04abcd\x00\x00")},
		"a number":      bencode.Dict{"ih": bencode.String(make([]byte, 20)), "tr": bencode.List{bencode.Int(1)}},
		"before 1970":   bencode.Dict{"ih": bencode.String(make([]byte, 20)), "t": bencode.Int(-1)},
	} {
		b := value.Append(nil)
		item := Item{Key: key.public, Seq: 1, Value: b, Signature: key.Sign(signable(1, b))}
		if r, err := item.Record(item.Target()); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func described(t *testing.T) (Description, SignedDescription) {
	t.Helper()
	d := Description{Seq: 7, Title: "Noticias", Quality: "HD", Categories: []string{"news", "es"}, Bitrate: 4e6}
	s, err := key.Describe(d)
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

func TestDescription(t *testing.T) {
	t.Parallel()
	want, signed := described(t)
	got, err := signed.Open(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	forged := signed
	forged.Encoded = bytes.Replace(signed.Encoded, []byte("Noticias"), []byte("Nothings"), 1)
	for name, s := range map[string]SignedDescription{
		"changed": forged,
		"large":   {Encoded: make([]byte, MaxDescription+1)},
		"text":    {Encoded: []byte("x"), Signature: key.Sign([]byte(descriptionContext + "x"))},
		"minus":   {Encoded: []byte("d3:seqi-1ee"), Signature: key.Sign([]byte(descriptionContext + "d3:seqi-1ee"))},
		"context": {Encoded: []byte("de"), Signature: key.Sign([]byte("de"))},
	} {
		if d, err := s.Open(key.Public()); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for name, d := range map[string]Description{
		"title":      {Title: strings.Repeat("t", MaxTitle+1)},
		"category":   {Categories: []string{"\xff"}},
		"categories": {Categories: make([]string, MaxCategories+1)},
		"bitrate":    {Bitrate: 1 << 63},
	} {
		if _, err := key.Describe(d); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func transport(t testing.TB) ([]byte, Transport) {
	t.Helper()
	s, err := key.Describe(Description{Seq: 7, Title: "Noticias"})
	if err != nil {
		t.Fatal(err)
	}
	want := Transport{Info: info, Trackers: []string{"http://tracker.example/announce"}, Boot: []string{"source.example:7764"}, Description: s}
	b, err := key.Transport(want)
	if err != nil {
		t.Fatal(err)
	}
	return b, want
}

func TestTransport(t *testing.T) {
	t.Parallel()
	b, want := transport(t)
	got, err := ParseTransport(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	// Nothing in it can be changed, added or taken away.
	for at := range b {
		for _, bit := range []byte{1, 0x80} {
			changed := bytes.Clone(b)
			changed[at] ^= bit
			if _, err := ParseTransport(changed); err == nil {
				t.Fatalf("bit %#x of byte %d can be changed", bit, at)
			}
		}
	}
	for _, drop := range []string{"sig", "msig", "meta", "tr", "boot", "info"} {
		d, err := bencode.DecodeDict(b)
		if err != nil {
			t.Fatal(err)
		}
		delete(d, drop)
		if _, err := ParseTransport(d.Append(nil)); err == nil {
			t.Errorf("%s can be taken away", drop)
		}
	}
	if _, err := ParseTransport(make([]byte, MaxTransport+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
	// A key makes files of its own channel.
	if _, err := NewKey([SeedSize]byte{1}).Transport(want); !errors.Is(err, ErrForged) {
		t.Errorf("another key: %v", err)
	}
}

func TestNotice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := key.Notify(Notice{
			Kind:  rapid.SampledFrom([]Kind{Began, Ended, Revoked}).Draw(t, "kind"),
			Epoch: rapid.Uint32().Draw(t, "epoch"),
			Seq:   rapid.Uint64().Draw(t, "seq"),
			Time:  rapid.Int64().Draw(t, "time"),
		})
		b := n.Append(nil)
		got, err := ParseNotice(b)
		if err != nil || got != n || got.Verify(key.Public()) != nil {
			t.Fatalf("%+v became %+v, %v", n, got, err)
		}
		b[rapid.IntRange(1, NoticeSize-1).Draw(t, "byte")] ^= 1
		if got, err := ParseNotice(b); err != nil || !errors.Is(got.Verify(key.Public()), ErrForged) {
			t.Fatalf("a changed notice is believed: %+v, %v", got, err)
		}
	})
	for _, b := range [][]byte{nil, make([]byte, NoticeSize), bytes.Repeat([]byte{4}, NoticeSize), bytes.Repeat([]byte{1}, NoticeSize+1)} {
		if n, err := ParseNotice(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %+v, %v", b, n, err)
		}
	}
}

func TestEpochsGrow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		last uint32
		now  int64
		want uint32
	}{
		{0, 1_800_000_000, 1_800_000_000},
		{1_800_000_000, 1_800_000_000, 1_800_000_001},
		{1_800_000_000, 5, 1_800_000_001},
		{0, -5, 1},
		{7, 1 << 40, 1<<32 - 1},
		{1<<32 - 1, 5, 1<<32 - 1}, // the end; keyfile says so
	} {
		if got := NextEpoch(tt.last, time.Unix(tt.now, 0)); got != tt.want {
			t.Errorf("after %d at %d: %d, want %d", tt.last, tt.now, got, tt.want)
		}
	}
}

func FuzzParseTransport(f *testing.F) {
	b, _ := transport(f)
	f.Add(b)
	f.Add([]byte("d4:infod6:lengthi1e4:name1:xee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseTransport(b)
		if err != nil {
			return
		}
		// Only this test's key can have signed it, and it signs what it would read.
		if again, err := key.Transport(got); got.Info.Key == key.Public() && (err != nil || len(again) > MaxTransport) {
			t.Fatalf("%+v: %v", got, err)
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	b, err := info.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := ParseInfo(b)
		if err != nil {
			return
		}
		if again, err := i.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	item, err := key.Publish(record)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(item.Value)
	f.Fuzz(func(t *testing.T, value []byte) {
		// Signed by the key whatever it is: the form alone must keep what is wrong out.
		item := Item{Key: key.public, Seq: 1, Value: value, Signature: key.Sign(signable(1, value))}
		r, err := item.Record(item.Target())
		if err != nil {
			return
		}
		if len(r.Name) > MaxName || len(r.Trackers) > MaxTrackers || len(r.Hints) > MaxHints || len(value) > MaxItem {
			t.Fatalf("%+v", r)
		}
	})
}
