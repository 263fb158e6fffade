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
	"strings"
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

// After a chunk that broke off nobody knows what the peer got: not a byte more
// may follow.
func TestGatheringEndsWithAFailedChunk(t *testing.T) {
	t.Parallel()
	c, _ := pair(t)
	write(t, c, []byte("whole"))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	failed := c.send(&net.Buffers{[]byte("torn")})
	if failed == nil {
		t.Fatal("sent after the end")
	}
	if _, err := c.Write([]byte("0\r\n\r\n")); !errors.Is(err, failed) {
		t.Errorf("Write: %v, want %v", err, failed)
	}
	if err := c.send(&net.Buffers{[]byte("more")}); !errors.Is(err, failed) {
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
			sink := newLiveResponse(w, r)
			if sink.conn == nil {
				t.Error("the handler does not know its connection")
			}
			if err := sink.Flush(); err != nil || sink.begun {
				t.Errorf("flush of nothing: %v, answer begun %v", err, sink.begun)
			}
			for rest, size := content, 1; len(rest) > 0; size = size*3%70_001 + 1 {
				n := min(size, len(rest))
				write(t, sink, rest[:n])
				rest = rest[n:]
				if size%2 == 0 || len(rest) == 0 {
					if err := sink.Flush(); err != nil {
						t.Error(err)
					}
					flushes.Add(1)
				}
			}
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
	for _, request := range []string{"1.1\r\nHost: test", "1.1\r\nHost: test", "1.0\r\nConnection: keep-alive"} {
		fmt.Fprintf(conn, "GET / HTTP/%s\r\n\r\n", request)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("HTTP/%s: %d bytes, %v; want %d, the same ones", request, len(got), err, len(content))
		}
		if chunked := len(res.TransferEncoding) > 0; chunked != strings.HasPrefix(request, "1.1") {
			t.Errorf("HTTP/%s: in chunks %v", request, chunked)
		}
	}
	if n := flushes.Load(); n < 10 {
		t.Errorf("%d flushes: the test has too few portions", n)
	}
}
