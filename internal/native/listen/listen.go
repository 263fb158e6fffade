// Package listen opens the ports of an engine's HTTP API, plain and over TLS,
// and serves them until it is told to stop.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says which ports to open.
type Config struct {
	HTTPPort  int  // 0 takes any free port
	HTTPS     bool // serve TLS too
	HTTPSPort int  // 0 takes any free port
	BindAll   bool // on every interface instead of on 127.0.0.1 only

	// CertFile and KeyFile are PEM files. Where both are empty a self-signed
	// certificate is made once and kept in DataDir.
	CertFile, KeyFile string
	DataDir           string
}

// Ports are the listeners of one engine. Its owner calls Serve, or Close where
// it never comes to that.
type Ports struct {
	http, https net.Listener // https is nil without TLS
	log         *slog.Logger
}

// Open opens the ports; nothing is served yet. When it fails, nothing is left
// open.
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (*Ports, error) {
	host := "127.0.0.1"
	if cfg.BindAll {
		host = ""
	}
	listen := func(port int) (net.Listener, error) {
		var lc net.ListenConfig
		return lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	}
	p := &Ports{log: logger}
	var err error
	if p.http, err = listen(cfg.HTTPPort); err != nil {
		return nil, fmt.Errorf("open the HTTP port: %w", err)
	}
	if !cfg.HTTPS {
		return p, nil
	}
	cert, err := certificate(cfg, time.Now())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("certificate for HTTPS: %w", err), p.Close())
	}
	plain, err := listen(cfg.HTTPSPort)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the HTTPS port: %w", err), p.Close())
	}
	p.https = tls.NewListener(plain, &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		// HTTP/1.1 only: a body that breaks off must break the connection,
		// and one transfer a connection is what players do anyway.
		NextProtos: []string{"http/1.1"},
	})
	return p, nil
}

// HTTP is the address of the plain port.
func (p *Ports) HTTP() net.Addr { return p.http.Addr() }

// HTTPS is the address of the TLS port; nil where there is none.
func (p *Ports) HTTPS() net.Addr {
	if p.https == nil {
		return nil
	}
	return p.https.Addr()
}

// URL is the address of the plain port for a program on this machine, as in
// http://127.0.0.1:6878.
func (p *Ports) URL() string {
	_, port, err := net.SplitHostPort(p.http.Addr().String())
	if err != nil { // a listener of net has a port
		return ""
	}
	return "http://" + net.JoinHostPort("127.0.0.1", port)
}

// Close closes the ports.
func (p *Ports) Close() error {
	err := p.http.Close()
	if p.https != nil {
		err = errors.Join(err, p.https.Close())
	}
	return err
}

// Serve serves handler on the ports until ctx ends. Then it waits for the
// requests that are being answered, at most for grace, cuts those that are
// left, and returns nil. End the engine's sessions at the same time: playback
// has no end of its own.
func (p *Ports) Serve(ctx context.Context, handler http.Handler, grace time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range []net.Listener{p.http, p.https} {
		if l == nil {
			continue
		}
		group.Go(func() error { return serve(ctx, l, handler, grace, p.log) })
	}
	return group.Wait()
}

func serve(ctx context.Context, l net.Listener, handler http.Handler, grace time.Duration, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		_ = server.Close() // cuts what is left; there is nothing to do about an error
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
