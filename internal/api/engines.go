package api

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

const tagEngines = "Engines"

// Engines is what the API does with engines; [reconcile.Pool] does it.
type Engines interface {
	Start(ctx context.Context, n int) (ids []string, err error)
	Remove(id string, force bool) error
	Restart(id string) error
	Drainer
}

// Drainer empties engines and takes them back.
type Drainer interface {
	Drain(id string) error
	Undrain(id string) error
}

// logInput asks for the log of an engine.
type logInput struct {
	Identified
	Tail   int  `query:"tail" minimum:"1" maximum:"5000" default:"200" doc:"How many of the newest lines."`
	Follow bool `query:"follow" doc:"Go on with the lines to come."`
}

// removal asks for the end of an engine.
type removal struct {
	Identified
	Force bool `query:"force" doc:"At once, streams or not."`
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
	}, func(_ context.Context, in *Identified) (*answer[client.Engine], error) {
		for _, e := range a.engines() {
			if e.ID == in.ID {
				return &answer[client.Engine]{e}, nil
			}
		}
		return nil, notFound("engine " + in.ID)
	})
	handle(a, operation{
		id: "start-engines", method: http.MethodPost, path: "/engines", scope: auth.Operate, tag: tagEngines, status: http.StatusAccepted,
		summary:     "Start engines",
		description: "Beyond what the pool needs, within pool.max. They are stopped like any other once they are idle.",
	}, func(ctx context.Context, in *input[client.StartEngines]) (*answer[client.Started], error) {
		ids, err := a.Engines.Start(ctx, in.Body.Count)
		if err != nil {
			return nil, a.failed(err)
		}
		return &answer[client.Started]{client.Started{IDs: ids}}, nil
	})
	a.engineAction("drain", "Take an engine out of service", "It gets no new streams, and those it has move to others. It stays until it is undrained or removed.",
		func(id string) error { return a.Engines.Drain(id) })
	a.engineAction("undrain", "Bring a drained engine back", "", func(id string) error { return a.Engines.Undrain(id) })
	a.engineAction("restart", "Replace an engine by a new one", "The new one has another id. Streams move to others.",
		func(id string) error { return a.Engines.Restart(id) })
	handle(a, operation{
		id: "remove-engine", method: http.MethodDelete, path: "/engines/{id}", scope: auth.Operate, tag: tagEngines,
		summary: "Remove an engine", description: "When its streams have moved, or at once. Where the pool needs as many engines, another is started.",
	}, func(_ context.Context, in *removal) (*none, error) {
		return nil, a.done(a.Engines.Remove(in.ID, in.Force))
	})
	handle(a, operation{
		id: "get-engine-stats", method: http.MethodGet, path: "/engines/{id}/stats", scope: auth.Read, tag: tagEngines,
		summary: "Measure an engine", description: "What it uses of its machine now. Not every provider can tell.",
	}, a.engineStats)
	handle(a, operation{
		id: "get-engine-logs", method: http.MethodGet, path: "/engines/{id}/logs", scope: auth.Read, tag: tagEngines, slow: -1,
		summary: "Read the log of an engine", description: "Plain lines. Not every provider keeps them.",
		responses: plainText("The newest lines, the oldest first."),
	}, a.engineLogs)
	handle(a, operation{
		id: "get-engine-history", method: http.MethodGet, path: "/engines/{id}/history", scope: auth.Read, tag: tagEngines,
		summary: "Tell what came of playing on an engine", description: "Also one that is gone.",
	}, func(ctx context.Context, in *Identified) (*answer[client.Record], error) {
		r, err := a.History.EngineRecord(ctx, in.ID)
		if err != nil {
			return nil, a.failed(err)
		}
		if r.Name == "" {
			return nil, notFound("nothing was played on engine " + in.ID)
		}
		return &answer[client.Record]{recordOf(r)}, nil
	})
}

// engineAction registers something that is done with an engine and has no
// answer.
func (a *API) engineAction(verb, summary, description string, do func(id string) error) {
	handle(a, operation{
		id: verb + "-engine", method: http.MethodPost, path: "/engines/{id}/" + verb, scope: auth.Operate, tag: tagEngines,
		summary: summary, description: description,
	}, func(_ context.Context, in *Identified) (*none, error) { return nil, a.done(do(in.ID)) })
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
	if !e.Wear.MeasuredAt.IsZero() {
		out.Memory, out.Cache, out.Measured = amount(e.Wear.Memory), amount(e.Wear.Cache), known(e.Wear.MeasuredAt)
	}
	return out
}

// amount is a number of bytes, or null where it is negative, which is to say
// not known.
func amount(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// some is a number, or null where it is 0.
func some(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// usage remembers the newest measurement of each engine, of which the next one
// makes a rate. It is safe for concurrent use.
type usage struct {
	mu   sync.Mutex
	last map[string]provider.Stats // guarded by mu; of engines that exist
}

// percent returns the share of one processor used since the last measurement.
func (u *usage) percent(id string, now provider.Stats, exist []reconcile.EngineStatus) *float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, there := u.last[id]
	kept := make(map[string]provider.Stats)
	for _, e := range exist {
		if s, ok := u.last[e.ID]; ok {
			kept[e.ID] = s
		}
	}
	u.last = kept
	u.last[id] = now
	took := now.Time.Sub(before.Time)
	if !there || took <= 0 || now.CPUTime < before.CPUTime {
		return nil
	}
	share := 100 * (now.CPUTime - before.CPUTime).Seconds() / took.Seconds()
	return &share
}

func (a *API) engineStats(ctx context.Context, in *Identified) (*answer[client.EngineStats], error) {
	if a.Meter == nil {
		return nil, unsupported("the provider of the engines does not measure them")
	}
	s, err := a.Meter.Stats(ctx, in.ID)
	if err != nil {
		return nil, a.failed(err)
	}
	if s.Time.IsZero() {
		s.Time = time.Now()
	}
	return &answer[client.EngineStats]{client.EngineStats{
		Time: s.Time, CPUSeconds: s.CPUTime.Seconds(), CPUPercent: a.usage.percent(in.ID, s, a.Pool.Snapshot().Engines),
		Memory: amount(s.Memory), MemoryLimit: some(s.MemoryLimit), Cache: amount(s.Cache), Received: some(s.Received),
	}}, nil
}

func plainText(description string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}},
	}}
}

// lineTimeout is how long a reader of lines may take nothing.
const lineTimeout = 10 * time.Second

func (a *API) engineLogs(ctx context.Context, in *logInput) (*huma.StreamResponse, error) {
	if a.Logs == nil {
		return nil, unsupported("the provider of the engines does not keep their logs")
	}
	lines, err := a.Logs.Logs(ctx, in.ID, in.Tail, in.Follow)
	if err != nil {
		return nil, a.failed(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer lines.Close()
		// Reading ends with the request, whatever the reader waits for.
		stop := context.AfterFunc(ctx, func() { lines.Close() })
		defer stop()
		_, w := humago.Unwrap(hc)
		hc.SetHeader("Content-Type", "text/plain; charset=utf-8")
		hc.SetHeader("X-Accel-Buffering", "no")
		copyLines(w, lines)
	}}, nil
}

// copyLines passes lines on as they come, until either side ends.
func copyLines(w http.ResponseWriter, from io.Reader) {
	control := http.NewResponseController(w)
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			if control.SetWriteDeadline(time.Now().Add(lineTimeout)) != nil {
				return
			}
			if _, err := w.Write(line); err != nil {
				return
			}
			if r.Buffered() == 0 && control.Flush() != nil {
				return
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
