package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/api"
	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/compat"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/lease"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/native"
	"github.com/acequia-tv/acequia/internal/provider/static"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/store"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// keptEvents is how many events are kept in memory.
const keptEvents = 2000

// Serve runs the pool, the proxy and their HTTP server until ctx ends.
func Serve(ctx context.Context, inv cli.Invocation) error {
	s, err := newServer(ctx, inv)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// server is the parts of acequia serve.
type server struct {
	front
	boot         string // names this run of the process
	store        *store.Store
	settings     *settings
	api          *api.API
	pool         *reconcile.Pool
	leases       *lease.Table
	orchestrator *compat.Orchestrator
	provider     io.Closer // nil where the engines are somebody else's
}

// newServer composes the server and opens its port. Nothing runs yet; run or
// close must follow.
func newServer(ctx context.Context, inv cli.Invocation) (*server, error) {
	cfg, log := inv.Config, inv.Log
	s := &server{
		front: front{cfg: cfg, log: log, events: event.NewLog(keptEvents)},
		boot:  strings.ToLower(rand.Text()[:8]),
	}
	var err error
	if s.store, err = openStore(ctx, cfg, s.events, log); err != nil {
		return nil, err
	}
	s.settings = newSettings(ctx, inv, s.store, s.events)
	if s.settings.now != inv.Settings {
		cfg = s.settings.now.Config
		s.cfg = cfg
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.guard, err = openGuard(ctx, cfg.Auth, s.store, log); err != nil {
		return nil, errors.Join(err, s.close())
	}
	engines, err := s.openProvider()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	registry := telemetry.NewRegistry(inv.Build)
	s.pool = reconcile.New(reconcile.Config{
		Provider: engines, Probe: probe, Inspect: inspect, Clean: clearCache(engines),
		Events: s.events, Log: log, Policy: poolPolicy(cfg.Pool), InspectEvery: cfg.Pool.Inspect,
		Quarantine: health.QuarantinePolicy{Deaths: cfg.Pool.QuarantineAfter, For: cfg.Pool.Quarantine},
	})
	s.leases = lease.New(lease.Config{Pool: s.pool, TTL: cfg.Pool.LeaseTTL, Events: s.events})
	s.play(poolEngines{s.pool, max(1, cfg.Pool.Wait)}, playing{
		names: s.store.Names(), keep: s.store.KeepPlay, ready: s.pool.Ready, registry: registry, version: inv.Build.Version,
	})
	s.orchestrator = compat.NewOrchestrator(s.pool, s.hub, compat.Limits{Min: cfg.Pool.Min, Max: cfg.Pool.Max}, log)
	registry.MustRegister(poolCollector{s.pool})
	s.settings.apply = s.applySettings
	s.api = api.New(api.Deps{
		Guard: s.guard, Vault: s.store, Pool: s.pool, Engines: s.pool, Sizer: s.pool, Leases: s.leases,
		Streams: s.hub, Ender: s.hub, Mover: s.hub, Joiner: s.hub,
		Events: s.events, History: s.store, Database: s.store, Settings: s.settings,
		Meter: optional[provider.Inspector](engines), Logs: optional[provider.LogReader](engines),
		Log: log, Build: inv.Build, Boot: s.boot, Started: time.Now(),
	})
	s.handler = s.mux(s.routes(registry))
	return s, nil
}

// optional returns what a provider can do beyond its port, or nil.
func optional[T any](engines provider.Provider) T {
	more, _ := engines.(T)
	return more
}

func poolPolicy(cfg config.Pool) pool.Policy {
	p := pool.DefaultPolicy()
	p.Min, p.Max = cfg.Min, max(cfg.Min, cfg.Max)
	p.Spare, p.LookAhead = cfg.Spare, cfg.LookAhead
	p.StreamsPerEngine, p.OpensPerEngine = cfg.StreamsPerEngine, cfg.OpensPerEngine
	p.StartTimeout, p.DrainTimeout = cfg.StartTimeout, cfg.DrainTimeout
	p.IdleTTL, p.Cooldown = cfg.IdleTTL, cfg.Cooldown
	p.UnhealthyTTL, p.DegradedTTL = cfg.UnhealthyTTL, cfg.DegradedTTL
	p.MaxAge, p.MaxMemory, p.MaxCache = cfg.MaxAge, int64(cfg.MaxMemory), int64(cfg.MaxCache)
	return p
}

// openProvider opens where the engines come from.
func (s *server) openProvider() (provider.Provider, error) {
	switch s.cfg.Provider() {
	case config.ProviderStatic:
		return static.New(s.cfg.Static.Engines)
	case config.ProviderDocker:
		p, err := openDocker(s.cfg, s.events, s.log)
		if err != nil {
			return nil, err
		}
		s.provider = p
		return p, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file, to run engines from: %w", err)
	}
	p, err := native.Open(native.Config{
		Executable: exe,
		Args:       childArgs(s.cfg),
		Dir:        filepath.Join(s.cfg.Data, "engines"),
		Log:        s.log,
	})
	if err != nil {
		return nil, err
	}
	s.provider = p
	return p, nil
}

// childArgs are the settings of the engines that the native provider starts:
// those of engine.*, but for the ports, which are any free ones.
func childArgs(cfg config.Config) []string {
	cfg.Engine.HTTPPort, cfg.Engine.HTTPSPort, cfg.Engine.P2PPort = 0, 0, 0
	cfg.Engine.HTTPSCert, cfg.Engine.HTTPSKey = "", ""
	cfg.Engine.BindAll = false
	cfg.Engine.Supervised = true
	cfg.Log.Format = config.LogJSON
	return append(cfg.Arguments("engine"), cfg.Arguments("log")...)
}

// run serves until ctx ends, then stops in order: viewers, connections, pool,
// engines.
func (s *server) run(ctx context.Context) error { return s.runThen(ctx, nil) }

// runThen is run, and calls ready once playback can be served.
func (s *server) runThen(ctx context.Context, ready func()) error {
	s.log.Info("listening", "address", s.listener.Addr().String(), "provider", s.cfg.Provider())
	stop := context.AfterFunc(ctx, func() { s.stopping.Store(true) })
	defer stop()
	err := runAll(ctx, s.cfg.ShutdownTimeout, s.log,
		part{"store", s.store.Run},
		part{"history", func(ctx context.Context) error { return keepEvents(ctx, s.events, s.store, s.boot) }},
		part{"pool", s.pool.Run},
		part{"leases", s.leases.Run},
		part{"reports", s.orchestrator.Run},
		part{"sessions", s.engine.Run},
		part{"http", serveHTTP(s.listener, s.handler, s.log)},
		part{"live", s.api.Board().Run},
		part{"streams", s.hub.Run},
		part{"greeting", func(ctx context.Context) error { return s.greet(ctx, ready) }},
	)
	return errors.Join(err, s.close())
}

// greet tells, once, that playback can be served. Then it waits for ctx, since
// a part that ends ends them all.
func (s *server) greet(ctx context.Context, ready func()) error {
	for {
		changed := s.events.Changed()
		if s.pool.Ready() {
			break
		}
		select {
		case <-changed: // an engine became ready, perhaps
		case <-ctx.Done():
			return nil
		}
	}
	s.log.Info("ready to play", "address", s.listener.Addr().String())
	if ready != nil {
		ready()
	}
	<-ctx.Done()
	return nil
}

func (s *server) close() error {
	errs := []error{s.front.close()}
	if s.provider != nil {
		if err := s.provider.Close(); err != nil {
			errs = append(errs, fmt.Errorf("stop the engines: %w", err))
		}
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the database: %w", err))
		}
	}
	return errors.Join(errs...)
}
