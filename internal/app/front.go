package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/compat"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/playback"
	"github.com/acequia-tv/acequia/internal/store"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

// front is what players have to do with, wherever the engines come from: the
// port, who may use it, and the streams.
type front struct {
	cfg      config.Config
	log      *slog.Logger
	listener net.Listener
	events   *event.Log
	guard    *auth.Guard
	hub      *stream.Hub
	player   *playback.Handler
	engine   *compat.Engine
	handler  http.Handler
	shift    *timeshift.Store // nil where nothing is kept
	ready    func() bool      // an engine takes playbacks
	stopping atomic.Bool
}

// open opens the port and where live streams are kept. close must follow, also
// where it fails.
func (f *front) open(ctx context.Context) (err error) {
	if f.listener, err = listenOn(ctx, f.cfg.Listen); err != nil {
		return err
	}
	return f.openTimeshift()
}

// openTimeshift opens where live streams are kept, if they are to be.
func (f *front) openTimeshift() (err error) {
	cfg := f.cfg.Playback
	if cfg.Timeshift == 0 {
		return nil
	}
	f.shift, err = timeshift.Open(filepath.Join(f.cfg.Data, "timeshift"),
		timeshift.Config{Keep: cfg.Timeshift, Limit: int64(cfg.TimeshiftLimit)}, f.log)
	return err
}

// playing is what streams stand on beside their engines.
type playing struct {
	names    stream.Knowledge // nil keeps none
	keep     func(store.Play) // nil keeps none
	ready    func() bool
	registry *prometheus.Registry
	version  string
}

// play composes the streams, on engines, and what players speak to.
func (f *front) play(engines stream.Engines, on playing) {
	watch := newObserver(on.registry, f.events, f.log)
	watch.keep = on.keep
	cfg := streamConfig(f.cfg.Playback)
	cfg.Knowledge, cfg.Timeshift = on.names, f.shift
	f.hub = stream.NewHub(cfg, engines, f.log, watch.observe)
	f.player = playback.New(f.hub, f.log)
	f.engine = compat.NewEngine(f.hub, f.player, on.version)
	f.ready = on.ready
	on.registry.MustRegister(hubCollector{f.hub})
}

func streamConfig(cfg config.Playback) stream.Config {
	return stream.Config{
		Linger: cfg.Linger, StartTimeout: cfg.StartTimeout, StallTimeout: cfg.StallTimeout,
		Burst: cfg.Burst, Hedge: hedge(cfg), WriteTimeout: cfg.WriteTimeout,
		Outage: cfg.Outage, Buffer: int(cfg.Buffer),
		Memory: int(cfg.Memory), MaxViewers: cfg.MaxViewers, MaxStreams: cfg.MaxStreams,
		HLS: hls.Config{
			Segment: cfg.HLSSegment, Part: cfg.HLSPart, Window: cfg.HLSWindow,
			HoldBack: cfg.Burst, Memory: int(cfg.Buffer),
		},
	}
}

// hedge leaves a second engine the better part of the start timeout, whatever
// that is.
func hedge(cfg config.Playback) time.Duration {
	return min(cfg.Hedge, cfg.StartTimeout/3)
}

func (f *front) close() error {
	if f.listener != nil {
		f.listener.Close()
	}
	if f.shift != nil {
		if err := f.shift.Close(); err != nil {
			return fmt.Errorf("end time shift: %w", err)
		}
	}
	return nil
}
