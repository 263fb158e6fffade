package app

import (
	"context"
	"errors"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/stream"
)

// poolEngines lends the pool's slots to streams. It is where the control plane
// and the data plane meet.
type poolEngines struct {
	pool *reconcile.Pool
	wait time.Duration // bound on the wait for a slot; at least a nanosecond
}

// Acquire implements [stream.Engines].
func (p poolEngines) Acquire(ctx context.Context, want stream.Want) (*stream.Slot, error) {
	slot, err := p.pool.Acquire(ctx, reconcile.Request{
		Content: want.Content.String(), Official: want.Official, Exclude: want.Exclude, Only: want.Only, Wait: p.wait,
	})
	if err != nil {
		return nil, unavailable(err)
	}
	client, err := engine.NewClient(slot.URL)
	if err != nil {
		slot.Release()
		return nil, err
	}
	return &stream.Slot{
		EngineID: slot.EngineID,
		Client:   client,
		Leaving:  slot.Draining(),
		Opened: func(session *engine.Session) {
			slot.Watch(func(ctx context.Context) (reconcile.SessionState, error) {
				stat, err := client.Stat(ctx, session)
				return reconcile.SessionState{Peers: stat.Peers, CacheUsed: stat.CacheUsed}, err
			})
			slot.Report(reconcile.Outcome{Kind: reconcile.Opened})
		},
		Report:  func(err error) { slot.Report(outcome(err)) },
		Release: slot.Release,
	}, nil
}

// codes maps the pool's reasons to the stream's.
var codes = map[reconcile.Reason]stream.Code{
	reconcile.ReasonNoEngines:  stream.CodeNoEngine,
	reconcile.ReasonFull:       stream.CodeFull,
	reconcile.ReasonBusy:       stream.CodeFull,
	reconcile.ReasonNoOfficial: stream.CodeNotNative,
	reconcile.ReasonAllTried:   stream.CodeExhausted,
	reconcile.ReasonQuarantine: stream.CodeQuarantined,
	reconcile.ReasonClosed:     stream.CodeClosing,
}

func unavailable(err error) error {
	why, ok := errors.AsType[*reconcile.Unavailable](err)
	if !ok {
		return err
	}
	return &stream.Error{Code: codes[why.Reason], Detail: why.Message, RetryAfter: why.RetryAfter, Err: err}
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
	case engine.NoData:
		kind = reconcile.Silent
	case engine.NotFound, engine.NotNative, engine.Config,
		engine.Busy, engine.Overloaded, engine.Canceled:
		kind = reconcile.Refused
	}
	return reconcile.Outcome{Kind: kind, Class: class.String()}
}

// probe asks an engine who it is.
func probe(ctx context.Context, address string) (reconcile.Identity, error) {
	client, err := engine.NewClient(address)
	if err != nil {
		return reconcile.Identity{}, err
	}
	v, err := client.Version(ctx)
	if err != nil {
		return reconcile.Identity{}, err
	}
	return reconcile.Identity{Version: v.Version, Native: v.Native}, nil
}

// inspect looks at an engine more closely.
func inspect(ctx context.Context, address string) (reconcile.Inspection, error) {
	client, err := engine.NewClient(address)
	if err != nil {
		return reconcile.Inspection{}, err
	}
	is, err := client.Condition(ctx)
	if err != nil {
		return reconcile.Inspection{}, err
	}
	return reconcile.Inspection{
		Connected: is.Connected, Sessions: is.Sessions, CacheUsed: is.CacheUsed,
		// Those that count their sessions are native, and bound their cache.
		Cleanable: is.Sessions < 0,
	}, nil
}

// clearCache returns what empties the cache of an engine that nobody uses. The
// token that this takes is the one that the provider gave the engine, or what
// the engine tells who asks from its own machine.
func clearCache(engines provider.Provider) func(ctx context.Context, id, address string) error {
	holder, _ := engines.(provider.TokenHolder)
	return func(ctx context.Context, id, address string) error {
		var token string
		if holder != nil {
			token = holder.AccessToken(id)
		}
		if token == "" {
			client, err := engine.NewClient(address)
			if err != nil {
				return err
			}
			if token, err = client.AccessToken(ctx); err != nil {
				return err
			}
		}
		client, err := engine.NewClient(address, engine.WithAccessToken(token))
		if err != nil {
			return err
		}
		return client.ClearCache(ctx)
	}
}
