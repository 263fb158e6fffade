package compat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/compat"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

const (
	patience  = time.Minute
	channelIH = "0a4848271c91ce2d8965ce416267c25047dc8141"
	channelID = "8ca07071b39185431f8e940ec98d1add9e561639"
)

// streams is what Acequia itself plays.
type streams []stream.Status

func (s streams) Snapshot() []stream.Status                      { return s }
func (streams) Find(want content.Selector) (stream.Status, bool) { return stream.Status{}, false }

// house is a pool of fake engines behind the orchestrator's addresses.
type house struct {
	pool   *reconcile.Pool
	server *httptest.Server

	mu    sync.Mutex
	fakes map[string]*enginetest.Fake // by engine id; guarded by mu
}

func newHouse(t *testing.T, least, most int, startDelay time.Duration, own streams) *house {
	t.Helper()
	h := &house{fakes: make(map[string]*enginetest.Fake)}
	engines := memory.New(memory.Config{StartDelay: startDelay, URL: func(id string) string {
		f := enginetest.New(enginetest.Config{Contents: []enginetest.Content{
			{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true},
		}}).Start(t)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.fakes[id] = f
		return f.URL()
	}})
	policy := pool.DefaultPolicy()
	policy.Min, policy.Max, policy.StreamsPerEngine = least, most, 1
	log := telemetrytest.Logger(t)
	h.pool = reconcile.New(reconcile.Config{
		Provider: engines, Events: event.NewLog(1000), Log: log, Policy: policy, StartInterval: 20 * time.Millisecond,
		Probe: func(ctx context.Context, address string) (reconcile.Identity, error) {
			client, err := engine.NewClient(address)
			if err != nil {
				return reconcile.Identity{}, err
			}
			v, err := client.Version(ctx)
			return reconcile.Identity{Version: v.Version}, err
		},
	})
	o := compat.NewOrchestrator(h.pool, own, compat.Limits{Min: least, Max: most}, log)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = h.pool.Run(ctx) })
	work.Go(func() { _ = o.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	mux := http.NewServeMux()
	for _, r := range slices.Concat(o.Routes(""), o.Routes("/acexy")) {
		mux.Handle(r.Pattern, r.Handler)
	}
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

// await waits until so many engines take playbacks.
func (h *house) await(t *testing.T, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		var ready []string
		for _, e := range h.pool.Snapshot().Engines {
			if e.Phase == pool.Ready {
				ready = append(ready, e.ID)
			}
		}
		if len(ready) >= n {
			return ready
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d engines are ready, not %d", len(ready), n)
		}
	}
}

// ask sends a request as acexy does and decodes the answer.
func (h *house) ask(t *testing.T, method, path string, body, into any) int {
	t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.server.URL+path, in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s %s: %s: %v", method, path, raw, err)
	}
	return res.StatusCode
}

// object is a JSON object, field by field.
type object = map[string]any

// fields returns the names of an object's fields.
func fields(o object) []string {
	var names []string
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// The answers have the fields of the original's, each of the type that acexy
// decodes (https://github.com/krinkuto11/acexy, acexy/orchestrator_events.go).
func TestOrchestratorFields(t *testing.T) {
	t.Parallel()
	own := streams{{
		Content: content.Selector{Kind: content.ContentID, Value: channelID}, State: stream.StateLive,
		Engine: "elsewhere", Started: time.Now(),
	}}
	h := newHouse(t, 2, 3, 0, own)
	ready := h.await(t, 2)
	for _, prefix := range []string{"", "/acexy"} {
		var engines []object
		if status := h.ask(t, "GET", prefix+"/engines", nil, &engines); status != 200 || len(engines) != 2 {
			t.Fatalf("%d %v", status, engines)
		}
		want := []string{
			"cache_size_bytes", "container_id", "container_name", "first_seen", "forwarded", "health_status", "host", "labels",
			"last_cache_cleanup", "last_health_check", "last_seen", "last_stream_usage", "port", "streams",
		}
		if diff := cmp.Diff(want, fields(engines[0])); diff != "" {
			t.Error(diff)
		}
		e := engines[0]
		if !slices.Contains(ready, e["container_id"].(string)) || e["host"] != "127.0.0.1" || e["port"].(float64) == 0 || e["health_status"] != "healthy" {
			t.Errorf("%v", e)
		}

		var list []object
		if status := h.ask(t, "GET", prefix+"/streams?status=started", nil, &list); status != 200 || len(list) != 1 {
			t.Fatalf("%d %v", status, list)
		}
		want = []string{
			"command_url", "container_id", "ended_at", "id", "is_live", "key", "key_type", "playback_session_id", "started_at", "stat_url", "status",
		}
		if diff := cmp.Diff(want, fields(list[0])); diff != "" {
			t.Error(diff)
		}
		if s := list[0]; s["container_id"] != "elsewhere" || s["key_type"] != "content_id" || s["key"] != channelID || s["status"] != "started" {
			t.Errorf("%v", s)
		}
		if status := h.ask(t, "GET", prefix+"/streams?container_id="+ready[0], nil, &list); status != 200 || len(list) != 0 {
			t.Errorf("the filter lets through %v", list)
		}

		var status object
		h.ask(t, "GET", prefix+"/orchestrator/status", nil, &status)
		got := object{
			"status": status["status"], "vpn": status["vpn"].(object)["connected"],
			"can_provision": status["provisioning"].(object)["can_provision"], "blocked": status["provisioning"].(object)["blocked_reason"],
			"total": status["capacity"].(object)["total"], "used": status["capacity"].(object)["used"], "available": status["capacity"].(object)["available"],
		}
		wantStatus := object{"status": "healthy", "vpn": false, "can_provision": true, "blocked": nil, "total": 2.0, "used": 0.0, "available": 2.0}
		if diff := cmp.Diff(wantStatus, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A client that goes by acexy's side of the contract: it picks an engine that
// plays nothing or asks for one, plays there, and reports.
func TestAcexyProvisionsPlaysAndReports(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 2, 0, nil)
	h.await(t, 1)
	var sessions []object
	for i := range 2 {
		host, port, id := h.selectEngine(t)
		client, err := engine.NewClient(fmt.Sprintf("http://%s:%d", host, port))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Open(t.Context(), enginetest.Infohash(channelIH), engine.OpenOptions{}); err != nil {
			t.Fatal(err)
		}
		started := object{
			"engine":  object{"host": host, "port": port},
			"stream":  object{"key_type": "infohash", "key": channelIH},
			"session": object{"playback_session_id": fmt.Sprint("p", i), "stat_url": "", "command_url": "", "is_live": 1},
			"labels":  object{"stream_id": fmt.Sprintf("%s|p%d", channelIH, i)},
		}
		var state object
		if status := h.ask(t, "POST", "/events/stream_started", started, &state); status != 200 || state["container_id"] != id {
			t.Fatalf("%d %v, want a stream on %s", status, state, id)
		}
		sessions = append(sessions, state)
		h.ask(t, "POST", "/events/stream_started", started, &state) // again: the same stream
	}
	used := 0
	for _, e := range h.pool.Snapshot().Engines {
		used += e.Used
	}
	if used != 2 {
		t.Errorf("two reported streams take %d slots", used)
	}
	var status struct {
		Capacity     struct{ Total, Used, Available int }
		Provisioning struct {
			CanProvision bool   `json:"can_provision"`
			Reason       string `json:"blocked_reason"`
		}
	}
	h.ask(t, "GET", "/orchestrator/status", nil, &status)
	if status.Capacity.Available != 0 || status.Provisioning.CanProvision || !strings.Contains(status.Provisioning.Reason, "pool.max") {
		t.Errorf("%+v", status)
	}
	var refusal struct {
		Detail struct {
			Code       string
			ShouldWait bool `json:"should_wait"`
			ETA        int  `json:"recovery_eta_seconds"`
		}
	}
	if code := h.ask(t, "POST", "/provision/acestream", object{"labels": object{}, "env": object{}}, &refusal); code != 503 ||
		refusal.Detail.Code != "max_capacity" || !refusal.Detail.ShouldWait || refusal.Detail.ETA <= 0 {
		t.Errorf("%d %+v", code, refusal)
	}
	for _, s := range sessions {
		var ended object
		h.ask(t, "POST", "/events/stream_ended", object{"stream_id": s["id"], "reason": "done"}, &ended)
		if ended["updated"] != true || ended["stream"].(object)["status"] != "ended" {
			t.Errorf("%v", ended)
		}
		h.ask(t, "POST", "/events/stream_ended", object{"stream_id": s["id"]}, &ended)
		if ended["updated"] != false {
			t.Errorf("a stream ended twice: %v", ended)
		}
	}
	for _, e := range h.pool.Snapshot().Engines {
		if e.Used != 0 {
			t.Errorf("engine %s has %d slots in use after the end", e.ID, e.Used)
		}
	}
}

// selectEngine does as acexy does: an engine without a stream, or a new one.
func (h *house) selectEngine(t *testing.T) (host string, port int, id string) {
	t.Helper()
	var engines []struct {
		ID   string `json:"container_id"`
		Host string
		Port int
	}
	h.ask(t, "GET", "/engines", nil, &engines)
	for _, e := range engines {
		var list []object
		h.ask(t, "GET", "/streams?container_id="+url.QueryEscape(e.ID)+"&status=started", nil, &list)
		if len(list) == 0 {
			return e.Host, e.Port, e.ID
		}
	}
	var p struct {
		ID   string `json:"container_id"`
		Name string `json:"container_name"`
		Port int    `json:"container_http_port"`
		Host int    `json:"host_http_port"`
	}
	if status := h.ask(t, "POST", "/provision/acestream", object{"labels": object{}, "env": object{}}, &p); status != 200 || p.Host != p.Port {
		t.Fatalf("%d %+v", status, p)
	}
	return p.Name, p.Port, p.ID
}

// acexy waits three seconds. An engine that takes longer is kept for its next
// question, and not started twice.
func TestProvisionOutlastsItsClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0, 3, 4*time.Second, nil)
	var refusal struct {
		Detail struct {
			ShouldWait bool `json:"should_wait"`
		}
	}
	if status := h.ask(t, "POST", "/provision/acestream", object{}, &refusal); status != 503 || !refusal.Detail.ShouldWait {
		t.Fatalf("%d %+v", status, refusal)
	}
	ready := h.await(t, 1)
	var p struct {
		ID string `json:"container_id"`
	}
	if status := h.ask(t, "POST", "/provision/acestream", object{}, &p); status != 200 || !slices.Contains(ready, p.ID) {
		t.Errorf("%d %+v, want the engine %v", status, p, ready)
	}
	if n := len(h.pool.Snapshot().Engines); n != 1 {
		t.Errorf("%d engines were started for one", n)
	}
}

func TestOrchestratorRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1, 0, nil)
	id := h.await(t, 1)[0]
	for _, tt := range []struct {
		path   string
		body   any
		status int
		says   string
	}{
		{"/provision/acestream", object{"image": "mine"}, 422, "image"},
		{"/provision/acestream", object{"host_port": 80}, 422, "port"},
		{"/provision/acestream", "text", 422, "JSON"},
		{"/provision/acestream", object{}, 503, "pool"},
		{"/events/stream_started", object{"container_id": id}, 422, "key"},
		{"/events/stream_started", object{"container_id": "x", "stream": object{"key": "k"}}, 404, "engine"},
		{"/events/stream_started", object{"container_id": id, "stream": object{"key": strings.Repeat("k", 1000)}}, 422, "long"},
		{"/events/stream_started", []int{1}, 422, "JSON"},
		{"/events/stream_ended", 7, 422, "JSON"},
	} {
		var answer object
		status := h.ask(t, "POST", tt.path, tt.body, &answer)
		if status != tt.status || !strings.Contains(fmt.Sprint(answer["detail"]), tt.says) {
			t.Errorf("%s %v: %d %v", tt.path, tt.body, status, answer)
		}
	}
}
