package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
)

// Net is a network in memory whose connections block durably, so that it works
// in [testing/synctest] bubbles. Its connections hold no bytes: a write waits
// for the reader, like on a socket whose buffers are full. The zero Net is
// empty and ready. Safe for concurrent use.
type Net struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener // guarded by mu, by address
}

// Listen returns a listener at addr, any string such as "engine1:6878".
func (n *Net) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: memoryAddr(addr), Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners = make(map[string]*memoryListener)
	}
	l := &memoryListener{net: n, addr: memoryAddr(addr), accept: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// DialContext connects to the listener at addr. Where there is none the
// connection is refused. It has the shape of [http.Transport].DialContext.
func (n *Net) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Addr: memoryAddr(addr), Err: err}
	}
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil {
		return nil, failed(syscall.ECONNREFUSED)
	}
	near, far := net.Pipe()
	broken := new(atomic.Bool)
	select {
	case l.accept <- &memoryConn{Conn: far, broken: broken, local: l.addr}:
		return &memoryConn{Conn: near, broken: broken, local: "client"}, nil
	case <-l.closed:
		return nil, failed(syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, failed(ctx.Err())
	}
}

// Transport returns an HTTP transport over the network that keeps no idle
// connections.
func (n *Net) Transport() *http.Transport {
	return &http.Transport{DialContext: n.DialContext, DisableKeepAlives: true}
}

type memoryAddr string

func (memoryAddr) Network() string  { return "tcp" }
func (a memoryAddr) String() string { return string(a) }

type memoryListener struct {
	net    *Net
	addr   memoryAddr
	accept chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, string(l.addr))
		l.net.mu.Unlock()
		close(l.closed)
	})
	return nil
}

func (l *memoryListener) Addr() net.Addr { return l.addr }

// memoryConn is one end of a connection.
type memoryConn struct {
	net.Conn
	local  memoryAddr
	broken *atomic.Bool // shared by both ends: the connection was reset
}

func (c *memoryConn) LocalAddr() net.Addr { return c.local }

func (c *memoryConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.explain(err)
}

func (c *memoryConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.explain(err)
}

func (c *memoryConn) explain(err error) error {
	if err != nil && c.broken.Load() && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)) {
		return fmt.Errorf("%s: %w", c.local, syscall.ECONNRESET)
	}
	return err
}

// reset closes the connection such that the other end sees a reset.
func (c *memoryConn) reset() error {
	c.broken.Store(true)
	return c.Close()
}

// resetConn closes a connection without a proper end.
func resetConn(c net.Conn) {
	switch c := c.(type) {
	case *trackedConn:
		resetConn(c.Conn)
		return
	case *memoryConn:
		_ = c.reset() // the connection is gone either way
		return
	case *net.TCPConn:
		_ = c.SetLinger(0)
	}
	_ = c.Close()
}
