package wire

import (
	"github.com/acequia-tv/acequia/internal/native/live/channel"
	"github.com/acequia-tv/acequia/internal/native/live/unit"
)

// Type is the first byte of a message of the live extension.
type Type byte

// The messages of version 1.
const (
	TypeWindow Type = iota
	TypeHave
	TypeSubscribe
	TypeGrant
	TypeDeny
	TypeUnsubscribe
	TypeEvict
	TypeRequest
	TypeCancel
	TypeUnit
	TypeBusy
	TypePing
	TypePong
	TypeDescription
	TypeNotice
	TypeStats
	TypeEvidence
)

// Bounds of messages.
const (
	MaxWindow   = 1 << 16 // units between Low and High
	MaxHave     = 4096    // units that one Have tells of
	MaxRequests = 32      // units that one Request asks for
	MaxDelay    = 600_000 // milliseconds: no time in a message is longer
)

// Message is a message of the live extension: *[Window], *[Have], *[Subscribe],
// *[Grant], *[Deny], *[Unsubscribe], *[Evict], *[Request], *[Cancel], *[Unit], *[Busy],
// *[Ping], *[Pong], *[Description], *[Notice], *[Stats] or *[Evidence].
type Message interface {
	// Type returns the first byte of the message.
	Type() Type
	append(b []byte) []byte
	parse(f *fields)
}

// Append writes a message, type first. What breaks a bound is written as it is,
// and refused by who reads it.
func Append(b []byte, m Message) []byte { return m.append(append(b, byte(m.Type()))) }

// Parse reads a message. Slices in it are parts of b, not copies, unless said
// otherwise.
func Parse(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, malformed("empty")
	}
	m := empty(Type(b[0]))
	if m == nil {
		return nil, ErrUnknown
	}
	f := fields{b: b[1:]}
	m.parse(&f)
	if err := f.end(); err != nil {
		return nil, err
	}
	return m, nil
}

func empty(t Type) Message {
	switch t {
	case TypeWindow:
		return &Window{}
	case TypeHave:
		return &Have{}
	case TypeSubscribe:
		return &Subscribe{}
	case TypeGrant:
		return &Grant{}
	case TypeDeny:
		return &Deny{}
	case TypeUnsubscribe:
		return &Unsubscribe{}
	case TypeEvict:
		return &Evict{}
	case TypeRequest:
		return &Request{}
	case TypeCancel:
		return &Cancel{}
	case TypeUnit:
		return &Unit{}
	case TypeBusy:
		return &Busy{}
	case TypePing:
		return &Ping{}
	case TypePong:
		return &Pong{}
	case TypeDescription:
		return &Description{}
	case TypeNotice:
		return &Notice{}
	case TypeStats:
		return &Stats{}
	case TypeEvidence:
		return &Evidence{}
	}
	return nil
}

// Unit carries a unit, pushed or asked for. It is not verified.
type Unit struct{ unit.Unit }

// Type returns TypeUnit.
func (*Unit) Type() Type               { return TypeUnit }
func (m *Unit) append(b []byte) []byte { return m.Append(b) }

func (m *Unit) parse(f *fields) {
	u, err := unit.Parse(f.rest())
	if err != nil {
		f.fail("%v", err)
		return
	}
	m.Unit = u
}

// Ping asks for a [Pong].
type Ping struct {
	Sent uint64 // the sender's clock, in microseconds from anywhere
}

// Type returns TypePing.
func (*Ping) Type() Type               { return TypePing }
func (m *Ping) append(b []byte) []byte { return uvarint(b, m.Sent) }
func (m *Ping) parse(f *fields)        { m.Sent = f.number("sent", 1<<64-1) }

// Pong answers a [Ping] at once. From both follow the round trip and how far
// the clocks are apart.
type Pong struct {
	Sent  uint64 // of the Ping
	Clock uint64 // the sender's clock, in microseconds since 1970
}

// Type returns TypePong.
func (*Pong) Type() Type               { return TypePong }
func (m *Pong) append(b []byte) []byte { return uvarint(uvarint(b, m.Sent), m.Clock) }
func (m *Pong) parse(f *fields) {
	m.Sent = f.number("sent", 1<<64-1)
	m.Clock = f.number("clock", 1<<63-1)
}

// Description passes on what the channel says of itself. The higher Seq wins. It
// is not verified.
type Description struct{ channel.SignedDescription }

// Type returns TypeDescription.
func (*Description) Type() Type { return TypeDescription }

func (m *Description) append(b []byte) []byte {
	return append(append(b, m.Signature[:]...), m.Encoded...)
}

func (m *Description) parse(f *fields) {
	if sig := f.bytes("signature", len(m.Signature)); sig != nil {
		m.Signature = channel.Signature(sig)
	}
	if m.Encoded = f.rest(); len(m.Encoded) > channel.MaxDescription {
		f.fail("a description of %d bytes", len(m.Encoded))
	}
}

// Notice passes on a statement of the channel's owner. It is not verified.
type Notice struct{ channel.Notice }

// Type returns TypeNotice.
func (*Notice) Type() Type               { return TypeNotice }
func (m *Notice) append(b []byte) []byte { return m.Append(b) }

func (m *Notice) parse(f *fields) {
	n, err := channel.ParseNotice(f.rest())
	if err != nil {
		f.fail("%v", err)
		return
	}
	m.Notice = n
}

// Evidence passes on that a channel signed two units with one number. It is not
// verified.
type Evidence struct{ unit.Equivocation }

// Type returns TypeEvidence.
func (*Evidence) Type() Type               { return TypeEvidence }
func (m *Evidence) append(b []byte) []byte { return m.Append(b) }

func (m *Evidence) parse(f *fields) {
	e, err := unit.ParseEquivocation(f.rest())
	if err != nil {
		f.fail("%v", err)
		return
	}
	m.Equivocation = *e
}

// Stats tells, every 10 s or so, what a link did since the last one.
type Stats struct {
	Period   uint64 // milliseconds
	Sent     uint64 // units
	Received uint64 // units that were of use
	Children uint64 // substreams that the sender pushes to others, over all its links
}

// Type returns TypeStats.
func (*Stats) Type() Type { return TypeStats }

func (m *Stats) append(b []byte) []byte {
	return uvarint(uvarint(uvarint(uvarint(b, m.Period), m.Sent), m.Received), m.Children)
}

func (m *Stats) parse(f *fields) {
	m.Period = f.number("period", MaxDelay)
	m.Sent = f.number("sent", 1<<32)
	m.Received = f.number("received", 1<<32)
	m.Children = f.number("children", 1<<16)
}
