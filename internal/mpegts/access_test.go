package mpegts

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// NAL units of HEVC, and start codes of MPEG-2.
var (
	hevcVPS   = []byte{0x40, 1, 0xa5}
	hevcSPS   = []byte{0x42, 1, 0xa5}
	hevcPPS   = []byte{0x44, 1, 0xa5}
	hevcIDR   = []byte{0x26, 1, 0xa5}
	hevcCRA   = []byte{0x2a, 1, 0xa5}
	hevcTrail = []byte{0x02, 1, 0xa5}
	hevcLayer = []byte{0x26, 0x09, 0xa5} // an IDR picture of another layer
	hevcPoint = []byte{0x4e, 1, 6, 1, 0xc0, 0x80}

	mpegSequence = []byte{0, 0, 1, 0xb3, 0x14, 0, 0xf0, 0x23}
	mpegGroup    = []byte{0, 0, 1, 0xb8, 0, 8, 0, 0}
	mpegI        = []byte{0, 0, 1, 0x00, 0x00, 0x0f, 0xff, 0xf8}
	mpegP        = []byte{0, 0, 1, 0x00, 0x00, 0x57, 0xff, 0xf8}
	mpegSlice    = []byte{0, 0, 1, 0x01, 0x22, 0x33}
)

func TestProbe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		codec  Codec
		access bool
		data   []byte
		want   verdict
	}{
		{"IDR", H264, false, avcKey, accepted},
		{"IDR without delimiter", H264, false, units(avcSPS, avcPPS, avcIDR), accepted},
		{"IDR after messages", H264, false, units(avcAny, avcSPS, avcPPS, avcOther, avcPoint, avcIDR), accepted},
		{"IDR without SPS", H264, true, units(avcAny, avcPPS, avcIDR), refused},
		{"IDR without PPS", H264, true, units(avcAny, avcSPS, avcIDR), refused},
		{"IDR in the second picture", H264, true, units(avcAny, avcSPS, avcPPS, avcP, avcAny, avcIDR), refused},
		{"P", H264, false, avcInter, refused},
		{"P with the indicator", H264, true, units(avcAny, avcSPS, avcPPS, avcP), refused},
		{"I only, by its slices", H264, false, units(avcAny, avcSPS, avcPPS, avcI), accepted},
		{"I without parameters", H264, true, units(avcAny, avcI), refused},
		{"maybe I only", H264, false, units(avcAny, avcSPS, avcPPS, avcSomeI), refused},
		{"maybe I only, but says nothing else", H264, false, units(avcSPS, avcPPS, avcSomeI), accepted},
		{"I only, by its delimiter", H264, false, units(avcIOnly, avcSPS, avcPPS, avcSomeI), accepted},
		{"I only, by the indicator", H264, true, units(avcAny, avcSPS, avcPPS, avcSomeI), accepted},
		{"I only, by its recovery point", H264, false, units(avcAny, avcSPS, avcPPS, avcPoint, avcSomeI), accepted},
		{"recovery over several pictures", H264, false, units(avcAny, avcSPS, avcPPS, avcPoint, avcP), gradual},
		{"message that only looks like a recovery point", H264, false, units(avcAny, avcSPS, avcPPS, avcOther, avcP), refused},
		{"message longer than there is", H264, false, units(avcSPS, avcPPS, []byte{0x06, 5, 200, 6, 1, 0x80}, avcP), refused},
		{"slice header that ends nowhere", H264, false, units(avcSPS, avcPPS, append([]byte{0x41}, make([]byte, 20)...)), refused},
		{"no picture", H264, false, units(avcAny, avcSPS, avcPPS), undecided},

		{"IDR", HEVC, false, units(hevcVPS, hevcSPS, hevcPPS, hevcIDR), accepted},
		{"CRA", HEVC, false, units(hevcVPS, hevcSPS, hevcPPS, hevcCRA), accepted},
		{"IDR without VPS", HEVC, true, units(hevcSPS, hevcPPS, hevcIDR), refused},
		{"inter", HEVC, true, units(hevcVPS, hevcSPS, hevcPPS, hevcTrail), refused},
		{"only an enhancement layer", HEVC, true, units(hevcVPS, hevcSPS, hevcPPS, hevcLayer, hevcTrail), refused},
		{"recovery over several pictures", HEVC, false, units(hevcVPS, hevcSPS, hevcPPS, hevcPoint, hevcTrail), gradual},

		{"message cut off in its header", HEVC, false, units([]byte{0x4e}, hevcVPS, hevcSPS, hevcPPS, hevcIDR), accepted},

		{"I", MPEG2, false, slices.Concat(mpegSequence, mpegGroup, mpegI), accepted},
		{"I", MPEG1, false, slices.Concat(mpegSequence, mpegI), accepted},
		{"I without sequence header", MPEG2, true, slices.Concat(mpegGroup, mpegI), refused},
		{"P", MPEG2, true, slices.Concat(mpegSequence, mpegP), refused},
		{"slices", MPEG2, true, slices.Concat(mpegSequence, mpegSlice), refused},

		{"with the indicator", "VC-1", true, fill(10), accepted},
		{"without", "VC-1", false, fill(10), refused},
	} {
		t.Run(string(c.codec)+" "+c.name, func(t *testing.T) {
			t.Parallel()
			pes := pesPacket(12345, c.data)
			p := probe{codec: c.codec, randomAccess: c.access}
			if got := p.decide(pes); got != c.want {
				t.Errorf("as a whole: %v, want %v", got, c.want)
			}
			if p.pts != 12345 {
				t.Errorf("PTS %d, want 12345", p.pts)
			}
			p = probe{codec: c.codec, randomAccess: c.access}
			got := undecided
			for n := 0; n <= len(pes) && got == undecided; n++ {
				got = p.decide(pes[:n])
			}
			if got != c.want {
				t.Errorf("byte by byte: %v, want %v", got, c.want)
			}
		})
	}
}

func TestProbeNoPES(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"no start code": fill(20),
		"no header":     {0, 0, 1, 0xbe, 0, 10, 0xff, 0xff, 0xff, 0xff},
	} {
		p := probe{codec: H264, randomAccess: true}
		if got := p.decide(b); got != refused {
			t.Errorf("%s: %v, want %v", name, got, refused)
		}
	}
}

func TestProbeTimeStamp(t *testing.T) {
	t.Parallel()
	none := slices.Concat([]byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x00, 5, 1, 2, 3, 4, 5}, avcKey)
	short := slices.Concat([]byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 4, 1, 2, 3, 4}, avcKey)
	for name, pes := range map[string][]byte{"absent": none, "cut off": short} {
		p := probe{codec: H264, pts: -1}
		if got := p.decide(pes); got != accepted || p.pts != -1 {
			t.Errorf("%s: %v with PTS %d, want %v without", name, got, p.pts, accepted)
		}
	}
}

func TestOctets(t *testing.T) {
	t.Parallel()
	r := newBits([]byte{0, 0, 3, 3, 0, 0, 3, 0, 0, 3, 1, 0, 3, 0, 0, 3, 0, 3})
	var got []byte
	for {
		x := r.octet()
		if r.short {
			break
		}
		got = append(got, x)
	}
	if diff := cmp.Diff([]byte{0, 0, 3, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBits(t *testing.T) {
	t.Parallel()
	// ISO/IEC 14496-10, table 9-2: 1, 010, 011, 00100, and so on.
	r := newBits([]byte{0b1_010_011_0, 0b0100_0010, 0b1000_0000, 0, 0, 3, 0x80, 0xff, 0xff})
	var got []uint32
	for {
		v, ok := r.golomb()
		if !ok {
			break
		}
		got = append(got, v)
	}
	// The last code is 23 zeros, a one and 23 bits; the 3 in between is left out.
	if diff := cmp.Diff([]uint32{0, 1, 2, 3, 4, 1<<23 + 0xffff - 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
