package wire

import (
	"encoding/binary"
	"math/bits"
)

// fields reads the fields of a message one after the other. After the first that
// is not as it must be, all are zero and err says why.
type fields struct {
	b   []byte
	err error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = malformed(format, args...)
	}
	f.b = nil
}

// number reads an unsigned number of at most most, in 7 bits a byte, the lowest
// first, the highest bit set in all but the last. Only the shortest form is read.
func (f *fields) number(name string, most uint64) uint64 {
	n, size := binary.Uvarint(f.b)
	switch {
	case size <= 0:
		f.fail("%s is not all there", name)
	case size > 1 && f.b[size-1] == 0:
		f.fail("%s is longer than it has to be", name)
	case n > most:
		f.fail("%s is %d, at most %d", name, n, most)
	default:
		f.b = f.b[size:]
		return n
	}
	return 0
}

// bytes takes the next n bytes. They are a part of the message, not a copy.
func (f *fields) bytes(name string, n int) []byte {
	if n > len(f.b) {
		f.fail("%s is not all there", name)
		return nil
	}
	b := f.b[:n:n]
	f.b = f.b[n:]
	return b
}

// rest takes what is left.
func (f *fields) rest() []byte { return f.bytes("rest", len(f.b)) }

// end returns the error of all fields, and one if bytes are left.
func (f *fields) end() error {
	if f.err == nil && len(f.b) > 0 {
		f.fail("%d bytes too many", len(f.b))
	}
	return f.err
}

// streams reads a set of substreams, which is not empty.
func (f *fields) streams() Streams {
	s := Streams(f.number("substreams", 1<<32-1))
	if s == 0 {
		f.fail("no substreams")
	}
	return s
}

// Streams is a set of substreams: bit n stands for substream n.
type Streams uint32

// Has reports whether substream n is in the set.
func (s Streams) Has(n int) bool { return s>>n&1 != 0 }

// Len returns how many substreams are in the set.
func (s Streams) Len() int { return bits.OnesCount32(uint32(s)) }

func uvarint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }
