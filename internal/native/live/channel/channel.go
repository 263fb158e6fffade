// Package channel has what names and describes a live channel: its key, the
// content id and infohash that follow from it, the transport file, the item under
// which the DHT keeps it, and the notices that only its owner can give.
//
// A channel is an Ed25519 key. All that others believe of it they verify with
// that key, so it does not matter who passed it on.
//
// The package is pure: keys, time and entropy are inputs. Values are safe for
// concurrent use unless they are written to.
package channel

import (
	"crypto/ed25519"
	"crypto/sha1" // the hash of BEP 3 and BEP 44; what must hold against forgers is signed
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// SeedSize is how many bytes of entropy a key is made from.
const SeedSize = ed25519.SeedSize

// Hash names a channel: its content id, or its infohash.
type Hash [sha1.Size]byte

// String returns 40 lower-case hex digits, as every client of an engine writes
// content ids and infohashes.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads 40 hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != hex.EncodedLen(len(h)) {
		return h, fmt.Errorf("%d digits instead of %d", len(s), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

// PublicKey is what verifies a channel.
type PublicKey [ed25519.PublicKeySize]byte

// ContentID returns the channel's content id: the SHA-1 of its key. That is the
// target of a mutable item without salt (BEP 44), so the 40 digits alone are
// enough to find the channel in the DHT, and nobody else can answer for them.
func (p PublicKey) ContentID() Hash { return sha1.Sum(p[:]) }

// Verify reports whether sig is the channel's signature of message.
func (p PublicKey) Verify(message []byte, sig *Signature) bool {
	return ed25519.Verify(p[:], message, sig[:])
}

// Signature is an Ed25519 signature.
type Signature [ed25519.SignatureSize]byte

// Key is the private key of a channel. Whoever has it is the channel.
type Key struct {
	private ed25519.PrivateKey
	public  PublicKey
}

// NewKey makes the key that follows from a seed, which should come from a
// source of entropy and is the whole secret.
func NewKey(seed [SeedSize]byte) Key {
	private := ed25519.NewKeyFromSeed(seed[:])
	return Key{private: private, public: PublicKey(private.Public().(ed25519.PublicKey))}
}

// Public returns the key that others verify with.
func (k Key) Public() PublicKey { return k.public }

// Seed returns the secret from which the key was made.
func (k Key) Seed() [SeedSize]byte { return [SeedSize]byte(k.private.Seed()) }

// Sign signs a message. Each kind of message begins with a context of its own,
// so that no signature is worth anything in another place.
func (k Key) Sign(message []byte) Signature { return Signature(ed25519.Sign(k.private, message)) }

// String hides the key from logs.
func (k Key) String() string { return "key of " + k.public.ContentID().String() }

// GoString hides the key from logs.
func (k Key) GoString() string { return k.String() }

// NextEpoch returns the epoch of a broadcast that begins now, after one with the
// epoch last, 0 if none is known. An epoch is one run of the broadcaster: units
// are numbered within it, and viewers take no older one. It is not less than the
// seconds since 1970, so that it goes on even where the last one was forgotten, and
// more than last, so that it does where the clock is wrong. 0 is no epoch.
func NextEpoch(last uint32, now time.Time) uint32 {
	const most = 1<<32 - 1
	seconds := min(max(now.Unix(), 1), most)
	if last == most {
		return last
	}
	return max(uint32(seconds), last+1)
}

var (
	// ErrForged says that a signature is not the channel's.
	ErrForged = errors.New("not signed by the channel")
	// ErrFormat says that a value is not of the form that this version knows.
	ErrFormat = errors.New("unknown form")
)
