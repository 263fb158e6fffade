package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/acequia-tv/acequia/internal/playback"
)

// keepAlive notices players that vanished without a word within about a
// minute: 15 s of silence, then three probes 15 s apart.
var keepAlive = net.KeepAliveConfig{
	Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3,
}

// listenOn opens the port that players use.
func listenOn(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := lc.Listen(ctx, "tcp", address)
	if portTaken(err) {
		return nil, fmt.Errorf("port of %s is taken by another program: stop it, or choose another port with --listen: %w", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// portTaken tells whether a port could not be opened because somebody has it.
func portTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// serveHTTP answers on l until ctx ends; then it takes no more connections and
// waits for the requests that are being answered. It has no write timeout:
// playback has no end, and sets deadlines as it goes.
func serveHTTP(l net.Listener, handler http.Handler, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		server := &http.Server{
			Handler:           handler,
			ConnContext:       playback.ConnContext,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}
		failed := make(chan error, 1)
		go func() { failed <- server.Serve(playback.Gathering(l)) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		// How long this may take is the caller's to bound.
		err := server.Shutdown(context.WithoutCancel(ctx))
		if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return err
	}
}
