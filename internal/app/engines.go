package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/stream"
)

// slotWait bounds how long a playback waits for a slot on an engine. A native
// engine starts in a second or two; players give up after ten to fifteen.
const slotWait = 10 * time.Second

// poolEngines lends the pool's slots to streams. It is where the control plane
// and the data plane meet.
type poolEngines struct {
	pool    *reconcile.Pool
	clients *clients
}

// Acquire implements [stream.Engines].
func (p *poolEngines) Acquire(ctx context.Context, want stream.Want) (*stream.Slot, error) {
	slot, err := p.pool.Acquire(ctx, reconcile.Request{
		Content: want.Content.String(), Official: want.Official, Exclude: want.Exclude, Wait: slotWait,
	})
	if err != nil {
		return nil, unavailable(err)
	}
	client, err := p.clients.of(slot.URL)
	if err != nil {
		slot.Release()
		return nil, err
	}
	return &stream.Slot{
		EngineID: slot.EngineID,
		Client:   client,
		Report:   func(err error) { slot.Report(outcome(err)) },
		Release:  slot.Release,
	}, nil
}

// codes maps the pool's reasons to the stream's.
var codes = map[reconcile.Reason]stream.Code{
	reconcile.ReasonNoEngines:  stream.CodeNoEngine,
	reconcile.ReasonFull:       stream.CodeFull,
	reconcile.ReasonBusy:       stream.CodeFull,
	reconcile.ReasonNoOfficial: stream.CodeNotNative,
	reconcile.ReasonAllTried:   stream.CodeExhausted,
	reconcile.ReasonClosed:     stream.CodeClosing,
}

func unavailable(err error) error {
	why, ok := errors.AsType[*reconcile.Unavailable](err)
	if !ok {
		return err
	}
	return &stream.Error{Code: codes[why.Reason], RetryAfter: why.RetryAfter, Err: err}
}

// outcome tells the pool what came of a session. An engine is not to blame for
// content that it cannot find, or that nobody sends.
func outcome(err error) reconcile.Outcome {
	if err == nil {
		return reconcile.Outcome{Kind: reconcile.FirstByte}
	}
	class := engine.ClassOf(err)
	kind := reconcile.Failed
	switch class {
	case engine.NotFound, engine.NotNative, engine.NoData, engine.Config, engine.Busy, engine.Canceled:
		kind = reconcile.Refused
	}
	return reconcile.Outcome{Kind: kind, Class: class.String()}
}

// clients keeps one client per engine address. It is safe for concurrent use.
type clients struct {
	mu        sync.Mutex
	byAddress map[string]*engine.Client // guarded by mu
}

// of returns the client of the engine at an address.
func (c *clients) of(address string) (*engine.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, ok := c.byAddress[address]; ok {
		return client, nil
	}
	client, err := engine.NewClient(address)
	if err != nil {
		return nil, err
	}
	if c.byAddress == nil {
		c.byAddress = make(map[string]*engine.Client)
	}
	c.byAddress[address] = client
	return client, nil
}

// probe asks an engine who it is.
func (c *clients) probe(ctx context.Context, address string) (reconcile.Identity, error) {
	client, err := c.of(address)
	if err != nil {
		return reconcile.Identity{}, err
	}
	v, err := client.Version(ctx)
	if err != nil {
		return reconcile.Identity{}, err
	}
	return reconcile.Identity{Version: v.Version, Native: v.Native}, nil
}
