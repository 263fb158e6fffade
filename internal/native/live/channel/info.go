package channel

import (
	"crypto/sha1"
	"fmt"
	"unicode/utf8"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/native/bencode"
)

// Bounds of a channel's description.
const (
	MaxName       = 128   // bytes
	MaxUnit       = 16356 // bytes: 87 packets, the most that a block of 16 KiB holds
	MaxSubstreams = 32    // so that a set of them is 32 bits

	pieceLength = 16384
	version     = 1
	media       = "mpegts"
)

// Info is what the infohash is made of: what can not change without the channel
// becoming another swarm. Trackers, title and quality are not in it.
type Info struct {
	Name       string // UTF-8, 1 to MaxName bytes
	Key        PublicKey
	Unit       int  // the largest unit in bytes, a multiple of 188 up to MaxUnit
	Substreams int  // 1 to MaxSubstreams
	Private    bool // peers come from the channel's own trackers only (BEP 27)
}

func (i Info) check() error {
	switch {
	case i.Name == "" || len(i.Name) > MaxName || !utf8.ValidString(i.Name):
		return fmt.Errorf("%w: a name has 1 to %d bytes of UTF-8", ErrFormat, MaxName)
	case i.Unit < mpegts.PacketSize || i.Unit > MaxUnit || i.Unit%mpegts.PacketSize != 0:
		return fmt.Errorf("%w: a unit of %d bytes", ErrFormat, i.Unit)
	case i.Substreams < 1 || i.Substreams > MaxSubstreams:
		return fmt.Errorf("%w: %d substreams", ErrFormat, i.Substreams)
	}
	return nil
}

func (i Info) dict() bencode.Dict {
	d := bencode.Dict{
		"name":         bencode.String(i.Name),
		"piece length": bencode.Int(pieceLength),
		"alive": bencode.Dict{
			"v": bencode.Int(version),
			"k": bencode.String(i.Key[:]),
			"u": bencode.Int(i.Unit),
			"s": bencode.Int(i.Substreams),
			"m": bencode.String(media),
		},
	}
	if i.Private {
		d["private"] = bencode.Int(1)
	}
	return d
}

// Encode returns the canonical bencoding, which peers send each other as the
// metadata of the swarm (BEP 9).
func (i Info) Encode() ([]byte, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	return i.dict().Append(nil), nil
}

// Infohash returns the name of the swarm.
func (i Info) Infohash() Hash { return sha1.Sum(i.dict().Append(nil)) }

// ParseInfo reads the description of a live channel. A torrent of files is
// refused, as is what another version may have added: it could not be passed on
// under the same infohash.
func ParseInfo(b []byte) (Info, error) {
	d, err := bencode.DecodeDict(b)
	if err != nil {
		return Info{}, err
	}
	return infoOf(d, b)
}

// infoOf reads a description of which the bytes are at hand.
func infoOf(d bencode.Dict, raw []byte) (Info, error) {
	var i Info
	alive := d.Dict("alive")
	if v, ok := alive.Int("v"); !ok || v != version {
		return Info{}, fmt.Errorf("%w: not a live channel of version %d", ErrFormat, version)
	}
	k, _ := alive.String("k")
	if len(k) != len(i.Key) {
		return Info{}, fmt.Errorf("%w: a key of %d bytes", ErrFormat, len(k))
	}
	unit, _ := alive.Int("u")
	substreams, _ := alive.Int("s")
	private, _ := d.Int("private")
	i.Key = PublicKey([]byte(k))
	i.Name, _ = d.String("name")
	i.Unit = int(min(max(unit, 0), MaxUnit+1)) // bounded before it is checked, whatever an int holds
	i.Substreams = int(min(max(substreams, 0), MaxSubstreams+1))
	i.Private = private == 1
	if err := i.check(); err != nil {
		return Info{}, err
	}
	if string(i.dict().Append(nil)) != string(raw) {
		return Info{}, fmt.Errorf("%w: fields that version %d does not have", ErrFormat, version)
	}
	return i, nil
}
