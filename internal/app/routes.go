package app

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/acequia-tv/acequia/internal/compat"
	"github.com/acequia-tv/acequia/internal/playback"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// routes is every address that the server answers on.
func (s *server) routes(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	play := playback.New(s.hub, s.log)
	mux.Handle("/ace/getstream", play)
	mux.Handle("/ace/getstream/{$}", play)
	segments := playback.NewHLS(s.hub, s.log)
	mux.HandleFunc("/ace/manifest.m3u8", segments.Manifest)
	mux.HandleFunc("/ace/hls/{session}/{name}", segments.Session)
	mux.Handle("GET /ace/status", compat.AcexyStatus(s.hub))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", telemetry.MetricsHandler(registry, s.log))
	if s.cfg.Debug.Pprof {
		mux.Handle(telemetry.ProfilePath, telemetry.ProfileHandler())
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "Acequia is running. Play /ace/getstream?id=<content id> or ?infohash=<infohash>.")
	})
	return mux
}

// readyz answers 200 once playback can be served: an engine takes it.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.stopping.Load():
		say(w, http.StatusServiceUnavailable, "shutting down")
	case !s.pool.Ready():
		say(w, http.StatusServiceUnavailable, "no engine is ready")
	default:
		say(w, http.StatusOK, "ok")
	}
}

// say answers with one plain line.
func say(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, line+"\n")
}
