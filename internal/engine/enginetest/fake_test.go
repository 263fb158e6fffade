package enginetest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// wire talks to a fake without a client's manners.
type wire struct {
	t   *testing.T
	f   *enginetest.Fake
	net *enginetest.Net
}

// inBubble runs a test against a fake on virtual time.
func inBubble(t *testing.T, cfg enginetest.Config, test func(t *testing.T, w wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Contents = catalogue()
		if cfg.Timing == (enginetest.Timing{}) {
			cfg.Timing = enginetest.MeasuredTiming()
		}
		n := new(enginetest.Net)
		test(t, wire{t: t, f: enginetest.New(cfg).StartIn(t, n, "engine:6878"), net: n})
	})
}

// send sends a GET and returns what comes back, headers and all, as it is on
// the wire. The connection is closed when the test ends.
func (w wire) send(target string) *bufio.Reader {
	w.t.Helper()
	conn, err := w.net.DialContext(w.t.Context(), "tcp", "engine:6878")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: seen.by.client:1234\r\n\r\n", target); err != nil {
		w.t.Fatal(err)
	}
	return bufio.NewReader(conn)
}

// get sends a GET and returns the response and its body.
func (w wire) get(target string) (*http.Response, string) {
	w.t.Helper()
	res, err := http.ReadResponse(w.send(target), nil)
	if err != nil {
		w.t.Fatalf("GET %s: %v", target, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusFound {
		return res, ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("GET %s: %v", target, err)
	}
	return res, string(body)
}

// opened is what an engine says of a session.
type opened struct {
	Playback string `json:"playback_url"`
	Stat     string `json:"stat_url"`
	Command  string `json:"command_url"`
	ID       string `json:"playback_session_id"`
	Infohash string `json:"infohash"`
}

func (w wire) open(query string) opened {
	w.t.Helper()
	var r struct {
		Response opened
		Error    any
	}
	w.json("/ace/getstream?format=json&"+query, &r)
	if r.Error != nil {
		w.t.Fatalf("open %s: %v", query, r.Error)
	}
	return r.Response
}

func (w wire) json(target string, v any) {
	w.t.Helper()
	_, body := w.get(target)
	if err := json.Unmarshal([]byte(body), v); err != nil {
		w.t.Fatalf("GET %s: %v: %s", target, err, body)
	}
}

// errorOf returns the error in a JSON answer.
func (w wire) errorOf(address string) string {
	w.t.Helper()
	var r struct{ Error string }
	w.json(path(address), &r)
	return r.Error
}

// path returns the path and query of an address.
func path(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u.RequestURI()
}

// media follows a session's playback address to the body.
func (w wire) media(s opened) *http.Response {
	w.t.Helper()
	res, _ := w.get(path(s.Playback))
	res, err := http.ReadResponse(w.send(path(res.Header.Get("Location"))), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// drain reads to the end, which must come: on virtual time a live stream goes
// on for ever in no time.
func drain(w io.Writer, r io.Reader) (int64, error) {
	const most = 100 * rate
	n, err := io.Copy(w, io.LimitReader(r, most))
	if n == most {
		err = errors.New("there is no end")
	}
	return n, err
}

func TestErrors(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		unknown := strings.Repeat("0", 40)
		for _, tt := range []struct {
			query  string
			status int
			text   string
			took   time.Duration
		}{
			{"format=json&id=" + unknown, 200, "failed to load content", 4600 * time.Millisecond},
			{"format=json&infohash=" + unknown, 200, "failed to load content", 28 * time.Second},
			{"infohash=" + unknown, 500, "failed to load content", 28 * time.Second},
			{"format=json&id=" + liveInfohash, 200, "failed to load content", 4600 * time.Millisecond},
			{"format=json", 500, "missing content id", 0},
		} {
			start := time.Now()
			res, body := w.get("/ace/getstream?" + tt.query)
			if res.StatusCode != tt.status || !strings.Contains(body, tt.text) || time.Since(start) != tt.took {
				t.Errorf("%s: %d %q after %v", tt.query, res.StatusCode, body, time.Since(start))
			}
			if tt.status == 500 && (res.Header.Get("Content-Type") != "text/plain" || res.ContentLength <= 0) {
				t.Errorf("%s: header %v", tt.query, res.Header)
			}
		}
		// Once the transport file is there, an infohash passes for a content id.
		w.open("infohash=" + liveInfohash)
		if s := w.open("id=" + liveInfohash); s.Infohash != liveInfohash {
			t.Errorf("%+v", s)
		}
		s := w.open("id=" + strings.ToUpper(liveID))
		if s.Infohash != liveInfohash || !strings.HasPrefix(s.Playback, "http://seen.by.client:1234/ace/r/"+liveInfohash+"/") {
			t.Errorf("%+v", s)
		}
		if got := w.errorOf(s.Command + "?method=liveseek"); got != "unknown method" {
			t.Errorf("command: %q", got)
		}
		if n := w.f.Counters(); n.OpenFailures != 5 {
			t.Errorf("%+v", n)
		}
	})
}

// The redirect has neither a length nor an end, and the playback address says
// nothing until it has buffered; then a burst, then real time.
func TestProgressive(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]enginetest.Config{"close": {}, "chunked": {Chunked: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, cfg, func(t *testing.T, w wire) {
				start := time.Now()
				raw := w.send("/ace/getstream?infohash=" + liveInfohash + "&pid=a")
				res, err := http.ReadResponse(raw, nil)
				if err != nil || res.StatusCode != http.StatusFound || res.ContentLength != -1 || len(res.TransferEncoding) != 0 {
					t.Fatalf("%+v, %v", res, err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || !strings.HasPrefix(string(body), "Redirect to http://seen.by.client:1234/ace/r/") || time.Since(start) < 2*time.Second {
					t.Errorf("%q, %v after %v", body, err, time.Since(start))
				}
				s := w.open("infohash=" + liveInfohash + "&pid=a")
				res = w.media(s)
				if took := time.Since(start); took != 5500*time.Millisecond {
					t.Errorf("header after %v", took)
				}
				if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "video/mp2t" || (len(res.TransferEncoding) > 0) != cfg.Chunked {
					t.Errorf("%+v", res)
				}
				b := w.f.Broadcast(liveInfohash)
				v := enginetest.NewVerifier(liveInfohash)
				start = time.Now()
				if _, err := io.CopyN(v, res.Body, b.Rate()*2); err != nil || time.Since(start) != 0 {
					t.Errorf("burst: %v after %v", err, time.Since(start))
				}
				if _, err := io.CopyN(v, res.Body, b.Rate()*10); err != nil || time.Since(start).Round(time.Second) != 10*time.Second {
					t.Errorf("then: %v after %v", err, time.Since(start))
				}
				if err := v.Report().Err(); err != nil {
					t.Error(err)
				}
				if late := time.Since(enginetest.DefaultEpoch.Add(b.Time(v.Report().Last))); late < 0 || late > time.Second {
					t.Errorf("the newest packet is of %v ago", late)
				}
				if got := w.errorOf(s.Command + "?method=stop"); got != "" {
					t.Error(got)
				}
				if _, err := drain(v, res.Body); err != nil {
					t.Errorf("after stop: %v", err)
				}
			})
		})
	}
}

func TestSecondReaderIsCorrupt(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		s := w.open("infohash=" + liveInfohash)
		first := w.media(s)
		res, _ := w.get(path(s.Playback))
		raw, err := io.ReadAll(io.LimitReader(w.send(path(res.Header.Get("Location"))), rate))
		if err != nil || !bytes.HasPrefix(raw, []byte("HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\n")) {
			t.Errorf("%q, %v", raw, err)
		}
		v := enginetest.NewVerifier(liveInfohash)
		if _, err := io.CopyN(v, first.Body, 12*rate); err != nil || v.Report().Err() != nil {
			t.Errorf("the first reader suffers: %v, %v", err, v.Report().Err())
		}
		if n := w.f.Counters(); n.Corrupt != 1 || n.MaxReaders != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// One session per infohash, however many player ids and names.
func TestOneSessionPerInfohash(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		a := w.open("infohash=" + liveInfohash + "&pid=a")
		body := w.media(a).Body
		if _, err := io.CopyN(io.Discard, body, 1000); err != nil {
			t.Fatal(err)
		}
		b := w.open("id=" + liveID + "&pid=b")
		if a.ID == b.ID || a.Playback == b.Playback {
			t.Error("two pids got one session")
		}
		if _, err := drain(io.Discard, body); err != nil {
			t.Errorf("the first reader is not cut properly: %v", err)
		}
		if res, _ := w.get(path(a.Playback)); res.StatusCode != http.StatusForbidden {
			t.Errorf("superseded playback address: %d", res.StatusCode)
		}
		for _, s := range []opened{a, b} {
			var r struct {
				Response struct {
					ID string `json:"playback_session_id"`
				}
			}
			w.json(path(s.Stat), &r) // the first is empty
			if w.json(path(s.Stat), &r); r.Response.ID != b.ID {
				t.Errorf("statistics tell of session %q, not the newest", r.Response.ID)
			}
		}
		start := time.Now()
		body = w.media(b).Body
		if time.Since(start) != 0 {
			t.Errorf("the second session of a running download buffers for %v", time.Since(start))
		}
		if got := w.errorOf(a.Command + "?method=stop"); got != "" {
			t.Error(got)
		}
		if _, err := drain(io.Discard, body); err != nil {
			t.Errorf("stop by another key: %v", err)
		}
		for _, s := range []opened{a, b} {
			for _, target := range []string{s.Stat, s.Command + "?method=stop"} {
				if got := w.errorOf(target); got != "unknown playback session id" {
					t.Errorf("%s: %q", target, got)
				}
			}
			if res, _ := w.get(path(s.Playback)); res.StatusCode != http.StatusInternalServerError {
				t.Errorf("stopped playback address: %d", res.StatusCode)
			}
		}
		if res, _ := w.get("/ace/r/" + liveInfohash + "/0"); res.StatusCode != http.StatusNotFound {
			t.Errorf("unknown playback address: %d", res.StatusCode)
		}
		n := w.f.Counters()
		if n.Opens != 2 || n.Superseded != 1 || n.Stopped != 2 || n.StopsUnknown != 2 || n.MaxPerInfohash != 2 || n.Active != 0 || n.Readers != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestPlayerIDs(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		// Without a pid the session is everybody's, and another content ends it.
		a, again := w.open("infohash="+liveInfohash), w.open("infohash="+liveInfohash)
		if a != again {
			t.Errorf("%+v and %+v", a, again)
		}
		w.open("infohash=" + vodInfohash)
		if res, _ := w.get(path(a.Playback)); res.StatusCode != http.StatusForbidden {
			t.Errorf("the player's other content: %d", res.StatusCode)
		}
		// A pid whose playback ended gets what is left in the buffer.
		w.f.Set(enginetest.Fault{Kind: enginetest.EOFAfter, After: 4 * rate, Times: 1})
		b := w.open("pid=b&infohash=" + liveInfohash)
		if n, err := drain(io.Discard, w.media(b).Body); err != nil || n != 4*rate {
			t.Errorf("%d bytes, %v", n, err)
		}
		n, err := drain(io.Discard, w.media(w.open("pid=b&infohash="+liveInfohash)).Body)
		if rate := int64(rate); err != nil || n < rate || n > 3*rate {
			t.Errorf("an old pid got %d bytes, %v", n, err)
		}
		if _, err := io.CopyN(io.Discard, w.media(w.open("pid=c&infohash="+liveInfohash)).Body, 20*rate); err != nil {
			t.Errorf("a fresh pid: %v", err)
		}
	})
}

func TestInactivity(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		s := w.open("infohash=" + liveInfohash)
		body := w.media(s).Body
		if _, err := io.CopyN(io.Discard, body, rate*70); err != nil {
			t.Fatalf("a session that is read: %v", err)
		}
		if n := w.f.Leaked(0); n != 0 {
			t.Errorf("%d leaked", n)
		}
		// Statistics do not keep it alive.
		other := w.open("pid=x&infohash=" + vodInfohash)
		start := time.Now()
		for range 11 {
			time.Sleep(5 * time.Second)
			if got := w.errorOf(other.Stat); got != "" {
				t.Fatalf("after %v: %s", time.Since(start), got)
			}
		}
		if n := w.f.Leaked(50 * time.Second); n != 1 {
			t.Errorf("%d leaked", n)
		}
		if err := w.f.WaitFor(t.Context(), func(n enginetest.Counters) bool { return n.Expired == 1 }); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if got := w.errorOf(other.Stat); got != "unknown playback session id" {
			t.Error(got)
		}
	})
}

func TestRestart(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		s := w.open("infohash=" + liveInfohash)
		res := w.media(s)
		w.f.Kill()
		if _, err := w.net.DialContext(t.Context(), "tcp", "engine:6878"); err == nil {
			t.Error("a dead engine accepts")
		}
		if _, err := drain(io.Discard, res.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if err := w.f.Revive(); err != nil {
			t.Fatal(err)
		}
		if err := w.f.Revive(); err == nil {
			t.Error("a living engine was revived")
		}
		if got := w.errorOf(s.Stat); got != "unknown playback session id" {
			t.Error(got)
		}
		if res, _ := w.get(path(s.Playback)); res.StatusCode != http.StatusNotFound {
			t.Errorf("old playback address: %d", res.StatusCode)
		}
		if n := w.f.Counters(); n.Active != 0 || n.Readers != 0 || n.Opens != 1 {
			t.Errorf("%+v", n)
		}
	})
}

func TestHLS(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		var r struct{ Response opened }
		w.json("/ace/manifest.m3u8?format=json&pid=a&infohash="+liveInfohash, &r)
		s := r.Response
		segments := func() []string {
			res, body := w.get(path(s.Playback))
			if res.StatusCode != http.StatusOK || strings.Contains(body, "ENDLIST") {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			var all []string
			for line := range strings.Lines(body) {
				if !strings.HasPrefix(line, "#") {
					all = append(all, strings.TrimSpace(line))
				}
			}
			return all
		}
		start := time.Now()
		first := segments()
		if len(first) < 3 || len(first) > 5 || time.Since(start) != 5*time.Second {
			t.Errorf("%d segments after %v", len(first), time.Since(start))
		}
		v := enginetest.NewVerifier(liveInfohash)
		for _, address := range first {
			_, a := w.get(path(address))
			res, b := w.get(path(address))
			if a != b || res.ContentLength != int64(len(a)) || !strings.HasPrefix(address, "http://seen.by.client:1234/ace/c/"+liveInfohash+"/") {
				t.Errorf("%s differs between readers, or has no length", address)
			}
			io.WriteString(v, a)
		}
		if rep := v.Report(); rep.Err() != nil || rep.Skipped != 0 || !rep.RandomAccess {
			t.Errorf("%+v", rep)
		}
		for range 10 {
			time.Sleep(15 * time.Second)
			segments()
		}
		if n := len(segments()); n != 17 {
			t.Errorf("window of %d", n)
		}
		if res, _ := w.get(path(first[0])); res.StatusCode != http.StatusNotFound {
			t.Errorf("a segment before the window: %d", res.StatusCode)
		}
		w.open("pid=b&infohash=" + liveInfohash)
		if res, _ := w.get(path(s.Playback)); res.StatusCode != http.StatusForbidden {
			t.Errorf("superseded playlist: %d", res.StatusCode)
		}
		if got := w.errorOf(s.Command + "?method=stop"); got != "" {
			t.Error(got)
		}
		if res, _ := w.get(path(s.Playback)); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("stopped playlist: %d", res.StatusCode)
		}
	})
}

func TestServices(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		const api = "/server/api?api_version=3&method="
		unknown := strings.Repeat("0", 40)
		start := time.Now()
		for target, want := range map[string]string{
			api + "get_status":                                                 `{"result":{"playlist_loaded":true,"version":{"code":3020300,"platform":"linux","version":"3.2.3"}}}`,
			api + "get_network_connection_status":                              `{"result":{"connected":true}}`,
			api + "get_content_id&infohash=" + liveInfohash:                    `{"result":{"content_id":"` + liveID + `"}}`,
			api + "nothing":                                                    `{"error":{"code":0,"message":"unknown method"}}`,
			api + "analyze_content&query=gopher:x":                             `{"error":{"code":0,"message":"unknown protocol"}}`,
			api + "get_media_files&content_id=" + unknown:                      `{"error":{"code":0,"message":"cannot get transport file"}}`,
			api + "analyze_content&query=http:%2F%2Fe%2Fx.torrent":             `{"error":{"code":0,"message":"cannot get transport file"}}`,
			"/server/api?method=get_status":                                    `{"error":"access denied","result":null}`,
			"/webui/api/service?method=get_version":                            `{"error":null,"result":{"code":3020300,"platform":"linux","version":"3.2.3","websocket_port":43879}}`,
			"/webui/api/service?method=x":                                      `{"error":"unknown method","result":null}`,
			"/ace/cmd/" + liveInfohash + "/0?method=set_stream&stream_index=1": `{"error":"unknown method","response":null}`,
		} {
			if _, got := w.get(target); strings.TrimSpace(got) != want {
				t.Errorf("%s: %s, want %s", target, got, want)
			}
		}
		if took := time.Since(start); took != 2*4600*time.Millisecond {
			t.Errorf("two unknown contents took %v", took)
		}
		_, got := w.get(api + "analyze_content&query=" + url.QueryEscape("magnet:?xt=urn:btih:"+vodInfohash))
		if !strings.Contains(got, `"infohash":"`+vodInfohash+`","is_live":0`) {
			t.Error(got)
		}
		if n := w.f.Counters(); n.Opens != 0 || n.VersionCalls != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// Two fakes send the same bytes at the same time.
func TestFakesAgree(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{AlignedStart: true, Timing: enginetest.DefaultTiming()}, func(t *testing.T, w wire) {
		other := enginetest.New(enginetest.Config{Contents: catalogue(), AlignedStart: true}).
			StartIn(t, w.net, "other:6878")
		var pieces [2][]byte
		for i, f := range []*enginetest.Fake{w.f, other} {
			c := f.Client(t)
			s, err := c.Open(t.Context(), enginetest.Infohash(liveInfohash), engine.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Play(t.Context(), s, engine.PlayOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Body.Close()
			pieces[i] = make([]byte, 16*rate)
			if _, err := io.ReadFull(p.Body, pieces[i]); err != nil {
				t.Fatal(err)
			}
		}
		// The second began later: its beginning is somewhere in the first.
		at := bytes.Index(pieces[0], pieces[1][:enginetest.PacketSize])
		if at < 0 {
			t.Fatal("the second's first packet is not in the first")
		}
		if n := len(pieces[0]) - at; !bytes.Equal(pieces[0][at:], pieces[1][:n]) {
			t.Error("the fakes send different bytes")
		}
	})
}

// play opens a session and plays it.
func play(t *testing.T, w wire) *engine.Playback {
	t.Helper()
	c := w.f.Client(t)
	s, err := c.Open(t.Context(), enginetest.Infohash(liveInfohash), engine.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Play(t.Context(), s, engine.PlayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Body.Close() })
	return p
}

// readFor feeds a verifier for d and returns how many bytes came.
func readFor(p *engine.Playback, v io.Writer, d time.Duration) int64 {
	timer := time.AfterFunc(d, func() { p.Body.Close() })
	defer timer.Stop()
	n, _ := io.Copy(v, p.Body) // ends by the timer
	return n
}

func TestPlaybackFaults(t *testing.T) {
	t.Parallel()
	near := func(n int64, seconds float64) bool {
		return float64(n) > rate*(seconds-1) && float64(n) < rate*(seconds+1)
	}
	for name, tt := range map[string]struct {
		fault enginetest.Fault
		check func(n int64, r enginetest.Report) bool
	}{
		"none":             {enginetest.Fault{Kind: enginetest.SlowOpen}, func(n int64, r enginetest.Report) bool { return near(n, 32) && r.Err() == nil }},
		"no bytes":         {enginetest.Fault{Kind: enginetest.HeadersNoBytes}, func(n int64, _ enginetest.Report) bool { return n == 0 }},
		"garbage":          {enginetest.Fault{Kind: enginetest.Garbage}, func(n int64, r enginetest.Report) bool { return near(n, 32) && r.Packets == 0 }},
		"stall":            {enginetest.Fault{Kind: enginetest.Stall, After: 4 * rate}, func(n int64, r enginetest.Report) bool { return n == 4*rate && r.Err() == nil }},
		"stall for a time": {enginetest.Fault{Kind: enginetest.Stall, After: 4 * rate, For: 15 * time.Second}, func(n int64, r enginetest.Report) bool { return near(n, 32) && r.Err() == nil }},
		"trickle":          {enginetest.Fault{Kind: enginetest.Trickle, Rate: 10_000}, func(n int64, r enginetest.Report) bool { return n > 290_000 && n < 301_000 && r.Err() == nil }},
		"frozen":           {enginetest.Fault{Kind: enginetest.FrozenLive}, func(n int64, r enginetest.Report) bool { return near(n, 2) && r.Err() == nil }},
		"loop":             {enginetest.Fault{Kind: enginetest.Loop, Delay: 5 * time.Second}, func(n int64, r enginetest.Report) bool { return near(n, 32) && r.Repeats > 3000 && r.Gaps == 0 }},
		"short loop": {enginetest.Fault{Kind: enginetest.Loop, Delay: time.Second}, func(n int64, r enginetest.Report) bool {
			return near(n, 32) && r.Repeats > 3000 && r.Gaps == 0 && r.Corrupt == 0
		}},
		"freeze": {enginetest.Fault{Kind: enginetest.Freeze}, func(n int64, r enginetest.Report) bool {
			return near(n, 32) && r.Null > 30*rate/enginetest.PacketSize*9/10 && r.Gaps+r.Repeats+r.Foreign+r.Corrupt+r.Skipped/enginetest.PacketSize == 0
		}},
		"drained":       {enginetest.Fault{Kind: enginetest.Drained, Delay: 4 * time.Second}, func(n int64, r enginetest.Report) bool { return near(n, 6) && r.Err() == nil }},
		"of another":    {enginetest.Fault{Kind: enginetest.HeadersNoBytes, Content: vodID}, func(n int64, _ enginetest.Report) bool { return near(n, 32) }},
		"by content id": {enginetest.Fault{Kind: enginetest.HeadersNoBytes, Content: liveID}, func(n int64, _ enginetest.Report) bool { return n == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timing := enginetest.DefaultTiming() // no delay between the fault and the playback
			inBubble(t, enginetest.Config{Timing: timing}, func(t *testing.T, w wire) {
				w.f.Set(tt.fault)
				v := enginetest.NewVerifier(liveInfohash)
				if n := readFor(play(t, w), v, 30*time.Second); !tt.check(n, v.Report()) {
					t.Errorf("%d bytes, %+v", n, v.Report())
				}
			})
		})
	}
}

// A trickle counts from its own beginning, whatever was sent before.
func TestTrickleFromNowOn(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{Timing: enginetest.DefaultTiming()}, func(t *testing.T, w wire) {
		p := play(t, w)
		v := enginetest.NewVerifier(liveInfohash)
		time.AfterFunc(20*time.Second, func() { w.f.Set(enginetest.Fault{Kind: enginetest.Trickle, Rate: rate / 2}) })
		n := readFor(p, v, 40*time.Second)
		if want := int64(32 * rate); n < want-rate || n > want+rate || v.Report().Err() != nil {
			t.Errorf("%d bytes, want about %d; %+v", n, want, v.Report())
		}
	})
}

// A fault that is lifted lets the requests in it go on; one with a number of
// strikes is over after them.
func TestFaultsEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{Timing: enginetest.DefaultTiming()}, func(t *testing.T, w wire) {
		for name, end := range map[string]func(){
			"cleared": func() {
				w.f.Set(enginetest.Fault{Kind: enginetest.HangOpen})
				time.AfterFunc(7*time.Second, func() { w.f.Clear(enginetest.HangOpen) })
			},
			"over": func() { w.f.Set(enginetest.Fault{Kind: enginetest.HangOpen, For: 7 * time.Second}) },
		} {
			end()
			start := time.Now()
			w.open("infohash=" + liveInfohash)
			if took := time.Since(start); took != 7*time.Second {
				t.Errorf("%s: open took %v", name, took)
			}
		}
		w.f.Set(enginetest.Fault{Kind: enginetest.OpenError, Text: "failed to start", Times: 2})
		target := "/ace/getstream?format=json&infohash=" + liveInfohash
		for i, want := range []string{"failed to start", "failed to start", ""} {
			if got := w.errorOf(target); got != want {
				t.Errorf("open %d: %q, want %q", i+1, got, want)
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("a fault that does not exist was ordered")
			}
		}()
		w.f.Set(enginetest.Fault{Kind: "no such fault"})
	})
}

func TestSteal(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		p := play(t, w)
		if _, err := io.CopyN(io.Discard, p.Body, 1000); err != nil {
			t.Fatal(err)
		}
		w.f.Steal(liveID)
		if _, err := drain(io.Discard, p.Body); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		if n := w.f.Counters(); n.Superseded != 1 || n.Expired != 0 || n.Active != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// A reader that does not read is cut with its session all the same.
func TestStuckReaderIsCut(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
		s := w.open("infohash=" + liveInfohash)
		w.media(s)
		time.Sleep(10 * time.Second)
		if got := w.errorOf(s.Command + "?method=stop"); got != "" {
			t.Error(got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.f.WaitFor(ctx, func(n enginetest.Counters) bool { return n.Readers == 0 }); err != nil {
			t.Error(err)
		}
	})
}

func TestStarvationShowsInStatistics(t *testing.T) {
	t.Parallel()
	for kind, want := range map[enginetest.FaultKind]struct{ grows, peers bool }{
		enginetest.Stall:      {grows: true, peers: true},
		enginetest.FrozenLive: {grows: false, peers: true},
		enginetest.NoPeers:    {grows: false, peers: false},
		enginetest.Drained:    {grows: false, peers: false},
		enginetest.StatStill:  {grows: false, peers: true},
	} {
		inBubble(t, enginetest.Config{}, func(t *testing.T, w wire) {
			c := w.f.Client(t)
			s, err := c.Open(t.Context(), enginetest.Infohash(liveInfohash), engine.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			w.f.Set(enginetest.Fault{Kind: kind})
			var polls [3]engine.Stat
			for i := range polls {
				if polls[i], err = c.Stat(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
			}
			if grows := polls[2].Downloaded > polls[1].Downloaded; grows != want.grows || (polls[2].Peers > 0) != want.peers || polls[2].Downloaded == 0 {
				t.Errorf("%s: %+v, then %+v", kind, polls[1], polls[2])
			}
		})
	}
}

// The statistics fail while the bytes go on.
func TestStatisticsFail(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{Timing: enginetest.DefaultTiming()}, func(t *testing.T, w wire) {
		c := w.f.Client(t)
		s, err := c.Open(t.Context(), enginetest.Infohash(liveInfohash), engine.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Play(t.Context(), s, engine.PlayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		v := enginetest.NewVerifier(liveInfohash)
		var reading sync.WaitGroup
		reading.Go(func() { readFor(p, v, 20*time.Second) })
		for kind, class := range map[enginetest.FaultKind]engine.Class{
			enginetest.StatHang: engine.Sick, enginetest.StatUnknown: engine.SessionLost,
		} {
			w.f.Set(enginetest.Fault{Kind: kind})
			if _, err := c.Stat(t.Context(), s); engine.ClassOf(err) != class {
				t.Errorf("%s: %v of class %v, want %v", kind, err, engine.ClassOf(err), class)
			}
			w.f.Clear(kind)
		}
		reading.Wait()
		if r := v.Report(); r.Err() != nil || r.Bytes < 21*rate {
			t.Errorf("%+v", r)
		}
	})
}

// The fake's time can be given.
func TestClock(t *testing.T) {
	t.Parallel()
	clock := stoppedClock{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	f := enginetest.New(enginetest.Config{Contents: catalogue(), Clock: clock}).Start(t)
	c := f.Client(t)
	s, err := c.Open(t.Context(), enginetest.Infohash(liveInfohash), engine.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Play(t.Context(), s, engine.PlayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Body.Close()
	// All there is at that time is the burst.
	v := enginetest.NewVerifier(liveInfohash)
	b := f.Broadcast(liveInfohash)
	if _, err := io.CopyN(v, p.Body, 2*b.Rate()); err != nil {
		t.Fatal(err)
	}
	if late := clock.Sub(enginetest.DefaultEpoch.Add(b.Time(v.Report().Last))); late < 0 || late > time.Second {
		t.Errorf("the newest packet is of %v ago", late)
	}
}

type stoppedClock struct{ time.Time }

func (c stoppedClock) Now() time.Time { return c.Time }
func (stoppedClock) AfterFunc(time.Duration, func()) (s func() bool) {
	return func() bool { return true }
}

func TestNetRefuses(t *testing.T) {
	t.Parallel()
	var n enginetest.Net
	if _, err := n.DialContext(t.Context(), "tcp", "nobody:1"); err == nil {
		t.Error("nobody answers")
	}
	l, err := n.Listen("a:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("a:1"); err == nil {
		t.Error("an address was taken twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.DialContext(ctx, "tcp", "a:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody accepts: %v", err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
