package compat_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/acequia-tv/acequia/internal/compat"
	"github.com/acequia-tv/acequia/internal/content"
)

func TestAceProxyAddresses(t *testing.T) {
	t.Parallel()
	play := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sel, err := content.FromQuery(r.URL.Query())
		if err != nil || r.URL.Path != "/ace/getstream" {
			http.Error(w, "wrong", http.StatusBadRequest)
			return
		}
		io.WriteString(w, sel.String())
	})
	mux := http.NewServeMux()
	for _, r := range compat.AceProxyRoutes(play) {
		mux.Handle(r.Pattern, r.Handler)
	}
	for _, tt := range []struct {
		path   string
		status int
		want   string // body, or where it leads
	}{
		{"/pid/" + channelID + "/stream.ts", 200, "content_id " + channelID},
		{"/pid/" + channelID + "/stream.mp4", 200, "content_id " + channelID},
		{"/content_id/" + channelID + "/La%201.ts", 200, "content_id " + channelID},
		{"/infohash/" + channelIH + "/stream.ts", 200, "infohash " + channelIH},
		{"/infohash/" + channelIH + "/2/stream.mkv", 200, "infohash " + channelIH + " file 2"},
		{"/infohash/" + channelIH + "/0/0/0/0/0/stream.ts", 200, "infohash " + channelIH},
		{"/url/http%3A%2F%2Fexample.org%2Fa.torrent/stream.ts", 200, "url http://example.org/a.torrent"},
		{"/infohash/" + channelIH + "/x/stream.ts", 400, "wrong\n"},
		{"/pid/short/stream.ts", 400, "wrong\n"},
		{"/pid/" + channelID + "/stream.m3u8", 302, "/ace/manifest.m3u8?id=" + channelID},
		{"/pid/" + channelID + "/stream", 404, ""},
		{"/pid/" + channelID, 404, ""},
		{"/pid//stream.ts", 301, ""}, // cleaned away by the mux
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://host"+tt.path, nil))
		got := w.Body.String()
		if tt.status == 302 {
			got = w.Header().Get("Location")
		}
		if w.Code != tt.status && (tt.status != 301 || w.Code/100 != 3) || tt.want != "" && got != tt.want {
			t.Errorf("%s: %d %q, want %d %q", tt.path, w.Code, got, tt.status, tt.want)
		}
	}
}
