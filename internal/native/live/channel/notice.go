package channel

import (
	"encoding/binary"
	"fmt"
)

// Kind says what a notice is about.
type Kind uint8

const (
	// Began says that units of the epoch begin with Seq; older epochs are over.
	Began Kind = iota + 1
	// Ended says that the epoch has no units from Seq on, and nothing is known to come after it.
	Ended
	// Revoked says that the key is not to be believed any more, whatever it signs. It cannot be taken back.
	Revoked
)

// NoticeSize is the size of an encoded notice in bytes.
const NoticeSize = 1 + 4 + 8 + 8 + len(Signature{})

const (
	noticeContext = "acequia live notice/1\x00"
	noticeBody    = NoticeSize - len(Signature{})
)

// Notice is a statement about the channel as a whole that its owner signed.
// A broadcaster whose key was stolen can still take the channel off the air: one
// valid notice of kind [Revoked] is enough for everybody it reaches.
type Notice struct {
	Kind      Kind
	Epoch     uint32
	Seq       uint64
	Time      int64 // microseconds since 1970
	Signature Signature
}

func (n *Notice) body(b []byte) []byte {
	b = append(b, byte(n.Kind))
	b = binary.BigEndian.AppendUint32(b, n.Epoch)
	b = binary.BigEndian.AppendUint64(b, n.Seq)
	return binary.BigEndian.AppendUint64(b, uint64(n.Time))
}

func (n *Notice) signable() []byte { return n.body([]byte(noticeContext)) }

// Notify signs a notice.
func (k Key) Notify(n Notice) Notice {
	n.Signature = k.Sign(n.signable())
	return n
}

// Append writes the notice, NoticeSize bytes.
func (n *Notice) Append(b []byte) []byte { return append(n.body(b), n.Signature[:]...) }

// ParseNotice reads a notice and does not verify it. Kinds of later versions are
// [ErrFormat].
func ParseNotice(b []byte) (Notice, error) {
	if len(b) != NoticeSize || Kind(b[0]) < Began || Kind(b[0]) > Revoked {
		return Notice{}, fmt.Errorf("%w: a notice", ErrFormat)
	}
	return Notice{
		Kind:      Kind(b[0]),
		Epoch:     binary.BigEndian.Uint32(b[1:]),
		Seq:       binary.BigEndian.Uint64(b[5:]),
		Time:      int64(binary.BigEndian.Uint64(b[13:])),
		Signature: Signature(b[noticeBody:]),
	}, nil
}

// Verify returns [ErrForged] unless the channel signed the notice.
func (n *Notice) Verify(key PublicKey) error {
	if !key.Verify(n.signable(), &n.Signature) {
		return ErrForged
	}
	return nil
}
