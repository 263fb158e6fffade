package pool

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	api "github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
	"github.com/acequia-tv/acequia/internal/provider/docker/dockertest"
)

// gate is a way to the daemon that can be shut, as if the daemon were down, and
// that can lie about what the daemon did.
type gate struct {
	t      *testing.T
	path   string // of its socket
	lies   atomic.Bool
	told   atomic.Int32 // lies
	server *http.Server
	shut   chan struct{} // closed when the server has ended
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, path: filepath.Join(t.TempDir(), "docker.sock")}
	g.unlock()
	t.Cleanup(func() { g.lock() })
	return g
}

// unlock lets requests through.
func (g *gate) unlock() {
	g.t.Helper()
	l, err := net.Listen("unix", g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(dockertest.Socket, "unix://"))
	}}
	server, shut := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: g.lie,
	}}, make(chan struct{})
	g.server, g.shut = server, shut
	go func() {
		defer close(shut)
		defer transport.CloseIdleConnections()
		_ = server.Serve(l) // until it is closed
	}()
}

// lock breaks the connections that there are, and lets nobody in.
func (g *gate) lock() {
	_ = g.server.Close()
	<-g.shut
}

// lie reports what was done as failed.
func (g *gate) lie(r *http.Response) error {
	if !g.lies.Load() || r.Request.Method != http.MethodPost && r.Request.Method != http.MethodDelete || r.StatusCode >= 300 {
		return nil
	}
	g.told.Add(1)
	r.Body.Close()
	const text = `{"message":"an internal error, as they happen"}`
	r.StatusCode, r.Status = http.StatusInternalServerError, ""
	r.Header = http.Header{"Content-Type": {"application/json"}}
	r.ContentLength, r.Body = int64(len(text)), io.NopCloser(strings.NewReader(text))
	return nil
}

// What is wrong with Docker itself costs no viewer anything while an engine is
// left. It is told with what to do about it, and over when Docker is well again.
func TestDockerFails(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	h := open(t, "--docker.hosts", "unix://"+g.path, "--pool.min", "2", "--pool.max", "3", "--pool.streams_per_engine", "8")
	h.settles(2)
	everybody := playbacktest.Gather(t, h.base, 0, 10)
	everybody.GoOn(t, time.Second)
	everybody.Measure()
	kill := func() (engine string) {
		t.Helper()
		engine, id := h.busy()
		if _, err := h.daemon.ContainerKill(t.Context(), id, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
			t.Fatal(err)
		}
		everybody.GoOn(t, calm)
		return engine
	}
	// unwell waits until the health check of where engines come from is not well,
	// for that reason, and says what to do.
	unwell := func(reason string) {
		t.Helper()
		h.await("the health check says "+reason, func() bool {
			for _, c := range get[api.Health](h, "/system/health").Checks {
				if c.ID == "provider" {
					return c.Status != "ok" && c.Advice != "" && strings.Contains(c.Attrs["reason"], reason)
				}
			}
			return false
		})
	}
	well := func() {
		t.Helper()
		h.await("the health check is well", func() bool { return get[api.Health](h, "/system/health").Status == "ok" })
	}

	// The daemon cannot be reached, and an engine ends meanwhile.
	g.lock()
	if e := h.tells("docker.unreachable"); !strings.Contains(e.Message, "It is tried again") {
		t.Errorf("the event says %q", e.Message)
	}
	unwell("docker")
	dead := kill()
	g.unlock()
	back := time.Now()
	h.gone(dead)
	h.settles(2)
	t.Logf("two engines are ready %v after the daemon is back", since(back))
	well()

	// The image is removed, and an engine ends meanwhile.
	if _, err := h.daemon.ImageRemove(t.Context(), h.image, client.ImageRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if e := h.tells("docker.image_gone"); !strings.Contains(e.Message, "no engine can be started") {
		t.Errorf("the event says %q", e.Message)
	}
	kill()
	unwell("build or pull it")
	h.build("first")
	back = time.Now()
	h.settles(2)
	t.Logf("two engines are ready %v after the image is back", since(back))
	well()

	// Everything is done, and reported failed.
	started, _ := h.life.sum()
	g.lies.Store(true)
	h.gone(kill())
	h.settles(2)
	g.lies.Store(false)
	if g.told.Load() == 0 {
		t.Error("nothing was reported failed")
	}
	if again, most := h.life.sum(); again != started+1 || most > 3 {
		t.Errorf("%d containers were started to replace one, and %d existed at once", again-started, most)
	}
	well()
	gap := everybody.Check(t)
	t.Logf("longest time without media: %v", gap.Round(time.Millisecond))
	if gap > stall+slack {
		t.Errorf("viewers were without media for %v", gap)
	}
}
