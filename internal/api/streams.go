package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/stream"
)

const tagStreams = "Streams"

// Streams is what the API shows of [stream.Hub].
type Streams interface {
	Snapshot() []stream.Status
	Find(want content.Selector) (stream.Status, bool)
}

// Ender ends streams and sends viewers away; [stream.Hub] does. Both say
// whether there was one, and have the viewers and the log told why.
type Ender interface {
	Stop(want content.Selector, why string) bool
	Disconnect(viewer uint64, why string) bool
}

// Mover moves streams to other engines; [stream.Hub] does.
type Mover interface {
	Move(ctx context.Context, want content.Selector, to string) error
}

// movePatience bounds a move, which waits until the other engine delivers.
const movePatience = 2 * time.Minute

// asked is why a stream or viewer ends that somebody ended.
const asked = "somebody asked for it"

type moveInput struct {
	Identified
	Body client.Move
}

type viewerInput struct {
	ID uint64 `path:"id" doc:"Its id."`
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
	}, func(_ context.Context, in *Identified) (*answer[client.Stream], error) {
		s, err := a.stream(in.ID)
		if err != nil {
			return nil, err
		}
		return &answer[client.Stream]{streamOf(s)}, nil
	})
	handle(a, operation{
		id: "stop-stream", method: http.MethodDelete, path: "/streams/{id}", scope: auth.Operate, tag: tagStreams,
		summary: "Stop a stream", description: "Its viewers are sent away.",
	}, func(_ context.Context, in *Identified) (*none, error) {
		s, err := a.stream(in.ID)
		if err != nil {
			return nil, err
		}
		if !a.Ender.Stop(s.Content, asked) {
			return nil, notFound("stream " + in.ID)
		}
		return nil, nil
	})
	handle(a, operation{
		id: "move-stream", method: http.MethodPost, path: "/streams/{id}/move", scope: auth.Operate, tag: tagStreams, slow: movePatience,
		summary:     "Move a stream to another engine",
		description: "Answers when the other engine delivers. Viewers see no seam; where the other engine does not play it, the stream stays where it is.",
	}, func(ctx context.Context, in *moveInput) (*none, error) {
		s, err := a.stream(in.ID)
		if err != nil {
			return nil, err
		}
		return nil, a.done(moveProblem(a.Mover.Move(ctx, s.Content, in.Body.Engine)))
	})
	handle(a, operation{
		id: "list-viewers", method: http.MethodGet, path: "/viewers", scope: auth.Read, tag: tagStreams,
		summary: "List the viewers of all streams",
	}, func(context.Context, *none) (*answer[[]client.Viewer], error) {
		return &answer[[]client.Viewer]{a.viewers()}, nil
	})
	handle(a, operation{
		id: "disconnect-viewer", method: http.MethodDelete, path: "/viewers/{id}", scope: auth.Operate, tag: tagStreams,
		summary: "Send a viewer away", description: "Players may come back by themselves.",
	}, func(_ context.Context, in *viewerInput) (*none, error) {
		if !a.Ender.Disconnect(in.ID, asked) {
			return nil, notFound("there is no such viewer")
		}
		return nil, nil
	})
}

// stream finds a stream by its id.
func (a *API) stream(id string) (stream.Status, error) {
	for _, s := range a.Streams.Snapshot() {
		if streamID(s) == id {
			return s, nil
		}
	}
	return stream.Status{}, notFound("stream " + id)
}

func (a *API) streams() []client.Stream {
	all := a.Streams.Snapshot()
	list := make([]client.Stream, 0, len(all))
	for _, s := range all {
		list = append(list, streamOf(s))
	}
	return list
}

func (a *API) viewers() []client.Viewer {
	list := []client.Viewer{}
	for _, s := range a.Streams.Snapshot() {
		list = append(list, viewersOf(s)...)
	}
	return list
}

// streamID names a stream by its content, so that the name stays the same when
// the stream ends and begins again.
func streamID(s stream.Status) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d %t", s.Content.Kind, s.Content.Value, s.Content.File, s.Content.Chosen))
	return hex.EncodeToString(sum[:6])
}

func streamOf(s stream.Status) client.Stream {
	out := client.Stream{
		ID: streamID(s), Content: s.Content.String(), Infohash: s.Infohash, State: string(s.State), Engine: s.Engine,
		Started: s.Started, Switches: s.Switches, Received: s.Received, Buffered: s.Buffered,
		Watching: len(s.Viewers), Viewers: viewersOf(s), Tries: []client.Try{}, Changes: []client.Switch{},
	}
	for _, t := range s.Start.Tries {
		out.Tries = append(out.Tries, tryOf(t))
	}
	for _, c := range s.Changes {
		out.Changes = append(out.Changes, client.Switch{
			At: c.At, From: c.From, To: c.To, Reason: string(c.Reason), Gap: c.Gap.Milliseconds(), Seamless: c.Seamless,
		})
	}
	if m := s.Mark; m != nil {
		out.Mark = &client.Mark{
			Reason: string(m.Reason), Since: m.Since, Until: m.Until,
			Engines: append([]string{}, m.Engines...), Settled: m.Settled,
		}
	}
	return out
}

func tryOf(t stream.Try) client.Try {
	out := client.Try{
		Engine: t.Engine, After: t.After.Milliseconds(), Stage: t.Stage.String(), Took: map[string]int64{}, Won: t.Won,
	}
	for i, took := range t.Took {
		if took > 0 {
			out.Took[stream.Stage(i).String()] = took.Milliseconds()
		}
	}
	if t.Err != nil {
		out.Error = string(stream.CodeOf(t.Err))
	}
	return out
}

func viewersOf(s stream.Status) []client.Viewer {
	list := make([]client.Viewer, 0, len(s.Viewers))
	for _, v := range s.Viewers {
		one := client.Viewer{
			ID: v.ID, Stream: streamID(s), Addr: v.Client.Addr, App: v.Client.App, Form: string(v.Form), Since: v.Since,
			Sent: v.Sent, Rate: v.Rate, Lag: v.Lag, Behind: v.Behind.Milliseconds(), Skips: v.Skips,
		}
		if v.Wait > 0 {
			one.Wait = inMillis(v.Wait)
		}
		list = append(list, one)
	}
	return list
}
