package content

import (
	"net/url"
	"strings"
	"testing"
)

const (
	idHex = "8ca07071b39185431f8e940ec98d1add9e561639"
	ihHex = "0a4848271c91ce2d8965ce416267c25047dc8141"
)

func TestFromQuery(t *testing.T) {
	t.Parallel()
	magnet := "magnet:?xt=urn:btih:" + strings.ToUpper(ihHex) + "&dn=x"
	for _, tt := range []struct {
		query string
		want  Selector
		fails string // part of the error
	}{
		{query: "id=" + idHex, want: Selector{Kind: ContentID, Value: idHex}},
		{query: "id=acestream%3A%2F%2F" + idHex, want: Selector{Kind: ContentID, Value: idHex}},
		{query: "content_id=" + strings.ToUpper(idHex), want: Selector{Kind: ContentID, Value: idHex}},
		{query: "infohash=" + ihHex + "&_idx=3", want: Selector{Kind: Infohash, Value: ihHex, File: 3, Chosen: true}},
		{query: "infohash=" + ihHex + "&_idx=0", want: Selector{Kind: Infohash, Value: ihHex, Chosen: true}},
		{query: "infohash=" + ihHex + "&pid=7&transcode_audio=1", want: Selector{Kind: Infohash, Value: ihHex}},
		{query: "url=http%3A%2F%2Fx.example%2Fa.torrent", want: Selector{Kind: URL, Value: "http://x.example/a.torrent"}},
		{query: "magnet=" + url.QueryEscape(magnet), want: Selector{Kind: Magnet, Value: magnet}},
		// The engine's precedence, whatever the order in the address.
		{query: "magnet=" + url.QueryEscape(magnet) + "&infohash=" + ihHex + "&id=" + idHex, want: Selector{Kind: ContentID, Value: idHex}},
		{query: "url=http%3A%2F%2Fx%2Fa&infohash=" + ihHex, want: Selector{Kind: Infohash, Value: ihHex}},
		{query: "id=&infohash=" + ihHex, want: Selector{Kind: Infohash, Value: ihHex}},
		{query: "id=%20" + idHex + "%20", want: Selector{Kind: ContentID, Value: idHex}},

		{query: "", fails: "no content named"},
		{query: "pid=1", fails: "no content named"},
		{query: "id=hello", fails: `id: "hello" is not 40 hexadecimal digits`},
		{query: "id=" + idHex[:39], fails: "40 hexadecimal digits"},
		{query: "id=" + idHex[:39] + "g", fails: "40 hexadecimal digits"},
		{query: "url=ftp%3A%2F%2Fx%2Fa", fails: "http or https"},
		{query: "url=file%3A%2F%2F%2Fetc%2Fpasswd", fails: "http or https"},
		{query: "url=%2Fetc%2Fpasswd", fails: "http or https"},
		{query: "magnet=magnet%3A%3Fdn%3Dx", fails: "magnet link"},
		{query: "magnet=" + ihHex, fails: "magnet link"},
		{query: "infohash=" + ihHex + "&_idx=-1", fails: "_idx"},
		{query: "infohash=" + ihHex + "&_idx=one", fails: "_idx"},
		{query: "url=http%3A%2F%2Fx%2F" + strings.Repeat("a", maxValue), fails: "longer than"},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FromQuery(q)
		switch {
		case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
			t.Errorf("FromQuery(%.60q) = %v, %v; want an error with %q", tt.query, got, err, tt.fails)
		case tt.fails == "" && (err != nil || got != tt.want):
			t.Errorf("FromQuery(%.60q) = %v, %v; want %v", tt.query, got, err, tt.want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("FromQuery(%.60q): error of %d bytes", tt.query, len(err.Error()))
		}
	}
}

func TestInfohash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sel  Selector
		want string
	}{
		{Selector{Kind: Infohash, Value: ihHex}, ihHex},
		{Selector{Kind: Magnet, Value: "magnet:?xt=urn:btih:" + ihHex}, ihHex},
		{Selector{Kind: Magnet, Value: "MAGNET:?dn=x&xt=URN:BTIH:" + strings.ToUpper(ihHex)}, ihHex},
		{Selector{Kind: Magnet, Value: "magnet:?xt=urn:btmh:1220aa&xt=urn:btih:BJEEQJY4SHHC3CLFZZAWEZ6CKBD5ZAKB"}, ihHex},
		{Selector{Kind: Magnet, Value: "magnet:?xt=urn:btmh:1220aa"}, ""},
		{Selector{Kind: ContentID, Value: idHex}, ""},
		{Selector{Kind: URL, Value: "http://x/a.torrent"}, ""},
	} {
		got, ok := tt.sel.Infohash()
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%v.Infohash() = %q, %v; want %q", tt.sel, got, ok, tt.want)
		}
	}
}

func FuzzFromQuery(f *testing.F) {
	f.Add("id=" + idHex)
	f.Add("magnet=magnet%3A%3Fxt%3Durn%3Abtih%3A" + ihHex)
	f.Add("url=http://x/a&_idx=2")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		s, err := FromQuery(q)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Fatalf("error of %d bytes", len(err.Error()))
			}
			return
		}
		// What was understood once is understood the same way by the engine.
		again, err := FromQuery(s.Query())
		if err != nil || again != s {
			t.Fatalf("%v became %v (%v) on its way to the engine", s, again, err)
		}
		if ih, ok := s.Infohash(); ok && !isHex40(ih) {
			t.Fatalf("infohash %q", ih)
		}
	})
}
