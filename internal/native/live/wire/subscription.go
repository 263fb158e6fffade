package wire

// Reason says why a peer does not push, or does not any more.
type Reason uint8

// The reasons of [Deny] and [Evict]. One of a later version stays as it is, see
// [Reason.Known].
const (
	Unspecified Reason = iota
	Full               // it pushes as much as it can
	NoData             // it does not get the substream itself
	Loop               // it gets the substream from who asks
	Private            // it serves those it was told to serve
	Preempted          // somebody with more upload takes the place
	Overload           // it has less upload than it thought

	reasons
)

func (f *fields) reason() Reason {
	if b := f.bytes("reason", 1); b != nil {
		return Reason(b[0])
	}
	return Unspecified
}

// Known returns the reason, and Unspecified for one of a later version.
func (r Reason) Known() Reason {
	if r >= reasons {
		return Unspecified
	}
	return r
}

// Subscribe asks for substreams to be pushed.
type Subscribe struct {
	Streams Streams
	Epoch   uint32
	From    uint64 // the first unit that is wanted
}

// Type returns TypeSubscribe.
func (*Subscribe) Type() Type { return TypeSubscribe }

func (m *Subscribe) append(b []byte) []byte {
	return uvarint(uvarint(uvarint(b, uint64(m.Streams)), uint64(m.Epoch)), m.From)
}

func (m *Subscribe) parse(f *fields) {
	m.Streams, m.Epoch = f.streams(), f.epoch()
	m.From = f.number("from", maxSeq)
}

// Grant says that substreams will be pushed.
type Grant struct {
	Streams Streams
	Lags    []uint32 // of each in ascending order: how old its units are here, in milliseconds
}

// Type returns TypeGrant.
func (*Grant) Type() Type { return TypeGrant }

func (m *Grant) append(b []byte) []byte {
	b = uvarint(b, uint64(m.Streams))
	for _, lag := range m.Lags {
		b = uvarint(b, uint64(lag))
	}
	return b
}

func (m *Grant) parse(f *fields) {
	m.Streams = f.streams()
	for range m.Streams.Len() {
		m.Lags = append(m.Lags, uint32(f.number("lag", MaxDelay)))
	}
}

// Deny says that substreams will not be pushed.
type Deny struct {
	Streams Streams
	Reason  Reason
	Retry   uint64 // milliseconds to wait before asking again
}

// Type returns TypeDeny.
func (*Deny) Type() Type { return TypeDeny }

func (m *Deny) append(b []byte) []byte {
	return uvarint(append(uvarint(b, uint64(m.Streams)), byte(m.Reason)), m.Retry)
}

func (m *Deny) parse(f *fields) {
	m.Streams, m.Reason = f.streams(), f.reason()
	m.Retry = f.number("retry", MaxDelay)
}

// Unsubscribe says that substreams are not wanted any more.
type Unsubscribe struct{ Streams Streams }

// Type returns TypeUnsubscribe.
func (*Unsubscribe) Type() Type               { return TypeUnsubscribe }
func (m *Unsubscribe) append(b []byte) []byte { return uvarint(b, uint64(m.Streams)) }
func (m *Unsubscribe) parse(f *fields)        { m.Streams = f.streams() }

// Evict says that substreams will not be pushed any more.
type Evict struct {
	Streams Streams
	Reason  Reason
}

// Type returns TypeEvict.
func (*Evict) Type() Type { return TypeEvict }

func (m *Evict) append(b []byte) []byte {
	return append(uvarint(b, uint64(m.Streams)), byte(m.Reason))
}

func (m *Evict) parse(f *fields) { m.Streams, m.Reason = f.streams(), f.reason() }
