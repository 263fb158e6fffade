package api

import (
	"context"
	"net/http"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/stream"
)

const tagEngines = "Engines"

// Pool is what the API needs of [reconcile.Pool].
type Pool interface {
	Snapshot() reconcile.Snapshot
}

func (a *API) engineRoutes() {
	handle(a, operation{
		id: "list-engines", method: http.MethodGet, path: "/engines", scope: auth.Read, tag: tagEngines,
		summary: "List the engines",
	}, func(context.Context, *none) (*answer[[]client.Engine], error) {
		return &answer[[]client.Engine]{a.engines()}, nil
	})
	handle(a, operation{
		id: "get-engine", method: http.MethodGet, path: "/engines/{id}", scope: auth.Read, tag: tagEngines,
		summary: "Show an engine",
	}, func(_ context.Context, in *identified) (*answer[client.Engine], error) {
		for _, e := range a.engines() {
			if e.ID == in.ID {
				return &answer[client.Engine]{e}, nil
			}
		}
		return nil, notFound("engine " + in.ID)
	})
}

// engines lists the engines of the pool with what they play.
func (a *API) engines() []client.Engine {
	plays := make(map[string][]string)
	for _, s := range a.Streams.Snapshot() {
		plays[s.Engine] = append(plays[s.Engine], streamID(s))
	}
	snapshot := a.Pool.Snapshot()
	list := make([]client.Engine, 0, len(snapshot.Engines))
	for _, e := range snapshot.Engines {
		list = append(list, engineOf(e, plays[e.ID]))
	}
	return list
}

func engineOf(e reconcile.EngineStatus, streams []string) client.Engine {
	if streams == nil {
		streams = []string{}
	}
	out := client.Engine{
		ID: e.ID, URL: e.URL, Kind: string(e.Kind), Version: e.Version, State: string(e.Phase), Since: e.Since,
		Reason: e.Reason, LastError: e.LastError, Started: known(e.StartedAt),
		Slots: e.Slots, Used: e.Used, LastUsed: known(e.LastUsed), Streams: streams,
	}
	if e.P2PPort != 0 {
		out.P2PPort = &e.P2PPort
	}
	return out
}

var _ Pool = (*reconcile.Pool)(nil)
var _ Streams = (*stream.Hub)(nil)
