package mpegts

// bits reads the contents of a NAL unit, leaving out the bytes that only keep them from
// looking like a start code (ISO/IEC 14496-10, 7.4.1.1).
type bits struct {
	b     []byte
	zeros int  // zero bytes read in a row
	cur   byte // byte being read
	n     uint // bits of cur left
	short bool // more was asked for than there is
}

func newBits(b []byte) bits { return bits{b: b} }

// left returns about how many bytes are left.
func (r *bits) left() int { return len(r.b) }

// octet reads the next byte, ignoring bits left of the one before.
func (r *bits) octet() byte {
	if r.zeros >= 2 && len(r.b) > 0 && r.b[0] == 3 {
		r.b, r.zeros = r.b[1:], 0
	}
	if len(r.b) == 0 {
		r.short = true
		return 0
	}
	x := r.b[0]
	r.b = r.b[1:]
	r.zeros++
	if x != 0 {
		r.zeros = 0
	}
	return x
}

func (r *bits) bit() uint32 {
	if r.n == 0 {
		r.cur, r.n = r.octet(), 8
	}
	r.n--
	return uint32(r.cur>>r.n) & 1
}

// golomb reads an unsigned Exp-Golomb code (ISO/IEC 14496-10, 9.1). ok is false if there are too
// few bytes for it, or it is longer than any.
func (r *bits) golomb() (v uint32, ok bool) {
	n := 0
	for r.bit() == 0 {
		if n++; n > 31 || r.short {
			r.short = true
			return 0, false
		}
	}
	v = 1
	for range n {
		v = v<<1 | r.bit()
	}
	return v - 1, !r.short
}

// varint reads a type or size of an SEI message: bytes to be added up, all but the last of them 255.
func (r *bits) varint() int {
	v := 0
	for !r.short {
		x := r.octet()
		v += int(x)
		if x != 0xff {
			break
		}
	}
	return v
}

// skip reads size bytes.
func (r *bits) skip(size int) {
	for range size {
		if r.octet(); r.short {
			return
		}
	}
}
