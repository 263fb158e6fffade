package playback

import (
	"context"
	"net"
	"sync"
)

// Gathering returns l with connections over which the bytes of a live stream
// leave in one system call per flush. An answer in chunks takes net/http
// three: what fits its buffer of 4 KiB, the rest, and the two bytes behind a
// chunk; and system calls are nearly all that a relay costs. It takes effect
// where [ConnContext] is set on the server, on TCP without TLS.
func Gathering(l net.Listener) net.Listener { return gatheringListener{l} }

type gatheringListener struct{ net.Listener }

func (l gatheringListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &gatheringConn{TCPConn: tcp}, nil
	}
	return c, err
}

type connKey struct{}

// ConnContext is for [net/http.Server]: it lets the handler of this package
// know the connection of a request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*gatheringConn); ok {
		return context.WithValue(ctx, connKey{}, g)
	}
	return ctx
}

// gatheringConn is a connection that can hold writes back and then send them
// all at once. Reads, deadlines and Close are safe for concurrent use as
// those of any connection; what writes is one goroutine at a time, as
// net/http has it.
type gatheringConn struct {
	*net.TCPConn
	held *batch // nil while nothing is held back
	// source is what the handler is writing. It stays as it is until it is
	// sent, so that it need not be copied; all else that comes to Write is of
	// buffers that net/http uses again.
	source []byte
	err    error // that of a batch, after which the stream of bytes is torn
}

// batch is what was held back.
type batch struct {
	parts  net.Buffers
	copied []byte // backs those parts that are copies
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// hold begins to hold back: p is what the caller is about to write, and leaves
// unchanged until send.
func (c *gatheringConn) hold(p []byte) {
	if c.held == nil {
		c.held = batches.Get().(*batch)
	}
	c.source = p
}

// Write implements [net.Conn].
func (c *gatheringConn) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	b := c.held
	if b == nil {
		return c.TCPConn.Write(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if n := len(c.source); n > 0 && &p[len(p)-1] == &c.source[n-1] {
		b.parts = append(b.parts, p)
		return len(p), nil
	}
	at := len(b.copied)
	b.copied = append(b.copied, p...) // parts copied before keep the array they are in
	b.parts = append(b.parts, b.copied[at:])
	return len(p), nil
}

// send ends the holding back and sends what was held.
func (c *gatheringConn) send() error {
	b := c.held
	c.held, c.source = nil, nil
	if b == nil || c.err != nil {
		return c.err
	}
	left := b.parts // shrinks as it is sent
	if len(left) > 0 {
		_, c.err = left.WriteTo(c.TCPConn)
	}
	clear(b.parts)
	b.parts, b.copied = b.parts[:0], b.copied[:0]
	batches.Put(b)
	return c.err
}
