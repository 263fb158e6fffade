package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/remote"
	"github.com/acequia-tv/acequia/internal/store"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// Proxy plays on the engines of another server until ctx ends.
func Proxy(ctx context.Context, inv cli.Invocation) error {
	p, err := newProxy(ctx, inv)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

// proxy is the parts of acequia proxy. It keeps nothing beyond its life: who may
// do what is in its settings alone.
type proxy struct {
	front
	vault   *store.Store // in memory, empty
	engines *remote.Engines
}

// newProxy composes the proxy and opens its port. Nothing runs yet; run or
// close must follow.
func newProxy(ctx context.Context, inv cli.Invocation) (*proxy, error) {
	cfg, log := inv.Config, inv.Log
	policy, err := accessPolicy(cfg.Auth)
	if err != nil {
		return nil, err
	}
	api, err := client.New(cfg.Orchestrator.URL, client.WithKey(cfg.Orchestrator.Key))
	if err != nil {
		return nil, err
	}
	p := &proxy{front: front{cfg: cfg, log: log, events: event.NewLog(keptEvents)}}
	if p.vault, err = store.Memory(ctx, store.Config{Log: log}); err != nil {
		return nil, err
	}
	p.guard = auth.New(p.vault, policy, log)
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.engines = remote.New(remote.Config{
		API: api, Wait: min(cfg.Pool.Wait, remote.MostWait), Log: log, Outcome: report,
		Code: func(reason string) (stream.Code, bool) {
			code, known := codes[reconcile.Reason(reason)]
			return code, known
		},
	})
	registry := telemetry.NewRegistry(inv.Build)
	p.play(p.engines, playing{ready: p.engines.Ready, registry: registry, version: inv.Build.Version})
	p.handler = p.mux(p.routes(registry))
	return p, nil
}

// report is what is told of a session on a borrowed slot.
func report(err error) client.LeaseReport {
	o := outcome(err)
	return client.LeaseReport{Outcome: string(o.Kind), Class: o.Class}
}

// run plays until ctx ends, then stops in order: viewers, connections, leases.
func (p *proxy) run(ctx context.Context) error {
	p.log.Info("listening", "address", p.listener.Addr().String(), "orchestrator", p.cfg.Orchestrator.URL)
	stop := context.AfterFunc(ctx, func() { p.stopping.Store(true) })
	defer stop()
	err := runAll(ctx, p.cfg.ShutdownTimeout, p.log,
		part{"leases", p.engines.Run},
		part{"sessions", p.engine.Run},
		part{"http", serveHTTP(p.listener, p.handler, p.log)},
		part{"streams", p.hub.Run},
	)
	return errors.Join(err, p.close())
}

func (p *proxy) close() error {
	err := p.front.close()
	if failed := p.vault.Close(); failed != nil {
		err = errors.Join(err, fmt.Errorf("close the database: %w", failed))
	}
	return err
}
