package api

import (
	"context"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/store"
)

// History is what the API needs of [store.Store] to tell what was.
type History interface {
	Events(ctx context.Context, q store.EventQuery) ([]store.Event, error)
	Infohash(ctx context.Context, of content.Selector) (string, error)
	ContentRecorder
	EngineRecorder
}

// ContentRecorder sums up what came of playing contents.
type ContentRecorder interface {
	ContentRecord(ctx context.Context, content string) (store.Record, error)
	ContentRecords(ctx context.Context, limit, offset int) ([]store.Record, error)
}

// EngineRecorder sums up what came of playing on engines.
type EngineRecorder interface {
	EngineRecord(ctx context.Context, engine string) (store.Record, error)
	EngineRecords(ctx context.Context, limit, offset int) ([]store.Record, error)
}

// page selects a part of a list.
type page struct {
	Limit  int `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many at most."`
	Offset int `query:"offset" minimum:"0" maximum:"1000000" doc:"How many to skip."`
}

const tagHistory = "History"

func (a *API) historyRoutes() {
	for _, list := range []struct {
		what    string
		summary string
		read    func(ctx context.Context, limit, offset int) ([]store.Record, error)
	}{
		{"contents", "Tell what came of playing each content", func(ctx context.Context, limit, offset int) ([]store.Record, error) {
			return a.History.ContentRecords(ctx, limit, offset)
		}},
		{"engines", "Tell what came of playing on each engine", func(ctx context.Context, limit, offset int) ([]store.Record, error) {
			return a.History.EngineRecords(ctx, limit, offset)
		}},
	} {
		handle(a, operation{
			id: "list-" + list.what + "-history", method: http.MethodGet, path: "/history/" + list.what, scope: auth.Read, tag: tagHistory,
			summary: list.summary, description: "The newest first; of the last 90 days.",
		}, func(ctx context.Context, in *page) (*answer[[]client.Record], error) {
			found, err := list.read(ctx, in.Limit, in.Offset)
			if err != nil {
				return nil, a.failed(err)
			}
			records := make([]client.Record, 0, len(found))
			for _, r := range found {
				records = append(records, recordOf(r))
			}
			return &answer[[]client.Record]{records}, nil
		})
	}
}

func recordOf(r store.Record) client.Record {
	out := client.Record{
		Name: r.Name, Starts: r.Starts, Failures: r.Failures, Losses: r.Losses,
		First: r.First, Last: r.Last, LastResult: r.LastResult,
	}
	if r.Starts > 0 {
		out.FirstByte, out.Slowest = inMillis(r.FirstByte), inMillis(r.SlowestFirstByte)
	}
	return out
}

func inMillis(d time.Duration) *int64 { return new(d.Milliseconds()) }
