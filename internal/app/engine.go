package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/listen"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// errOrphan ends an engine whose supervisor is gone.
var errOrphan = errors.New("the program that runs this engine has ended")

// Engine runs one engine until ctx ends: the official one of inv.Official, or a
// native one.
func Engine(ctx context.Context, inv cli.Invocation) (err error) {
	if inv.Official != "" {
		return officialEngine(ctx, inv)
	}
	cfg, log := inv.Config, inv.Log
	if cfg.Engine.Supervised {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		// This goroutine ends with standard input, which is to say with the
		// supervisor or the process.
		go func() {
			_, _ = io.Copy(io.Discard, inv.Stdin)
			cancel(errOrphan)
		}()
	}
	ports, err := listen.Open(ctx, listenConfig(cfg), log)
	if err != nil {
		return err
	}
	peers, err := resolvePeers(ctx, cfg.Engine.Peers)
	if err != nil {
		return errors.Join(err, ports.Close())
	}
	backend, err := vod.Open(vodConfig(cfg, peers), log)
	if err != nil {
		return errors.Join(fmt.Errorf("start BitTorrent: %w", err), ports.Close())
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	engine := native.New(native.Config{
		StartTimeout: cfg.Engine.StartTimeout, InternalBuffering: cfg.Engine.InternalBuffering,
		Buffer: cfg.Engine.Buffer, Window: int64(cfg.Engine.Window),
	}, native.Deps{Backend: backend, Fetcher: fetch.New(cfg.Engine.AllowPrivateURLs), Logger: log})
	registry := telemetry.NewRegistry(inv.Build)
	registry.MustRegister(engine.Metrics())
	handler := api.New(engine, api.Options{
		Version: inv.Build.Version, Hosts: cfg.Engine.Hosts, Logger: log,
		Metrics: telemetry.MetricsHandler(registry, log),
	})
	if err := announce(inv.Stdout, ports, backend, log); err != nil {
		return errors.Join(err, ports.Close())
	}
	return runAll(ctx, cfg.ShutdownTimeout, log,
		part{"http", func(ctx context.Context) error {
			return ports.Serve(ctx, withProfiles(cfg, handler), cfg.ShutdownTimeout)
		}},
		part{"sessions", engine.Run},
	)
}

// withProfiles adds the Go profiles to a handler where debug.pprof is set.
func withProfiles(cfg config.Config, handler http.Handler) http.Handler {
	if !cfg.Debug.Pprof {
		return handler
	}
	mux := http.NewServeMux()
	mux.Handle(telemetry.ProfilePath, telemetry.ProfileHandler())
	mux.Handle("/", handler)
	return mux
}

// announce says on standard output, in one line of JSON, where the engine
// listens, for the program that runs it; and in the log for people.
func announce(out io.Writer, ports *listen.Ports, backend vod.Backend, log *slog.Logger) error {
	p2p := backend.Stats().P2PPort
	attrs := []any{"url", ports.URL(), "p2p_port", p2p}
	if ports.HTTPS() != nil {
		attrs = append(attrs, "https", ports.HTTPS().String())
	}
	log.Info("engine listens", attrs...)
	line, err := json.Marshal(struct {
		Event   string `json:"event"`
		URL     string `json:"url"`
		P2PPort int    `json:"p2p_port"`
	}{"ready", ports.URL(), p2p})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}

func listenConfig(cfg config.Config) listen.Config {
	e := cfg.Engine
	return listen.Config{
		HTTPPort: e.HTTPPort, HTTPS: e.HTTPSPort != 0, HTTPSPort: e.HTTPSPort, BindAll: e.BindAll,
		CertFile: e.HTTPSCert, KeyFile: e.HTTPSKey, DataDir: cfg.Data,
	}
}

func vodConfig(cfg config.Config, peers []netip.AddrPort) vod.Config {
	e := cfg.Engine
	v := vod.Config{
		ListenHost: e.P2PHost, BindAll: e.P2PHost == "", P2PPort: e.P2PPort,
		DHT: e.DHT, PEX: e.PEX, LSD: e.LSD, HTTPTrackers: e.HTTPTrackers, UDPTrackers: e.UDPTrackers,
		NoMetadata: !e.Metadata, Webseeds: e.Webseeds, UTP: e.UTP, UPnP: e.UPnP,
		Peers: peers, UploadLimit: int64(e.UploadLimit), DownloadLimit: int64(e.DownloadLimit),
		Window: int64(e.Window), CacheLimit: int64(e.CacheLimit), StartTimeout: e.StartTimeout,
	}
	if e.DiskCache {
		v.Disk = filepath.Join(cfg.Data, "cache")
	}
	return v
}

// resolveTimeout bounds the look-up of the names in engine.peers.
const resolveTimeout = 10 * time.Second

// resolvePeers turns host:port texts into addresses.
func resolvePeers(ctx context.Context, peers []string) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var all []netip.AddrPort
	for _, p := range peers {
		host, port, err := net.SplitHostPort(p)
		if err != nil {
			return nil, fmt.Errorf("engine.peers: %w", err)
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("engine.peers: port of %s: %w", p, err)
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, fmt.Errorf("engine.peers: %s: %w", p, err)
		}
		for _, a := range addrs {
			all = append(all, netip.AddrPortFrom(a.Unmap(), uint16(number)))
		}
	}
	return all, nil
}
