package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

func TestStat(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.open(t, "infohash="+clip.Infohash()+"&client_session_id=3")
	got := answer(t, r.get(t, s.Stat))
	before := map[string]any{
		"status": "prebuf", "progress": 0.0, "peers": 1.0, "speed_down": 0.0, "speed_up": 0.0,
		"downloaded": 0.0, "uploaded": 0.0, "total_progress": 0.0, "is_live": 0.0, "is_encrypted": 0.0,
		"infohash": clip.Infohash(), "playback_session_id": s.ID, "client_session_id": 3.0,
		"selected_stream_index": 0.0, "selected_file_index": 0.0, "stream_status": -1.0, "manifest_access_mode": -1.0,
		"debug_level": 0.0, "network_monitor_status": 0.0, "network_monitor_started": false,
		"disk_cache_stats": map[string]any{
			"avail": float64(1 << 30), "disk_cache_limit": float64(1 << 30), "inactive_inuse": 0.0, "active_inuse": 0.0,
		},
		"readers": 0.0,
	}
	if diff := cmp.Diff(map[string]any{"response": before, "error": nil}, got); diff != "" {
		t.Errorf("stat before playing (-want +got):\n%s", diff)
	}
	r.get(t, s.Playback)
	after := maps.Clone(before)
	delete(after, "progress")
	after["status"], after["total_progress"] = "dl", 100.0
	after["downloaded"] = 114688.0 // 100000 in whole blocks of 16 KiB
	after["disk_cache_stats"] = map[string]any{
		"avail": float64(1<<30 - 100_000), "disk_cache_limit": float64(1 << 30), "inactive_inuse": 0.0, "active_inuse": 100_000.0,
	}
	if diff := cmp.Diff(map[string]any{"response": after, "error": nil}, answer(t, r.get(t, s.Stat))); diff != "" {
		t.Errorf("stat after playing (-want +got):\n%s", diff)
	}
}

func TestStatKeepsAliveUnlessItOnlyWatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		done := make(chan error, 1)
		go func() { done <- r.engine.Run(t.Context()) }()
		asked, watched := r.open(t, "infohash="+clip.Infohash()), r.open(t, "infohash="+clip.Infohash())
		for range 4 {
			time.Sleep(25 * time.Second)
			r.get(t, asked.Stat)
			r.get(t, watched.Stat+"?skip_player_activity=1")
		}
		if got := answer(t, r.get(t, asked.Stat)); got["error"] != nil {
			t.Errorf("a session that was asked for: %v", got)
		}
		if got := answer(t, r.get(t, watched.Stat)); got["error"] != "unknown playback session id" {
			t.Errorf("a session that was only watched: %v", got)
		}
		_ = r.engine.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, other := r.open(t, "infohash="+clip.Infohash()), r.open(t, "infohash="+clip.Infohash())
	for _, step := range []struct {
		target          string
		response, error any
	}{
		{s.Command, nil, "unknown method"},
		{s.Command + "?method=liveseek&pos=1", nil, "unknown method"},
		{strings.Replace(s.Command, clip.Infohash(), album.Infohash(), 1) + "?method=stop", nil, "unknown playback session id"},
		{s.Command + "?method=stop", "ok", nil},
		{s.Command + "?method=stop", nil, "unknown playback session id"},
		{s.Stat, nil, "unknown playback session id"},
		{s.Event, nil, "unknown playback session id"},
		{other.Command + "?method=stop", "ok", nil},
	} {
		got := answer(t, r.get(t, step.target))
		if got["response"] != step.response || got["error"] != step.error {
			t.Errorf("%s: %v", step.target, got)
		}
	}
	if got := r.clip.Use().Holds; got != 0 {
		t.Errorf("the content is still held %d times", got)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := r.open(t, "infohash="+clip.Infohash())
		begin := time.Now()
		if got := answer(t, r.get(t, s.Event)); got["response"] != nil || got["error"] != nil || time.Since(begin) != 10*time.Second {
			t.Errorf("no event: %v after %v", got, time.Since(begin))
		}
		begin = time.Now()
		time.AfterFunc(time.Second, func() {
			r.clip.Fail(0, vod.ErrChoked)
			r.get(t, s.Playback)
		})
		want := map[string]any{
			"response": map[string]any{"name": "download_stopped", "params": map[string]any{"reason": "choked"}}, "error": nil,
		}
		if diff := cmp.Diff(want, answer(t, r.get(t, s.Event))); diff != "" || time.Since(begin) != time.Second {
			t.Errorf("after %v (-want +got):\n%s", time.Since(begin), diff)
		}
		begin = time.Now()
		time.AfterFunc(2*time.Second, func() { r.get(t, s.Command+"?method=stop") })
		if got := answer(t, r.get(t, s.Event)); got["error"] != "unknown playback session id" || time.Since(begin) != 2*time.Second {
			t.Errorf("end of the session: %v after %v", got, time.Since(begin))
		}
	})
}

func TestEventURLOnlyOnRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if w := r.get(t, "/ace/getstream?format=json&infohash="+clip.Infohash()); strings.Contains(w.Body.String(), "event_url") {
		t.Errorf("an event URL that nobody asked for: %s", w.Body)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	album, magnet := album.Infohash(), url.QueryEscape(album.Magnet())
	version := map[string]any{"code": 1020300.0, "platform": "linux", "version": "1.2.3", "engine": "acequia"}
	state := map[string]any{
		"playlist_loaded": true, "version": version, "sessions": 0.0, "readers": 0.0, "peers": 0.0, "p2p_port": 0.0,
		"cache_used": 0.0, "cache_limit": float64(1 << 30),
	}
	files := map[string]any{
		"name": "album", "infohash": album, "transport_type": "bt", "type": "vod",
		"files": []any{
			map[string]any{"index": 0.0, "filename": "one.mp3", "mime": "audio/mpeg", "size": 1000.0},
			map[string]any{"index": 1.0, "filename": "disc 2/two.flac", "mime": "audio/flac", "size": 5000.0},
			map[string]any{"index": 2.0, "filename": "cover.jpg", "mime": "application/octet-stream", "size": 9000.0},
		},
	}
	analysis := func(query, title string) map[string]any {
		return map[string]any{
			"is_live": 0.0, "item_url": query, "infohash": album, "transport_type": "bt",
			"content_type": "transport_file", "title": title, "categories": []any{},
		}
	}
	for target, want := range map[string]map[string]any{
		"/webui/api/service?method=get_version":                                                             {"result": version, "error": nil},
		"/webui/api/service?method=get_version&format=json&params=x":                                        {"result": version, "error": nil},
		"/webui/api/service?method=get_status":                                                              {"result": state, "error": nil},
		"/webui/api/service?method=nonsense":                                                                {"result": nil, "error": "unknown method"},
		"/server/api?method=get_status":                                                                     {"result": nil, "error": "access denied"},
		"/server/api?api_version=3&method=get_status":                                                       {"result": state},
		"/server/api?api_version=3&method=nonsense":                                                         {"error": map[string]any{"message": "unknown method", "code": 0.0}},
		"/server/api?api_version=3&method=get_media_files&infohash=" + album:                                {"result": files},
		"/server/api?api_version=3&method=get_media_files&magnet=" + magnet:                                 {"result": files},
		"/server/api?api_version=3&method=analyze_content&query=acestream%3A%3Finfohash%3D" + album:         {"result": analysis("acestream:?infohash="+album, "album")},
		"/server/api?api_version=3&method=analyze_content&title=T&query=acestream%3A%3Finfohash%3D" + album: {"result": analysis("acestream:?infohash="+album, "T")},
		"/server/api?api_version=3&method=analyze_content&query=http%3A%2F%2Fexample.com%2Falbum.torrent":   {"result": analysis("http://example.com/album.torrent", "album")},
		"/server/api?api_version=3&method=get_content_id&infohash=" + album:                                 {"error": map[string]any{"message": "this engine has no content ids: it plays by infohash", "code": 0.0}},
	} {
		if diff := cmp.Diff(want, answer(t, r.get(t, target))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	connection := answer(t, r.get(t, "/server/api?api_version=3&method=get_network_connection_status"))
	if _, ok := connection["result"].(map[string]any)["connected"].(bool); !ok {
		t.Errorf("connection status: %v", connection)
	}
	if got := r.engine.Load(); got.Sessions != 0 || got.Opened != 0 {
		t.Errorf("services opened sessions: %+v", got)
	}
}

func TestServiceErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for target, want := range map[string][2]string{
		"method=get_media_files":                                                {"content_id", "bad_request"},
		"method=get_media_files&content_id=" + contentID:                        {"cannot get transport file", "not_native"},
		"method=analyze_content&query=acestream%3A%3Fcontent_id%3D" + contentID: {"cannot get transport file", "not_native"},
		"method=analyze_content&query=acestream%3A%2F%2F" + contentID:           {"cannot get transport file", "not_native"},
		"method=analyze_content&query=ftp%3A%2F%2Fx":                            {"unknown protocol", "bad_request"},
		"method=analyze_content":                                                {"unknown protocol", "bad_request"},
		"method=analyze_content&query=acestream%3A%3F%25":                       {"acestream:?", "bad_request"},
	} {
		got := answer(t, r.get(t, "/server/api?api_version=3&"+target))
		failure, extra := got["error"].(map[string]any), got["extra_data"].(map[string]any)
		if !strings.Contains(failure["message"].(string), want[0]) || extra["reason"] != want[1] || got["result"] != nil {
			t.Errorf("%s: %v", target, got)
		}
	}
}

func TestTokenIsForLocalPrograms(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const target = "/server/api?api_version=3&method=get_api_access_token"
	token := answer(t, r.get(t, target))["result"].(map[string]any)["token"].(string)
	if len(token) != 64 {
		t.Errorf("token %q", token)
	}
	w := r.get(t, target)
	if !strings.Contains(w.Body.String(), token) || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("asked again: %s, %v", w.Body, w.Header())
	}
	for name, header := range map[string][]string{
		"another page": {"Origin", "http://127.0.0.1:8080"}, "a proxy": {"X-Forwarded-For", "10.0.0.1"},
		"a browser": {"Sec-Fetch-Site", "none"}, "another name": {"Host", "box.lan"},
	} {
		if w := r.get(t, target, header...); strings.Contains(w.Body.String(), token) {
			t.Errorf("%s got the token", name)
		}
		w := r.get(t, "/webui/api/service?method=get_api_access_token", header...)
		if got := answer(t, w); got["error"] != "access denied" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEveryAnswerIsWholeJSON(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.open(t, "infohash="+clip.Infohash())
	for _, target := range []string{s.Stat, "/webui/api/service?method=get_version", "/server/api?api_version=3&method=x", "/ace/getstream?format=json"} {
		w := r.get(t, target)
		if !json.Valid(w.Body.Bytes()) || !slices.Equal(w.Header()["Cache-Control"], []string{"no-store"}) || w.Code != http.StatusOK {
			t.Errorf("%s: status %d, %v: %s", target, w.Code, w.Header(), w.Body)
		}
	}
}

func TestVersionCode(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]float64{
		"3.2.11": 3021100, "v0.1.0": 10000, "1.2.3-rc4": 1020300, "2": 2000000,
		"dev": 1, "": 1, "0.0.0": 1, "1.2.3.4": 1, "1.x": 1,
	} {
		r := newRig(t, func(_ *native.Config, _ *native.Deps, o *api.Options) { o.Version = version })
		result := answer(t, r.get(t, "/webui/api/service?method=get_version"))["result"].(map[string]any)
		if result["code"] != want || result["version"] != version {
			t.Errorf("%q: %v, want code %v", version, result, want)
		}
	}
}
