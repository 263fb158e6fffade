// Package api is the HTTP API of the native engine. It is the API of the
// official AceStream engine (https://docs.acestream.net/developers/api-reference/),
// so that what plays from one plays from the other.
//
// It differs where the official engine's ways would harm: several readers may
// read one session (the session object says so, "multi_reader":1), byte ranges
// of files are served, errors tell their reason in extra_data, and playback
// that cannot start is an HTTP error within the start timeout.
package api

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/internal/native"
)

// Options of the API.
type Options struct {
	// Version is the program's, as in "1.2.3".
	Version string
	// Hosts are DNS names that clients may call the engine by, besides those
	// that cannot belong to a stranger: IP addresses, localhost, single-label
	// names, and names under .local, .lan, .internal, .localhost and .home.arpa.
	Hosts []string
	// Metrics is served at /metrics; nil serves nothing there.
	Metrics http.Handler
	Logger  *slog.Logger
}

// eventWait is how long an event request waits. The official web page gives up
// after 15 s, and asks again.
const eventWait = 10 * time.Second

// server answers for one engine. It is safe for concurrent use.
type server struct {
	engine *native.Engine
	opts   Options
	token  string
}

// New returns the API of an engine. It is safe for concurrent use.
func New(engine *native.Engine, opts Options) http.Handler {
	var token [32]byte
	rand.Read(token[:]) // never fails
	s := &server{engine: engine, opts: opts, token: hex.EncodeToString(token[:])}
	mux := http.NewServeMux()
	for _, route := range []struct {
		pattern string
		handler http.HandlerFunc
	}{
		{"GET /ace/getstream", s.getstream},
		{"POST /ace/getstream", s.getstream},
		{"GET /ace/manifest.m3u8", s.manifest},
		{"POST /ace/manifest.m3u8", s.manifest},
		{"GET /ace/r/{infohash}/{key}", s.play},
		{"GET /content/{infohash}/{key}", s.play},
		{"GET /ace/stat/{infohash}/{key}", s.stat},
		{"GET /ace/cmd/{infohash}/{key}", s.command},
		{"GET /ace/event/{infohash}/{key}", s.event},
		{"GET /webui/api/service", s.service},
		{"GET /server/api", s.serverAPI},
		{"POST /server/api", s.serverAPI},
	} {
		mux.HandleFunc(route.pattern, route.handler)
	}
	if opts.Metrics != nil {
		mux.Handle("GET /metrics", opts.Metrics)
	}
	// The check keeps pages of other origins from sending POST requests.
	guarded := s.checkHost(http.NewCrossOriginProtection().Handler(mux))
	outer := http.NewServeMux()
	outer.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	outer.Handle("/", guarded)
	return outer
}
