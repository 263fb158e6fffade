package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

const (
	channelID = "8ca07071b39185431f8e940ec98d1add9e561639"
	channelIH = "0a4848271c91ce2d8965ce416267c25047dc8141"
)

func channel() enginetest.Config {
	return enginetest.Config{Contents: []enginetest.Content{
		{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true},
	}}
}

// staticServer serves from these engines.
func staticServer(t *testing.T, ready bool, fakes []*enginetest.Fake, flags ...config.Setting) *serving {
	t.Helper()
	var urls []string
	for _, f := range fakes {
		urls = append(urls, f.URL())
	}
	return serve(t, invocation(t, append([]config.Setting{
		{Name: "listen", Text: "127.0.0.1:0"},
		{Name: "static.engines", Text: strings.Join(urls, ",")},
	}, flags...)...), ready)
}

// Fifty players over HTTP ask for one live content in the same instant.
func TestFiftyPlayersOneSession(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	s := staticServer(t, true, []*enginetest.Fake{fake}, config.Setting{Name: "playback.linger", Text: "300ms"})
	const players, enough = 50, 600_000 // bytes: more than the burst
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range players {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			name := "id=" + channelID
			if i%2 == 1 {
				name = "infohash=" + channelIH + "&pid=7"
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/ace/getstream?"+name, nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Range", "bytes=0-")
			<-begin
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Errorf("player %d: %v", i, err)
				return
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "video/mp2t" || res.Header.Get("Accept-Ranges") != "none" {
				t.Errorf("player %d: %d %v", i, res.StatusCode, res.Header)
			}
			v := enginetest.NewVerifier(channelIH)
			if _, err := io.CopyN(v, res.Body, enough); err != nil {
				t.Errorf("player %d: %v", i, err)
			}
			if r := v.Report(); r.Err() != nil || !r.TablesFirst || !r.RandomAccess {
				t.Errorf("player %d: %v, %+v", i, r.Err(), r)
			}
		})
	}
	close(begin)
	all.Wait()
	if c := fake.Counters(); c.Opens != 1 || c.MaxReaders != 1 {
		t.Errorf("%d sessions and %d readers on the engine, want one of each", c.Opens, c.MaxReaders)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := fake.WaitFor(ctx, func(c enginetest.Counters) bool { return c.Active == 0 && c.Readers == 0 }); err != nil {
		t.Errorf("after the linger: %v", err)
	}
	if c := fake.Counters(); c.Stopped != 1 || c.Expired != 0 || c.Corrupt != 0 {
		t.Errorf("%+v; want one session, stopped", c)
	}
}

// HEAD costs nothing: no engine is running at all.
func TestHeadWithoutAnyEngine(t *testing.T) {
	t.Parallel()
	s := serve(t, invocation(t, config.Setting{Name: "listen", Text: "127.0.0.1:0"},
		config.Setting{Name: "static.engines", Text: "http://" + deadAddress(t)}), false)
	for range 20 { // a burst of probes, as scanners of lists send
		began := time.Now()
		res, err := http.Head(s.base + "/ace/getstream?id=" + channelID)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "video/mp2t" {
			t.Fatalf("%d %v", res.StatusCode, res.Header)
		}
		if took := time.Since(began); took > patience/10 {
			t.Fatalf("HEAD took %v", took)
		}
	}
	if n := len(s.hub.Snapshot()); n != 0 {
		t.Errorf("HEAD started %d streams", n)
	}
	if res, body := get(t, s.base+"/readyz"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %q", res.StatusCode, body)
	}
	if res, _ := get(t, s.base+"/livez"); res.StatusCode != http.StatusOK {
		t.Errorf("/livez: %d", res.StatusCode)
	}
}

func TestPlayersAreToldWhy(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	fake.Set(enginetest.Fault{Kind: enginetest.HeadersHang})
	s := staticServer(t, true, []*enginetest.Fake{fake}, config.Setting{Name: "playback.start_timeout", Text: "500ms"})
	for _, tt := range []struct {
		query  string
		status int
		code   string
		text   string
		retry  bool
	}{
		{"", 400, "bad_request", "id=", false},
		{"id=hello", 400, "bad_request", "40 hexadecimal digits", false},
		{"url=file:///etc/passwd", 400, "bad_request", "http", false},
		{"id=" + channelID, 504, "no_data", "no data came in time", true},
		{"infohash=ffffffffffffffffffffffffffffffffffffffff", 404, "not_found", "cannot find", false},
	} {
		res, body := get(t, s.base+"/ace/getstream?"+tt.query)
		lines := strings.Count(string(body), "\n")
		if res.StatusCode != tt.status || res.Header.Get("X-Error-Code") != tt.code || lines != 1 ||
			!strings.Contains(string(body), tt.text) || (res.Header.Get("Retry-After") != "") != tt.retry {
			t.Errorf("%q: %d %s %q, Retry-After %q; want %d %s with %q", tt.query, res.StatusCode,
				res.Header.Get("X-Error-Code"), body, res.Header.Get("Retry-After"), tt.status, tt.code, tt.text)
		}
		if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
			t.Errorf("%q: Content-Type %q", tt.query, ct)
		}
	}
	res, err := http.Post(s.base+"/ace/getstream?id="+channelID, "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
		t.Errorf("POST: %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestStatusAsAcexyAnswersIt(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	s := staticServer(t, true, []*enginetest.Fake{fake})
	if _, body := get(t, s.base+"/ace/status"); string(body) != `{"streams":0}`+"\n" {
		t.Errorf("no streams: %s", body)
	}
	if res, _ := get(t, s.base+"/ace/status?id="+channelID); res.StatusCode != http.StatusNotFound {
		t.Errorf("status of what does not play: %d", res.StatusCode)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/ace/getstream?id="+channelID, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, body := get(t, s.base+"/ace/status"); string(body) != `{"streams":1}`+"\n" {
		t.Errorf("one stream: %s", body)
	}
	for _, name := range []string{"id=" + channelID, "infohash=" + channelIH} {
		_, body := get(t, s.base+"/ace/status?"+name)
		key, value, _ := strings.Cut(name, "=")
		if want := fmt.Sprintf(`{"clients":1,"stream_id":{"%s":"%s"}`, key, value); !strings.HasPrefix(string(body), want) {
			t.Errorf("%s: %s, want %s...", name, body, want)
		}
	}
}

// An orderly stop ends viewers with EOF, stops the sessions, and is quick.
func TestStopInOrder(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	s := staticServer(t, true, []*enginetest.Fake{fake})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/ace/getstream?id="+channelID, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	v := enginetest.NewVerifier(channelIH)
	if _, err := io.CopyN(v, res.Body, 100_000); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := io.Copy(v, res.Body); err != nil {
		t.Errorf("the viewer's body ended with %v, want EOF", err)
	}
	if err := v.Report().Err(); err != nil {
		t.Error(err)
	}
	if c := fake.Counters(); c.Active != 0 || c.Stopped != 1 {
		t.Errorf("%+v; want the session stopped", c)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	s := staticServer(t, false, []*enginetest.Fake{fake})
	address := s.listener.Addr().String()
	err := Serve(t.Context(), invocation(t, config.Setting{Name: "listen", Text: address},
		config.Setting{Name: "static.engines", Text: fake.URL()}))
	if err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("error %v; want one that says what to do", err)
	}
}

// A part that does not end is told by its name, within the bound.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("test is over"))
	err := runAll(ctx, 20*time.Millisecond, invocation(t).Log,
		part{"innocent", func(ctx context.Context) error { <-ctx.Done(); return nil }},
		part{"stuck", func(context.Context) error { <-release; return nil }},
	)
	if err == nil || !strings.Contains(err.Error(), "stuck did not stop within 20ms") {
		t.Errorf("runAll = %v", err)
	}
}

func TestOnePartsFailureEndsAll(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ended := false
	err := runAll(t.Context(), patience, invocation(t).Log,
		part{"first", func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil }},
		part{"second", func(context.Context) error { return broken }},
	)
	if !errors.Is(err, broken) || !ended {
		t.Errorf("runAll = %v, the other part ended: %v", err, ended)
	}
}
