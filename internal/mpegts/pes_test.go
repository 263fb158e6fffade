package mpegts

import (
	"testing"

	"pgregory.net/rapid"
)

// stamp writes 33 bits with the markers of a PTS or DTS (2.4.3.6).
func stamp(prefix byte, v int64) []byte {
	return []byte{prefix<<4 | byte(v>>29)&0x0e | 1, byte(v >> 22), byte(v>>14) | 1, byte(v >> 7), byte(v<<1) | 1}
}

func TestPESTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pts := rapid.Int64Range(0, ptsModulus-1).Draw(t, "pts")
		dts := rapid.Int64Range(0, ptsModulus-1).Draw(t, "dts")
		flags := rapid.SampledFrom([]byte{0, 0x80, 0xc0}).Draw(t, "flags")
		pes := []byte{0, 0, 1, 0xe0, 0, 0, 0x80, flags, 0}
		switch flags {
		case 0x80:
			pes = append(pes, stamp(2, pts)...)
			dts = pts
		case 0xc0:
			pes = append(append(pes, stamp(3, pts)...), stamp(1, dts)...)
		}
		pes[8] = byte(len(pes) - 9)
		cut := rapid.IntRange(0, 12).Draw(t, "bytes cut off")
		whole := pes[:max(len(pes)-cut, 0)]
		m := newMux()
		m.packet(testVideoPID, true, nil, whole)
		gotPTS, gotDTS, ok := Packet(m.out).PESTime()
		if want := flags != 0 && cut == 0; ok != want || ok && (gotPTS != pts || gotDTS != dts) {
			t.Fatalf("%x: %d, %d, %v; want %d, %d, %v", whole, gotPTS, gotDTS, ok, pts, dts, want)
		}
		Packet(m.out)[1] &^= 0x40
		if _, _, ok := Packet(m.out).PESTime(); ok {
			t.Fatal("a time where no PES packet begins")
		}
	})
}

func TestStampStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, want int64 }{
		{0, 0, 0}, {5, 8, 3}, {ptsModulus - 2, 3, 5}, {8, 5, ptsModulus - 3},
	} {
		if got := StampStep(c.from, c.to); got != c.want {
			t.Errorf("StampStep(%d, %d) = %d, want %d", c.from, c.to, got, c.want)
		}
	}
}
