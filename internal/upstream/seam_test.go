package upstream_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/upstream"
)

const (
	rate  = 250_000 // bytes per second
	ihOne = "0a4848271c91ce2d8965ce416267c25047dc8141"
	ihTwo = "65556f0000000000000000000000000000000001"
)

// cast reads packets of a broadcast.
type cast struct {
	t interface{ Fatal(...any) }
	b *enginetest.Broadcast
}

func newCast(t interface{ Fatal(...any) }, infohash string) cast {
	b, err := enginetest.NewBroadcast(infohash, rate)
	if err != nil {
		t.Fatal(err)
	}
	return cast{t, b}
}

// packets returns the packets numbered from (inclusive) to (exclusive).
func (c cast) packets(from, to int64) []byte {
	p := make([]byte, (to-from)*mpegts.PacketSize)
	if _, err := c.b.ReadAt(p, from*mpegts.PacketSize); err != nil {
		c.t.Fatal(err)
	}
	return p
}

func tailOf(old []byte) []byte {
	if len(old) > upstream.TailSize {
		old = old[len(old)-upstream.TailSize:]
	}
	return old
}

// feed passes packets through a seam in chunks of n packets.
func feed(s *upstream.Seam, packets []byte, n int) []byte {
	var out []byte
	for len(packets) > 0 {
		k := min(len(packets), n*mpegts.PacketSize)
		out = append(out, s.Feed(packets[:k])...)
		packets = packets[k:]
	}
	return out
}

// Wherever the new source begins within what the old one sent, and however its
// packets are cut into reads, the two together are the broadcast.
func TestSeamIsSeamlessWhereSourcesOverlap(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 4000).Draw(t, "first")
		length := rapid.Int64Range(64, 6000).Draw(t, "length")
		end := first + length
		start := end - rapid.Int64Range(4, length).Draw(t, "overlap")
		chunk := rapid.IntRange(1, 500).Draw(t, "chunk")
		old := c.packets(first, end)
		next := c.packets(start, end+3000)

		seam := upstream.NewSeam(tailOf(old))
		out := feed(seam, next, chunk)
		if !seam.Seamless() || !seam.Joined() {
			t.Fatalf("seamless %v, joined %v", seam.Seamless(), seam.Joined())
		}
		if want := c.packets(end, end+3000); !bytes.Equal(out, want) {
			t.Fatalf("got %d bytes, want the %d after the seam", len(out), len(want))
		}
	})
}

func TestSeamWithoutOverlapEntersAtARandomAccessPoint(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	perSecond := c.b.Rate() / mpegts.PacketSize
	for _, lost := range []int64{1, perSecond / 2, 3 * perSecond, 60 * perSecond} {
		t.Run(fmt.Sprintf("%d packets lost", lost), func(t *testing.T) {
			t.Parallel()
			end := 5 * perSecond
			old := c.packets(0, end)
			next := c.packets(end+lost, end+lost+6*perSecond)
			seam := upstream.NewSeam(tailOf(old))
			out := feed(seam, next, 7)
			if seam.Seamless() || !seam.Joined() {
				t.Fatalf("seamless %v, joined %v", seam.Seamless(), seam.Joined())
			}
			v := enginetest.NewVerifier(ihOne)
			v.Write(old)
			v.Write(out)
			r := v.Report()
			if r.Gaps != 1 || r.CleanGaps != 1 || r.Repeats+r.Foreign+r.Corrupt != 0 {
				t.Errorf("%+v; want one gap that ends at a random access point", r)
			}
			checkGoesOn(t, old, out)
		})
	}
}

// checkGoesOn fails the test if clocks or continuity counters jump where
// out goes on after old.
func checkGoesOn(t *testing.T, old, out []byte) {
	t.Helper()
	s := mpegts.NewScanner()
	s.Scan(old)
	var r mpegts.Retimer
	r.Continue(s, tailOf(old), out)
	out = bytes.Clone(out)
	r.Apply(out)
	at := s.Time()
	s.Scan(out)
	st := s.Stats()
	if st.Jumps != 0 || st.Continuity != 0 {
		t.Errorf("%d jumps of the clock, %d continuity errors", st.Jumps, st.Continuity)
	}
	want := int64(len(out)) * mpegts.ClockRate / rate
	if took := s.Time() - at; took < want-mpegts.ClockRate/5 || took > want+mpegts.ClockRate/5 {
		t.Errorf("packets of %d ticks take %d", want, took)
	}
}

func TestSeamDoesNotMistakeAnotherContent(t *testing.T) {
	t.Parallel()
	one, two := newCast(t, ihOne), newCast(t, ihTwo)
	seam := upstream.NewSeam(tailOf(one.packets(0, 4000)))
	out := feed(seam, two.packets(0, 12000), 50)
	if seam.Seamless() {
		t.Fatal("joined another content as if it were the same")
	}
	v := enginetest.NewVerifier(ihTwo)
	v.Write(out)
	if r := v.Report(); r.Packets > 0 && (!r.TablesFirst || !r.RandomAccess) {
		t.Errorf("entered in the middle: %+v", r)
	}
}

// A source that is far behind and never reaches the seam is taken as it is,
// once the caller gives up.
func TestSeamGivenUp(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	perSecond := c.b.Rate() / mpegts.PacketSize
	old := c.packets(30*perSecond, 40*perSecond)
	seam := upstream.NewSeam(tailOf(old))
	if out := feed(seam, c.packets(0, 5*perSecond), 20); len(out) != 0 {
		t.Fatalf("%d bytes before the seam", len(out))
	}
	seam.GiveUp()
	out := feed(seam, c.packets(5*perSecond, 8*perSecond), 20)
	v := enginetest.NewVerifier(ihOne)
	v.Write(out)
	if r := v.Report(); !seam.Joined() || seam.Seamless() || !r.TablesFirst || !r.RandomAccess || r.Gaps != 0 {
		t.Errorf("joined %v, %+v", seam.Joined(), r)
	}
}

func TestSeamWithNothingToContinue(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	for name, tail := range map[string][]byte{
		"no packets":   nil,
		"only padding": bytes.Repeat(mpegts.NullPacket(), 64),
	} {
		seam := upstream.NewSeam(tail)
		out := feed(seam, c.packets(0, 4000), 100)
		v := enginetest.NewVerifier(ihOne)
		v.Write(out)
		if r := v.Report(); !seam.Joined() || r.Packets == 0 || !r.RandomAccess {
			t.Errorf("%s: joined %v, %+v", name, seam.Joined(), r)
		}
	}
}

func BenchmarkSeamSearch(b *testing.B) {
	c := newCast(b, ihOne)
	old := c.packets(0, 8000)
	next := c.packets(2000, 7000) // never reaches the end of old
	b.SetBytes(int64(len(next)))
	for b.Loop() {
		feed(upstream.NewSeam(tailOf(old)), next, 340)
	}
}
