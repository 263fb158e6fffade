package hls

import (
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

func TestParseDirectives(t *testing.T) {
	t.Parallel()
	plain := Directives{Part: -1}
	for query, want := range map[string]struct {
		d  Directives
		ok bool
	}{
		"":                                   {plain, true},
		"id=1&_HLS_skip=YES":                 {plain, true},
		"_HLS_msn=7":                         {Directives{Block: true, MSN: 7, Part: -1}, true},
		"_HLS_msn=0&_HLS_part=0":             {Directives{Block: true}, true},
		"_HLS_msn=7&_HLS_part=3":             {Directives{Block: true, MSN: 7, Part: 3}, true},
		"_HLS_part=3":                        {},
		"_HLS_msn=":                          {},
		"_HLS_msn=-1":                        {},
		"_HLS_msn=+1":                        {},
		"_HLS_msn=01":                        {},
		"_HLS_msn=1e3":                       {},
		"_HLS_msn=1&_HLS_msn=2":              {},
		"_HLS_msn=1&_HLS_part=":              {},
		"_HLS_msn=1&_HLS_part=99999999":      {},
		"_HLS_msn=99999999999999999999":      {},
		"_HLS_msn=1&_HLS_part=1&_HLS_part=1": {},
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseDirectives(q)
		if (err == nil) != want.ok || want.ok && d != want.d {
			t.Errorf("%q: %+v, %v; want %+v, %v", query, d, err, want.d, want.ok)
		}
	}
}

func FuzzParseDirectives(f *testing.F) {
	for _, seed := range []string{"", "_HLS_msn=7&_HLS_part=3", "_HLS_part=1", "_HLS_msn=-0", "_HLS_msn=%37;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		d, err := ParseDirectives(q)
		if err == nil && (d.MSN < 0 || d.Part < -1 || d.Part > maxPart || !d.Block && (d.MSN != 0 || d.Part != -1)) {
			t.Errorf("%q: %+v", query, d)
		}
		// Whatever is asked, a playlist has an answer.
		if err == nil {
			if _, err := NewPlaylist(testConfig).Reached(d); err != nil {
				t.Errorf("%q: %v of an empty playlist", query, err)
			}
		}
	})
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"0.ts", "12.3.ts", "01.ts", "1.ts.ts", "-1.ts", "1..ts", "live.m3u8", "9223372036854775808.ts"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := ParseName(s); ok && (n.String() != s || n.MSN < 0 || n.Part < -1) {
			t.Errorf("%q: %+v, which is called %s", s, n, n)
		}
	})
}

func TestNamesReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := Name{MSN: rapid.Int64Range(0, 1<<62).Draw(t, "msn"), Part: rapid.IntRange(-1, maxPart).Draw(t, "part")}
		if got, ok := ParseName(n.String()); !ok || got != n {
			t.Errorf("%s: %+v, %v", n, got, ok)
		}
	})
}
