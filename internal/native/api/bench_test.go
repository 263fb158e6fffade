package api_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

// BenchmarkPlay is what the engine costs beside BitTorrent: a file that is held
// already, over HTTP on loopback, the client's side included.
func BenchmarkPlay(b *testing.B) {
	file := vodtest.Single("film.ts", make([]byte, 64<<20))
	r := newRig(b, func(_ *native.Config, d *native.Deps, o *api.Options) {
		d.Logger = slog.New(slog.DiscardHandler)
		o.Logger = d.Logger
	})
	r.backend.Share(file)
	server := httptest.NewServer(r.handler)
	defer server.Close()
	playback := server.URL + r.open(b, "infohash="+file.Infohash()).Playback
	b.SetBytes(int64(len(file.Files[0].Data)))
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, playback, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

// BenchmarkFirstByte is the way of one byte through a session: opened, played,
// stopped.
func BenchmarkFirstByte(b *testing.B) {
	r := newRig(b, func(_ *native.Config, d *native.Deps, o *api.Options) {
		d.Logger = slog.New(slog.DiscardHandler)
		o.Logger = d.Logger
	})
	b.ReportAllocs()
	for b.Loop() {
		s := r.open(b, "infohash="+clip.Infohash())
		if w := r.get(b, s.Playback, "Range", "bytes=0-0"); w.Code != http.StatusPartialContent {
			b.Fatal(w.Code)
		}
		r.get(b, s.Command+"?method=stop")
	}
}
