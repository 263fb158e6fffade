package hls

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A Name is what a segment or a part is called in a playlist: the last
// element of its URI's path.
type Name struct {
	MSN  int64 // media sequence number, 0 or more
	Part int   // index of the part in the segment; -1 is the whole segment
}

// suffix ends every name: some players go by it.
const suffix = ".ts"

// maxPart bounds the index of a part: a segment of a minute has 300 of the
// shortest.
const maxPart = 9999

func (n Name) String() string { return string(n.append(nil)) }

func (n Name) append(b []byte) []byte {
	b = strconv.AppendInt(b, n.MSN, 10)
	if n.Part >= 0 {
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(n.Part), 10)
	}
	return append(b, suffix...)
}

// ParseName reads a name. Each segment and part has only one.
func ParseName(s string) (n Name, ok bool) {
	text, ok := strings.CutSuffix(s, suffix)
	if !ok {
		return Name{}, false
	}
	segment, part, hasPart := strings.Cut(text, ".")
	n.Part = -1
	if n.MSN, ok = parseNumber(segment); !ok {
		return Name{}, false
	}
	if hasPart {
		index, ok := parseNumber(part)
		if !ok || index > maxPart {
			return Name{}, false
		}
		n.Part = int(index)
	}
	return n, true
}

// parseNumber reads decimal digits without a sign or leading zeros.
func parseNumber(s string) (n int64, ok bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// Directives are what a client asks of a playlist (section 6.2.5 of the second edition):
// to wait until it has a segment or a part.
type Directives struct {
	Block bool // there is something to wait for
	MSN   int64
	Part  int // -1 is the whole segment
}

// errDirectives says what is wrong with directives.
var errDirectives = errors.New("wrong delivery directive")

// ParseDirectives reads the directives in the query of a playlist's URL. Those that the
// playlists do not offer, such as _HLS_skip, are ignored, as the protocol asks.
func ParseDirectives(q url.Values) (Directives, error) {
	d := Directives{Part: -1}
	if q.Has("_HLS_part") && !q.Has("_HLS_msn") {
		return d, fmt.Errorf("%w: _HLS_part without _HLS_msn", errDirectives)
	}
	if !q.Has("_HLS_msn") {
		return d, nil
	}
	msn, ok := directive(q["_HLS_msn"])
	if !ok {
		return d, fmt.Errorf("%w: _HLS_msn is no number", errDirectives)
	}
	d.Block, d.MSN = true, msn
	if q.Has("_HLS_part") {
		part, ok := directive(q["_HLS_part"])
		if !ok || part > maxPart {
			return Directives{Part: -1}, fmt.Errorf("%w: _HLS_part is no number", errDirectives)
		}
		d.Part = int(part)
	}
	return d, nil
}

// directive reads the value of a directive, which must be there once.
func directive(values []string) (n int64, ok bool) {
	if len(values) != 1 {
		return 0, false
	}
	return parseNumber(values[0])
}
