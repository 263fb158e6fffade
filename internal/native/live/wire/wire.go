// Package wire has the messages of a link between two peers of a live channel:
// BitTorrent's handshake and framing (BEP 3), its extension protocol (BEP 10) and
// those of its extensions that are used (BEP 9, BEP 11, BEP 55), and the messages of
// the extension "al_live", by which units are announced, subscribed to, pushed
// and repaired.
//
// Everything read is bounded, in size and in every field. A [Message] of the live
// extension has one spelling: what is decoded encodes to the same bytes. One whose
// type is not known is [ErrUnknown], to be ignored; one that is known and breaks its
// form is [ErrMalformed], and ends the link. New fields come with a new [Version],
// of which both ends speak the lower one.
//
// The package is pure. Values are safe for concurrent use unless they are
// written to; a [Reader] is owned by one goroutine.
package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrMalformed says that bytes break the protocol. The link is to be closed.
	ErrMalformed = errors.New("malformed message")
	// ErrUnknown says that a message is of a type that this version does not know. It
	// is to be ignored.
	ErrUnknown = errors.New("message of an unknown type")
)

// Version is the newest version of the live extension that is spoken here.
const Version = 1

// Ids under which this side expects extended messages (BEP 10). The other side
// says in its handshake under which it does.
const (
	LiveID      = 1
	MetadataID  = 2
	PeersID     = 3
	HolepunchID = 4
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
