package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative. It is written as a number with a
// unit (128MiB, 2GB, 1.5GiB) or as plain bytes. Units with an i count in
// 1024s, those without in 1000s; upper and lower case are the same.
type Size int64

// Binary units.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

type sizeUnit struct {
	name  string
	bytes Size
}

// sizeUnits is ordered as String prefers them.
var sizeUnits = [...]sizeUnit{
	{"TiB", TiB},
	{"GiB", GiB},
	{"MiB", MiB},
	{"KiB", KiB},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// maxFraction bounds the digits after the point, so that a fraction of the
// largest unit is computed in 64 bits.
const maxFraction = 6

// ParseSize reads the text form of a Size. A fraction is rounded down to
// whole bytes.
func ParseSize(text string) (Size, error) {
	number := text
	unit := Size(1)
	if end := strings.IndexFunc(text, isLetter); end >= 0 {
		name := text[end:]
		number = strings.TrimRight(text[:end], " ")
		var ok bool
		if unit, ok = unitNamed(name); !ok {
			return 0, fmt.Errorf("%q is not a unit of size: use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB", name)
		}
	}
	whole, fraction, hasPoint := strings.Cut(number, ".")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) {
		return 0, fmt.Errorf("%q is not a size: write a number and a unit, such as 128MiB", text)
	}
	if len(fraction) > maxFraction {
		return 0, fmt.Errorf("%q has more than %d digits after the point", text, maxFraction)
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is too large", text)
	}
	bytes := Size(n) * unit
	if hasPoint {
		part, err := strconv.ParseInt(fraction, 10, 64)
		if err != nil {
			return 0, errors.New("fraction of a size: " + err.Error())
		}
		scale := Size(1)
		for range fraction {
			scale *= 10
		}
		bytes += Size(part) * unit / scale
	}
	if bytes < 0 { // the fraction was one too many
		return 0, fmt.Errorf("%q is too large", text)
	}
	return bytes, nil
}

// String is the shortest exact text form that [ParseSize] reads back, in
// binary units rather than decimal ones of the same length.
func (s Size) String() string {
	plain := strconv.FormatInt(int64(s), 10)
	if s <= 0 {
		return plain
	}
	best := ""
	for _, unit := range sizeUnits {
		text := strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		if s%unit.bytes == 0 && (best == "" || len(text) < len(best)) {
			best = text
		}
	}
	if len(plain) < len(best) {
		return plain
	}
	return best
}

// MarshalText implements [encoding.TextMarshaler].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(text []byte) error {
	parsed, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

func unitNamed(name string) (Size, bool) {
	for _, unit := range sizeUnits {
		if strings.EqualFold(unit.name, name) {
			return unit.bytes, true
		}
	}
	return 0, false
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

func isDigits(text string) bool {
	for _, r := range text {
		if r < '0' || r > '9' {
			return false
		}
	}
	return text != ""
}
