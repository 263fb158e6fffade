package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

const (
	adminKey = "admin-key-of-the-tests"
	readKey  = "read-key-of-the-tests"
	playKey  = "play-key-of-the-tests"
)

// keyed are settings with a key for each purpose.
func keyed(more ...config.Setting) []config.Setting {
	return append([]config.Setting{
		{Name: "auth.admin_key", Text: adminKey},
		{Name: "auth.read_key", Text: readKey},
		{Name: "auth.playback_key", Text: playKey},
		{Name: "debug.pprof", Text: "true"},
	}, more...)
}

// ask asks a handler, as if from an address.
func ask(h http.Handler, method, target, from, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = from
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	fromLAN      = "192.168.1.20:40000"
	fromInternet = "203.0.113.7:40000"
)

// Nothing but playback, health, metrics and login answers without a key; of
// those, playback and metrics answer the local network only.
func TestNothingElseAnswersWithoutAKey(t *testing.T) {
	t.Parallel()
	s := staticServer(t, false, []*enginetest.Fake{enginetest.New(channel()).Start(t)}, keyed()...)
	open := map[string]string{ // pattern: why
		"/ace/hls/{session}/{name}": "its address cannot be guessed, and is told to players that were let in",
		"GET /livez":                "health",
		"GET /readyz":               "health",
		"GET /{$}":                  "says that there is a server, and nothing else",

		"GET /orchestrator/status":       "health, as acexy asks for it without its key",
		"GET /acexy/orchestrator/status": "the same",
	}
	lan := map[string]string{
		"/ace/getstream":     "playback",
		"/ace/getstream/{$}": "playback",
		"/ace/manifest.m3u8": "playback",
		"GET /ace/status":    "playback: how many play",
		"GET /metrics":       "numbers without names",
		"/pid/":              "playback, on the addresses of HTTPAceProxy",
		"/content_id/":       "playback",
		"/infohash/":         "playback",
		"/url/":              "playback",
		"/torrent/":          "playback",

		"/ace/r/{infohash}/{session}":        "playback, as an engine",
		"GET /ace/stat/{infohash}/{session}": "playback",
		"GET /ace/cmd/{infohash}/{session}":  "playback",
		"GET /webui/api/service":             "playback",
	}
	for _, r := range s.routes(prometheus.NewRegistry()) {
		if r.access == byItself {
			continue // below
		}
		method, path, ok := strings.Cut(r.pattern, " ")
		if !ok {
			method, path = http.MethodGet, r.pattern
		}
		path = strings.NewReplacer("{$}", "", "{session}", "x", "{name}", "y.ts").Replace(path)
		for _, from := range []string{fromLAN, fromInternet} {
			got := ask(s.handler, method, path, from, "").Code
			refused := got == http.StatusUnauthorized || got == http.StatusForbidden
			_, isOpen := open[r.pattern]
			_, isLAN := lan[r.pattern]
			if want := !isOpen && !(isLAN && from == fromLAN); refused != want {
				t.Errorf("%s from %s without a key: %d; want it refused: %v", r.pattern, from, got, want)
			}
		}
		if got := ask(s.handler, method, path, fromInternet, adminKey).Code; got == http.StatusUnauthorized || got == http.StatusForbidden {
			t.Errorf("%s with the admin's key: %d", r.pattern, got)
		}
	}
	for _, r := range s.api.Routes() {
		path := strings.ReplaceAll(r.Path, "{id}", "x")
		got := ask(s.handler, r.Method, path, fromLAN, "")
		if r.Path == "/api/v1/login" {
			if got.Code == http.StatusUnauthorized {
				t.Errorf("login takes a login: %s", got.Body)
			}
			continue
		}
		if got.Code != http.StatusUnauthorized {
			t.Errorf("%s %s without a key: %d %s", r.Method, r.Path, got.Code, got.Body)
		}
		if got := ask(s.handler, r.Method, path, fromLAN, "acq_"+strings.Repeat("A", 26)); got.Code != http.StatusUnauthorized && got.Code != http.StatusTooManyRequests {
			t.Errorf("%s %s with a wrong key: %d %s", r.Method, r.Path, got.Code, got.Body)
		}
	}
}

func TestPlaybackFromOutsideTakesAKey(t *testing.T) {
	t.Parallel()
	s := staticServer(t, false, []*enginetest.Fake{enginetest.New(channel()).Start(t)}, keyed()...)
	const target = "/ace/getstream?infohash=" + channelIH
	for name, test := range map[string]struct {
		target, from, key string
		forwarded         string
		status            int
	}{
		"from the network":      {target, fromLAN, "", "", http.StatusOK},
		"from this machine":     {target, "[::1]:1", "", "", http.StatusOK},
		"from outside":          {target, fromInternet, "", "", http.StatusUnauthorized},
		"with a key":            {target, fromInternet, playKey, "", http.StatusOK},
		"with a token":          {target + "&token=" + playKey, fromInternet, "", "", http.StatusOK},
		"with a wrong token":    {target + "&token=guess", fromInternet, "", "", http.StatusUnauthorized},
		"through a proxy":       {target, "192.168.1.2:1", "", "203.0.113.7", http.StatusUnauthorized},
		"an address pretended":  {target, fromInternet, "", "192.168.1.2", http.StatusUnauthorized},
		"a key through a proxy": {target + "&token=" + playKey, "192.168.1.2:1", "", "203.0.113.7", http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodHead, test.target, nil)
		r.RemoteAddr = test.from
		if test.key != "" {
			r.Header.Set("Authorization", "Bearer "+test.key)
		}
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: %d %s; want %d", name, w.Code, w.Body, test.status)
		}
	}
	if w := ask(s.handler, http.MethodGet, "/debug/pprof/", fromLAN, playKey); w.Code != http.StatusForbidden {
		t.Errorf("profiles with a key for playing: %d", w.Code)
	}
	if w := ask(s.handler, http.MethodGet, "/metrics", fromInternet, readKey); w.Code != http.StatusOK {
		t.Errorf("metrics with a key for reading: %d", w.Code)
	}
}

// A person logs in with the password made at the first start, which the next
// start knows still.
func TestFirstLogin(t *testing.T) {
	t.Parallel()
	inv := invocation(t, config.Setting{Name: "listen", Text: "127.0.0.1:0"}, config.Setting{Name: "static.engines", Text: "http://" + deadAddress(t)})
	lines := &logged{}
	inv.Log = lines.logger()
	s := serve(t, inv, false)
	password := lines.find(t, "password")
	res, body := post(t, s.base+"/api/v1/login", client.Login{User: "admin", Password: password})
	if res.StatusCode != http.StatusOK {
		t.Fatalf("login: %d %s", res.StatusCode, body)
	}
	cookie := res.Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %q lacks %s", cookie, want)
		}
	}
	session, _, _ := strings.Cut(cookie, ";")
	res, body = get(t, s.base+"/api/v1/me", "Cookie", session)
	var who client.Me
	if err := json.Unmarshal(body, &who); err != nil || who != (client.Me{Name: "admin", Scope: "admin", Via: "session"}) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	before := lines.count("password")
	again := serve(t, inv, false)
	if lines.count("password") != before {
		t.Error("the second start makes another password")
	}
	if res, body = get(t, again.base+"/api/v1/me", "Cookie", session); res.StatusCode != http.StatusOK {
		t.Errorf("the login did not outlive the restart: %d %s", res.StatusCode, body)
	}
	if res, body = post(t, again.base+"/api/v1/login", client.Login{User: "admin", Password: "wrong"}); res.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(string(body), `"code":"bad_password"`) {
		t.Errorf("wrong password: %d %s", res.StatusCode, body)
	}
}

func post(t *testing.T, url string, v any, header ...string) (*http.Response, []byte) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}
