package mpegts

import "bytes"

// A verdict says whether a decoder can start at a PES packet.
type verdict uint8

const (
	undecided verdict = iota // more bytes are needed
	refused                  // no: the picture refers to others, or parameters are missing
	gradual                  // only after some pictures: a recovery point without an intra picture
	accepted                 // yes
)

// A probe decides whether a decoder can start at a PES packet of a video stream, by its
// first bytes up to the first slice of the first picture. It takes no more than that.
//
// A decoder can start at an intra picture, with the parameter sets that it refers to sent along
// with it. Whatever the order of pictures is, those after it in the order of
// output then refer to nothing before it:
//
//   - H.264 (ISO/IEC 14496-10): an IDR picture, or one whose slices are all of
//     type I, with SPS and PPS.
//   - HEVC (ISO/IEC 23008-2): an IRAP picture (IDR, BLA, CRA), with VPS, SPS and PPS.
//   - MPEG-1 and MPEG-2 (ISO/IEC 11172-2, 13818-2): an I picture after a sequence header.
type probe struct {
	codec        Codec
	randomAccess bool // the random_access_indicator of the PES packet's first packet
	pts          int64

	es       int // where the elementary stream begins; 0 until the PES header is complete
	at       int // where to look for the next start code
	sei      int // where an SEI message begins that goes up to the next start code; 0 if none does
	sets     uint8
	recovery bool  // a recovery point SEI message came before
	aud      uint8 // primary_pic_type plus one, 0 if no access unit delimiter has come
}

// The parameter sets, and the sequence header, seen in a PES packet.
const (
	haveVPS uint8 = 1 << iota
	haveSPS
	havePPS
	haveSequence
)

var startCode = []byte{0, 0, 1}

// decide looks at the PES packet as far as it is there, which must be as much as
// in the call before, or more.
func (p *probe) decide(pes []byte) verdict {
	if p.es == 0 {
		size, ok := p.header(pes)
		if !ok || size > len(pes) {
			if ok {
				return undecided
			}
			return refused
		}
		p.es, p.at = size, size
	}
	if !readable(p.codec) {
		return p.told()
	}
	for {
		i := bytes.Index(pes[p.at:], startCode)
		if i < 0 {
			p.at = max(p.at, len(pes)-2)
			return undecided
		}
		i += p.at
		if p.sei > 0 {
			p.recovery = p.recovery || hasRecoveryPoint(pes[min(p.sei, i):i])
			p.sei = 0
		}
		v, ok := p.unit(pes, i+len(startCode))
		if !ok {
			p.at = i
			return undecided
		}
		if v != undecided {
			return v
		}
		p.at = i + len(startCode)
	}
}

// readable reports whether a probe can read the codec.
func readable(c Codec) bool { return c == H264 || c == HEVC || c == MPEG1 || c == MPEG2 }

// told returns what the random_access_indicator says.
func (p *probe) told() verdict {
	if p.randomAccess {
		return accepted
	}
	return refused
}

// header returns the size of the PES header (2.4.3.6) and takes the PTS from it. The size is larger than
// what there is of the packet if that is not yet known. ok is false if it is no PES packet
// with a header of the usual form.
func (p *probe) header(pes []byte) (size int, ok bool) {
	const fixed = 9
	n := min(len(pes), len(startCode))
	if !bytes.Equal(pes[:n], startCode[:n]) {
		return 0, false
	}
	if len(pes) < fixed {
		return fixed, true
	}
	if pes[6]&0xc0 != 0x80 {
		return 0, false
	}
	size = fixed + int(pes[8])
	if size <= len(pes) && pes[7]&0x80 != 0 && pes[8] >= 5 {
		b := pes[fixed:]
		p.pts = int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	return size, true
}

// unit looks at what follows a start code at pes[at:]. ok is false if more bytes are
// needed for it.
func (p *probe) unit(pes []byte, at int) (v verdict, ok bool) {
	b := pes[at:]
	if len(b) < 2 {
		return undecided, false
	}
	switch p.codec {
	case H264:
		return p.unitH264(b, at)
	case HEVC:
		return p.unitHEVC(b, at), true
	default: // MPEG1, MPEG2
		return p.unitMPEG(b)
	}
}

// unitH264 looks at a NAL unit (ISO/IEC 14496-10, 7.3.1 and table 7-1).
func (p *probe) unitH264(b []byte, at int) (v verdict, ok bool) {
	const slice, partition, idr, sei, sps, pps, aud = 1, 2, 5, 6, 7, 8, 9
	switch b[0] & 0x1f {
	case sps:
		p.sets |= haveSPS
	case pps:
		p.sets |= havePPS
	case aud:
		p.aud = b[1]>>5 + 1
	case sei:
		p.sei = at + 1
	case idr:
		return p.complete(haveSPS|havePPS, accepted), true
	case slice, partition:
		if p.sets&(haveSPS|havePPS) != haveSPS|havePPS {
			return refused, true
		}
		r := newBits(b[1:])
		r.golomb() // first_mb_in_slice
		kind, ok := r.golomb()
		switch {
		case ok:
			return p.sliceH264(kind), true
		case len(b) < maxSliceStart:
			return undecided, false
		}
		return refused, true
	}
	return undecided, true
}

// maxSliceStart is more than the first two fields of a slice header take.
const maxSliceStart = 16

// sliceH264 judges a picture by the slice_type of its first slice (ISO/IEC 14496-10,
// table 7-6): 0 to 4 speak for that slice, 5 to 9 for all of the picture.
func (p *probe) sliceH264(kind uint32) verdict {
	const i, si, all = 2, 4, 5
	intra := kind%5 == i || kind%5 == si
	switch {
	case intra && kind >= all:
		return accepted
	case intra && (p.randomAccess || p.recovery || p.aud == 0 || p.intraOnly()):
		return accepted
	case p.recovery:
		return gradual
	}
	return refused
}

// intraOnly reports whether the access unit delimiter rules out slices other than I and
// SI (ISO/IEC 14496-10, table 7-5).
func (p *probe) intraOnly() bool {
	const i, si, isi = 0, 3, 5
	return p.aud == i+1 || p.aud == si+1 || p.aud == isi+1
}

// unitHEVC looks at a NAL unit (ISO/IEC 23008-2, 7.3.1 and table 7-1).
func (p *probe) unitHEVC(b []byte, at int) verdict {
	const firstIRAP, lastIRAP, lastVCL, vps, sps, pps, prefixSEI = 16, 21, 31, 32, 33, 34, 39
	if b[0]&1 != 0 || b[1]>>3 != 0 { // nuh_layer_id: an enhancement layer
		return undecided
	}
	const sets = haveVPS | haveSPS | havePPS
	switch kind := b[0] >> 1 & 0x3f; {
	case kind >= firstIRAP && kind <= lastIRAP:
		return p.complete(sets, accepted)
	case kind <= lastVCL:
		if p.recovery {
			return p.complete(sets, gradual)
		}
		return refused
	case kind == vps:
		p.sets |= haveVPS
	case kind == sps:
		p.sets |= haveSPS
	case kind == pps:
		p.sets |= havePPS
	case kind == prefixSEI:
		p.sei = at + 2
	}
	return undecided
}

// unitMPEG looks at what a start code of MPEG-1 or MPEG-2 video begins (ISO/IEC 13818-2, table 6-1).
func (p *probe) unitMPEG(b []byte) (v verdict, ok bool) {
	const picture, firstSlice, lastSlice, sequence, intra = 0x00, 0x01, 0xaf, 0xb3, 1
	switch {
	case b[0] == sequence:
		p.sets |= haveSequence
	case b[0] == picture:
		if len(b) < 3 {
			return undecided, false
		}
		if b[2]>>3&7 != intra { // picture_coding_type
			return refused, true
		}
		return p.complete(haveSequence, accepted), true
	case b[0] >= firstSlice && b[0] <= lastSlice:
		return refused, true
	}
	return undecided, true
}

// complete returns v if the parameter sets are there.
func (p *probe) complete(sets uint8, v verdict) verdict {
	if p.sets&sets != sets {
		return refused
	}
	return v
}

// hasRecoveryPoint looks for a recovery point in the payload of an SEI NAL unit, which is a
// series of messages of the same form in H.264 (ISO/IEC 14496-10, 7.3.2.3.1) and HEVC.
func hasRecoveryPoint(b []byte) bool {
	const recoveryPoint = 6
	r := newBits(b)
	for r.left() > 2 {
		kind, size := r.varint(), r.varint()
		if kind == recoveryPoint {
			return true
		}
		r.skip(size)
	}
	return false
}
