package app

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/official"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// officialEngine runs one official engine until ctx ends or the engine is given
// up.
func officialEngine(ctx context.Context, inv cli.Invocation) error {
	cfg, log := inv.Config, inv.Log
	supervisor, err := official.New(inv.Official, cfg, inv.Environ, log)
	if err != nil {
		return err
	}
	parts := []part{{"engine", supervisor.Run}}
	if address := cfg.Official.Listen; address != "" {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("tell the engine's health: %w; choose another address with official.listen, or empty for none", err)
		}
		registry := telemetry.NewRegistry(inv.Build)
		registry.MustRegister(supervisor.Metrics())
		mux := http.NewServeMux()
		mux.Handle("/", supervisor.Health())
		mux.Handle("GET /metrics", telemetry.MetricsHandler(registry, log))
		log.Info("health of the engine is told", "address", l.Addr().String())
		// Before the engine, so that it is told until the engine has ended.
		parts = append([]part{{"health", serveHTTP(l, withProfiles(cfg, mux), log)}}, parts...)
	}
	return runAll(ctx, cfg.ShutdownTimeout, log, parts...)
}
