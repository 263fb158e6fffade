package app

import (
	"context"
	"errors"
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
type poolEngines struct{ pool *reconcile.Pool }

// Acquire implements [stream.Engines].
func (p poolEngines) Acquire(ctx context.Context, want stream.Want) (*stream.Slot, error) {
	slot, err := p.pool.Acquire(ctx, reconcile.Request{
		Content: want.Content.String(), Official: want.Official, Exclude: want.Exclude, Wait: slotWait,
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
		Opened:   func() { slot.Report(reconcile.Outcome{Kind: reconcile.Opened}) },
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
	case engine.NotFound, engine.NotNative, engine.NoData, engine.Config,
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
