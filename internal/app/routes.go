package app

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/acequia-tv/acequia/internal/api"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/compat"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/playback"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// access is who may ask for a route.
type access string

const (
	forPlayers    access = "players"    // by auth.playback
	byCapability  access = "capability" // whoever was told the address, which cannot be guessed
	forMonitoring access = "monitoring" // by auth.metrics
	forReaders    access = "readers"
	forOperators  access = "operators"
	forAdmins     access = "admins"
	forAnyone     access = "anyone" // health, and where a person lands
	byItself      access = "itself" // the API decides per route of its own
)

// route is one address that the server answers on.
type route struct {
	pattern string
	access  access
	handler http.Handler
}

// compatAccess is who may ask for the addresses of other programs.
var compatAccess = map[compat.Access]access{
	compat.Open: forAnyone, compat.Plays: forPlayers, compat.Reads: forReaders, compat.Operates: forOperators,
}

// routes is every address that the server answers on. There is no other place
// for one, so that none is without an access.
func (s *server) routes(registry *prometheus.Registry) []route {
	all := append(s.front.routes(registry), route{api.Prefix + "/", byItself, s.api})
	for _, r := range slices.Concat(s.orchestrator.Routes(""), s.orchestrator.Routes("/acexy")) {
		all = append(all, route{r.Pattern, compatAccess[r.Access], r.Handler})
	}
	return all
}

// routes is every address that has to do with playing.
func (f *front) routes(registry *prometheus.Registry) []route {
	play := f.tellingPlayers(f.engine.OrOpen(f.player))
	segments := playback.NewHLS(f.hub, f.log)
	all := []route{
		{"/ace/getstream", forPlayers, play},
		{"/ace/getstream/{$}", forPlayers, play},
		{"/ace/manifest.m3u8", forPlayers, f.tellingPlayers(http.HandlerFunc(segments.Manifest))},
		{"/ace/hls/{session}/{name}", byCapability, http.HandlerFunc(segments.Session)},
		{"GET /ace/status", forPlayers, compat.AcexyStatus(f.hub)},
		{"GET /livez", forAnyone, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })},
		{"GET /readyz", forAnyone, http.HandlerFunc(f.readyz)},
		{"GET /metrics", forMonitoring, telemetry.MetricsHandler(registry, f.log)},
		{"GET /{$}", forAnyone, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			say(w, http.StatusOK, "Acequia is running. Play /ace/getstream?id=<content id> or ?infohash=<infohash>.")
		})},
	}
	for _, r := range slices.Concat(f.engine.Routes(), compat.AceProxyRoutes(play)) {
		all = append(all, route{r.Pattern, compatAccess[r.Access], r.Handler})
	}
	if f.cfg.Debug.Pprof {
		all = append(all, route{telemetry.ProfilePath, forAdmins, telemetry.ProfileHandler()})
	}
	return all
}

// tellingPlayers lets next see the address of the player itself where a trusted
// proxy passes the request on. It has no port then.
func (f *front) tellingPlayers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		player := f.guard.Client(r)
		if err == nil && player.IsValid() && player != peer.Addr().Unmap().WithZone("") {
			r = r.WithContext(r.Context()) // the server's own stays as it is
			r.RemoteAddr = player.String()
		}
		next.ServeHTTP(w, r)
	})
}

// mux joins the routes, each behind its access.
func (f *front) mux(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.pattern, f.guarded(r))
	}
	return mux
}

// guarded lets pass who may ask for a route, and answers the others in one
// line in their language.
func (f *front) guarded(to route) http.Handler {
	admit := map[access]func(*http.Request) error{
		forPlayers:    f.guard.AdmitPlayback,
		forMonitoring: f.guard.AdmitMetrics,
		forReaders:    f.admit(auth.Read),
		forOperators:  f.admit(auth.Operate),
		forAdmins:     f.admit(auth.Admin),
	}[to.access]
	if admit == nil {
		return to.handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What a browser asks before the request proper carries no key.
		if err := admit(r); err != nil && r.Method != http.MethodOptions {
			f.refuse(w, r, err)
			return
		}
		to.handler.ServeHTTP(w, r)
	})
}

// admit lets pass who has a scope.
func (f *front) admit(scope auth.Scope) func(*http.Request) error {
	return func(r *http.Request) error {
		_, err := f.guard.Admit(r, scope)
		return err
	}
}

// refuse answers who may not ask.
func (f *front) refuse(w http.ResponseWriter, r *http.Request, err error) {
	denied, ok := errors.AsType[*auth.Denied](err)
	status, key := http.StatusUnauthorized, message.APIStore
	switch {
	case !ok:
		f.log.Warn("a key cannot be looked up", "err", err)
		status = http.StatusServiceUnavailable
	case denied.Reason == auth.Forbidden, denied.Reason == auth.CrossOrigin:
		status = http.StatusForbidden
	case denied.Reason == auth.TooMany:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(denied.RetryAfter.Seconds()))))
	default:
		// What asks a person for a name and a password takes a key as password.
		w.Header().Set("WWW-Authenticate", `Basic realm="Acequia: any name, and a key as password", charset="UTF-8"`)
	}
	if ok {
		key = message.Key("api." + string(denied.Reason))
		w.Header().Set("X-Error-Code", string(denied.Reason))
	}
	say(w, status, message.Text(message.Preferred(r.Header.Get("Accept-Language")), key))
}

// readyz answers 200 once playback can be served: an engine takes it.
func (f *front) readyz(w http.ResponseWriter, _ *http.Request) {
	switch {
	case f.stopping.Load():
		say(w, http.StatusServiceUnavailable, "shutting down")
	case !f.ready():
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
