// Package content names what a player asks for: a content id, an infohash, a
// magnet link or the URL of a transport file.
//
// It is a leaf: pure values, safe for concurrent use.
package content

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// Kind tells which of the engine's selectors a [Selector] is.
// The values are the names of the engine API's query parameters.
type Kind string

// The selectors of the engine API, in the precedence the engine gives them
// when a request carries several
// (https://docs.acestream.net/developers/api-reference/).
const (
	ContentID Kind = "content_id"
	Infohash  Kind = "infohash"
	URL       Kind = "url"
	Magnet    Kind = "magnet"
)

// precedence lists the query parameters that select content, the engine's
// deprecated "id" beside the name that replaced it.
var precedence = []struct {
	param string
	kind  Kind
}{
	{"content_id", ContentID},
	{"id", ContentID},
	{"infohash", Infohash},
	{"url", URL},
	{"magnet", Magnet},
}

// maxValue bounds a selector's value in bytes. Magnet links with many trackers
// stay well below it.
const maxValue = 16 << 10

// Selector names one content. The zero Selector names nothing. Selectors that
// are equal with == name the same content; two that differ may still do so (a
// content id and an infohash), which only an engine can tell.
type Selector struct {
	Kind  Kind
	Value string // hex is in lower case; a URL or magnet link is as it was given
	// File is the index of the file inside a multi-file content, the engine
	// API's _idx, if Chosen says that the request named one, or if it is not 0.
	// Otherwise the engine picks: an official one the first file, a native one
	// the largest that can be played.
	File   int
	Chosen bool
}

// ErrMissing says that a request names no content.
var ErrMissing = errors.New("no content named: add id=, content_id=, infohash=, url= or magnet= to the address")

// FromQuery reads the selector of a playback request. Where several selectors
// are given, the engine's precedence decides. Its errors are fit to be shown
// to the person who typed the address.
func FromQuery(q url.Values) (Selector, error) {
	for _, p := range precedence {
		value := strings.TrimSpace(q.Get(p.param))
		if value == "" {
			continue
		}
		s, err := New(p.kind, value)
		if err != nil {
			return Selector{}, fmt.Errorf("%s: %w", p.param, err)
		}
		if idx := q.Get("_idx"); idx != "" {
			n, err := strconv.Atoi(idx)
			if err != nil || n < 0 {
				return Selector{}, fmt.Errorf("_idx: %q is not a file index: use 0 for the first file", clip(idx))
			}
			s.File, s.Chosen = n, true
		}
		return s, nil
	}
	return Selector{}, ErrMissing
}

// New checks value and returns its selector for the first file.
func New(kind Kind, value string) (Selector, error) {
	if len(value) > maxValue {
		return Selector{}, fmt.Errorf("longer than %d bytes", maxValue)
	}
	switch kind {
	case ContentID, Infohash:
		v := strings.ToLower(strings.TrimPrefix(value, "acestream://"))
		if !isHex40(v) {
			return Selector{}, fmt.Errorf("%q is not 40 hexadecimal digits", clip(value))
		}
		return Selector{Kind: kind, Value: v}, nil
	case URL:
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return Selector{}, fmt.Errorf("%q is not an http or https address", clip(value))
		}
		return Selector{Kind: URL, Value: value}, nil
	case Magnet:
		s := Selector{Kind: Magnet, Value: value}
		if _, ok := s.Infohash(); !ok {
			return Selector{}, fmt.Errorf("%q is not a magnet link with a BitTorrent v1 infohash (xt=urn:btih:...)", clip(value))
		}
		return s, nil
	}
	return Selector{}, fmt.Errorf("unknown selector %q", string(kind))
}

// Infohash returns the infohash in 40 lower-case hex digits where the selector
// itself tells it: an infohash, or a magnet link.
func (s Selector) Infohash() (string, bool) {
	switch s.Kind {
	case Infohash:
		return s.Value, true
	case Magnet:
		return magnetInfohash(s.Value)
	}
	return "", false
}

// Query returns the selector as the engine API's query parameters.
func (s Selector) Query() url.Values {
	q := url.Values{string(s.Kind): {s.Value}}
	if s.picked() {
		q.Set("_idx", strconv.Itoa(s.File))
	}
	return q
}

func (s Selector) picked() bool { return s.Chosen || s.File != 0 }

// Infohashed returns the selector of the same file of the content with that
// infohash.
func (s Selector) Infohashed(infohash string) Selector {
	s.Kind, s.Value = Infohash, infohash
	return s
}

// String returns the selector for logs and messages: its kind and a value of
// bounded length.
func (s Selector) String() string {
	if s.Kind == "" {
		return "no content"
	}
	v := string(s.Kind) + " " + clip(s.Value)
	if s.picked() {
		v += " file " + strconv.Itoa(s.File)
	}
	return v
}

// LogValue logs a selector as its String.
func (s Selector) LogValue() slog.Value { return slog.StringValue(s.String()) }

func isHex40(s string) bool {
	if len(s) != 40 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// clip shortens a foreign value for a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
