package channel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/native/bencode"
)

// Bounds of a mutable item.
const (
	MaxItem     = 1000 // bytes of the value, from BEP 44
	MaxHints    = 10
	MaxTrackers = 16
	MaxURL      = 256 // bytes
)

// Item is a mutable item of the DHT (BEP 44) without salt, as the network carries it.
type Item struct {
	Key       PublicKey
	Seq       int64 // the higher one replaces the lower
	Value     []byte
	Signature Signature
}

// Target returns where the DHT keeps the item: the channel's content id.
func (i Item) Target() Hash { return i.Key.ContentID() }

// signable is what BEP 44 signs: seq and v as they are bencoded in the message.
func signable(seq int64, value []byte) []byte {
	b := make([]byte, 0, len("3:seqi-9223372036854775808e1:v")+len(value))
	b = append(b, "3:seqi"...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, "e1:v"...)
	return append(b, value...)
}

// Verify checks an answer of the DHT to a question for target.
func (i Item) Verify(target Hash) error {
	switch {
	case i.Target() != target:
		return fmt.Errorf("%w: the key is of %s", ErrForged, i.Target())
	case len(i.Value) > MaxItem:
		return fmt.Errorf("%w: an item of %d bytes, at most %d", ErrFormat, len(i.Value), MaxItem)
	case !i.Key.Verify(signable(i.Seq, i.Value), &i.Signature):
		return ErrForged
	}
	return nil
}

// Record is what the DHT says of a channel: enough to join its swarm.
type Record struct {
	Infohash Hash
	Name     string
	Trackers []string         // addresses of trackers, at most MaxTrackers of at most MaxURL bytes
	Hints    []netip.AddrPort // of the broadcaster and of support nodes, at most MaxHints
	Time     time.Time        // when it was published, in seconds
}

// Publish signs a record as an item. Its seq is the record's time in seconds,
// which grows without having to be kept. A record larger than MaxItem, or one that
// breaks a bound, is an error.
func (k Key) Publish(r Record) (Item, error) {
	if len(r.Name) > MaxName || len(r.Hints) > MaxHints || r.Time.Unix() < 0 {
		return Item{}, fmt.Errorf("%w: a record with %d bytes of name, %d hints, of %v", ErrFormat, len(r.Name), len(r.Hints), r.Time)
	}
	trackers, err := encodeURLs(r.Trackers)
	if err != nil {
		return Item{}, err
	}
	var hints []byte
	for _, h := range r.Hints {
		if !h.IsValid() || h.Port() == 0 {
			return Item{}, fmt.Errorf("%w: a hint %v", ErrFormat, h)
		}
		hints = appendHint(hints, h)
	}
	seq := r.Time.Unix()
	value := bencode.Dict{
		"ih": bencode.String(r.Infohash[:]),
		"n":  bencode.String(r.Name),
		"tr": trackers,
		"b":  bencode.String(hints),
		"t":  bencode.Int(seq),
	}.Append(nil)
	if len(value) > MaxItem {
		return Item{}, fmt.Errorf("%w: a record of %d bytes, at most %d", ErrFormat, len(value), MaxItem)
	}
	return Item{Key: k.public, Seq: seq, Value: value, Signature: k.Sign(signable(seq, value))}, nil
}

// Record verifies the item and reads it. Keys it does not know are left alone,
// for later versions.
func (i Item) Record(target Hash) (Record, error) {
	if err := i.Verify(target); err != nil {
		return Record{}, err
	}
	d, err := bencode.DecodeDict(i.Value)
	if err != nil {
		return Record{}, err
	}
	var r Record
	infohash, _ := d.String("ih")
	seconds, _ := d.Int("t")
	r.Name, _ = d.String("n")
	if len(infohash) != len(r.Infohash) || len(r.Name) > MaxName || seconds < 0 {
		return Record{}, fmt.Errorf("%w: a record without infohash, name or time", ErrFormat)
	}
	copy(r.Infohash[:], infohash)
	r.Time = time.Unix(seconds, 0)
	if r.Trackers, err = parseURLs(d.List("tr")); err != nil {
		return Record{}, err
	}
	hints, _ := d.String("b")
	r.Hints, err = parseHints([]byte(hints))
	return r, err
}

// A hint is one byte, 4 or 6, the address and the port, so that both families
// fit one string.
func appendHint(b []byte, h netip.AddrPort) []byte {
	addr := h.Addr().Unmap()
	family := byte(6)
	if addr.Is4() {
		family = 4
	}
	b = append(b, family)
	b = append(b, addr.AsSlice()...)
	return binary.BigEndian.AppendUint16(b, h.Port())
}

func parseHints(b []byte) ([]netip.AddrPort, error) {
	var hints []netip.AddrPort
	for len(b) > 0 {
		size := 16
		if b[0] == 4 {
			size = 4
		}
		if (b[0] != 4 && b[0] != 6) || len(b) < 1+size+2 || len(hints) == MaxHints {
			return nil, fmt.Errorf("%w: hints", ErrFormat)
		}
		addr, _ := netip.AddrFromSlice(b[1 : 1+size])
		h := netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[1+size:]))
		if h.Port() == 0 {
			return nil, fmt.Errorf("%w: a hint without a port", ErrFormat)
		}
		hints = append(hints, h)
		b = b[1+size+2:]
	}
	return hints, nil
}

func encodeURLs(urls []string) (bencode.List, error) {
	l := bencode.List{}
	for _, u := range urls {
		l = append(l, bencode.String(u))
	}
	_, err := parseURLs(l)
	return l, err
}

func parseURLs(l bencode.List) ([]string, error) {
	if len(l) > MaxTrackers {
		return nil, fmt.Errorf("%w: %d addresses, at most %d", ErrFormat, len(l), MaxTrackers)
	}
	var urls []string
	for _, v := range l {
		u, ok := v.(bencode.String)
		if !ok || u == "" || len(u) > MaxURL {
			return nil, fmt.Errorf("%w: an address has 1 to %d bytes", ErrFormat, MaxURL)
		}
		urls = append(urls, string(u))
	}
	return urls, nil
}
