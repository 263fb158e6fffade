package playback

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

const channelID = "8ca07071b39185431f8e940ec98d1add9e561639"

// failingHub plays nothing, for one reason.
type failingHub struct {
	err   error
	asked chan content.Selector
}

func (h failingHub) Join(ctx context.Context, want content.Selector, _ stream.Client) (*stream.Viewer, error) {
	if h.asked != nil {
		h.asked <- want
	}
	if h.err == nil {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return nil, h.err
}

func request(t *testing.T, h Hub, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	New(h, telemetrytest.Logger(t)).ServeHTTP(w, r)
	return w.Result()
}

// Every code of the stream has an answer of its own, and each is one line.
func TestEveryReasonIsTold(t *testing.T) {
	t.Parallel()
	for code, want := range map[stream.Code]int{
		stream.CodeNotFound: 404, stream.CodeNotNative: 404,
		stream.CodeNoEngine: 503, stream.CodeExhausted: 503, stream.CodeFull: 503, stream.CodeBusy: 503, stream.CodeClosing: 503, stream.CodeQuarantined: 503,
		stream.CodeStopped: 410, stream.CodeCrowded: 503, stream.CodeStreams: 503, stream.CodeMemory: 503,
		stream.CodeNoData: 504, stream.CodeEngine: 502, stream.CodeRefused: 502,
	} {
		if _, ok := answers[code]; !ok {
			t.Errorf("%s has no answer", code)
		}
		for _, lang := range []string{"en", "es"} {
			res := request(t, failingHub{err: &stream.Error{Code: code, RetryAfter: 1500 * time.Millisecond, Detail: "because\nof this"}}, "GET", "/ace/getstream?id="+channelID, "Accept-Language", lang)
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != want || strings.Count(string(body), "\n") != 1 || len(body) < 20 {
				t.Errorf("%s in %s: %d %q, want %d", code, lang, res.StatusCode, body, want)
			}
			if res.Header.Get("Retry-After") != "2" || res.Header.Get("X-Error-Code") != string(code) {
				t.Errorf("%s: %v", code, res.Header)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: a browser could not read the reason", code)
			}
		}
	}
}

func TestUnknownReasonIsAnEngineFailure(t *testing.T) {
	t.Parallel()
	if res := request(t, failingHub{err: errors.New("surprise")}, "GET", "/ace/getstream?id="+channelID); res.StatusCode != http.StatusBadGateway {
		t.Errorf("%d", res.StatusCode)
	}
}

// What a person typed is never taken for markup, and never breaks the line.
func TestInputIsEchoedHarmlessly(t *testing.T) {
	t.Parallel()
	res := request(t, failingHub{}, "GET", "/ace/getstream?id=%3Cscript%3E%0d%0aX-Evil:%201")
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusBadRequest || strings.Count(string(body), "\n") != 1 ||
		!strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") ||
		res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Evil") != "" {
		t.Errorf("%d %v %q", res.StatusCode, res.Header, body)
	}
}

func TestMethodsThatCostNothing(t *testing.T) {
	t.Parallel()
	hub := failingHub{err: errors.New("the hub was asked"), asked: make(chan content.Selector, 1)}
	for _, tt := range []struct {
		method, target string
		status         int
		header, value  string
	}{
		{"HEAD", "/ace/getstream?id=" + channelID, 200, "Content-Type", "video/mp2t"},
		{"HEAD", "/ace/getstream?id=" + channelID, 200, "Content-Disposition", `inline; filename="` + channelID + `.ts"`},
		{"HEAD", "/ace/getstream?id=nonsense", 400, "X-Error-Code", "bad_request"},
		{"HEAD", "/ace/getstream", 400, "X-Error-Code", "bad_request"},
		{"OPTIONS", "/ace/getstream?id=" + channelID, 204, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"},
		{"POST", "/ace/getstream?id=" + channelID, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"DELETE", "/ace/getstream?id=" + channelID, 405, "Allow", "GET, HEAD, OPTIONS"},
	} {
		res := request(t, hub, tt.method, tt.target)
		if res.StatusCode != tt.status || res.Header.Get(tt.header) != tt.value {
			t.Errorf("%s %s: %d, %s %q; want %d, %q", tt.method, tt.target, res.StatusCode, tt.header, res.Header.Get(tt.header), tt.status, tt.value)
		}
	}
	select {
	case want := <-hub.asked:
		t.Errorf("a request that is no GET asked for %v", want)
	default:
	}
}

// A player that vanishes while it waits frees its place at once.
func TestPlayerVanishesWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(*net.TCPConn) error{
		"closes": func(c *net.TCPConn) error { return c.Close() },
		"resets": func(c *net.TCPConn) error {
			return errors.Join(c.SetLinger(0), c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := failingHub{asked: make(chan content.Selector)}
			left := make(chan struct{})
			play := New(hub, telemetrytest.Logger(t))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				play.ServeHTTP(w, r)
			}))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET /ace/getstream?id=%s HTTP/1.0\r\n\r\n", channelID)
			<-hub.asked
			if err := vanish(conn.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			select {
			case <-left:
			case <-time.After(time.Minute):
				t.Fatal("the player is gone, and its request goes on")
			}
		})
	}
}

// HTTP/1.0 players get a status and a body that ends with the connection.
func TestOldPlayers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(New(failingHub{err: &stream.Error{Code: stream.CodeFull}}, telemetrytest.Logger(t)))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ace/getstream?id=%s HTTP/1.0\r\n\r\n", channelID)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || len(res.TransferEncoding) > 0 {
		t.Errorf("%d, %v", res.StatusCode, res.TransferEncoding)
	}
}
