// Package bencode reads and writes the encoding of BitTorrent (BEP 3), in its
// one canonical form only: what is hashed or signed must have no second spelling.
// Keys are sorted and there once, numbers have no leading zeros, strings no
// longer a length than is there.
//
// It is a leaf: pure values, safe for concurrent use.
package bencode

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Value is one bencoded value: an [Int], a [String], a [List] or a [Dict].
type Value interface {
	// Append writes the value in its canonical form.
	Append(b []byte) []byte
}

// Int is a number. Those of BEP 3 have no bounds; one beyond 64 bits is refused here.
type Int int64

// String is bytes. Whether they are text is for its reader to say.
type String string

// List is values in an order.
type List []Value

// Dict is values under keys.
type Dict map[string]Value

// Append writes i42e.
func (n Int) Append(b []byte) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, 'e')
}

// Append writes 4:spam.
func (s String) Append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// Append writes l...e.
func (l List) Append(b []byte) []byte {
	b = append(b, 'l')
	for _, v := range l {
		b = v.Append(b)
	}
	return append(b, 'e')
}

// Append writes d...e with the keys in the order of their bytes.
func (d Dict) Append(b []byte) []byte {
	b = append(b, 'd')
	for _, k := range slices.Sorted(maps.Keys(d)) {
		b = d[k].Append(String(k).Append(b))
	}
	return append(b, 'e')
}

// Int returns the number under a key, and whether there is one.
func (d Dict) Int(key string) (int64, bool) {
	n, ok := d[key].(Int)
	return int64(n), ok
}

// String returns the string under a key, and whether there is one.
func (d Dict) String(key string) (string, bool) {
	s, ok := d[key].(String)
	return string(s), ok
}

// List returns the list under a key, nil if there is none.
func (d Dict) List(key string) List {
	l, _ := d[key].(List)
	return l
}

// Dict returns the dictionary under a key, nil if there is none.
func (d Dict) Dict(key string) Dict {
	inner, _ := d[key].(Dict)
	return inner
}

// Bounds of what is read, so that a few bytes of a stranger cost neither stack
// nor much memory.
const (
	maxDepth  = 16
	maxValues = 4096
)

// ErrSyntax is wrapped by every error of this package.
var ErrSyntax = errors.New("not canonical bencode")

// Decode reads exactly one value.
func Decode(b []byte) (Value, error) {
	v, rest, err := DecodePrefix(b)
	if err == nil && len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the value", ErrSyntax, len(rest))
	}
	return v, err
}

// DecodeDict reads exactly one dictionary.
func DecodeDict(b []byte) (Dict, error) {
	v, err := Decode(b)
	if err != nil {
		return nil, err
	}
	d, ok := v.(Dict)
	if !ok {
		return nil, fmt.Errorf("%w: not a dictionary", ErrSyntax)
	}
	return d, nil
}

// DecodePrefix reads one value, and returns what comes after it: a data message
// of BEP 9 has its piece there.
func DecodePrefix(b []byte) (Value, []byte, error) {
	d := decoder{b: b, values: maxValues}
	v, err := d.value(0)
	if err != nil {
		return nil, nil, err
	}
	return v, d.b[d.at:], nil
}

type decoder struct {
	b      []byte
	at     int
	values int // how many more there may be
}

func (d *decoder) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, what, d.at)
}

func (d *decoder) peek() byte {
	if d.at >= len(d.b) {
		return 0 // begins no value and ends none
	}
	return d.b[d.at]
}

func (d *decoder) value(depth int) (Value, error) {
	if d.values--; d.values < 0 {
		return nil, d.fail("too many values")
	}
	if depth > maxDepth {
		return nil, d.fail("too deep")
	}
	switch c := d.peek(); {
	case c == 'i':
		d.at++
		n, err := d.number('e')
		return Int(n), err
	case c >= '0' && c <= '9':
		s, err := d.str()
		return String(s), err
	case c == 'l':
		d.at++
		return d.list(depth)
	case c == 'd':
		d.at++
		return d.dict(depth)
	}
	return nil, d.fail("no value")
}

// number reads up to the byte that ends it.
func (d *decoder) number(end byte) (int64, error) {
	const longest = len("-9223372036854775808")
	for n := 0; n <= longest && d.at+n < len(d.b); n++ {
		if d.b[d.at+n] != end {
			continue
		}
		text := string(d.b[d.at : d.at+n])
		v, err := strconv.ParseInt(text, 10, 64)
		// The one form that is written is the one form that is read: no "+1", "01", "-0".
		if err != nil || strconv.FormatInt(v, 10) != text {
			break
		}
		d.at += n + 1
		return v, nil
	}
	return 0, d.fail("no number")
}

func (d *decoder) str() (string, error) {
	n, err := d.number(':')
	if err != nil {
		return "", err
	}
	if n < 0 || n > int64(len(d.b)-d.at) {
		return "", d.fail("a string that is not all there")
	}
	s := string(d.b[d.at : d.at+int(n)])
	d.at += int(n)
	return s, nil
}

func (d *decoder) list(depth int) (Value, error) {
	l := List{}
	for d.peek() != 'e' {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	d.at++
	return l, nil
}

func (d *decoder) dict(depth int) (Value, error) {
	m := Dict{}
	last := ""
	for d.peek() != 'e' {
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		if len(m) > 0 && cmp.Compare(key, last) <= 0 {
			return nil, d.fail("keys out of order")
		}
		last = key
		if m[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	d.at++
	return m, nil
}
