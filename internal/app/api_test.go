package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

const operateKey = "operate-key-of-the-tests"

// request asks the API with a key and a body, and reads the answer into v.
func request(t *testing.T, s *serving, key, method, path, body string, v any) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(body))
	r.RemoteAddr = fromLAN
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if v != nil {
		if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w
}

func apiServer(t *testing.T, more ...config.Setting) *serving {
	t.Helper()
	flags := keyed(append([]config.Setting{{Name: "auth.operate_key", Text: operateKey}}, more...)...)
	return staticServer(t, true, []*enginetest.Fake{enginetest.New(channel()).Start(t)}, flags...)
}

// Each route takes the scope it says, and no weaker one.
func TestScopesAreEnforced(t *testing.T) {
	t.Parallel()
	s := apiServer(t)
	keys := map[auth.Scope]string{auth.Play: playKey, auth.Read: readKey, auth.Operate: operateKey, auth.Admin: adminKey}
	for _, route := range s.api.Routes() {
		if route.Scope == auth.Nobody {
			continue
		}
		for _, scope := range auth.Scopes {
			// A request that is garbage beside its key: what counts is whether the
			// key is let pass.
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			r := httptest.NewRequestWithContext(ctx, route.Method, strings.ReplaceAll(route.Path, "{id}", "0")+"?no_such_parameter=1", strings.NewReader("{"))
			r.RemoteAddr = fromLAN
			r.Header.Set("Authorization", "Bearer "+keys[scope])
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			cancel()
			if passed := w.Code != http.StatusForbidden; passed != scope.Covers(route.Scope) {
				t.Errorf("%s %s with scope %s: %d %s; needs %s", route.Method, route.Path, scope, w.Code, w.Body, route.Scope)
			}
			if w.Code >= 500 {
				t.Errorf("%s %s: %d %s", route.Method, route.Path, w.Code, w.Body)
			}
		}
	}
}

func TestGarbageIsTold(t *testing.T) {
	t.Parallel()
	s := apiServer(t)
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"no route":        {"GET", "/nothing", "", 404, "no_such_route"},
		"wrong method":    {"PUT", "/engines", "{}", 405, "method_not_allowed"},
		"no JSON":         {"POST", "/keys", "name=x", 400, "bad_request"},
		"not an object":   {"POST", "/keys", "[1]", 422, "invalid"},
		"a wrong type":    {"POST", "/keys", `{"name":1,"scope":"read"}`, 422, "invalid"},
		"a wrong word":    {"POST", "/keys", `{"name":"x","scope":"root"}`, 422, "invalid"},
		"an extra member": {"POST", "/keys", `{"name":"x","scope":"read","id":"k"}`, 422, "invalid"},
		"the past":        {"POST", "/keys", `{"name":"x","scope":"read","expires":"2001-01-01T00:00:00Z"}`, 422, "invalid"},
		"too large":       {"POST", "/keys", `{"name":"` + strings.Repeat("x", 70000) + `"}`, 413, "too_large"},
		"an odd number":   {"GET", "/events?limit=lots", "", 422, "invalid"},
		"out of bounds":   {"GET", "/events?limit=100000", "", 422, "invalid"},
		"no event":        {"GET", "/events?before=yesterday", "", 422, "invalid"},
		"unknown engine":  {"POST", "/engines/engine-9/drain", "", 404, "not_found"},
		"no such log":     {"GET", "/engines/engine-9/logs?tail=5", "", 409, "unsupported"},
		"no such end":     {"DELETE", "/engines/engine-9?force=true", "", 404, "not_found"},
		"not ours":        {"POST", "/engines", `{"count":1}`, 409, "unsupported"},
		"unknown stream":  {"DELETE", "/streams/00", "", 404, "not_found"},
		"unknown viewer":  {"DELETE", "/viewers/7", "", 404, "not_found"},
		"odd viewer":      {"DELETE", "/viewers/x", "", 422, "invalid"},
		"unknown setting": {"PATCH", "/settings", `{"changes":{"pool.mx":"3"}}`, 422, "invalid"},
		"odd setting":     {"PATCH", "/settings", `{"changes":{"pool.max":"lots"}}`, 422, "invalid"},
		"a secret":        {"PATCH", "/settings", `{"changes":{"auth.admin_key":"kkkkkkkkkkkkkkkkkkkk"}}`, 422, "invalid"},
		"locked":          {"PATCH", "/settings", `{"changes":{"debug.pprof":"false"}}`, 409, "setting_locked"},
		"nothing":         {"PATCH", "/settings", `{"changes":{}}`, 422, "invalid"},
		"no content":      {"GET", "/preflight", "", 422, "invalid"},
		"no id":           {"GET", "/preflight?id=zzz", "", 422, "invalid"},
		"no collection":   {"GET", "/live?collections=secrets", "", 422, "invalid"},
		"not a number":    {"PUT", "/pool/scale", `{"engines":-1}`, 422, "invalid"},
		"no password":     {"POST", "/login", `{"password":""}`, 422, "invalid"},
		"not logged in":   {"PUT", "/password", `{"old":"x","new":"long enough"}`, 403, "forbidden"},
	} {
		var p client.Problem
		w := request(t, s, adminKey, test.method, test.path, test.body, &p)
		if w.Code != test.status || p.Code != test.code || p.Status != test.status || p.Title == "" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s %s; want %d %s", name, w.Code, w.Header().Get("Content-Type"), w.Body, test.status, test.code)
		}
	}
}

func TestProblemsSpeakSpanish(t *testing.T) {
	t.Parallel()
	s := apiServer(t)
	r := httptest.NewRequest(http.MethodGet, "/api/v1/engines/none", nil)
	r.Header.Set("Authorization", "Bearer "+readKey)
	r.Header.Set("Accept-Language", "es-ES,es;q=0.9")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "no existe") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A browser that a page of another site makes write is refused, with whatever
// it carries.
func TestOtherSitesCannotWrite(t *testing.T) {
	t.Parallel()
	s := apiServer(t)
	for header, value := range map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/pool/pause", nil)
		r.Header.Set("Authorization", "Bearer "+adminKey)
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"cross_origin"`) {
			t.Errorf("%s: %d %s", header, w.Code, w.Body)
		}
	}
}

func TestSettingsAreChangedAndKept(t *testing.T) {
	t.Parallel()
	inv := invocation(t, keyed(config.Setting{Name: "listen", Text: "127.0.0.1:0"}, config.Setting{Name: "static.engines", Text: "http://" + deadAddress(t)})...)
	s := serve(t, inv, false)
	const target = "/ace/getstream?infohash=" + channelIH
	if w := ask(s.handler, http.MethodHead, target, fromLAN, ""); w.Code != http.StatusOK {
		t.Fatalf("before: %d", w.Code)
	}
	var changed client.SettingsChanged
	w := request(t, s, adminKey, http.MethodPatch, "/settings", `{"changes":{"auth.playback":"key","pool.max":"9","playback.linger":"9s"}}`, &changed)
	if w.Code != http.StatusOK || len(changed.Applied) != 2 || changed.Applied[0] != "auth.playback" || len(changed.Restart) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := ask(s.handler, http.MethodHead, target, fromLAN, ""); w.Code != http.StatusUnauthorized {
		t.Errorf("the change does not count at once: %d", w.Code)
	}
	find := func(s *serving, key string) client.Setting {
		var all []client.Setting
		request(t, s, readKey, http.MethodGet, "/settings", "", &all)
		for _, one := range all {
			if one.Key == key {
				return one
			}
		}
		t.Fatalf("%s is not listed", key)
		return client.Setting{}
	}
	if got := find(s, "playback.linger"); *got.Value != "9s" || !got.Pending || got.Origin != "stored" {
		t.Errorf("%+v", got)
	}
	var pool client.Pool
	if request(t, s, readKey, http.MethodGet, "/pool", "", &pool); pool.Max != 9 {
		t.Errorf("%+v", pool)
	}
	if w := request(t, s, adminKey, http.MethodPut, "/pool/scale", `{"engines":9}`, nil); w.Code != http.StatusOK {
		t.Errorf("the pool does not know its new limit: %d %s", w.Code, w.Body)
	}
	if got := find(s, "auth.playback"); *got.Value != "key" || got.Pending {
		t.Errorf("%+v", got)
	}
	if got := find(s, "auth.admin_key"); got.Value != nil || !got.Set || !got.Locked {
		t.Errorf("%+v", got)
	}
	var health client.Health
	if request(t, s, readKey, http.MethodGet, "/system/health", "", &health); health.Status != "error" { // the engine is dead
		t.Errorf("%+v", health)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := serve(t, inv, false)
	if got := find(again, "playback.linger"); *got.Value != "9s" || got.Pending || again.cfg.Playback.Linger != 9*time.Second {
		t.Errorf("after a restart: %+v", got)
	}
	request(t, again, adminKey, http.MethodPatch, "/settings", `{"changes":{"auth.playback":null}}`, &changed)
	if w := ask(again.handler, http.MethodHead, target, fromLAN, ""); w.Code != http.StatusOK {
		t.Errorf("taken back: %d", w.Code)
	}
}

// A person's evening: what plays is seen, moved, stopped and remembered.
func TestStreamsThroughTheAPI(t *testing.T) {
	t.Parallel()
	s := apiServer(t)
	var p client.Preflight
	if request(t, s, operateKey, http.MethodGet, "/preflight?infohash="+channelIH, "", &p); p.Verdict != "unknown" || p.Deep {
		t.Errorf("light: %+v", p)
	}
	if request(t, s, operateKey, http.MethodPost, "/preflight?infohash="+channelIH, "", &p); p.Verdict != "playable" || !p.Deep || p.Took == nil {
		t.Errorf("deep: %+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/ace/getstream?infohash="+channelIH, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := res.Body.Read(make([]byte, 188)); err != nil {
		t.Fatal(err)
	}
	if request(t, s, operateKey, http.MethodPost, "/preflight?infohash="+channelIH, "", &p); p.Verdict != "playing" || p.Deep {
		t.Errorf("while it plays: %+v", p)
	}
	var streams []client.Stream
	request(t, s, readKey, http.MethodGet, "/streams", "", &streams)
	if len(streams) != 1 || streams[0].Watching != 1 || streams[0].Infohash != channelIH {
		t.Fatalf("%+v", streams)
	}
	var viewers []client.Viewer
	if request(t, s, readKey, http.MethodGet, "/viewers", "", &viewers); len(viewers) != 1 || viewers[0].Stream != streams[0].ID {
		t.Errorf("%+v", viewers)
	}
	var engines []client.Engine
	if request(t, s, readKey, http.MethodGet, "/engines", "", &engines); len(engines) != 1 || engines[0].Streams[0] != streams[0].ID || engines[0].Used != 1 {
		t.Errorf("%+v", engines)
	}
	if w := request(t, s, operateKey, http.MethodPost, "/streams/"+streams[0].ID+"/move", `{}`, nil); w.Code != http.StatusConflict {
		t.Errorf("a move to nowhere: %d %s", w.Code, w.Body)
	}
	if w := request(t, s, operateKey, http.MethodDelete, "/streams/"+streams[0].ID, "", nil); w.Code != http.StatusNoContent {
		t.Errorf("stop: %d %s", w.Code, w.Body)
	}
	var rest bytes.Buffer
	_, _ = rest.ReadFrom(res.Body) // it ends, one way or another
	var page, older client.EventPage
	request(t, s, readKey, http.MethodGet, "/events?limit=1", "", &page)
	if len(page.Events) != 1 || page.Next != page.Events[0].ID {
		t.Fatalf("%+v", page)
	}
	request(t, s, readKey, http.MethodGet, "/events?limit=1&before="+page.Next, "", &older)
	if len(older.Events) != 1 || older.Events[0].ID == page.Next {
		t.Errorf("%+v", older)
	}
	request(t, s, readKey, http.MethodGet, "/events?type=stream.", "", &page)
	if len(page.Events) == 0 || !strings.HasPrefix(page.Events[0].Type, "stream.") || page.Next != "" {
		t.Errorf("%+v", page)
	}
	flushed, cancelFlush := context.WithTimeout(t.Context(), patience)
	defer cancelFlush()
	if err := s.store.Flush(flushed); err != nil {
		t.Fatal(err)
	}
	var records []client.Record
	request(t, s, readKey, http.MethodGet, "/history/contents", "", &records)
	if len(records) != 1 || records[0].Starts < 1 || records[0].FirstByte == nil || records[0].LastResult != "ok" {
		t.Errorf("%+v", records)
	}
	if request(t, s, readKey, http.MethodGet, "/preflight?infohash="+channelIH, "", &p); p.Verdict != "playable" || p.History == nil {
		t.Errorf("afterwards: %+v", p)
	}
	backup := request(t, s, adminKey, http.MethodGet, "/system/backup", "", nil)
	if !strings.HasPrefix(backup.Body.String(), "SQLite format 3\x00") {
		t.Errorf("the backup begins with %.20q", backup.Body)
	}
}

// The live stream tells what is, then what changes, and goes on where it was.
func TestLiveStream(t *testing.T) {
	t.Parallel()
	s := apiServer(t)
	lines, end := readLive(t, s, "/live", "")
	kinds := map[string]bool{}
	var id string
	for !kinds["ping"] {
		m := lines()
		kinds[m.kind] = true
		id = m.id
	}
	if !kinds["hello"] || !kinds["snap"] {
		t.Errorf("it begins with %v", kinds)
	}
	request(t, s, operateKey, http.MethodPost, "/pool/pause", "", nil)
	for saw := map[string]bool{}; !saw["pool.paused"] || !saw["summary"]; {
		m := lines()
		if m.kind == "ev" && strings.Contains(m.data, `"pool.paused"`) {
			saw["pool.paused"] = true
		}
		if m.kind == "upd" && strings.Contains(m.data, `"paused":true`) {
			saw["summary"] = true
		}
	}
	end()
	again, endAgain := readLive(t, s, "/live", id)
	defer endAgain()
	if m := again(); m.kind != "upd" && m.kind != "ev" {
		t.Errorf("it resumes with %+v", m)
	}
	anew, endAnew := readLive(t, s, "/live?collections=engines", "another:7")
	defer endAnew()
	if first, second := anew(), anew(); first.kind != "hello" || second.kind != "snap" || !strings.Contains(second.data, `"c":"engines"`) {
		t.Errorf("it begins anew with %+v %+v", first, second)
	}
}

type liveMessage struct{ kind, id, data string }

// readLive reads messages of the live stream.
func readLive(t *testing.T, s *serving, path, last string) (next func() liveMessage, end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+readKey)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %d %v", path, res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return func() (m liveMessage) {
			t.Helper()
			for lines.Scan() {
				name, value, _ := strings.Cut(lines.Text(), ": ")
				switch {
				case name == "event":
					m.kind = value
				case name == "id":
					m.id = value
				case name == "data":
					m.data = value
				case name == "" && m.kind != "":
					return m
				}
			}
			t.Fatalf("it ends: %v", lines.Err())
			return m
		}, func() {
			cancel()
			res.Body.Close()
		}
}
