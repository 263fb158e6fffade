package wire

import (
	"iter"
	"math/bits"
)

// maxSeq bounds numbers of units, so that sums do not overflow.
const maxSeq = 1<<63 - 1

func (f *fields) epoch() uint32 { return uint32(f.number("epoch", 1<<32-1)) }

// Window tells which units a peer holds, on connecting and every few seconds.
type Window struct {
	Epoch     uint32
	Low, High uint64 // in [Low, High), not all of them; none where they are the same
	Role      Role
}

// Type returns TypeWindow.
func (*Window) Type() Type { return TypeWindow }

func (m *Window) append(b []byte) []byte {
	b = uvarint(uvarint(b, uint64(m.Epoch)), m.Low)
	return append(uvarint(b, m.High-m.Low), byte(m.Role))
}

func (m *Window) parse(f *fields) {
	m.Epoch = f.epoch()
	m.Low = f.number("low", maxSeq-MaxWindow)
	m.High = m.Low + f.number("window", MaxWindow)
	if role := f.bytes("role", 1); role != nil {
		if m.Role = Role(role[0]); m.Role >= roles {
			f.fail("role %d", m.Role)
		}
	}
}

// Have tells which units a peer got since the last one.
type Have struct {
	Epoch uint32
	Base  uint64 // the first of them
	Bits  []byte // unit Base+n is bit n%8 of byte n/8; the first bit and the last byte are not 0
}

// NewHave tells of units in ascending order, which must be less than MaxHave
// apart, and of at least one.
func NewHave(epoch uint32, seqs []uint64) *Have {
	first, last := seqs[0], seqs[len(seqs)-1]
	m := &Have{Epoch: epoch, Base: first, Bits: make([]byte, (last-first)/8+1)}
	for _, seq := range seqs {
		m.Bits[(seq-first)/8] |= 1 << ((seq - first) % 8)
	}
	return m
}

// All returns the units in ascending order.
func (m *Have) All() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i, b := range m.Bits {
			for ; b != 0; b &= b - 1 {
				if !yield(m.Base + uint64(i)*8 + uint64(bits.TrailingZeros8(b))) {
					return
				}
			}
		}
	}
}

// Type returns TypeHave.
func (*Have) Type() Type { return TypeHave }

func (m *Have) append(b []byte) []byte {
	return append(uvarint(uvarint(b, uint64(m.Epoch)), m.Base), m.Bits...)
}

func (m *Have) parse(f *fields) {
	m.Epoch = f.epoch()
	m.Base = f.number("base", maxSeq-MaxHave)
	m.Bits = f.rest()
	if n := len(m.Bits); n == 0 || n > MaxHave/8 || m.Bits[0]&1 == 0 || m.Bits[n-1] == 0 {
		f.fail("units of a have")
	}
}

// Wanted is a unit that somebody misses.
type Wanted struct {
	Seq  uint64
	Left uint64 // milliseconds until it is due
}

// Request asks for units.
type Request struct {
	Epoch uint32
	Units []Wanted // in ascending order, 1 to MaxRequests; a copy when parsed
}

// Type returns TypeRequest.
func (*Request) Type() Type { return TypeRequest }

func (m *Request) append(b []byte) []byte {
	b = uvarint(uvarint(b, uint64(m.Epoch)), uint64(len(m.Units)))
	next := uint64(0)
	for _, w := range m.Units {
		b = uvarint(uvarint(b, w.Seq-next), w.Left)
		next = w.Seq + 1
	}
	return b
}

func (m *Request) parse(f *fields) {
	m.Epoch = f.epoch()
	n := f.count()
	next := uint64(0)
	for range n {
		w := Wanted{Seq: f.seq(&next), Left: f.number("left", MaxDelay)}
		m.Units = append(m.Units, w)
	}
}

// count reads how many units follow: at least one.
func (f *fields) count() int {
	n := f.number("units", MaxRequests)
	if n == 0 {
		f.fail("no units")
	}
	return int(n)
}

// seq reads a number of a unit as its distance from the one that could be next.
func (f *fields) seq(next *uint64) uint64 {
	seq := *next + f.number("unit", maxSeq)
	if seq > maxSeq {
		f.fail("unit %d", seq)
		return 0
	}
	*next = seq + 1
	return seq
}

// Seqs are units of an epoch.
type Seqs struct {
	Epoch uint32
	Units []uint64 // in ascending order, 1 to MaxRequests; a copy when parsed
}

func (m *Seqs) append(b []byte) []byte {
	b = uvarint(uvarint(b, uint64(m.Epoch)), uint64(len(m.Units)))
	next := uint64(0)
	for _, seq := range m.Units {
		b = uvarint(b, seq-next)
		next = seq + 1
	}
	return b
}

func (m *Seqs) parse(f *fields) {
	m.Epoch = f.epoch()
	n := f.count()
	next := uint64(0)
	for range n {
		m.Units = append(m.Units, f.seq(&next))
	}
}

// Cancel takes back what a [Request] asked for.
type Cancel struct{ Seqs }

// Type returns TypeCancel.
func (*Cancel) Type() Type { return TypeCancel }

// Busy refuses what a [Request] asked for.
type Busy struct{ Seqs }

// Type returns TypeBusy.
func (*Busy) Type() Type { return TypeBusy }
