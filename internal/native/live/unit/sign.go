package unit

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

// context begins what is signed of a unit.
const context = "acequia live unit/1\x00"

// signableSize is the context, the infohash, the header and the payload's digest.
const signableSize = len(context) + len(channel.Hash{}) + HeaderSize + sha256.Size

// signable is what a channel signs of a unit. The infohash is in it, so that a
// key that broadcasts two channels does not make one out of the other.
func signable(b *[signableSize]byte, infohash *channel.Hash, h *Header, payload *Digest) []byte {
	s := b[:copy(b[:], context)]
	s = append(s, infohash[:]...)
	s = h.append(s)
	return append(s, payload[:]...)
}

// Signer makes the units of a channel.
type Signer struct {
	key      channel.Key
	infohash channel.Hash
}

// NewSigner returns the signer of the channel with that infohash.
func NewSigner(key channel.Key, infohash channel.Hash) *Signer {
	return &Signer{key: key, infohash: infohash}
}

// Sign makes a unit of whole packets, which it does not copy. The header's length
// is set to theirs.
func (s *Signer) Sign(h Header, packets []byte) (Unit, error) {
	if len(packets) > MaxPayload {
		return Unit{}, fmt.Errorf("%w: a payload of %d bytes", ErrMalformed, len(packets))
	}
	h.Length = uint16(len(packets))
	u := Unit{Header: h, Payload: packets}
	if err := u.check(); err != nil {
		return Unit{}, err
	}
	digest := Digest(sha256.Sum256(packets))
	u.Signature = s.key.Sign(signable(new([signableSize]byte), &s.infohash, &u.Header, &digest))
	return u, nil
}

// Verifier tells the units of a channel from others.
type Verifier struct {
	key      channel.PublicKey
	infohash channel.Hash
}

// NewVerifier returns the verifier of the channel with that infohash.
func NewVerifier(key channel.PublicKey, infohash channel.Hash) *Verifier {
	return &Verifier{key: key, infohash: infohash}
}

// Verify returns [ErrMalformed] or [ErrForged] unless the unit is one that the
// channel made.
func (v *Verifier) Verify(u *Unit) error {
	if err := u.check(); err != nil {
		return err
	}
	p := u.proof()
	return v.verify(&p)
}

func (v *Verifier) verify(p *Proof) error {
	var b [signableSize]byte
	if !v.key.Verify(signable(&b, &v.infohash, &p.Header, &p.Payload), &p.Signature) {
		return ErrForged
	}
	return nil
}

// Proof is what is left of a unit without its payload. It still proves that the
// channel signed it.
type Proof struct {
	Header    Header
	Payload   Digest
	Signature channel.Signature
}

func (u *Unit) proof() Proof {
	return Proof{Header: u.Header, Payload: sha256.Sum256(u.Payload), Signature: u.Signature}
}

// same reports whether two proofs are of one unit. Signatures may differ, as
// anybody can vary what they do not cover.
func (p *Proof) same(q *Proof) bool { return p.Header == q.Header && p.Payload == q.Payload }

// ProofSize is the size of an encoded proof in bytes.
const ProofSize = HeaderSize + sha256.Size + len(channel.Signature{})

// Append writes the proof, ProofSize bytes.
func (p *Proof) Append(b []byte) []byte {
	b = p.Header.append(b)
	b = append(b, p.Payload[:]...)
	return append(b, p.Signature[:]...)
}

// Equivocation is evidence against a channel: it signed two units with one
// number. Its key is used by two broadcasters, or by somebody who wants viewers to see
// different things. It is an error, the one [Gate.Accept] returns on seeing it.
type Equivocation struct{ First, Second Proof }

func (*Equivocation) Error() string { return "two units of the channel have one number" }

// EvidenceSize is the size of encoded evidence in bytes.
const EvidenceSize = 2 * ProofSize

// Append writes the evidence, EvidenceSize bytes.
func (e *Equivocation) Append(b []byte) []byte { return e.Second.Append(e.First.Append(b)) }

// ParseEquivocation reads evidence and does not verify it.
func ParseEquivocation(b []byte) (*Equivocation, error) {
	if len(b) != EvidenceSize {
		return nil, ErrMalformed
	}
	e := &Equivocation{First: parseProof(b), Second: parseProof(b[ProofSize:])}
	return e, errors.Join(e.First.Header.check(), e.Second.Header.check())
}

func parseProof(b []byte) Proof {
	const signature = HeaderSize + sha256.Size
	return Proof{
		Header:    parseHeader(b),
		Payload:   Digest(b[HeaderSize:signature]),
		Signature: channel.Signature(b[signature:ProofSize]),
	}
}

// Verify returns nil if the evidence proves what it says, whoever brought it.
func (e *Equivocation) Verify(v *Verifier) error {
	if e.First.Header.Epoch != e.Second.Header.Epoch || e.First.Header.Seq != e.Second.Header.Seq || e.First.same(&e.Second) {
		return ErrMalformed
	}
	return errors.Join(v.verify(&e.First), v.verify(&e.Second))
}
