package wire

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/native/live/channel"
	"github.com/acequia-tv/acequia/internal/native/live/unit"
)

var (
	key    = channel.NewKey([channel.SeedSize]byte{1})
	signer = unit.NewSigner(key, channel.Hash{2})
)

func packet(fill byte) []byte {
	return append([]byte{0x47}, bytes.Repeat([]byte{fill}, 187)...)
}

func signed(seq uint64, fill byte) unit.Unit {
	u, err := signer.Sign(unit.Header{Epoch: 1, Seq: seq, Clock: unit.NoClock}, packet(fill))
	if err != nil {
		panic(err)
	}
	return u
}

// messages draws any message, within its bounds.
func messages() *rapid.Generator[Message] {
	return rapid.Custom(func(t *rapid.T) Message {
		epoch := rapid.Uint32().Draw(t, "epoch")
		streams := Streams(rapid.Uint32Min(1).Draw(t, "streams"))
		reason := Reason(rapid.Byte().Draw(t, "reason"))
		number := func(name string, most uint64) uint64 { return rapid.Uint64Range(0, most).Draw(t, name) }
		ascending := func(most int) []uint64 {
			seqs := rapid.SliceOfNDistinct(rapid.Uint64Range(0, maxSeq), 1, most, rapid.ID).Draw(t, "seqs")
			slices.Sort(seqs)
			return seqs
		}
		switch typ := Type(rapid.IntRange(0, int(TypeEvidence)).Draw(t, "type")); typ {
		case TypeWindow:
			low := number("low", maxSeq-MaxWindow)
			return &Window{epoch, low, low + number("window", MaxWindow), Role(number("role", uint64(roles)-1))}
		case TypeHave:
			base := number("base", maxSeq-MaxHave)
			seqs := []uint64{base}
			for n := range uint64(MaxHave) {
				if n > 0 && rapid.IntRange(0, 99).Draw(t, "have") == 0 {
					seqs = append(seqs, base+n)
				}
			}
			return NewHave(epoch, seqs)
		case TypeSubscribe:
			return &Subscribe{streams, epoch, number("from", maxSeq)}
		case TypeGrant:
			m := &Grant{Streams: streams}
			for range streams.Len() {
				m.Lags = append(m.Lags, uint32(number("lag", MaxDelay)))
			}
			return m
		case TypeDeny:
			return &Deny{streams, reason, number("retry", MaxDelay)}
		case TypeUnsubscribe:
			return &Unsubscribe{streams}
		case TypeEvict:
			return &Evict{streams, reason}
		case TypeRequest:
			m := &Request{Epoch: epoch}
			for _, seq := range ascending(MaxRequests) {
				m.Units = append(m.Units, Wanted{seq, number("left", MaxDelay)})
			}
			return m
		case TypeCancel:
			return &Cancel{Seqs{epoch, ascending(MaxRequests)}}
		case TypeUnit:
			return &Unit{signed(number("seq", math.MaxUint64), 0)}
		case TypeBusy:
			return &Busy{Seqs{epoch, ascending(MaxRequests)}}
		case TypePing:
			return &Ping{number("sent", math.MaxUint64)}
		case TypePong:
			return &Pong{number("sent", math.MaxUint64), number("clock", math.MaxInt64)}
		case TypeDescription:
			s, err := key.Describe(channel.Description{Title: rapid.StringN(0, 20, channel.MaxTitle).Draw(t, "title")})
			if err != nil {
				t.Fatal(err)
			}
			return &Description{s}
		case TypeNotice:
			return &Notice{key.Notify(channel.Notice{Kind: channel.Ended, Epoch: epoch})}
		case TypeStats:
			return &Stats{number("period", MaxDelay), number("sent", 1<<32), number("received", 1<<32), number("children", 1<<16)}
		default:
			return &Evidence{equivocation()}
		}
	})
}

func equivocation() unit.Equivocation {
	verifier := unit.NewVerifier(key.Public(), channel.Hash{2})
	gate := unit.NewGate(verifier, 1, 0)
	first, second := signed(1, 1), signed(1, 2)
	var e *unit.Equivocation
	if err := errors.Join(gate.Accept(&first, zero), gate.Accept(&second, zero)); !errors.As(err, &e) {
		panic(err)
	}
	return *e
}

func TestMessagesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := messages().Draw(t, "message")
		b := Append(nil, m)
		got, err := Parse(b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Fatal(diff)
		}
		if Type(b[0]) != m.Type() || len(b)+2 > MaxFrame {
			t.Fatalf("type %d in %d bytes", b[0], len(b))
		}
		// A message that is cut is refused, or was one of variable length; never accepted
		// as something that would be written in another way.
		cut := b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]
		if got, err := Parse(cut); err == nil && !bytes.Equal(Append(nil, got), cut) {
			t.Fatalf("%x became %+v", cut, got)
		}
	})
}

// The form of each message, byte by byte: what this test changes, no other
// version understands.
func TestMessagesOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message Message
		want    []byte
	}{
		{&Window{Epoch: 300, Low: 5, High: 7, Role: Support}, []byte{0, 0xac, 2, 5, 2, 2}},
		{NewHave(1, []uint64{10, 12, 18}), []byte{1, 1, 10, 5, 1}},
		{&Subscribe{Streams: 0x81, Epoch: 1, From: 9}, []byte{2, 0x81, 1, 1, 9}},
		{&Grant{Streams: 5, Lags: []uint32{7, 200}}, []byte{3, 5, 7, 0xc8, 1}},
		{&Deny{Streams: 1, Reason: Loop, Retry: 1000}, []byte{4, 1, 3, 0xe8, 7}},
		{&Unsubscribe{Streams: 2}, []byte{5, 2}},
		{&Evict{Streams: 2, Reason: Overload}, []byte{6, 2, 6}},
		{&Request{Epoch: 1, Units: []Wanted{{4, 9}, {5, 8}, {7, 0}}}, []byte{7, 1, 3, 4, 9, 0, 8, 1, 0}},
		{&Cancel{Seqs{1, []uint64{4, 5}}}, []byte{8, 1, 2, 4, 0}},
		{&Busy{Seqs{1, []uint64{0}}}, []byte{10, 1, 1, 0}},
		{&Ping{1}, []byte{11, 1}},
		{&Pong{1, 128}, []byte{12, 1, 0x80, 1}},
		{&Stats{1, 2, 3, 4}, []byte{15, 1, 2, 3, 4}},
	} {
		if got := Append(nil, tt.message); !bytes.Equal(got, tt.want) {
			t.Errorf("%T is %v, want %v", tt.message, got, tt.want)
		}
	}
}

func TestWhatIsNotAMessage(t *testing.T) {
	t.Parallel()
	over := uvarint(nil, maxSeq+1)
	long := bytes.Repeat([]byte{1}, MaxHave/8+1)
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"cut":               {0, 1},
		"a second spelling": {5, 0x82, 0},
		"eleven bytes":      append([]byte{11}, bytes.Repeat([]byte{0xff}, 11)...),
		"bytes too many":    {5, 2, 0},
		"epoch too large":   {2, 1, 0xff, 0xff, 0xff, 0xff, 0x1f, 0},
		"no substreams":     {5, 0},
		"33 substreams":     {5, 0x80, 0x80, 0x80, 0x80, 0x10},
		"lags missing":      {3, 3, 1},
		"lags too many":     {3, 1, 1, 1},
		"long lag":          append([]byte{3, 1}, uvarint(nil, MaxDelay+1)...),
		"long retry":        append([]byte{4, 1, 0}, uvarint(nil, MaxDelay+1)...),
		"wide window":       append([]byte{0, 1, 1}, uvarint(nil, MaxWindow+1)...),
		"role":              {0, 1, 1, 1, 3},
		"no units":          {7, 1, 0},
		"33 units":          append([]byte{8, 1, 33}, make([]byte, 33)...),
		"far unit":          append([]byte{8, 1, 1}, over...),
		"sum of units":      append(append([]byte{8, 1, 2}, uvarint(nil, maxSeq)...), 0),
		"empty have":        {1, 1, 1},
		"have without base": {1, 1, 1, 2},
		"have with zeros":   {1, 1, 1, 1, 0},
		"long have":         append([]byte{1, 1, 1}, long...),
		"no unit":           {9, 1, 2, 3},
		"no notice":         {14, 1, 2, 3},
		"no description":    {13, 1, 2, 3},
		"long description":  append([]byte{13}, make([]byte, 64+channel.MaxDescription+1)...),
		"no evidence":       {16, 1},
	} {
		if m, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for _, typ := range []byte{byte(TypeEvidence) + 1, 0x80, 0xff} {
		if m, err := Parse([]byte{typ, 1, 2}); m != nil || err != ErrUnknown {
			t.Errorf("type %d: %+v, %v", typ, m, err)
		}
	}
}

func TestHave(t *testing.T) {
	t.Parallel()
	seqs := []uint64{100, 101, 107, 108, 200, 100 + MaxHave - 1}
	m := NewHave(1, seqs)
	if diff := cmp.Diff(seqs, slices.Collect(m.All())); diff != "" {
		t.Error(diff)
	}
	for range m.All() {
		break // an iteration may stop
	}
}

func TestSmallThings(t *testing.T) {
	t.Parallel()
	if s := Streams(0x80000001); !s.Has(0) || !s.Has(31) || s.Has(1) || s.Len() != 2 {
		t.Errorf("%#x", uint32(s))
	}
	if Loop.Known() != Loop || Reason(200).Known() != Unspecified {
		t.Error("reasons")
	}
}

func FuzzParse(f *testing.F) {
	u, e := signed(1, 0), equivocation()
	n := key.Notify(channel.Notice{Kind: channel.Began})
	d, err := key.Describe(channel.Description{Title: "x"})
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []Message{
		&Window{Epoch: 300, Low: 5, High: 7}, NewHave(1, []uint64{10, 12, 18}), &Subscribe{Streams: 0x81, Epoch: 1},
		&Grant{Streams: 5, Lags: []uint32{7, 200}}, &Deny{Streams: 1, Retry: 1000}, &Unsubscribe{2}, &Evict{2, Overload},
		&Request{Epoch: 1, Units: []Wanted{{4, 9}, {5, 8}}}, &Cancel{Seqs{1, []uint64{4, 5}}}, &Busy{Seqs{1, []uint64{1}}},
		&Unit{u}, &Ping{1}, &Pong{1, 128}, &Description{d}, &Notice{n}, &Stats{1, 2, 3, 4}, &Evidence{e},
	} {
		f.Add(Append(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && err != ErrUnknown {
				t.Fatalf("%v", err)
			}
			return
		}
		if got := Append(nil, m); !bytes.Equal(got, b) {
			t.Fatalf("%x became %x", b, got)
		}
	})
}

func BenchmarkHave(b *testing.B) {
	m := NewHave(1_800_000_000, []uint64{1000, 1001, 1003, 1008, 1010})
	frame := Append(nil, m)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// A pushed unit from its bytes on a connection to what a scheduler gets; and the
// way there.
func BenchmarkUnit(b *testing.B) {
	packets := bytes.Repeat(packet(0), 87)
	u, err := signer.Sign(unit.Header{Epoch: 1, Clock: unit.NoClock}, packets)
	if err != nil {
		b.Fatal(err)
	}
	m := &Unit{u}
	frame, err := AppendFrame(nil, LiveID, Append(nil, m))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(frame)))
		b.ReportAllocs()
		buf := make([]byte, 0, len(frame))
		for b.Loop() {
			if _, err := EndFrame(Append(BeginFrame(buf, LiveID), m), 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(frame)))
		b.ReportAllocs()
		in := bytes.NewReader(frame)
		r := NewReader(in)
		for b.Loop() {
			in.Reset(frame)
			f, err := r.Next()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := Parse(f.Payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}
