package channel

import (
	"fmt"
	"unicode/utf8"

	"github.com/acequia-tv/acequia/internal/native/bencode"
)

// Bounds of a transport file and of a description.
const (
	MaxTransport   = 16 << 10 // bytes
	MaxTitle       = 256      // bytes; also of a quality and of a category
	MaxCategories  = 16
	MaxDescription = 8 << 10 // bytes
)

// Contexts of signatures.
const (
	transportContext   = "acequia live transport/1\x00"
	descriptionContext = "acequia live description/1\x00"
)

// Description is what a channel says of itself and may change at any time.
type Description struct {
	Seq        uint64 // the higher one replaces the lower; below 2^63
	Title      string
	Quality    string
	Categories []string
	Bitrate    uint64 // bits per second, 0 if not known; below 2^63
}

// SignedDescription is a description that anybody may pass on.
type SignedDescription struct {
	Encoded   []byte
	Signature Signature
}

func texts(all ...string) bool {
	for _, s := range all {
		if len(s) > MaxTitle || !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

func (d Description) check() error {
	switch {
	case len(d.Categories) > MaxCategories || !texts(d.Title, d.Quality) || !texts(d.Categories...):
		return fmt.Errorf("%w: texts of a description have at most %d bytes of UTF-8", ErrFormat, MaxTitle)
	case d.Seq >= 1<<63 || d.Bitrate >= 1<<63:
		return fmt.Errorf("%w: a number of a description beyond 63 bits", ErrFormat)
	}
	return nil
}

// Describe signs a description.
func (k Key) Describe(d Description) (SignedDescription, error) {
	if err := d.check(); err != nil {
		return SignedDescription{}, err
	}
	categories := bencode.List{}
	for _, c := range d.Categories {
		categories = append(categories, bencode.String(c))
	}
	b := bencode.Dict{
		"seq":      bencode.Int(d.Seq),
		"title":    bencode.String(d.Title),
		"quality":  bencode.String(d.Quality),
		"category": categories,
		"bitrate":  bencode.Int(d.Bitrate),
	}.Append(nil)
	return SignedDescription{Encoded: b, Signature: k.Sign(append([]byte(descriptionContext), b...))}, nil
}

// Open verifies a description and reads it. Keys it does not know are left
// alone, for later versions.
func (s SignedDescription) Open(key PublicKey) (Description, error) {
	if len(s.Encoded) > MaxDescription {
		return Description{}, fmt.Errorf("%w: a description of %d bytes, at most %d", ErrFormat, len(s.Encoded), MaxDescription)
	}
	if !key.Verify(append([]byte(descriptionContext), s.Encoded...), &s.Signature) {
		return Description{}, ErrForged
	}
	v, err := bencode.DecodeDict(s.Encoded)
	if err != nil {
		return Description{}, err
	}
	var d Description
	seq, _ := v.Int("seq")
	bitrate, _ := v.Int("bitrate")
	if seq < 0 || bitrate < 0 {
		return Description{}, fmt.Errorf("%w: a negative number in a description", ErrFormat)
	}
	d.Seq, d.Bitrate = uint64(seq), uint64(bitrate)
	d.Title, _ = v.String("title")
	d.Quality, _ = v.String("quality")
	for _, c := range v.List("category") {
		text, ok := c.(bencode.String)
		if !ok {
			return Description{}, fmt.Errorf("%w: a category that is no text", ErrFormat)
		}
		d.Categories = append(d.Categories, string(text))
	}
	return d, d.check()
}

// Transport is a transport file: what a player or an engine is handed to play a
// channel that it cannot look up. All of it is signed, so that nobody adds
// trackers that see who watches.
type Transport struct {
	Info        Info
	Trackers    []string // at most MaxTrackers of at most MaxURL bytes
	Boot        []string // host:port of peers to dial at once, in the same bounds
	Description SignedDescription
}

// Transport encodes and signs a transport file of this key's channel.
func (k Key) Transport(t Transport) ([]byte, error) {
	if err := t.Info.check(); err != nil {
		return nil, err
	}
	if t.Info.Key != k.public {
		return nil, fmt.Errorf("%w: the transport file of another channel", ErrForged)
	}
	if _, err := t.Description.Open(k.public); err != nil {
		return nil, fmt.Errorf("sign a transport file: %w", err)
	}
	trackers, err := encodeURLs(t.Trackers)
	if err != nil {
		return nil, err
	}
	boot, err := encodeURLs(t.Boot)
	if err != nil {
		return nil, err
	}
	d := bencode.Dict{
		"info": t.Info.dict(),
		"tr":   trackers,
		"boot": boot,
		"meta": bencode.String(t.Description.Encoded),
		"msig": bencode.String(t.Description.Signature[:]),
	}
	sig := k.Sign(d.Append([]byte(transportContext)))
	d["sig"] = bencode.String(sig[:])
	b := d.Append(nil)
	if len(b) > MaxTransport {
		return nil, fmt.Errorf("%w: a transport file of %d bytes, at most %d", ErrFormat, len(b), MaxTransport)
	}
	return b, nil
}

// ParseTransport reads and verifies a transport file. The key that verifies it
// is the one inside; whoever expects a certain channel compares the infohash or the
// content id. A file of something else is [ErrFormat], or an error of bencode.
func ParseTransport(b []byte) (Transport, error) {
	if len(b) > MaxTransport {
		return Transport{}, fmt.Errorf("%w: a transport file of %d bytes, at most %d", ErrFormat, len(b), MaxTransport)
	}
	d, err := bencode.DecodeDict(b)
	if err != nil {
		return Transport{}, err
	}
	var t Transport
	info := d.Dict("info")
	if t.Info, err = infoOf(info, info.Append(nil)); err != nil {
		return Transport{}, err
	}
	sig, _ := d.String("sig")
	msig, _ := d.String("msig")
	meta, _ := d.String("meta")
	if len(sig) != len(Signature{}) || len(msig) != len(Signature{}) {
		return Transport{}, ErrForged
	}
	delete(d, "sig")
	whole := Signature([]byte(sig))
	if !t.Info.Key.Verify(d.Append([]byte(transportContext)), &whole) {
		return Transport{}, ErrForged
	}
	t.Description = SignedDescription{Encoded: []byte(meta), Signature: Signature([]byte(msig))}
	if _, err := t.Description.Open(t.Info.Key); err != nil {
		return Transport{}, err
	}
	if t.Trackers, err = parseURLs(d.List("tr")); err != nil {
		return Transport{}, err
	}
	t.Boot, err = parseURLs(d.List("boot"))
	return t, err
}
