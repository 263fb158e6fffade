package compat

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

const (
	// mostReports bounds the streams that clients report at a time.
	mostReports = 1000
	// reportSlotWait is how long a report waits for a slot of its engine. The
	// stream plays already: it is counted with one or without.
	reportSlotWait = time.Second
	// sweepEvery is how often reported streams are looked after.
	sweepEvery = 30 * time.Second
	// reportFor bounds a report whose engine has no statistics to ask for.
	reportFor = 24 * time.Hour
)

// startedReport is the body of POST /events/stream_started.
type startedReport struct {
	ContainerID string `json:"container_id"`
	Engine      struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	} `json:"engine"`
	Stream struct {
		KeyType string `json:"key_type"`
		Key     string `json:"key"`
	} `json:"stream"`
	Session struct {
		PlaybackSessionID string `json:"playback_session_id"`
		StatURL           string `json:"stat_url"`
		CommandURL        string `json:"command_url"`
		IsLive            int    `json:"is_live"`
	} `json:"session"`
	Labels map[string]string `json:"labels"`
}

// id is the stream's name in later reports: the client's, or made as it makes
// them.
func (r startedReport) id() string {
	if id := r.Labels["stream_id"]; id != "" {
		return id
	}
	return r.Stream.Key + "|" + r.Session.PlaybackSessionID
}

func (r startedReport) fault() string {
	for _, s := range []string{r.id(), r.Stream.KeyType, r.Stream.Key, r.Session.PlaybackSessionID, r.Session.StatURL, r.Session.CommandURL} {
		if len(s) > mostName {
			return "a name or an address is too long"
		}
	}
	if r.Stream.Key == "" {
		return "stream.key is missing: it names the content"
	}
	return ""
}

// endedReport is the body of POST /events/stream_ended.
type endedReport struct {
	ContainerID string `json:"container_id"`
	StreamID    string `json:"stream_id"`
	Reason      string `json:"reason"`
}

// report is a stream that a client plays itself.
type report struct {
	state  streamState
	engine string // URL
	slot   *reconcile.Slot
}

// StreamStarted answers POST /events/stream_started. A stream that is reported
// again is the same one.
func (o *Orchestrator) StreamStarted(w http.ResponseWriter, r *http.Request) {
	var in startedReport
	if !decode(w, r, &in) {
		return
	}
	if fault := in.fault(); fault != "" {
		writeDetail(w, http.StatusUnprocessableEntity, fault)
		return
	}
	e, ok := o.reportedEngine(in)
	if !ok {
		writeDetail(w, http.StatusNotFound, "there is no such engine in the pool: name one of GET /engines by container_id, or by its host and port")
		return
	}
	rep := &report{engine: e.URL, state: streamState{
		ID: in.id(), KeyType: in.Stream.KeyType, Key: in.Stream.Key, ContainerID: e.ID,
		PlaybackSessionID: in.Session.PlaybackSessionID, StatURL: in.Session.StatURL, CommandURL: in.Session.CommandURL,
		IsLive: in.Session.IsLive != 0, StartedAt: time.Now().UTC(), Status: statusStarted,
	}}
	if old, ok := o.reports.find(rep.state.ID); ok {
		writeJSON(w, old)
		return
	}
	slot, err := o.pool.Acquire(r.Context(), reconcile.Request{Content: in.Stream.KeyType + ":" + in.Stream.Key, Only: e.ID, Wait: reportSlotWait})
	if err == nil {
		slot.Report(reconcile.Outcome{Kind: reconcile.Opened})
		rep.slot = slot
	} else {
		o.log.Warn("a reported stream has no slot: its client uses more of the engine than the pool gives", "engine", e.ID, "err", err)
	}
	if !o.reports.add(rep) {
		rep.release()
		writeDetail(w, http.StatusServiceUnavailable, "too many streams are reported: end some with POST /events/stream_ended")
		return
	}
	o.log.Info("a stream was reported", "engine", e.ID, "content", in.Stream.Key)
	writeJSON(w, rep.state)
}

// reportedEngine finds the engine that a client means. acexy puts its own
// container's id in container_id where it was given one, so host and port count
// first.
func (o *Orchestrator) reportedEngine(in startedReport) (reconcile.EngineStatus, bool) {
	engines := o.pool.Snapshot().Engines
	i := slices.IndexFunc(engines, func(e reconcile.EngineStatus) bool { return atPort(e, in.Engine.Host, in.Engine.Port) })
	if i < 0 {
		i = slices.IndexFunc(engines, func(e reconcile.EngineStatus) bool { return e.ID == in.ContainerID })
	}
	if i < 0 {
		return reconcile.EngineStatus{}, false
	}
	return engines[i], true
}

// StreamEnded answers POST /events/stream_ended. The end of a stream that is
// not known changes nothing, and is no error.
func (o *Orchestrator) StreamEnded(w http.ResponseWriter, r *http.Request) {
	var in endedReport
	if !decode(w, r, &in) {
		return
	}
	state, ok := o.reports.end(in.StreamID)
	if !ok {
		writeJSON(w, map[string]any{"updated": false, "stream": nil})
		return
	}
	o.log.Info("a reported stream ended", "engine", state.ContainerID, "content", state.Key, "reason", in.Reason)
	writeJSON(w, map[string]any{"updated": true, "stream": state})
}

// Run looks after reported streams until ctx ends: one whose engine is gone or
// does not know its session any more is over, whether its client says so or
// not. In the end it gives all slots back.
func (o *Orchestrator) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			o.sweep(ctx)
		case <-ctx.Done():
			for _, rep := range o.reports.list() {
				o.reports.end(rep.state.ID)
			}
			return nil
		}
	}
}

// sweep ends the reports of streams that are over.
func (o *Orchestrator) sweep(ctx context.Context) {
	engines := o.pool.Snapshot().Engines
	for _, rep := range o.reports.list() {
		there := slices.ContainsFunc(engines, func(e reconcile.EngineStatus) bool { return e.ID == rep.state.ContainerID })
		if !there || o.over(ctx, rep) {
			o.reports.end(rep.state.ID)
			o.log.Info("a reported stream is over", "engine", rep.state.ContainerID, "content", rep.state.Key)
		}
	}
}

// over asks the engine whether it is. An engine that does not answer leaves the
// question open.
func (o *Orchestrator) over(ctx context.Context, rep *report) bool {
	client, err := engine.NewClient(rep.engine)
	if err != nil {
		return false
	}
	session, err := client.SessionAt(rep.state.StatURL)
	if err != nil {
		return time.Since(rep.state.StartedAt) > reportFor
	}
	_, err = client.Stat(ctx, session)
	return engine.ClassOf(err) == engine.SessionLost
}

// release gives the slot back.
func (r *report) release() {
	if r.slot != nil {
		r.slot.Release()
	}
}

// reports are the streams that clients told of. The zero reports are ready;
// safe for concurrent use. Reports in it do not change.
type reports struct {
	mu   sync.Mutex
	byID map[string]*report // guarded by mu
}

// add takes a report, unless there are too many.
func (t *reports) add(r *report) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = make(map[string]*report)
	}
	if old := t.byID[r.state.ID]; old != nil { // two at once: one slot will do
		old.release()
	} else if len(t.byID) >= mostReports {
		return false
	}
	t.byID[r.state.ID] = r
	return true
}

func (t *reports) find(id string) (streamState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.byID[id]; r != nil {
		return r.state, true
	}
	return streamState{}, false
}

// end forgets a report, gives its slot back and returns what it was.
func (t *reports) end(id string) (streamState, bool) {
	t.mu.Lock()
	r := t.byID[id]
	delete(t.byID, id)
	t.mu.Unlock()
	if r == nil {
		return streamState{}, false
	}
	r.release()
	state := r.state
	state.Status, state.EndedAt = statusEnded, known(time.Now())
	return state, true
}

// list returns the reports, the oldest first.
func (t *reports) list() []*report {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*report, 0, len(t.byID))
	for _, r := range t.byID {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *report) int { return a.state.StartedAt.Compare(b.state.StartedAt) })
	return all
}

func (t *reports) all() []streamState {
	var states []streamState
	for _, r := range t.list() {
		states = append(states, r.state)
	}
	return states
}
