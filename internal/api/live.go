package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/live"
	"github.com/acequia-tv/acequia/internal/message"
)

// summary is the one row of the collection of that name.
type summary struct {
	Status  string `json:"status"` // of the worst check
	Streams int    `json:"streams"`
	Viewers int    `json:"viewers"`
	client.Pool
}

// Board returns what makes the live stream. Its Run must run for it to move.
func (a *API) Board() *live.Board { return a.board }

func (a *API) newBoard() *live.Board {
	return live.New(live.Config{
		Boot: a.Boot, Version: a.Build.Version, Events: a.Events, Log: a.Log,
		Event: func(e event.Event) any { return eventOf(a.Boot, e) },
		Collections: []live.Collection{
			{Name: "summary", Rows: a.summaryRow},
			{Name: "streams", Rows: func() map[string]any {
				return byID(a.streams(), func(s *client.Stream) string { s.Viewers = nil; return s.ID })
			}},
			{Name: "engines", Rows: func() map[string]any {
				return byID(a.engines(), func(e *client.Engine) string { return e.ID })
			}},
			{Name: "alerts", Rows: a.alertRows},
			{Name: "viewers", OnRequest: true, Rows: func() map[string]any {
				return byID(a.viewers(), func(v *client.Viewer) string { return strconv.FormatUint(v.ID, 10) })
			}},
		},
	})
}

func byID[T any](list []T, id func(*T) string) map[string]any {
	rows := make(map[string]any, len(list))
	for i := range list {
		name := id(&list[i])
		rows[name] = list[i]
	}
	return rows
}

func (a *API) summaryRow() map[string]any {
	s := summary{Status: checkOK, Pool: a.pool()}
	for _, c := range a.checks() {
		s.Status = worse(s.Status, c.status)
	}
	for _, one := range a.Streams.Snapshot() {
		s.Streams++
		s.Viewers += len(one.Viewers)
	}
	return map[string]any{"now": s}
}

// alertRows are the checks that are not well, in English: who shows them has
// the sentences by id, as all readers share what they are told.
func (a *API) alertRows() map[string]any {
	rows := make(map[string]any)
	for _, c := range a.checks() {
		if c.status != checkOK {
			rows[c.id] = c.in(message.English)
		}
	}
	return rows
}

// liveInput says what to be told.
type liveInput struct {
	Collections string  `query:"collections" maxLength:"200" doc:"Names, separated by commas: summary, streams, engines, alerts, viewers. Without, all but viewers."`
	MaxRate     float64 `query:"max_rate" minimum:"0.01" maximum:"20" doc:"Most updates per second."`
	LastEventID string  `header:"Last-Event-ID" maxLength:"64" doc:"Id of the newest message that was received; browsers send it by themselves."`
}

func (a *API) liveRoutes() {
	handle(a, operation{
		id: "live", method: http.MethodGet, path: "/live", scope: auth.Read, tag: tagEvents, slow: -1,
		summary: "Follow what changes",
		description: "Server-sent events. `hello` begins: version, boot, time, tick_ms, ping_ms. `snap` is a whole collection: " +
			"`{c, rows: {id: row}}`. `upd` is what changed: `{c, del: [id], set: {id: fields}}`; del comes first, a field that is gone is null, " +
			"lists are whole. `ev` is an event as of /events. `ping` comes when nothing else does. The id of each message resumes after it, or begins anew " +
			"with `hello` where too much was missed.",
		responses: map[string]*huma.Response{"200": {
			Description: "Messages without end.",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, a.follow)
}

func (a *API) follow(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	r := request(ctx)
	reader := live.Reader{
		Last:    in.LastEventID,
		Allowed: func() error { _, err := a.Guard.Admit(r, auth.Read); return err },
	}
	if in.Collections != "" {
		reader.Collections = strings.Split(in.Collections, ",")
	}
	if in.MaxRate > 0 {
		reader.Every = time.Duration(float64(time.Second) / in.MaxRate)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		err := a.board.Serve(w, r, reader)
		switch {
		case errors.Is(err, live.ErrCollection):
			writeProblem(w, r, problem{
				status: http.StatusUnprocessableEntity, code: codeInvalid,
				fields: []client.Field{{Location: "query.collections", Message: err.Error()}},
			})
		case err != nil:
			writeProblem(w, r, problem{status: http.StatusServiceUnavailable, code: string(auth.TooMany), retryAfter: time.Minute})
		}
	}}, nil
}
