package engine

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const officialSession = `{"response":{
  "playback_url":"http://127.0.0.1:6878/ace/r/0a4848271c91ce2d8965ce416267c25047dc8141/f528764d624db129b32c21fbca0cb8d6",
  "stat_url":"http://127.0.0.1:6878/ace/stat/0a4848271c91ce2d8965ce416267c25047dc8141/f528764d624db129b32c21fbca0cb8d6",
  "command_url":"http://127.0.0.1:6878/ace/cmd/0a4848271c91ce2d8965ce416267c25047dc8141/f528764d624db129b32c21fbca0cb8d6",
  "infohash":"0A4848271c91ce2d8965ce416267c25047dc8141",
  "playback_session_id":"e0d10c40465de696c0222ffa815edace0635b86a",
  "is_live":1,"is_encrypted":0,"client_session_id":-1},"error":null}`

const officialStat = `{"response":{"status":"dl","peers":4,"speed_down":257,"speed_up":29,"downloaded":3276800,"uploaded":491520,
 "total_progress":0,"is_live":1,"infohash":"0a4848271c91ce2d8965ce416267c25047dc8141","playback_session_id":"15ad",
 "disk_cache_stats":{"avail":3199156224},
 "livepos":{"last":"1639986704","live_first":"1639984904","pos":"1639986700","first_ts":"1639984904",
 "last_ts":"1639986704","is_live":"1","live_last":1639986704,"buffer_pieces":"30"}},"error":null}`

func inside(t testing.TB, raw string) json.RawMessage {
	t.Helper()
	a, err := parseAnswer([]byte(raw))
	if err != nil || a.failure != "" {
		t.Fatalf("%v, %+v", err, a)
	}
	return a.body
}

func TestParseSession(t *testing.T) {
	t.Parallel()
	got, err := parseSession(inside(t, officialSession))
	if err != nil {
		t.Fatal(err)
	}
	const key = "0a4848271c91ce2d8965ce416267c25047dc8141/f528764d624db129b32c21fbca0cb8d6"
	want := &Session{
		Infohash: "0a4848271c91ce2d8965ce416267c25047dc8141", ID: "e0d10c40465de696c0222ffa815edace0635b86a", Live: true,
		playback: "/ace/r/" + key, stat: "/ace/stat/" + key, command: "/ace/cmd/" + key,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Session{}), cmpopts.IgnoreFields(Session{}, "mu")); diff != "" {
		t.Error(diff)
	}

	valid := `{"playback_url":"/ace/r/a/b","infohash":"0a4848271c91ce2d8965ce416267c25047dc8141"`
	for raw, part := range map[string]string{
		`{}`:  "infohash",
		`"x"`: "session",
		`{"infohash":"0a4848271c91ce2d8965ce416267c25047dc8141"}`:                         "playback_url",
		`{"infohash":"../../../../../../../../../../../x"}`:                               "infohash",
		strings.Replace(valid, "/ace/r/a/b", "http://evil/steal", 1) + `}`:                "playback_url",
		valid + `,"stat_url":"http://e/ace/r/a/b"}`:                                       "stat_url",
		valid + `,"command_url":"/ace/stat/a/b"}`:                                         "command_url",
		valid + `,"command_url":7}`:                                                       "session",
		strings.Replace(valid, "/ace/r/a/b", "file:///ace/r/etc", 1) + `,"stat_url":"" }`: "playback_url",
	} {
		if _, err := parseSession(json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want an error about %s", raw, err, part)
		}
	}
	s, err := parseSession(json.RawMessage(valid + `,"is_live":"0","is_encrypted":true,"multi_reader":1}`))
	if err != nil || s.Live || !s.Encrypted || !s.MultiReader {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat(inside(t, officialStat))
	if err != nil {
		t.Fatal(err)
	}
	want := Stat{
		Status: "dl", Peers: 4, SpeedDown: 257, SpeedUp: 29, Downloaded: 3276800, Uploaded: 491520,
		Infohash: "0a4848271c91ce2d8965ce416267c25047dc8141", SessionID: "15ad",
		LivePos: &LivePos{
			Pos: time.Unix(1639986700, 0), Last: time.Unix(1639986704, 0),
			LiveFirst: time.Unix(1639984904, 0), LiveLast: time.Unix(1639986704, 0), BufferPieces: 30,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for raw, want := range map[string]Stat{
		`{"response":{}}`: {},
		`{"response":{"status":"prebuf","progress":"45","peers":null,"livepos":null},"error":null}`: {Status: "prebuf", Progress: 45},
		`{"response":{"status":"err","error_message":"disk\nfull","downloaded":1e3}}`:               {Status: "err", Message: "disk full", Downloaded: 1000},
		`{"response":{"livepos":{"pos":""}}}`:                                                       {LivePos: &LivePos{}},
	} {
		got, err := parseStat(inside(t, raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", raw, diff)
		}
	}
	for _, raw := range []string{`[]`, `"ok"`, `{"livepos":"x"}`} {
		if _, err := parseStat(json.RawMessage(raw)); err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	for raw, want := range map[string]answer{
		`{"response":"ok","error":null}`:                           {body: json.RawMessage(`"ok"`)},
		`{"result": {"a":1} }`:                                     {body: json.RawMessage(`{"a":1}`)},
		`{"response":null,"error":"failed to load content"}`:       {failure: "failed to load content"},
		`{"error":{"message":"unknown protocol","code":0}}`:        {failure: "unknown protocol"},
		`{"error":{"code":7}}`:                                     {failure: `{"code":7}`},
		`{"error":["a"]}`:                                          {failure: `["a"]`},
		`{"error":"a\u0000b\n\u001b[31mc"}`:                        {failure: "ab [31mc"},
		`{"error":"` + long + `"}`:                                 {failure: long[:maxText] + "..."},
		`{"error":"e","extra_data":{"reason":"r","option":"o"}}`:   {failure: "e", reason: "r", detail: "o"},
		`{"error":"e","extra_data":{"reason":"r","detail":"d"}}`:   {failure: "e", reason: "r", detail: "d"},
		`{"error":"e","extra_data":[1]}`:                           {failure: "e"},
		`{"error":"e","extra_data":{"reason":7}}`:                  {failure: "e", reason: "7"},
		`{"response":{"a":1},"error":"e"}`:                         {body: json.RawMessage(`{"a":1}`), failure: "e"},
		`{"response":null,"result":0,"error":null,"extra_data":1}`: {body: json.RawMessage(`0`)},
	} {
		got, err := parseAnswer([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s: %s", clean(raw), diff)
		}
	}
	for _, raw := range []string{``, `x`, `[]`, `{}`, `{"response":null,"error":null}`, `{"response":{"playback_url":"http`} {
		if a, err := parseAnswer([]byte(raw)); err == nil {
			t.Errorf("%q was taken as %+v", raw, a)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]number{
		`7`: 7, `"7"`: 7, `-1`: -1, `"1639986704"`: 1639986704, `12.9`: 12, `"1e3"`: 1000, `true`: 1, `false`: 0, `null`: 0,
		`""`: 0, `"x"`: 0, `"NaN"`: 0, `"Inf"`: 0, `1e300`: 0, `{}`: 0, `[1]`: 0, `9223372036854775807`: 1<<63 - 1, `-1e19`: 0,
	} {
		var n number = 99
		// Null goes past the method when it is the whole value.
		var holder struct{ N *number }
		holder.N = &n
		if err := json.Unmarshal([]byte(`{"N":`+raw+`}`), &holder); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if holder.N == nil {
			holder.N = new(number)
		}
		if *holder.N != want {
			t.Errorf("%s: %d, want %d", raw, *holder.N, want)
		}
	}
}

func TestLocalTarget(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://127.0.0.1:6878/ace/r/a/b":              "/ace/r/a/b",
		"http://172.17.0.2:6878/content/a/0.673752283": "/content/a/0.673752283",
		"https://e/ace/m/a/b.m3u8?x=1&y=%2F":           "/ace/m/a/b.m3u8?x=1&y=%2F",
		"/ace/r/a/b":                                   "/ace/r/a/b",
		"//evil/ace/r/a/b":                             "/ace/r/a/b",
		"http://user:pw@evil/ace/r/a/b#frag":           "/ace/r/a/b",
		"/ace/r/a%20b":                                 "/ace/r/a%20b",
	} {
		if got, err := localTarget(raw, pathProgressive, pathPlaylist, pathContent); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{
		"", "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data", "/ace/stat/a/b", "/server/api",
		"/ace/r/../../server/api", "/ace/r/%2e%2e/%2e%2e/server/api", "/ace/r/./x", "/ace/r/..%2f..%2fserver", "/ace/r/a%5c..%5cb",
		"/ace/r/a%00b", "/ace/r/a%0d%0aHost:x", "file:///ace/r/a", "gopher://e/ace/r/a", "javascript:/ace/r/a", "http:ace/r/a",
		"ace/r/a", "/ACE/R/a", "http://e:port/ace/r/a", "/ace/r/" + strings.Repeat("a", 5000), "\x00",
	} {
		if got, err := localTarget(raw, pathProgressive, pathPlaylist, pathContent); err == nil {
			t.Errorf("%q was taken as %q", raw, got)
		}
	}
}

func TestParseContentAndFiles(t *testing.T) {
	t.Parallel()
	c, err := parseContent(json.RawMessage(`{"is_live":1,"title":"One","infohash":"0A4848271c91ce2d8965ce416267c25047dc8141","content_id":null}`))
	if want := (Content{Infohash: "0a4848271c91ce2d8965ce416267c25047dc8141", Title: "One", Delivery: DeliveryLive}); err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
	for raw, want := range map[string]Delivery{`{"is_live":0}`: DeliveryVOD, `{"is_live":-1}`: DeliveryUnknown, `{}`: DeliveryUnknown} {
		if c, err := parseContent(json.RawMessage(raw)); err != nil || c.Delivery != want {
			t.Errorf("%s: %+v, %v", raw, c, err)
		}
	}
	if _, err := parseContent(json.RawMessage(`{"infohash":"x"}`)); err == nil {
		t.Error("an infohash that is none was taken")
	}
	m, err := parseMediaFiles(json.RawMessage(`{"name":"n","type":"vod","transport_type":"bt","files":[{"index":"3","filename":"f","mime":"m","size":5}]}`))
	want := MediaFiles{Name: "n", Transport: "bt", Delivery: DeliveryVOD, Files: []File{{Index: 3, Name: "f", MIME: "m", Size: 5}}}
	if diff := cmp.Diff(want, m); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// presentable reports whether foreign text is fit for a log.
func presentable(s string) bool {
	return len(s) <= maxText+len("...") && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func FuzzParseOpen(f *testing.F) {
	f.Add([]byte(officialSession))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseAnswer(raw)
		if err != nil {
			return
		}
		if !presentable(a.failure) || !presentable(a.reason) || !presentable(a.detail) {
			t.Fatalf("%+v", a)
		}
		s, err := parseSession(a.body)
		if err != nil {
			return
		}
		if ih, err := infohash(s.Infohash); err != nil || ih != s.Infohash || !presentable(s.ID) {
			t.Fatalf("session %+v", s)
		}
		for target, prefixes := range map[string][]string{
			s.playback: {pathProgressive, pathPlaylist, pathContent},
			s.stat:     {pathStat},
			s.command:  {pathCommand},
		} {
			if target != "" {
				checkTarget(t, target, prefixes)
			}
		}
	})
}

// checkTarget: whatever was kept of an address stays on the engine.
func checkTarget(t *testing.T, target string, prefixes []string) {
	t.Helper()
	u, err := url.Parse("http://engine:6878" + target)
	if err != nil || u.Host != "engine:6878" || u.User != nil || strings.Contains(u.Path, "..") && strings.Contains("/"+u.Path+"/", "/../") {
		t.Fatalf("%q: %v", target, err)
	}
	for _, p := range prefixes {
		if strings.HasPrefix(u.Path, p) {
			return
		}
	}
	t.Fatalf("%q is none of %v", target, prefixes)
}

func FuzzLocalTarget(f *testing.F) {
	f.Add("http://127.0.0.1:6878/ace/r/a/b?x=1")
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := localTarget(raw, pathProgressive, pathContent)
		if err != nil {
			if text := err.Error(); len(text) > 4*maxText || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("error is not presentable: %q", text)
			}
			return
		}
		checkTarget(t, target, []string{pathProgressive, pathContent})
		if again, err := localTarget(target, pathProgressive, pathContent); err != nil || again != target {
			t.Fatalf("%q becomes %q, %v", target, again, err)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(officialStat))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseAnswer(raw)
		if err != nil {
			return
		}
		st, err := parseStat(a.body)
		if err == nil && (!presentable(st.Status) || !presentable(st.Message) || !presentable(st.SessionID) || !presentable(st.Infohash)) {
			t.Fatalf("%+v", st)
		}
	})
}

func FuzzParseService(f *testing.F) {
	f.Add([]byte(`{"result":{"code":3020300,"platform":"linux","version":"3.2.3","websocket_port":43879},"error":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseAnswer(raw)
		if err != nil {
			return
		}
		if v, err := parseVersion(a.body); err == nil && !(presentable(v.Version) && presentable(v.Platform)) {
			t.Fatalf("%+v", v)
		}
		if c, err := parseContent(a.body); err == nil && !(presentable(c.Title) && presentable(c.ContentID) && len(c.Infohash)%40 == 0) {
			t.Fatalf("%+v", c)
		}
		if m, err := parseMediaFiles(a.body); err == nil {
			for _, file := range m.Files {
				if !presentable(file.Name) || !presentable(file.MIME) {
					t.Fatalf("%+v", file)
				}
			}
		}
	})
}
