package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/stream"
)

const tagStreams = "Streams"

// Streams is what the API needs of [stream.Hub].
type Streams interface {
	Snapshot() []stream.Status
}

func (a *API) streamRoutes() {
	handle(a, operation{
		id: "list-streams", method: http.MethodGet, path: "/streams", scope: auth.Read, tag: tagStreams,
		summary: "List the streams", description: "The oldest first, each with its viewers.",
	}, func(context.Context, *none) (*answer[[]client.Stream], error) {
		return &answer[[]client.Stream]{a.streams()}, nil
	})
	handle(a, operation{
		id: "get-stream", method: http.MethodGet, path: "/streams/{id}", scope: auth.Read, tag: tagStreams,
		summary: "Show a stream",
	}, func(_ context.Context, in *identified) (*answer[client.Stream], error) {
		for _, s := range a.streams() {
			if s.ID == in.ID {
				return &answer[client.Stream]{s}, nil
			}
		}
		return nil, notFound("stream " + in.ID)
	})
}

func (a *API) streams() []client.Stream {
	all := a.Streams.Snapshot()
	list := make([]client.Stream, 0, len(all))
	for _, s := range all {
		list = append(list, streamOf(s))
	}
	return list
}

// streamID names a stream by its content, so that the name stays the same when
// the stream ends and begins again.
func streamID(s stream.Status) string {
	sum := sha256.Sum256([]byte(s.Content.String()))
	return hex.EncodeToString(sum[:6])
}

func streamOf(s stream.Status) client.Stream {
	out := client.Stream{
		ID: streamID(s), Content: s.Content.String(), Infohash: s.Infohash, State: string(s.State), Engine: s.Engine,
		Started: s.Started, Switches: s.Switches, Received: s.Received, Buffered: s.Buffered, Viewers: []client.Viewer{},
	}
	for _, v := range s.Viewers {
		out.Viewers = append(out.Viewers, client.Viewer{
			ID: v.ID, Addr: v.Client.Addr, App: v.Client.App, Since: v.Since, Sent: v.Sent, Lag: v.Lag, Skips: v.Skips,
		})
	}
	return out
}
