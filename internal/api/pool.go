package api

import (
	"context"
	"net/http"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

const tagPool = "Pool"

// Pool is what the API shows of [reconcile.Pool].
type Pool interface {
	Snapshot() reconcile.Snapshot
	Plan() (d pool.Decision, known bool)
}

// Sizer is what the API does with the size of [reconcile.Pool].
type Sizer interface {
	Scale(n int) error
	Auto()
	Pause()
	Resume()
}

func (a *API) poolRoutes() {
	handle(a, operation{
		id: "get-pool", method: http.MethodGet, path: "/pool", scope: auth.Read, tag: tagPool,
		summary: "Show the pool",
	}, a.showPool)
	handle(a, operation{
		id: "get-plan", method: http.MethodGet, path: "/pool/plan", scope: auth.Read, tag: tagPool,
		summary: "Show what the pool is about to do, and why", description: "Nothing is done by asking.",
	}, func(context.Context, *none) (*answer[client.Plan], error) {
		return &answer[client.Plan]{planOf(a.Pool.Plan())}, nil
	})
	handle(a, operation{
		id: "scale-pool", method: http.MethodPut, path: "/pool/scale", scope: auth.Operate, tag: tagPool,
		summary:     "Hold the pool at a number of engines",
		description: "Whatever the demand, until it is scaled again or the server is restarted; never above pool.max. What plays is not stopped.",
	}, func(ctx context.Context, in *input[client.Scale]) (*answer[client.Pool], error) {
		if in.Body.Engines == nil {
			a.Sizer.Auto()
		} else if err := a.Sizer.Scale(*in.Body.Engines); err != nil {
			return nil, problem{
				status: http.StatusUnprocessableEntity, code: codeInvalid,
				fields: []client.Field{{Location: "body.engines", Message: err.Error()}},
			}
		}
		return a.showPool(ctx, nil)
	})
	handle(a, operation{
		id: "pause-pool", method: http.MethodPost, path: "/pool/pause", scope: auth.Operate, tag: tagPool,
		summary: "Pause the pool", description: "Nothing is started or stopped by itself until it is resumed or the server is restarted. What is ready goes on playing.",
	}, func(ctx context.Context, _ *none) (*answer[client.Pool], error) {
		a.Sizer.Pause()
		return a.showPool(ctx, nil)
	})
	handle(a, operation{
		id: "resume-pool", method: http.MethodPost, path: "/pool/resume", scope: auth.Operate, tag: tagPool,
		summary: "End a pause",
	}, func(ctx context.Context, _ *none) (*answer[client.Pool], error) {
		a.Sizer.Resume()
		return a.showPool(ctx, nil)
	})
}

func (a *API) showPool(context.Context, *none) (*answer[client.Pool], error) {
	return &answer[client.Pool]{a.pool()}, nil
}

func (a *API) pool() client.Pool {
	s := a.Pool.Snapshot()
	_, now := a.Settings.Settings()
	out := client.Pool{
		Engines: len(s.Engines), Waiting: s.Waiting, Target: s.Target.Engines, TargetReason: s.Target.Reason,
		Paused: s.Wishes.Paused, Min: now.Config.Pool.Min, Max: now.Config.Pool.Max,
		Quarantined: append([]string{}, s.Quarantined...), Blind: s.Blind, Unready: s.Unready,
	}
	if s.Wishes.Scaled {
		out.Scale = &s.Wishes.Scale
	}
	for _, e := range s.Engines {
		if e.Phase == pool.Ready || e.Phase == pool.Degraded {
			out.Ready++
			out.Slots += e.Slots
		}
		out.Used += e.Used
	}
	return out
}

func planOf(d pool.Decision, listed bool) client.Plan {
	p := client.Plan{
		Known: listed, Target: d.Target.Engines, TargetReason: d.Target.Reason,
		Actions: []client.Action{}, Later: []client.Action{},
	}
	for _, step := range d.Actions {
		p.Actions = append(p.Actions, client.Action{Op: string(step.Op), Engine: step.ID, Cause: string(step.Cause), Reason: step.Reason})
	}
	for _, h := range d.Held {
		p.Later = append(p.Later, client.Action{Op: string(h.Op), Engine: h.ID, Reason: h.Reason, Until: known(h.Until)})
	}
	return p
}
