package compat

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/reconcile"
)

// The reasons for which the orchestrator provisions no engine that have a
// counterpart here.
const (
	codeCapacity = "max_capacity"
	codeBreaker  = "circuit_breaker"
	codeGeneral  = "general_error"
)

const (
	// answerWithin is how long a request for an engine waits until it is ready.
	// acexy gives up after 3 s, and loses sight of an engine that it was not
	// told of; so it is told in time to ask again.
	answerWithin = 2500 * time.Millisecond
	// retryLater is when to ask again where nothing better is known. acexy waits
	// for half of it the first time.
	retryLater = 10 * time.Second
	// retryStarting is when to ask again for an engine that is being started.
	retryStarting = 4 * time.Second
	// promiseFor bounds how long an engine is kept for a client that asked.
	promiseFor = time.Minute
)

// provisionDetail says why there is no engine, and what to do about it.
type provisionDetail struct {
	Error       string `json:"error"`
	Code        string `json:"code"`
	Message     string `json:"message"`
	RecoveryETA int    `json:"recovery_eta_seconds"`
	CanRetry    bool   `json:"can_retry"`
	ShouldWait  bool   `json:"should_wait"`
}

// detailOf says why there is none, and when to ask again; 0 is never.
func detailOf(code, message string, after time.Duration) *provisionDetail {
	return &provisionDetail{
		Error: "provisioning_blocked", Code: code, Message: message,
		RecoveryETA: int((after + time.Second - 1) / time.Second), CanRetry: after > 0, ShouldWait: after > 0,
	}
}

// provisionRequest is what a client may ask of an engine. Acequia starts all
// engines of a pool alike.
type provisionRequest struct {
	Image    string            `json:"image"`
	Labels   map[string]string `json:"labels"`
	Env      map[string]string `json:"env"`
	HostPort *int              `json:"host_port"`
}

// provisioned names an engine. The name is one that reaches it: acexy connects
// to container_name and container_http_port, older editions to localhost and
// host_http_port.
type provisioned struct {
	ContainerID        string `json:"container_id"`
	ContainerName      string `json:"container_name"`
	HostHTTPPort       int    `json:"host_http_port"`
	ContainerHTTPPort  int    `json:"container_http_port"`
	ContainerHTTPSPort *int   `json:"container_https_port"`
	HostAPIPort        *int   `json:"host_api_port"`
	ContainerAPIPort   *int   `json:"container_api_port"`
}

// Provision answers POST /provision/acestream with one more engine once it is
// ready. When that takes longer than the client waits, it is asked to come
// again, and gets that engine then.
func (o *Orchestrator) Provision(w http.ResponseWriter, r *http.Request) {
	var ask provisionRequest
	if r.ContentLength != 0 && !decode(w, r, &ask) {
		return
	}
	if ask.Image != "" || ask.HostPort != nil || len(ask.Env) > 0 {
		writeDetail(w, http.StatusUnprocessableEntity,
			"an engine cannot be given an image, a port or an environment of its own: all engines of the pool are alike, as its settings say")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	id, ready, err := o.promised(ctx)
	switch {
	case err != nil:
		writeDetail(w, http.StatusServiceUnavailable, unavailable(err))
		return
	case !ready:
		writeDetail(w, http.StatusServiceUnavailable, detailOf(codeGeneral, "An engine is being started. Ask again for it.", retryStarting))
		return
	}
	for _, e := range o.pool.Snapshot().Engines {
		if e.ID == id && takes(e) {
			host, port := addressOf(e.URL)
			writeJSON(w, provisioned{ContainerID: e.ID, ContainerName: host, HostHTTPPort: port, ContainerHTTPPort: port})
			return
		}
	}
	writeDetail(w, http.StatusServiceUnavailable, detailOf(codeGeneral, "The engine ended as soon as it was ready.", retryStarting))
}

// promised returns an engine that was started for a client: one that an earlier
// request did not wait for, or a new one. ready is false when it is not ready
// by the end of ctx; then it is kept for the next request.
func (o *Orchestrator) promised(ctx context.Context) (id string, ready bool, err error) {
	id, ok := o.promises.take(time.Now())
	if !ok {
		ids, err := o.pool.Start(ctx, 1)
		if err != nil {
			return "", false, err
		}
		id = ids[0]
	}
	err = o.pool.Await(ctx, id)
	switch {
	case err == nil:
		return id, true, nil
	case errors.Is(err, reconcile.ErrGone), errors.Is(err, reconcile.ErrUnknown):
		return "", false, err
	}
	o.promises.keep(id, time.Now())
	return id, false, nil
}

// promises are engines that were started for a client which did not wait.
// The zero promises are ready.
type promises struct {
	mu   sync.Mutex
	list []promise // guarded by mu; the oldest first
}

type promise struct {
	id    string
	until time.Time
}

// take returns the oldest promise, if there is one.
func (p *promises) take(now time.Time) (id string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = slices.DeleteFunc(p.list, func(x promise) bool { return now.After(x.until) })
	if len(p.list) == 0 {
		return "", false
	}
	id = p.list[0].id
	p.list = p.list[1:]
	return id, true
}

func (p *promises) keep(id string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, promise{id: id, until: now.Add(promiseFor)})
}
