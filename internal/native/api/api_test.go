package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

var (
	clip  = vodtest.Single("clip.ts", vodtest.Bytes(1, 100_000))
	album = vodtest.Content{Name: "album", Files: []vodtest.File{
		{Path: "one.mp3", Data: vodtest.Bytes(2, 1000)},
		{Path: "disc 2/two.flac", Data: vodtest.Bytes(3, 5000)},
		{Path: "cover.jpg", Data: vodtest.Bytes(4, 9000)},
	}}
)

const contentID = "94c2fd8fb9bc8f2fc71a2cbe9d4b866f227a0209"

// fetcher gives what a URL leads to.
type fetcher map[string]fetch.Document

func (f fetcher) Fetch(_ context.Context, url string) (fetch.Document, error) {
	doc, ok := f[url]
	if !ok {
		return fetch.Document{}, &fetch.Error{Err: errors.New("404")}
	}
	return doc, nil
}

// rig is an engine on a network in memory.
type rig struct {
	backend *vodtest.Backend
	clip    *vodtest.Swarm
	engine  *native.Engine
	handler http.Handler
}

type setting func(*native.Config, *native.Deps, *api.Options)

func newRig(t testing.TB, settings ...setting) *rig {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := &rig{backend: vodtest.New()}
	r.clip = r.backend.Share(clip)
	r.backend.Share(album)
	cfg := native.Config{}
	deps := native.Deps{
		Backend: r.backend, Logger: log,
		Fetcher: fetcher{
			"http://example.com/album.torrent": {Body: album.Metainfo()},
			"http://example.com/x.acelive":     {Body: []byte("\xaa\x00proprietary")},
		},
	}
	opts := api.Options{Version: "1.2.3", Logger: log}
	for _, set := range settings {
		set(&cfg, &deps, &opts)
	}
	r.engine = native.New(cfg, deps)
	t.Cleanup(func() { _ = r.engine.Close() })
	r.handler = api.New(r.engine, opts)
	return r
}

const origin = "http://127.0.0.1:6878"

// do sends a request as from a program on this machine.
func (r *rig) do(t testing.TB, method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, origin+target, body)
	req.RemoteAddr = "127.0.0.1:40000"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

func (r *rig) get(t testing.TB, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return r.do(t, http.MethodGet, target, nil, header...)
}

// answer reads a JSON answer, whose status is always 200.
func answer(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, type %q: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

// session is the session object of an open.
type session struct {
	Playback string `json:"playback_url"`
	Stat     string `json:"stat_url"`
	Command  string `json:"command_url"`
	Event    string `json:"event_url"`
	Infohash string `json:"infohash"`
	ID       string `json:"playback_session_id"`
}

// open opens a session and returns its object with the origin taken off the
// URLs.
func (r *rig) open(t testing.TB, query string) session {
	t.Helper()
	w := r.get(t, "/ace/getstream?format=json&use_api_events=1&"+query)
	var v struct {
		Response *session
		Error    *string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || v.Response == nil || v.Error != nil {
		t.Fatalf("open %s: %s", query, w.Body)
	}
	s := *v.Response
	for _, u := range []*string{&s.Playback, &s.Stat, &s.Command, &s.Event} {
		path, ok := strings.CutPrefix(*u, origin)
		if !ok {
			t.Errorf("URL %q is not on %s", *u, origin)
		}
		*u = path
	}
	return s
}

func TestSessionObject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.get(t, "/ace/getstream?format=json&infohash="+clip.Infohash()+"&pid=p&client_session_id=7&unknown=1", "Host", "box.local:1234")
	got := answer(t, w)
	response := got["response"].(map[string]any)
	key := strings.TrimPrefix(response["playback_url"].(string), "http://box.local:1234/ace/r/"+clip.Infohash()+"/")
	id := response["playback_session_id"].(string)
	if len(key) != 32 || len(id) != 40 {
		t.Errorf("key %q, session id %q", key, id)
	}
	want := map[string]any{
		"response": map[string]any{
			"playback_url": "http://box.local:1234/ace/r/" + clip.Infohash() + "/" + key,
			"stat_url":     "http://box.local:1234/ace/stat/" + clip.Infohash() + "/" + key,
			"command_url":  "http://box.local:1234/ace/cmd/" + clip.Infohash() + "/" + key,
			"infohash":     clip.Infohash(), "playback_session_id": id,
			"is_live": 0.0, "is_encrypted": 0.0, "client_session_id": 7.0, "multi_reader": 1.0,
		},
		"error": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("session object (-want +got):\n%s", diff)
	}
	again := answer(t, r.get(t, "/ace/getstream?format=json&infohash="+strings.ToUpper(clip.Infohash())+"&pid=p"))
	if again["response"].(map[string]any)["playback_session_id"] != id {
		t.Error("the same player got another session")
	}
}

func TestGetstreamRedirects(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.get(t, "/ace/getstream?infohash="+clip.Infohash())
	location, err := url.Parse(w.Header().Get("Location"))
	if w.Code != http.StatusFound || err != nil {
		t.Fatalf("status %d, Location %q", w.Code, w.Header().Get("Location"))
	}
	played := r.get(t, location.Path)
	if played.Code != http.StatusOK || played.Body.String() != string(clip.Files[0].Data) {
		t.Errorf("status %d, %d bytes", played.Code, played.Body.Len())
	}
	if w := r.do(t, http.MethodHead, "/ace/getstream?infohash="+clip.Infohash(), nil); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: status %d", w.Code)
	}
	if got := r.engine.Load().Opened; got != 1 {
		t.Errorf("%d sessions opened, want 1", got)
	}
}

func TestOpenByEverySelector(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	upload := `{"transport_file_data":"` + base64.StdEncoding.EncodeToString(album.Metainfo()) + `"}`
	for name, tt := range map[string]struct {
		method, query, body, contentType string
		infohash, file                   string
	}{
		"infohash":   {"GET", "infohash=" + clip.Infohash(), "", "", clip.Infohash(), "clip.ts"},
		"magnet":     {"GET", "magnet=" + url.QueryEscape(clip.Magnet()), "", "", clip.Infohash(), "clip.ts"},
		"url":        {"GET", "url=" + url.QueryEscape("http://example.com/album.torrent"), "", "", album.Infohash(), "two.flac"},
		"file 0":     {"GET", "_idx=0&infohash=" + album.Infohash(), "", "", album.Infohash(), "one.mp3"},
		"file 2":     {"GET", "_idx=2&infohash=" + album.Infohash(), "", "", album.Infohash(), "cover.jpg"},
		"upload":     {"POST", "", upload, "application/json", album.Infohash(), "two.flac"},
		"upload idx": {"POST", "_idx=0", upload, "application/json; charset=utf-8", album.Infohash(), "one.mp3"},
		"form":       {"POST", "", "infohash=" + clip.Infohash(), "application/x-www-form-urlencoded", clip.Infohash(), "clip.ts"},
		"bare post":  {"POST", "infohash=" + clip.Infohash(), "", "", clip.Infohash(), "clip.ts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := r.do(t, tt.method, "/ace/getstream?format=json&"+tt.query, strings.NewReader(tt.body), "Content-Type", tt.contentType)
			response, ok := answer(t, w)["response"].(map[string]any)
			if !ok {
				t.Fatalf("answer %s", w.Body)
			}
			if got := response["infohash"]; got != tt.infohash {
				t.Errorf("infohash %v, want %s", got, tt.infohash)
			}
			head := r.do(t, http.MethodHead, strings.TrimPrefix(response["playback_url"].(string), origin), nil)
			if got := head.Header().Get("Content-Disposition"); !strings.Contains(got, tt.file) {
				t.Errorf("plays %q, want %s", got, tt.file)
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	json := []string{"Content-Type", "application/json"}
	for name, tt := range map[string]struct {
		method, query, body string
		header              []string
		fail                error
		text, reason        string
		status              int
	}{
		"nothing named":     {query: "pid=1", text: "missing content id", reason: "bad_request", status: 400},
		"content id":        {query: "content_id=" + contentID, text: "failed to load content", reason: "not_native", status: 404},
		"id":                {query: "id=" + contentID, text: "failed to load content", reason: "not_native", status: 404},
		"malformed":         {query: "infohash=xyz", text: "failed to load content", reason: "bad_request", status: 400},
		"bad index":         {query: "_idx=-1&infohash=" + clip.Infohash(), text: "failed to load content", reason: "bad_request", status: 400},
		"no such file":      {query: "_idx=9&infohash=" + clip.Infohash(), text: "failed to load content", reason: "no_such_file", status: 404},
		"acelive":           {query: "url=" + url.QueryEscape("http://example.com/x.acelive"), text: "failed to load content", reason: "not_a_torrent", status: 415},
		"gone":              {query: "url=" + url.QueryEscape("http://example.com/gone"), text: "failed to load content", reason: "fetch_failed", status: 502},
		"file url":          {query: "url=file:///etc/passwd", text: "failed to load content", reason: "bad_request", status: 400},
		"full":              {query: "infohash=" + clip.Infohash(), fail: vod.ErrCacheFull, text: "failed to load content", reason: "busy", status: 503},
		"broken":            {query: "infohash=" + clip.Infohash(), fail: errors.New("x"), text: "failed to load content", reason: "internal", status: 500},
		"upload no base64":  {method: "POST", body: `{"transport_file_data":"*"}`, header: json, text: "failed to load content", reason: "bad_request", status: 400},
		"upload empty":      {method: "POST", body: `{"transport_file_data":""}`, header: json, text: "failed to load content", reason: "bad_request", status: 400},
		"upload garbage":    {method: "POST", body: `{"transport_file_data":"AAAA"}`, header: json, text: "failed to load content", reason: "not_a_torrent", status: 415},
		"upload not json":   {method: "POST", body: `x`, header: json, text: "failed to load content", reason: "bad_request", status: 400},
		"upload other json": {method: "POST", body: `{"a":1}`, header: json, text: "missing content id", reason: "bad_request", status: 400},
		"upload other type": {method: "POST", body: `x`, header: []string{"Content-Type", "text/plain"}, text: "failed to load content", reason: "bad_request", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.clip.FailAdd(tt.fail)
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			got := answer(t, r.do(t, method, "/ace/getstream?format=json&"+tt.query, strings.NewReader(tt.body), tt.header...))
			extra := got["extra_data"].(map[string]any)
			if got["response"] != nil || got["error"] != tt.text || extra["reason"] != tt.reason {
				t.Errorf("answer %v, want %q for %q", got, tt.text, tt.reason)
			}
			if detail, ok := extra["detail"].(string); !ok || len(detail) < 10 || strings.Contains(detail, "\n") {
				t.Errorf("detail %q is not one plain sentence", extra["detail"])
			}
			w := r.do(t, method, "/ace/getstream?"+tt.query, strings.NewReader(tt.body), tt.header...)
			if w.Code != tt.status || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || w.Header().Get("Location") != "" {
				t.Errorf("without format=json: status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if load := r.engine.Load(); load.Sessions != 0 {
				t.Errorf("%d sessions left over", load.Sessions)
			}
		})
	}
}

func TestUploadIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := io.MultiReader(strings.NewReader(`{"transport_file_data":"`), io.LimitReader(repeat{}, fetch.MaxSize*2))
	got := answer(t, r.do(t, "POST", "/ace/getstream?format=json", body, "Content-Type", "application/json"))
	if got["extra_data"].(map[string]any)["reason"] != "bad_request" {
		t.Errorf("answer %v", got)
	}
}

// repeat reads as the letter A without end.
type repeat struct{}

func (repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}

func TestManifestIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := answer(t, r.get(t, "/ace/manifest.m3u8?format=json&infohash="+clip.Infohash()))
	if got["error"] != "failed to load content" || got["extra_data"].(map[string]any)["reason"] != "no_hls" {
		t.Errorf("answer %v", got)
	}
	if w := r.get(t, "/ace/manifest.m3u8?infohash="+clip.Infohash()); w.Code != http.StatusNotImplemented {
		t.Errorf("status %d", w.Code)
	}
}

func TestHostIsChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *native.Config, _ *native.Deps, o *api.Options) { o.Hosts = []string{"engine.example.org"} })
	for host, want := range map[string]int{
		"127.0.0.1:6878": 200, "[::1]:6878": 200, "192.168.1.5": 200, "localhost:6878": 200, "engine-1:6878": 200,
		"box.local": 200, "BOX.LAN.:6878": 200, "a.svc.cluster.local": 200, "engine.example.org": 200, "Engine.Example.Org:1": 200,
		"evil.com": 403, "evil.com:6878": 403, "127.0.0.1.nip.io": 403, "localhost.evil.com": 403, "local.com": 403,
	} {
		if w := r.get(t, "/webui/api/service?method=get_version", "Host", host); w.Code != want {
			t.Errorf("Host %s: status %d, want %d", host, w.Code, want)
		}
	}
	if w := r.get(t, "/livez", "Host", "evil.com"); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("livez: status %d: %s", w.Code, w.Body)
	}
}

func TestOtherPagesCannotPost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.do(t, "POST", "/ace/getstream?infohash="+clip.Infohash(), nil, "Sec-Fetch-Site", "cross-site")
	if w.Code != http.StatusForbidden || r.engine.Load().Opened != 0 {
		t.Errorf("status %d, %d sessions opened", w.Code, r.engine.Load().Opened)
	}
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/", "/ace/r/x", "/ace/m/x/y.m3u8", "/metrics", "/webui/app/x/cmd/shutdown"} {
		if w := r.get(t, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if w := r.do(t, "DELETE", "/ace/getstream", nil); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: status %d", w.Code)
	}
	metrics := newRig(t, func(_ *native.Config, _ *native.Deps, o *api.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "m 1\n") })
	})
	if w := metrics.get(t, "/metrics"); w.Body.String() != "m 1\n" {
		t.Errorf("metrics: %d %s", w.Code, w.Body)
	}
}

// serve serves the rig's API on loopback until the test's end.
func (r *rig) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(r.handler)
	t.Cleanup(server.Close)
	return server.URL
}

// request sends a request to a served rig.
func request(t *testing.T, target string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestManyRangesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	base := r.serve(t)
	data := clip.Files[0].Data
	var wg sync.WaitGroup
	for range 2 {
		s := r.open(t, "infohash="+clip.Infohash())
		for part := range 4 {
			wg.Go(func() {
				from, to := part*25_000, part*25_000+24_999
				resp := request(t, base+s.Playback, "Range", fmt.Sprintf("bytes=%d-%d", from, to))
				got, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusPartialContent || string(got) != string(data[from:to+1]) {
					t.Errorf("part %d: status %d, %d bytes, %v", part, resp.StatusCode, len(got), err)
				}
			})
		}
	}
	wg.Wait()
}
