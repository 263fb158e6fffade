package playback

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// pair returns both ends of a TCP connection, the first one gathering.
func pair(t *testing.T) (*gatheringConn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c, err := Gathering(l).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*gatheringConn), peer
}

func write(t *testing.T, w io.Writer, p []byte) {
	t.Helper()
	if n, err := w.Write(p); n != len(p) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(p), err)
	}
}

func TestGatheringSendsWhatWasHeld(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	frame := []byte("4\r\n")
	source := []byte("abcd")
	var want []byte
	for round := range 3 { // batches are used again
		c.hold(source)
		write(t, c, frame)
		write(t, c, nil)
		write(t, c, source[1:]) // net/http has copied its beginning into a buffer of its own
		frame[0]++              // and uses that buffer again
		write(t, c, frame)
		more := bytes.Repeat([]byte{byte(round)}, 10_000)
		c.hold(more)
		write(t, c, more)
		if len(c.held.parts) != 4 || &c.held.parts[1][0] != &source[1] || &c.held.parts[3][0] != &more[0] {
			t.Fatalf("holds %d parts; want 4, of which two are the very bytes written", len(c.held.parts))
		}
		want = fmt.Appendf(want, "%c\r\nbcd%c\r\n%s", frame[0]-1, frame[0], more)
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		write(t, c, []byte("direct"))
		want = append(want, "direct"...)
		if err := c.send(); err != nil { // nothing is held
			t.Fatal(err)
		}
	}
	c.Close()
	if got, err := io.ReadAll(peer); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}

// After a batch that broke off nobody knows what the peer got: not a byte
// more may follow.
func TestGatheringEndsWithAFailedBatch(t *testing.T) {
	t.Parallel()
	c, _ := pair(t)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p := []byte("torn")
	c.hold(p)
	write(t, c, p)
	failed := c.send()
	if failed == nil {
		t.Fatal("sent after the end")
	}
	if _, err := c.Write([]byte("0\r\n\r\n")); !errors.Is(err, failed) {
		t.Errorf("Write: %v, want %v", err, failed)
	}
	c.hold(p)
	if err := c.send(); !errors.Is(err, failed) || c.held != nil {
		t.Errorf("send: %v, want %v", err, failed)
	}
}

// Whatever is written in whatever portions arrives as it was written, in both
// versions of HTTP/1, and the connection can be used again.
func TestGatheringUnderHTTP(t *testing.T) {
	t.Parallel()
	content := make([]byte, 1<<20)
	rand.Read(content)
	var flushes atomic.Int64
	server := &http.Server{
		ConnContext: ConnContext,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sink := &response{ResponseWriter: w, control: http.NewResponseController(w)}
			sink.conn, _ = r.Context().Value(connKey{}).(*gatheringConn)
			if sink.conn == nil {
				t.Error("the handler does not know its connection")
			}
			for rest, size := content, 1; len(rest) > 0; size = size*3%70_001 + 1 {
				n := min(size, len(rest))
				write(t, sink, rest[:n])
				rest = rest[n:]
				if size%2 == 0 {
					if err := sink.Flush(); err != nil {
						t.Error(err)
					}
					flushes.Add(1)
				}
			}
			sink.release()
		}),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(Gathering(l)) }()
	defer func() {
		server.Close()
		<-ended
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, version := range []string{"1.1", "1.1", "1.0"} {
		fmt.Fprintf(conn, "GET / HTTP/%s\r\nHost: test\r\n\r\n", version)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("HTTP/%s: %d bytes, %v; want %d, the same ones", version, len(got), err, len(content))
		}
	}
	if n := flushes.Load(); n < 10 {
		t.Errorf("%d flushes: the test has too few portions", n)
	}
}
