package compat

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/stream"
)

// Pool is what the orchestrator's addresses need of [reconcile.Pool].
type Pool interface {
	Snapshot() reconcile.Snapshot
	Start(ctx context.Context, n int) (ids []string, err error)
	Await(ctx context.Context, id string) error
	Acquire(ctx context.Context, r reconcile.Request) (*reconcile.Slot, error)
}

// Limits are the bounds that the orchestrator tells of its pool.
type Limits struct{ Min, Max int }

// Orchestrator answers as acestream-orchestrator does, as far as its client
// acexy, in the edition of the same author, asks
// (https://github.com/krinkuto11/acexy, acexy/orchestrator_events.go): the
// engines there are, what plays on each, another engine on demand, and word of
// what that client plays itself on an engine it chose. What it reports takes a
// slot of that engine like any other playback.
//
// Its methods are safe for concurrent use. Run ends reports that nobody ends.
type Orchestrator struct {
	pool    Pool
	streams Streams
	limits  Limits
	log     *slog.Logger

	promises promises
	reports  reports
}

// NewOrchestrator returns the answers for a pool and the streams on it.
func NewOrchestrator(p Pool, s Streams, limits Limits, log *slog.Logger) *Orchestrator {
	return &Orchestrator{pool: p, streams: s, limits: limits, log: log}
}

// Routes returns the addresses below a prefix, "" for none: acexy puts them
// behind whatever ACEXY_ORCH_URL says.
func (o *Orchestrator) Routes(prefix string) []Route {
	return []Route{
		{Pattern: "GET " + prefix + "/orchestrator/status", Access: Open, Handler: http.HandlerFunc(o.Status)},
		{Pattern: "GET " + prefix + "/engines", Access: Reads, Handler: http.HandlerFunc(o.Engines)},
		{Pattern: "GET " + prefix + "/streams", Access: Reads, Handler: http.HandlerFunc(o.Streams)},
		{Pattern: "POST " + prefix + "/provision/acestream", Access: Operates, Handler: http.HandlerFunc(o.Provision)},
		{Pattern: "POST " + prefix + "/events/stream_started", Access: Operates, Handler: http.HandlerFunc(o.StreamStarted)},
		{Pattern: "POST " + prefix + "/events/stream_ended", Access: Operates, Handler: http.HandlerFunc(o.StreamEnded)},
	}
}

// engineState is one engine. Times are in UTC; what is not known is null.
type engineState struct {
	ContainerID      string            `json:"container_id"`
	ContainerName    string            `json:"container_name"`
	Host             string            `json:"host"`
	Port             int               `json:"port"`
	Labels           map[string]string `json:"labels"`
	Forwarded        bool              `json:"forwarded"`
	FirstSeen        *time.Time        `json:"first_seen"`
	LastSeen         time.Time         `json:"last_seen"`
	HealthStatus     string            `json:"health_status"`
	LastHealthCheck  *time.Time        `json:"last_health_check"`
	LastStreamUsage  *time.Time        `json:"last_stream_usage"`
	LastCacheCleanup *time.Time        `json:"last_cache_cleanup"`
	CacheSizeBytes   *int64            `json:"cache_size_bytes"`
	Streams          []string          `json:"streams"`
}

// streamState is one stream, ours or a reported one.
type streamState struct {
	ID                string     `json:"id"`
	KeyType           string     `json:"key_type"`
	Key               string     `json:"key"`
	ContainerID       string     `json:"container_id"`
	PlaybackSessionID string     `json:"playback_session_id"`
	StatURL           string     `json:"stat_url"`
	CommandURL        string     `json:"command_url"`
	IsLive            bool       `json:"is_live"`
	StartedAt         time.Time  `json:"started_at"`
	EndedAt           *time.Time `json:"ended_at"`
	Status            string     `json:"status"` // started, ended
}

const (
	statusStarted = "started"
	statusEnded   = "ended"
)

// takes says whether an engine takes playbacks. Others are not told of: the
// client picks among those that it is told, whatever their health.
func takes(e reconcile.EngineStatus) bool {
	return e.URL != "" && (e.Phase == pool.Ready || e.Phase == pool.Degraded)
}

// Engines answers GET /engines: a bare array, the healthy ones first.
func (o *Orchestrator) Engines(w http.ResponseWriter, _ *http.Request) {
	streams := o.playing()
	snapshot := o.pool.Snapshot()
	healthy, degraded := []engineState{}, []engineState{}
	for _, e := range snapshot.Engines {
		if !takes(e) {
			continue
		}
		state := engineOf(e, snapshot.Time)
		for _, s := range streams {
			if s.ContainerID == e.ID {
				state.Streams = append(state.Streams, s.ID)
			}
		}
		if e.Phase == pool.Ready {
			healthy = append(healthy, state)
		} else {
			degraded = append(degraded, state)
		}
	}
	writeJSON(w, append(healthy, degraded...))
}

func engineOf(e reconcile.EngineStatus, now time.Time) engineState {
	host, port := addressOf(e.URL)
	health := "healthy"
	if e.Phase != pool.Ready {
		health = "unhealthy"
	}
	return engineState{
		ContainerID: e.ID, ContainerName: e.ID, Host: host, Port: port,
		Labels: map[string]string{}, Streams: []string{},
		FirstSeen: known(e.StartedAt), LastSeen: now.UTC(), HealthStatus: health,
		LastStreamUsage: known(e.LastUsed),
	}
}

// known returns a time, or nil for one that is not known.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// addressOf takes an engine's URL apart.
func addressOf(engineURL string) (host string, port int) {
	u, err := url.Parse(engineURL)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(u.Port()) // 0 for none
	return u.Hostname(), port
}

// Streams answers GET /streams, a bare array, with container_id and status as
// filters. What Acequia plays itself counts, so that nobody else takes those
// slots.
func (o *Orchestrator) Streams(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	list := []streamState{}
	for _, s := range o.playing() {
		if id := q.Get("container_id"); id != "" && id != s.ContainerID {
			continue
		}
		if status := q.Get("status"); status != "" && status != s.Status {
			continue
		}
		list = append(list, s)
	}
	writeJSON(w, list)
}

// playing returns all streams that go on, our own first.
func (o *Orchestrator) playing() []streamState {
	var list []streamState
	for _, s := range o.streams.Snapshot() {
		if s.Engine == "" {
			continue
		}
		list = append(list, streamState{
			ID: s.Content.Value, KeyType: string(s.Content.Kind), Key: s.Content.Value, ContainerID: s.Engine,
			IsLive: s.State == stream.StateLive, StartedAt: s.Started.UTC(), Status: statusStarted,
		})
	}
	return append(list, o.reports.all()...)
}

// orchestratorStatus is the answer of GET /orchestrator/status.
type orchestratorStatus struct {
	Status  string `json:"status"` // healthy, degraded, unavailable
	Engines struct {
		Total     int `json:"total"`
		Running   int `json:"running"`
		Healthy   int `json:"healthy"`
		Unhealthy int `json:"unhealthy"`
	} `json:"engines"`
	Streams struct {
		Active int `json:"active"`
		Total  int `json:"total"`
	} `json:"streams"`
	Capacity struct { // in engines
		Total       int `json:"total"`
		Used        int `json:"used"`
		Available   int `json:"available"`
		MaxReplicas int `json:"max_replicas"`
		MinReplicas int `json:"min_replicas"`
	} `json:"capacity"`
	VPN struct {
		Enabled       bool    `json:"enabled"`
		Connected     bool    `json:"connected"`
		Health        string  `json:"health"`
		Container     *string `json:"container"`
		ForwardedPort *int    `json:"forwarded_port"`
	} `json:"vpn"`
	Provisioning struct {
		CanProvision         bool             `json:"can_provision"`
		BlockedReason        *string          `json:"blocked_reason"`
		BlockedReasonDetails *provisionDetail `json:"blocked_reason_details"`
	} `json:"provisioning"`
	Timestamp time.Time `json:"timestamp"`
}

// Status answers GET /orchestrator/status. acexy asks without its key, so this
// has to be open to all, and tells numbers alone.
func (o *Orchestrator) Status(w http.ResponseWriter, _ *http.Request) {
	snapshot := o.pool.Snapshot()
	streams := o.playing()
	var s orchestratorStatus
	busy := make(map[string]bool)
	for _, p := range streams {
		busy[p.ContainerID] = true
	}
	for _, e := range snapshot.Engines {
		s.Engines.Total++
		switch e.Phase {
		case pool.Ready:
			s.Engines.Healthy++
		case pool.Degraded, pool.Unhealthy:
			s.Engines.Unhealthy++
		}
		if takes(e) {
			s.Engines.Running++
			s.Capacity.Total++
			if busy[e.ID] || e.Used > 0 {
				s.Capacity.Used++
			}
		}
	}
	s.Capacity.Available = s.Capacity.Total - s.Capacity.Used
	s.Capacity.MinReplicas, s.Capacity.MaxReplicas = o.limits.Min, o.limits.Max
	s.Streams.Active, s.Streams.Total = len(streams), len(streams)
	s.VPN.Health = "disabled"
	s.Timestamp = snapshot.Time.UTC()
	s.Provisioning.CanProvision = true
	if blocked := o.blocked(snapshot); blocked != nil {
		s.Provisioning.CanProvision = false
		s.Provisioning.BlockedReason, s.Provisioning.BlockedReasonDetails = &blocked.Message, blocked
	}
	switch {
	case s.Capacity.Total == 0:
		s.Status = "unavailable"
	case s.Engines.Unhealthy > 0 || snapshot.Blind != "":
		s.Status = "degraded"
	default:
		s.Status = "healthy"
	}
	writeJSON(w, s)
}

// blocked says why another engine cannot be had now, nil when it can.
func (o *Orchestrator) blocked(s reconcile.Snapshot) *provisionDetail {
	switch {
	case s.Wishes.Paused:
		return detailOf(codeGeneral, "The pool is paused: resume it to get more engines.", 0)
	case s.Blind != "":
		return detailOf(codeBreaker, "The engines cannot be listed: "+s.Blind+".", retryLater)
	case len(s.Engines) >= o.limits.Max:
		return detailOf(codeCapacity, "The pool is as large as pool.max allows.", retryLater)
	}
	return nil
}

// Bounds of what is taken from a client.
const (
	mostBody = 64 << 10
	mostName = 512 // bytes of an id, a key or an address
)

// decode reads a JSON body. It answers and returns false when there is none.
func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		writeDetail(w, http.StatusUnprocessableEntity, "the body is not the JSON that is expected here: "+err.Error())
		return false
	}
	return true
}

// writeDetail answers with an error as FastAPI shapes it, which the original
// is written in.
func writeDetail(w http.ResponseWriter, status int, detail any) {
	writeStatus(w, status, map[string]any{"detail": detail})
}

// atPort tells whether an engine answers on host and port, as a client names
// them. Engines of this machine go by more than one name.
func atPort(e reconcile.EngineStatus, host string, port int) bool {
	h, p := addressOf(e.URL)
	return p == port && (h == host || e.ID == host || isLoopback(h) && isLoopback(host))
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// unavailable tells an error of the pool as the orchestrator does.
func unavailable(err error) *provisionDetail {
	if errors.Is(err, provider.ErrUnsupported) {
		return detailOf(codeGeneral, "These engines are started by somebody else: the pool can start none.", 0)
	}
	if why, ok := errors.AsType[*reconcile.Unavailable](err); ok {
		code := codeGeneral
		if why.Reason == reconcile.ReasonFull {
			code = codeCapacity
		}
		return detailOf(code, why.Message, why.RetryAfter)
	}
	return detailOf(codeGeneral, err.Error(), retryLater)
}
