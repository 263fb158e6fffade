package unit

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

var (
	key      = channel.NewKey([channel.SeedSize]byte{1})
	infohash = channel.Hash{2}
	signer   = NewSigner(key, infohash)
	verifier = NewVerifier(key.Public(), infohash)
	now      = time.UnixMicro(1_800_000_000_000_000)
)

// packets returns n packets that are filled with a byte.
func packets(n int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, n*mpegts.PacketSize)
	for at := 0; at < len(b); at += mpegts.PacketSize {
		b[at] = mpegts.SyncByte
	}
	return b
}

func header(epoch uint32, seq uint64) Header {
	return Header{Epoch: epoch, Seq: seq, Time: now.UnixMicro(), Clock: NoClock}
}

func signed(t testing.TB, h Header, payload []byte) *Unit {
	t.Helper()
	u, err := signer.Sign(h, payload)
	if err != nil {
		t.Fatal(err)
	}
	return &u
}

func units() *rapid.Generator[Unit] {
	return rapid.Custom(func(t *rapid.T) Unit {
		h := Header{
			Epoch:    rapid.Uint32Min(1).Draw(t, "epoch"),
			Seq:      rapid.Uint64().Draw(t, "seq"),
			Time:     rapid.Int64Min(0).Draw(t, "time"),
			Flags:    Flags(rapid.Uint16Range(0, uint16(known)).Draw(t, "flags")),
			Duration: rapid.Uint16().Draw(t, "duration"),
			Clock:    rapid.OneOf(rapid.Uint64Range(0, clockBound-1), rapid.Just[uint64](NoClock)).Draw(t, "clock"),
		}
		u, err := signer.Sign(h, packets(rapid.IntRange(1, 87).Draw(t, "packets"), rapid.Byte().Draw(t, "fill")))
		if err != nil {
			t.Fatal(err)
		}
		return u
	})
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		u := units().Draw(t, "unit")
		b := u.Append(nil)
		if len(b) != u.Size() {
			t.Fatalf("%d bytes, of size %d", len(b), u.Size())
		}
		got, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(u, got); diff != "" {
			t.Fatal(diff)
		}
		if err := verifier.Verify(&got); err != nil {
			t.Fatal(err)
		}
		// No bit can be changed, in the header, the signature or the payload.
		at := rapid.IntRange(0, len(b)-1).Draw(t, "byte")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, err := Parse(b); err == nil && !errors.Is(verifier.Verify(&got), ErrForged) {
			t.Fatalf("byte %d can be changed", at)
		}
	})
}

// The layout of the header, byte by byte.
func TestHeaderOnTheWire(t *testing.T) {
	t.Parallel()
	h := Header{
		Epoch: 0x01020304, Seq: 0x05060708090a0b0c, Time: 0x0d0e0f1011121314,
		Flags: RandomAccess | Last, Length: 188, Duration: 0x1516, Clock: 0x171819,
	}
	want := []byte{
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
		0, 9, 0, 188, 0x15, 0x16, 0, 0, 0, 0x17, 0x18, 0x19,
	}
	if got := h.append(nil); !bytes.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := parseHeader(want); got != h {
		t.Errorf("%+v, want %+v", got, h)
	}
	if got := h.Substream(8); got != 4 {
		t.Errorf("substream %d", got)
	}
}

func TestMalformedUnits(t *testing.T) {
	t.Parallel()
	good := signed(t, header(1, 1), packets(2, 0)).Append(nil)
	for name, change := range map[string]func(b []byte) []byte{
		"nothing":       func([]byte) []byte { return nil },
		"cut header":    func(b []byte) []byte { return b[:Overhead-1] },
		"no payload":    func(b []byte) []byte { return b[:Overhead] },
		"cut payload":   func(b []byte) []byte { return b[:len(b)-1] },
		"a packet more": func(b []byte) []byte { return append(b, packets(1, 0)...) },
		"epoch 0":       func(b []byte) []byte { b[3] = 0; return b },
		"before 1970":   func(b []byte) []byte { b[12] = 0x80; return b },
		"a new flag":    func(b []byte) []byte { b[21] |= 0x10; return b },
		"half a packet": func(b []byte) []byte { b[23]--; return b[:len(b)-1] },
		"too long":      func(b []byte) []byte { b[22] = 0xff; return b },
		"clock beyond":  func(b []byte) []byte { b[31]--; return b },
		"no packets":    func(b []byte) []byte { b[Overhead+mpegts.PacketSize] = 0; return b },
	} {
		if u, err := Parse(change(bytes.Clone(good))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, u.Header, err)
		}
	}
	for name, payload := range map[string][]byte{"empty": nil, "too large": packets(88, 0), "far too large": packets(88<<10, 0), "no packets": make([]byte, 188), "cut": packets(1, 0)[:187]} {
		if _, err := signer.Sign(header(1, 1), payload); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s was signed: %v", name, err)
		}
	}
}

func TestOtherKeysAndChannelsAreForgeries(t *testing.T) {
	t.Parallel()
	u := signed(t, header(1, 1), packets(1, 0))
	for name, v := range map[string]*Verifier{
		"key":     NewVerifier(channel.NewKey([channel.SeedSize]byte{9}).Public(), infohash),
		"channel": NewVerifier(key.Public(), channel.Hash{9}),
	} {
		if err := v.Verify(u); !errors.Is(err, ErrForged) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	g := NewGate(verifier, 4, time.Minute)
	at := func(epoch uint32, seq uint64, fill byte) *Unit {
		return signed(t, header(epoch, seq), packets(1, fill))
	}
	forged := at(9, 900, 0)
	forged.Signature[5] ^= 1
	early, late := header(2, 25), header(2, 25)
	early.Time -= (2 * time.Minute).Microseconds()
	late.Time = math.MaxInt64
	resigned := at(2, 22, 0)
	resigned.Signature[0] ^= 1
	for i, tt := range []struct {
		unit *Unit
		want error
	}{
		{at(2, 20, 0), nil},
		{at(2, 20, 0), ErrDuplicate},
		{at(2, 18, 0), nil}, // out of order, within the window
		{at(2, 17, 0), nil},
		{at(2, 16, 0), ErrPassed},
		{at(1, 99, 0), ErrPassed},
		{at(2, 22, 0), nil},
		{resigned, ErrDuplicate}, // says nothing new, whoever signed it
		{at(2, 18, 0), ErrPassed},
		{at(2, 21, 0), nil},
		{forged, ErrForged}, // and does not begin an epoch
		{at(2, 23, 0), nil},
		{signed(t, early, packets(1, 0)), ErrSkewed},
		{signed(t, late, packets(1, 0)), ErrSkewed},
		{at(3, 1, 0), nil}, // a restart
		{at(2, 24, 0), ErrPassed},
		{at(3, 0, 0), nil},
		{at(3, 1<<40, 0), nil}, // signed, so it is so
		{at(3, 1<<40-4, 0), ErrPassed},
		{at(3, math.MaxUint64, 0), nil},
		{&Unit{Header: header(3, 2)}, ErrMalformed},
	} {
		if err := g.Accept(tt.unit, now); !errors.Is(err, tt.want) {
			t.Fatalf("step %d, unit %d of epoch %d: %v, want %v", i, tt.unit.Seq, tt.unit.Epoch, err, tt.want)
		}
	}
	if g.Epoch() != 3 || g.Newest() != math.MaxUint64 {
		t.Errorf("epoch %d, newest %d", g.Epoch(), g.Newest())
	}
	// Where the clock is not trusted, time is not looked at.
	if err := NewGate(verifier, 4, 0).Accept(signed(t, early, packets(1, 0)), now); err != nil {
		t.Error(err)
	}
}

func TestEquivocation(t *testing.T) {
	t.Parallel()
	g := NewGate(verifier, 8, 0)
	first, second := signed(t, header(1, 5), packets(1, 1)), signed(t, header(1, 5), packets(1, 2))
	if err := g.Accept(first, now); err != nil {
		t.Fatal(err)
	}
	forged := *second
	forged.Signature[0] ^= 1
	if err := g.Accept(&forged, now); !errors.Is(err, ErrForged) {
		t.Errorf("a forgery accuses the channel: %v", err)
	}
	var e *Equivocation
	if err := g.Accept(second, now); !errors.As(err, &e) {
		t.Fatalf("%v", err)
	}
	if err := g.Accept(first, now); !errors.Is(err, ErrDuplicate) {
		t.Errorf("the first is not kept: %v", err)
	}
	// The evidence convinces who saw neither.
	b := e.Append(nil)
	got, err := ParseEquivocation(b)
	if err != nil || len(b) != EvidenceSize || *got != *e {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := got.Verify(verifier); err != nil {
		t.Error(err)
	}
	// A header that differs is enough, nothing that differs is not.
	other := header(1, 5)
	other.Flags = Last
	p, q := first.proof(), signed(t, other, first.Payload).proof()
	if err := (&Equivocation{p, q}).Verify(verifier); err != nil {
		t.Error(err)
	}
	r := p
	r.Signature[0] ^= 1
	next := signed(t, header(1, 6), packets(1, 2)).proof()
	late := signed(t, header(2, 5), packets(1, 2)).proof()
	q.Signature[0] ^= 1
	for name, e := range map[string]Equivocation{"same": {p, p}, "varied": {p, r}, "next": {p, next}, "epoch": {p, late}, "forged": {p, q}} {
		if err := e.Verify(verifier); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, EvidenceSize), b[:EvidenceSize-1]} {
		if _, err := ParseEquivocation(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// Whatever comes in which order, every unit is accepted at most once, and none
// that is forged or behind the window.
func TestGateProperty(t *testing.T) {
	t.Parallel()
	const window = 8
	made := make(map[Header]*Unit)
	for epoch := range uint32(3) {
		for seq := range uint64(40) {
			h := header(epoch+1, seq)
			made[h] = signed(t, h, packets(1, 0))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		g := NewGate(verifier, window, 0)
		seen := make(map[Header]bool)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h := header(rapid.Uint32Range(1, 3).Draw(t, "epoch"), rapid.Uint64Range(0, 39).Draw(t, "seq"))
			u := *made[h]
			forge := rapid.Bool().Draw(t, "forge")
			if forge {
				u.Signature[7] ^= 1
			}
			epoch, newest := g.Epoch(), g.Newest()
			passed := h.Epoch < epoch || h.Epoch == epoch && h.Seq+window <= newest
			want := error(nil)
			switch {
			case passed:
				want = ErrPassed
			case seen[h]:
				want = ErrDuplicate
			case forge:
				want = ErrForged
			}
			if err := g.Accept(&u, now); !errors.Is(err, want) {
				t.Fatalf("unit %d of %d at %d of %d: %v, want %v", h.Seq, h.Epoch, newest, epoch, err, want)
			}
			if want != nil && (g.Epoch() != epoch || g.Newest() != newest) {
				t.Fatalf("%v moved the gate", want)
			}
			if want == nil {
				seen[h] = true
			}
		}
	})
}

func TestCost(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(Proof{}); got > 136 {
		t.Errorf("a gate takes %d bytes for each unit, and says at most 136", got)
	}
	if Overhead != 96 || MaxPayload%mpegts.PacketSize != 0 || MaxPayload/mpegts.PacketSize != 87 {
		t.Errorf("overhead %d, payload %d", Overhead, MaxPayload)
	}
}

func TestNoAllocations(t *testing.T) { // not in parallel: it counts
	u := signed(t, header(1, 1), packets(87, 0))
	b := u.Append(make([]byte, 0, MaxSize))
	if n := testing.AllocsPerRun(100, func() { u.Append(b[:0]) }); n != 0 {
		t.Errorf("writing allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse(b); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
	g := NewGate(verifier, 8, 0)
	if n := testing.AllocsPerRun(100, func() { _ = g.Accept(u, now) }); n != 0 {
		t.Errorf("a duplicate allocates %v times", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(signed(f, header(1, 1), packets(1, 0)).Append(nil))
	f.Add(make([]byte, Overhead))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(u.Append(nil), b) {
			t.Fatalf("%x became %x", b, u.Append(nil))
		}
	})
}

func BenchmarkSign(b *testing.B) {
	payload := packets(87, 0)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for seq := uint64(0); b.Loop(); seq++ {
		if _, err := signer.Sign(header(1, seq), payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	u := signed(b, header(1, 1), packets(87, 0))
	b.SetBytes(int64(len(u.Payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := verifier.Verify(u); err != nil {
			b.Fatal(err)
		}
	}
}

// What a viewer does with each unit that it gets: read, verify, remember.
func BenchmarkAccept(b *testing.B) {
	var frames [][]byte
	for seq := range uint64(64) {
		frames = append(frames, signed(b, header(1, seq), packets(87, 0)).Append(nil))
	}
	b.SetBytes(int64(len(frames[0])))
	b.ReportAllocs()
	g := NewGate(verifier, 64, 0)
	for i := 0; b.Loop(); i++ {
		if i%len(frames) == 0 {
			g = NewGate(verifier, 64, 0)
		}
		u, err := Parse(frames[i%len(frames)])
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Accept(&u, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	frame := signed(b, header(1, 1), packets(87, 0)).Append(nil)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(frame); err != nil {
			b.Fatal(err)
		}
	}
}
