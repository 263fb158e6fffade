// Package api is the HTTP API under /api/v1, by which people's tools and the
// dashboard see and steer a running server. Its types are those of package
// client; the OpenAPI document that it serves is made from the same code.
//
// Every route says which scope it needs, and says it in the document too; what
// needs none is registered as such by name. What the API shows and does is
// behind small interfaces, which the program's composition provides.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/live"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// Prefix is where the API is.
const Prefix = "/api/v1"

const (
	// mostBody bounds the bodies of requests, in bytes.
	mostBody = 64 << 10
	// patience bounds the work on one request, but for those that say otherwise.
	patience = 30 * time.Second
	// bodyPatience bounds the arrival of a body.
	bodyPatience = 10 * time.Second
)

// Deps is what the API stands on. All are required but those that say so.
type Deps struct {
	Guard    *auth.Guard
	Vault    auth.Vault
	Pool     Pool
	Engines  Engines
	Sizer    Sizer
	Leases   Leases
	Streams  Streams
	Ender    Ender
	Mover    Mover
	Joiner   Joiner
	Events   *event.Log
	History  History
	Database Database
	Settings Settings
	Meter    provider.Inspector // nil where engines cannot be measured
	Logs     provider.LogReader // nil where their logs are not kept
	Log      *slog.Logger

	Build   telemetry.Build
	Boot    string    // names this run of the process
	Started time.Time // when it began
}

// API answers under [Prefix]. It is safe for concurrent use.
type API struct {
	Deps
	mux    *http.ServeMux
	huma   huma.API
	routes []Route
	board  *live.Board
	usage  usage
}

// Route is one thing that can be asked for.
type Route struct {
	Method string
	Path   string // with the prefix; {name} stands for a part
	Scope  auth.Scope
}

// Routes lists all routes, in the order they were registered.
func (a *API) Routes() []Route { return slices.Clone(a.routes) }

// New returns the API.
func New(deps Deps) *API {
	a := &API{Deps: deps, mux: http.NewServeMux()}
	a.board = a.newBoard()
	config := huma.DefaultConfig("Acequia", deps.Build.Version)
	config.Info.Description = "See and steer a running Acequia. Errors are application/problem+json with a code that never changes; " +
		"their text is in English or Spanish, by Accept-Language."
	config.Servers = []*huma.Server{{URL: Prefix}}
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // no links to schemas in the answers
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{localize}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":     {Type: "http", Scheme: "bearer", Description: "A key, as a bearer token. X-API-Key and the password of basic authentication do as well."},
		"session": {Type: "apiKey", In: "cookie", Name: auth.CookieName, Description: "A login."},
	}
	a.huma = humago.NewWithPrefix(a.mux, Prefix, config)
	a.huma.UseMiddleware(a.admit, bound)
	a.streamRoutes()
	a.preflightRoutes()
	a.engineRoutes()
	a.poolRoutes()
	a.leaseRoutes()
	a.eventRoutes()
	a.liveRoutes()
	a.historyRoutes()
	a.settingsRoutes()
	a.systemRoutes()
	a.healthRoutes()
	a.accessRoutes()
	a.documentRoutes()
	a.mux.HandleFunc("/", a.unknown)
	return a
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	a.mux.ServeHTTP(w, r)
}

// anyone is the scope of what needs neither key nor login. It is spelled out,
// so that a route without a scope is a mistake that New finds.
const anyone = auth.Scope("anyone")

// operation is one route to be registered.
type operation struct {
	id, method, path string
	scope            auth.Scope
	tag              string
	summary          string
	description      string
	status           int           // of success; 0 is 200, or 204 without a body
	slow             time.Duration // in place of patience; negative has no bound
	responses        map[string]*huma.Response
}

// scopeKey and slowKey name what operations carry for the middlewares.
const (
	scopeKey = "scope"
	slowKey  = "patience"
)

// handle registers a route. Input and output are as huma reads them.
func handle[I, O any](a *API, op operation, do func(context.Context, *I) (*O, error)) {
	if op.scope != anyone && !slices.Contains(auth.Scopes, op.scope) {
		panic(fmt.Sprintf("api: %s needs a scope", op.id))
	}
	o := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag},
		Summary: op.summary, Description: op.description, DefaultStatus: op.status, Responses: op.responses,
		MaxBodyBytes: mostBody, BodyReadTimeout: bodyPatience,
		Metadata: map[string]any{scopeKey: op.scope, slowKey: op.slow},
	}
	if op.scope != anyone {
		scope := []string{string(op.scope)}
		o.Security = []map[string][]string{{"key": scope}, {"session": scope}}
		o.Description = strings.TrimSpace(o.Description + "\n\nNeeds the scope " + string(op.scope) + ".")
	}
	a.routes = append(a.routes, Route{Method: op.method, Path: Prefix + op.path, Scope: needed(op.scope)})
	huma.Register(a.huma, o, do)
	describeErrors(a.huma.OpenAPI(), a.huma.OpenAPI().Paths[op.path], op.method)
}

func needed(s auth.Scope) auth.Scope {
	if s == anyone {
		return auth.Nobody
	}
	return s
}

type principalKey struct{}

// principal is who makes the request.
func principal(ctx context.Context) auth.Principal {
	who, _ := ctx.Value(principalKey{}).(auth.Principal)
	return who
}

type requestKey struct{}

// request is the request itself, for what is about connections and cookies.
func request(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

// admit lets pass who has the scope of the operation.
func (a *API) admit(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	scope, _ := ctx.Operation().Metadata[scopeKey].(auth.Scope)
	who, err := a.Guard.Admit(r, needed(scope))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	next(huma.WithValue(huma.WithValue(ctx, principalKey{}, who), requestKey{}, r))
}

// bound ends the work on a request that takes too long.
func bound(ctx huma.Context, next func(huma.Context)) {
	limit := patience
	if slow, _ := ctx.Operation().Metadata[slowKey].(time.Duration); slow != 0 {
		limit = slow
	}
	if limit < 0 {
		next(ctx)
		return
	}
	inner, cancel := context.WithTimeout(ctx.Context(), limit)
	defer cancel()
	next(huma.WithContext(ctx, inner))
}

// unknown answers for addresses that are none, to those who may know.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	if _, err := a.Guard.Admit(r, auth.Read); err != nil {
		a.refuse(w, r, err)
		return
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := a.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeProblem(w, r, problem{status: http.StatusMethodNotAllowed, code: codeMethod})
		return
	}
	writeProblem(w, r, problem{status: http.StatusNotFound, code: codeNoRoute})
}
