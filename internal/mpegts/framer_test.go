package mpegts

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// packets returns n packets, numbered in their last bytes, whose payload holds sync bytes now and then.
func packets(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := range n {
		p := NullPacket()
		for j := 4; j < PacketSize; j++ {
			p[j] = byte(rng.IntN(80)) // SyncByte is 71
		}
		p[PacketSize-2], p[PacketSize-1] = byte(i>>8), byte(i)
		b = append(b, p...)
	}
	return b
}

// decoy returns packets with a sync byte at the same place of each, as a counter
// makes them.
func decoy(stream []byte) []byte {
	b := bytes.Clone(stream)
	for i := 0; i < len(b); i += PacketSize {
		b[i+100] = SyncByte
	}
	return b
}

// pushAll pushes b in chunks of sizes, over and over, and returns the packets in one piece.
func pushAll(f *Framer, b []byte, sizes []int) []byte {
	var out []byte
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(sizes) > 0 {
			n = min(n, sizes[i%len(sizes)])
		}
		chunk := bytes.Clone(b[:n])
		out = append(out, f.Push(chunk)...)
		clear(chunk) // what Push returned is used up: it may not look at the chunk again
		b = b[n:]
	}
	return out
}

func TestFramerFindsEveryPacket(t *testing.T) {
	t.Parallel()
	stream := packets(40)
	all := stream[:39*PacketSize] // the last may have been cut: nothing follows it
	for _, c := range []struct {
		name    string
		in      []byte
		want    []byte
		skipped int64
	}{
		{"aligned", stream, all, 0},
		{"begins within a packet", stream[100:], all[PacketSize:], PacketSize - 100},
		{"ends within a packet", stream[:20*PacketSize+50], stream[:20*PacketSize], 0},
		{"junk in front", append(fill(1000), stream...), all, 1000},
		{"sync bytes in front", append(slices.Repeat([]byte{SyncByte}, 100), stream...), all, 100},
		{
			"junk between packets",
			slices.Concat(stream[:10*PacketSize], fill(333), stream[10*PacketSize:]),
			slices.Concat(stream[:9*PacketSize], all[10*PacketSize:]), PacketSize + 333,
		},
		{
			"packet torn",
			slices.Concat(stream[:10*PacketSize+60], stream[11*PacketSize:]),
			slices.Concat(stream[:10*PacketSize], all[11*PacketSize:]), 60,
		},
		{
			"something else from within a packet on",
			slices.Concat(stream[:10*PacketSize+60], fill(3000)),
			stream[:10*PacketSize], 3060,
		},
		{
			"sync byte wrong",
			slices.Concat(stream[:10*PacketSize], []byte{0}, stream[10*PacketSize+1:]),
			slices.Concat(stream[:9*PacketSize], all[11*PacketSize:]), 2 * PacketSize,
		},
		{"too few to be sure", stream[:(syncRun-1)*PacketSize], nil, 0},
		{"just enough to be sure", stream[:(syncRun-1)*PacketSize+headerLook], stream[:(syncRun-1)*PacketSize], 0},
		{"a sync byte in the same place of every packet", decoy(stream)[90:], decoy(all)[PacketSize:], PacketSize - 90},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, sizes := range [][]int{nil, {1}, {PacketSize}, {187}, {1000, 3}} {
				var f Framer
				got := pushAll(&f, c.in, sizes)
				if !bytes.Equal(got, c.want) {
					t.Errorf("chunks %v: %d bytes, want %d", sizes, len(got), len(c.want))
				}
				if f.Skipped() != c.skipped {
					t.Errorf("chunks %v: skipped %d bytes, want %d", sizes, f.Skipped(), c.skipped)
				}
			}
		})
	}
}

// damage draws a stream of packets and other things.
func damage(t *rapid.T) []byte {
	stream := packets(200)
	var b []byte
	for range rapid.IntRange(1, 8).Draw(t, "parts") {
		from := rapid.IntRange(0, len(stream)).Draw(t, "from")
		size := rapid.IntRange(0, 20*PacketSize).Draw(t, "size")
		b = append(b, stream[from:min(from+size, len(stream))]...)
		b = append(b, rapid.SliceOfN(rapid.SampledFrom([]byte{0, SyncByte, 0xff}), 0, 300).Draw(t, "junk")...)
	}
	return b
}

// checkFraming pushes b as a whole and in chunks of sizes, and checks what must hold for any bytes.
func checkFraming(t interface{ Fatalf(string, ...any) }, b []byte, sizes []int) {
	var one, many Framer
	whole, cut := pushAll(&one, b, nil), pushAll(&many, b, sizes)
	if !bytes.Equal(whole, cut) {
		t.Fatalf("%d bytes as a whole, %d bytes in chunks of %v", len(whole), len(cut), sizes)
	}
	if one.Skipped() != many.Skipped() || one.Searched() != many.Searched() || one.Synced() != many.Synced() {
		t.Fatalf("state differs: %v %v", one, many)
	}
	if len(whole)%PacketSize != 0 {
		t.Fatalf("%d bytes are no whole packets", len(whole))
	}
	for i := 0; i < len(whole); i += PacketSize {
		if whole[i] != SyncByte {
			t.Fatalf("no sync byte at %d", i)
		}
	}
	held := len(b) - len(whole) - int(one.Skipped())
	if held < 0 || held >= syncRun*PacketSize || one.Synced() && held > PacketSize {
		t.Fatalf("of %d bytes %d returned, %d skipped: %d held back", len(b), len(whole), one.Skipped(), held)
	}
	many.Reset()
	if got := int(many.Skipped()) + len(whole); got != len(b) {
		t.Fatalf("after Reset %d of %d bytes are accounted for", got, len(b))
	}
}

func TestFramerCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := damage(t)
		checkFraming(t, b, rapid.SliceOfN(rapid.IntRange(1, 2000), 1, 10).Draw(t, "sizes"))
	})
}

func TestFramerNoTransportStream(t *testing.T) {
	t.Parallel()
	page := bytes.Repeat([]byte("<html><body>GONE: stream not found</body></html>\n"), 1000)
	var f Framer
	if got := pushAll(&f, page, []int{1000}); len(got) != 0 {
		t.Fatalf("%d bytes of packets in a web page", len(got))
	}
	if f.Synced() || f.Searched() < int64(len(page))-syncRun*PacketSize {
		t.Fatalf("synced %v after %d of %d bytes", f.Synced(), f.Searched(), len(page))
	}
	pushAll(&f, packets(10), nil)
	if !f.Synced() || f.Searched() != 0 {
		t.Fatalf("after packets: synced %v, searched %d", f.Synced(), f.Searched())
	}
}

// TestFramerAliases holds Push to what it promises about copies and allocations.
func TestFramerAliases(t *testing.T) {
	t.Parallel()
	stream := packets(40)
	var f Framer
	if got := f.Push(stream); &got[0] != &stream[0] || len(got) != 39*PacketSize || cap(got) != len(got) {
		t.Error("aligned chunk was copied, or its end is open")
	}
	var g Framer
	g.Push(stream[:30*PacketSize+9])
	before := bytes.Clone(stream)
	g.Push(stream[30*PacketSize+9:])
	if !bytes.Equal(before, stream) {
		t.Error("Push changed its argument")
	}
}

func TestFramerAllocations(t *testing.T) {
	stream := packets(40)
	var f Framer
	f.Push(stream[50:])
	if n := testing.AllocsPerRun(100, func() { f.Push(stream[50:]); f.Push(stream[:50]) }); n != 0 {
		t.Errorf("%v allocations per chunk", n)
	}
}

// sizesOf makes chunk sizes of bytes.
func sizesOf(b []byte) []int {
	var sizes []int
	for _, x := range b {
		sizes = append(sizes, 1+int(x)*3)
	}
	return sizes
}

func FuzzFramer(f *testing.F) {
	stream := packets(12)
	f.Add(stream, []byte{10, 80})
	f.Add(stream[70:], []byte{62})
	f.Add(slices.Concat(stream[:5*PacketSize], fill(30), stream[5*PacketSize+10:]), []byte{0, 255})
	f.Add(bytes.Repeat([]byte{SyncByte}, 2000), []byte{1})
	f.Fuzz(func(t *testing.T, b, sizes []byte) { checkFraming(t, b, sizesOf(sizes)) })
}
