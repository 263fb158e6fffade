// Package remote plays on engines of another process: it borrows their slots
// over that one's API, and keeps each lease for as long as the stream needs it.
//
// What plays does not depend on the API. While that does not answer, streams
// stay where they are; only new ones do not start.
package remote

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/stream"
)

// API is what is asked of the orchestrator; [client.Client] is one.
type API interface {
	Lease(ctx context.Context, l client.NewLease) (client.Lease, error)
	RenewLease(ctx context.Context, id string, c client.LeaseClaim) (client.Lease, error)
	ReportLease(ctx context.Context, id string, r client.LeaseReport) error
	EndLease(ctx context.Context, id string) error
	Pool(ctx context.Context) (client.Pool, error)
}

const (
	// Grace is how long a stream stays on its engine while the API does not
	// answer. After that it looks for another one, and stays if there is none.
	Grace = 10 * time.Minute
	// callTimeout bounds one call, but for the wait for a slot.
	callTimeout = 5 * time.Second
	// endTimeout bounds the call that ends a lease, which may be the last thing
	// that a process does.
	endTimeout = 2 * time.Second
	// retry is how soon a renewal that failed is tried again.
	retry = time.Second
	// MostWait is the longest wait for a slot that the API grants.
	MostWait = time.Minute
	// askEvery is how often the pool is asked whether it is ready.
	askEvery = 5 * time.Second
)

// Config is what [Engines] stand on. All is required.
type Config struct {
	API  API
	Wait time.Duration // bound on the wait for a slot; at most MostWait
	// Outcome turns what a session ended with, nil for its first bytes, into
	// what is reported of it.
	Outcome func(error) client.LeaseReport
	// Code turns the pool's reason for having no slot into the stream's.
	Code func(reason string) (code stream.Code, known bool)
	Log  *slog.Logger
}

// Engines lends engines of another process to streams. It implements
// [stream.Engines] and is safe for concurrent use. Leases are kept while Run
// runs.
type Engines struct {
	config Config
	ready  atomic.Bool
	end    chan struct{} // closed when Run ends

	mu     sync.Mutex // guards closed against wg
	closed bool
	wg     sync.WaitGroup // the keepers of leases
}

// New returns engines. It asks for nothing yet.
func New(config Config) *Engines {
	return &Engines{config: config, end: make(chan struct{})}
}

// Ready says whether the pool was ready when it was last asked.
func (e *Engines) Ready() bool { return e.ready.Load() }

// Run asks from time to time whether the pool is ready, until ctx ends. Then it
// gives back what is still borrowed, and returns when that is done.
func (e *Engines) Run(ctx context.Context) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		e.ask(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	close(e.end)
	e.wg.Wait()
	return nil
}

// ask finds out whether the pool is ready, and tells when that changes.
func (e *Engines) ask(ctx context.Context) {
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pool, err := e.config.API.Pool(inner)
	if ctx.Err() != nil {
		return
	}
	ready := err == nil && pool.Ready > 0
	if e.ready.Swap(ready) == ready && err == nil {
		return
	}
	switch {
	case ready:
		e.config.Log.Info("the orchestrator has engines", "ready", pool.Ready)
	case err != nil:
		e.config.Log.Warn("the orchestrator does not answer: what plays goes on, and nothing new starts", "err", err)
	default:
		e.config.Log.Warn("the orchestrator has no engine that is ready")
	}
}

// Acquire implements [stream.Engines].
func (e *Engines) Acquire(ctx context.Context, want stream.Want) (*stream.Slot, error) {
	inner, cancel := context.WithTimeout(ctx, e.config.Wait+callTimeout)
	defer cancel()
	got, err := e.config.API.Lease(inner, client.NewLease{
		Content: want.Content.String(), Official: want.Official, Exclude: want.Exclude, Only: want.Only,
		Wait: int(e.config.Wait.Milliseconds()),
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, e.unavailable(err)
	}
	l := &lease{
		api: e.config.API, log: e.config.Log.With("engine", got.Engine.ID, "lease", got.ID),
		id: got.ID, claim: client.LeaseClaim{Content: got.Content, Engine: got.Engine.ID},
		every: interval(got), end: e.end,
		wake: make(chan struct{}, 1), leaving: make(chan struct{}),
	}
	engineAPI, err := engine.NewClient(got.Engine.URL)
	if err != nil {
		l.release()
	}
	e.mu.Lock()
	closed := e.closed
	if !closed {
		e.wg.Go(l.keep)
	}
	e.mu.Unlock()
	switch {
	case closed: // the lease expires by itself
		return nil, &stream.Error{Code: stream.CodeClosing, Detail: "the proxy is shutting down"}
	case err != nil:
		return nil, err
	}
	return &stream.Slot{
		EngineID: got.Engine.ID,
		Client:   engineAPI,
		Leaving:  l.leaving,
		Opened:   func(*engine.Session) { l.report(client.LeaseReport{Outcome: opened}) },
		Report:   func(err error) { l.report(e.config.Outcome(err)) },
		Release:  l.release,
	}, nil
}

// interval is how often a lease is renewed: three times before it expires.
func interval(l client.Lease) time.Duration {
	return max(retry, time.Duration(l.Expires*float64(time.Second))/3)
}

// slotCode begins the codes of problems that say why there is no slot; the
// pool's reason follows.
const slotCode = "slot_"

// unavailable turns the error of a call into the stream's.
func (e *Engines) unavailable(err error) error {
	refused, ok := errors.AsType[*client.Error](err)
	if !ok {
		return &stream.Error{Code: stream.CodeNoEngine, Detail: "The orchestrator does not answer: " + err.Error(), RetryAfter: askEvery, Err: err}
	}
	reason, of := strings.CutPrefix(refused.Code, slotCode)
	code, known := e.config.Code(reason)
	if !of || !known {
		return &stream.Error{Code: stream.CodeNoEngine, Detail: "The orchestrator refuses: " + refused.Error(), RetryAfter: askEvery, Err: err}
	}
	return &stream.Error{Code: code, Detail: refused.Detail, RetryAfter: refused.RetryAfter, Err: err}
}
