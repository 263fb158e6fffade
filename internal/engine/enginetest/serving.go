package enginetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/acequia-tv/acequia/internal/engine"
)

// listenFunc opens a listener; the address it got may differ from the one asked.
type listenFunc func(addr string) (net.Listener, error)

// serving is one life of a fake's server.
type serving struct {
	server *http.Server
	cancel context.CancelFunc // ends every request
	done   chan struct{}      // closed when the accept loop has ended

	mu    sync.Mutex
	conns map[*trackedConn]struct{} // guarded by mu; nil once killed
}

// Start serves the fake on a port of loopback until the test ends.
func (f *Fake) Start(t testing.TB) *Fake {
	t.Helper()
	f.start(t, func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }, "127.0.0.1:0")
	return f
}

// StartIn serves the fake at addr of a network in memory until the test ends.
func (f *Fake) StartIn(t testing.TB, n *Net, addr string) *Fake {
	t.Helper()
	f.transport = n.Transport()
	f.start(t, n.Listen, addr)
	return f
}

func (f *Fake) start(t testing.TB, listen listenFunc, addr string) {
	t.Helper()
	f.listen, f.addr = listen, addr
	if err := f.Revive(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Kill()
		f.Clear()
	})
}

// URL returns the address of a started fake, as http://127.0.0.1:40123.
func (f *Fake) URL() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.url
}

// Transport returns the transport that reaches a fake started in a network in
// memory, and nil for one on loopback.
func (f *Fake) Transport() http.RoundTripper { return f.transport }

// Client returns a client of a started fake.
func (f *Fake) Client(t testing.TB) *engine.Client {
	t.Helper()
	c, err := engine.NewClient(f.URL(), engine.WithTransport(f.transport), engine.WithAccessToken(f.cfg.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Revive starts a killed fake again, at the address it had. Nothing of its
// former life is left but the catalogue, the faults and the counters.
func (f *Fake) Revive() error {
	f.mu.Lock()
	running, listen, addr := f.serving != nil, f.listen, f.addr
	f.mu.Unlock()
	if running {
		return errors.New("engine runs already")
	}
	l, err := listen(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &serving{cancel: cancel, done: make(chan struct{}), conns: make(map[*trackedConn]struct{})}
	s.server = &http.Server{
		Handler:     f.Handler(),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	f.mu.Lock()
	f.up, f.serving = true, s
	f.addr = l.Addr().String()
	f.url = "http://" + f.addr
	f.mu.Unlock()
	go func() {
		defer close(s.done)
		_ = s.server.Serve(&trackedListener{Listener: l, serving: s}) // ends by Kill
	}()
	return nil
}

// Kill ends the fake as a kill -9 does: its port refuses, its connections
// break, its sessions are forgotten. It returns once every request is done.
func (f *Fake) Kill() {
	f.mu.Lock()
	s := f.serving
	f.serving, f.up = nil, false
	f.mu.Unlock()
	if s == nil {
		return
	}
	s.cancel()
	_ = s.server.Close() // also the listener; its error is of no use
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
	<-s.done
	// The requests end by themselves, their contexts and connections being gone.
	_ = f.WaitFor(context.Background(), func(c Counters) bool { return c.InFlight == 0 })
	f.forget()
}

// trackedListener knows the connections it has accepted, those that handlers
// took over included.
type trackedListener struct {
	net.Listener
	serving *serving
}

func (l *trackedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &trackedConn{Conn: c, serving: l.serving}
	l.serving.mu.Lock()
	defer l.serving.mu.Unlock()
	if l.serving.conns == nil {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	l.serving.conns[t] = struct{}{}
	return t, nil
}

type trackedConn struct {
	net.Conn
	serving *serving
}

func (c *trackedConn) Close() error {
	c.serving.mu.Lock()
	delete(c.serving.conns, c)
	c.serving.mu.Unlock()
	return c.Conn.Close()
}
