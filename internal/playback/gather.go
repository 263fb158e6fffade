package playback

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/acequia-tv/acequia/internal/stream"
)

// Gathering returns l with connections over which the bytes of a live stream
// leave in one system call per flush, uncopied. Through net/http an answer in
// chunks takes three, for what fits its buffer of 4 KiB, the rest, and the two
// bytes behind a chunk; and system calls are nearly all that a relay costs. It
// takes effect where [ConnContext] is set on the server, on TCP without TLS.
func Gathering(l net.Listener) net.Listener { return gatheringListener{l} }

type gatheringListener struct{ net.Listener }

func (l gatheringListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		raw, err := tcp.SyscallConn()
		if err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
		return &gatheringConn{TCPConn: tcp, raw: raw}, nil
	}
	return c, err
}

type connKey struct{}

// ConnContext is for [http.Server]: it lets the handler of this package know
// the connection of a request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*gatheringConn); ok {
		return context.WithValue(ctx, connKey{}, g)
	}
	return ctx
}

// gatheringConn is a connection on which a handler sends the chunks of its
// answer itself, between those parts that net/http sends: the header, and the
// end. Reads, deadlines and Close are safe for concurrent use as those of any
// connection; what writes is one goroutine at a time, as net/http has it.
type gatheringConn struct {
	*net.TCPConn
	raw syscall.RawConn
	err error // that of a chunk, after which the stream of bytes is torn
}

// Write implements [net.Conn], for net/http.
func (c *gatheringConn) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	return c.TCPConn.Write(p)
}

// send sends parts, which it uses up, at once.
func (c *gatheringConn) send(parts *net.Buffers) error {
	if c.err == nil {
		_, c.err = parts.WriteTo(c.TCPConn)
	}
	return c.err
}

// try sends parts as far as the system takes them at once, and keeps in parts
// what is left.
func (c *gatheringConn) try(parts *net.Buffers) error {
	if c.err != nil {
		return c.err
	}
	var n int
	var failed error
	err := c.raw.Write(func(fd uintptr) bool {
		n, failed = writeNow(fd, *parts)
		return true
	})
	if c.err = errors.Join(err, failed); c.err != nil {
		return c.err
	}
	skip(parts, n)
	return nil
}

// skip takes the first n bytes off parts.
func skip(parts *net.Buffers, n int) {
	p := *parts
	for len(p) > 0 && n >= len(p[0]) {
		n -= len(p[0])
		p = p[1:]
	}
	if n > 0 {
		p[0] = p[0][n:]
	}
	*parts = p
}

// liveResponse is the sink of one viewer of a live stream: an answer without
// an end. On a connection that it knows it sends the chunks itself.
type liveResponse struct {
	response
	conn   *gatheringConn // nil where the connection is of another kind
	framed bool           // in chunks, as HTTP/1.1 has it; HTTP/1.0 has the bare bytes
	head   []byte         // of the chunk being sent
	chunk  [][]byte       // place for the head, then what was written since the last flush
	left   net.Buffers    // of the chunk being sent
	size   int            // bytes written since the last flush
}

// chunkEnd follows the head of a chunk, and its bytes.
var chunkEnd = []byte("\r\n")

func newLiveResponse(w http.ResponseWriter, r *http.Request) *liveResponse {
	s := &liveResponse{
		response: response{ResponseWriter: w, control: http.NewResponseController(w)},
		framed:   r.ProtoAtLeast(1, 1),
		chunk:    make([][]byte, 1, 8),
	}
	s.conn, _ = r.Context().Value(connKey{}).(*gatheringConn)
	return s
}

// Write implements [stream.Sink].
func (s *liveResponse) Write(p []byte) (int, error) {
	if s.conn == nil {
		return s.response.Write(p)
	}
	if len(p) > 0 {
		s.chunk = append(s.chunk, p)
		s.size += len(p)
	}
	return len(p), nil
}

// Flush implements [stream.Sink].
func (s *liveResponse) Flush() error {
	if s.conn == nil || s.size == 0 { // a chunk of no bytes would end the answer
		return s.response.Flush()
	}
	if !s.begun {
		s.start()
		s.WriteHeader(http.StatusOK)
		if err := s.control.Flush(); err != nil {
			return err
		}
	}
	if len(s.left) == 0 {
		s.frame()
	}
	err := s.conn.send(&s.left)
	s.sent()
	return err
}

// frame makes a chunk of what was written.
func (s *liveResponse) frame() {
	s.left = s.chunk[1:]
	if s.framed {
		s.head = append(strconv.AppendInt(s.head[:0], int64(s.size), 16), chunkEnd...)
		s.chunk[0] = s.head
		s.chunk = append(s.chunk, chunkEnd)
		s.left = s.chunk
	}
}

// sent forgets the chunk that was sent.
func (s *liveResponse) sent() {
	clear(s.chunk)
	s.chunk, s.left, s.size = s.chunk[:1], nil, 0
}

// sink returns s as the viewer is to use it.
func (s *liveResponse) sink() stream.Sink {
	if s.conn == nil || !canWriteNow {
		return s
	}
	return promptResponse{s}
}

// promptResponse is a liveResponse that can send without waiting.
type promptResponse struct{ *liveResponse }

// Try implements [stream.Prompt].
func (s promptResponse) Try(parts [][]byte) (done bool, err error) {
	for _, p := range parts {
		if _, err := s.Write(p); err != nil {
			return false, err
		}
	}
	s.frame()
	if err := s.conn.try(&s.left); err != nil || len(s.left) > 0 {
		return false, err
	}
	s.sent()
	return true, nil
}
