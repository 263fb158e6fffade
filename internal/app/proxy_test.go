package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/lease"
	"github.com/acequia-tv/acequia/internal/stream"
)

// proxied is a proxy that plays on the engines of a server, over sockets.
type proxied struct {
	*proxy
	base string
	stop func() error
}

// startProxy runs a proxy of the server at an address until the test ends.
func startProxy(t *testing.T, orchestrator string) *proxied {
	t.Helper()
	p, err := newProxy(t.Context(), invocation(t,
		config.Setting{Name: "listen", Text: "127.0.0.1:0"},
		config.Setting{Name: "orchestrator.url", Text: orchestrator},
		config.Setting{Name: "orchestrator.key", Text: operateKey},
		config.Setting{Name: "playback.linger", Text: "0s"},
	))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel(errors.New("test is over"))
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("proxy ended with: %v", err)
		}
	})
	return &proxied{proxy: p, base: "http://" + p.listener.Addr().String(), stop: stop}
}

// lender is a server whose slots are lent, on a port of its own if listen names
// one.
func lender(t *testing.T, listen string, fakes []*enginetest.Fake, flags ...config.Setting) *serving {
	t.Helper()
	return staticServer(t, true, fakes, keyed(append([]config.Setting{
		{Name: "listen", Text: listen},
		{Name: "auth.operate_key", Text: operateKey},
		{Name: "pool.lease_ttl", Text: "3s"},
	}, flags...)...)...)
}

// lentTo is how many slots of each engine are in use.
func (s *serving) lentTo() map[string]int {
	used := make(map[string]int)
	for _, e := range s.pool.Snapshot().Engines {
		if e.Used > 0 {
			used[e.ID] = e.Used
		}
	}
	return used
}

// until waits until a condition holds, looking again and again.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// screen is a viewer that watches until it is told to stop, and then says what
// was wrong with what it saw.
type screen struct {
	mu   sync.Mutex
	seen *enginetest.Verifier
	done chan error
	end  context.CancelFunc
}

func tune(t *testing.T, base string) *screen {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/ace/getstream?infohash="+channelIH, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	s := &screen{seen: enginetest.NewVerifier(channelIH), done: make(chan error, 1), end: cancel}
	go func() {
		defer res.Body.Close()
		_, err := io.Copy(s, res.Body)
		if ctx.Err() != nil {
			err = nil
		} else {
			err = fmt.Errorf("the stream ended: %w", errors.Join(err, io.EOF))
		}
		s.done <- err
	}()
	return s
}

// Write takes in what was received.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(p)
}

func (s *screen) last() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Report().Last
}

// goesOn waits until the picture has moved on.
func (s *screen) goesOn(t *testing.T) {
	t.Helper()
	from := s.last()
	until(t, "the picture moves", func() bool { return s.last() > from+500 })
}

func (s *screen) close(t *testing.T) {
	t.Helper()
	s.end()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	if err := s.seen.Report().Err(); err != nil {
		t.Errorf("%v: %+v", err, s.seen.Report())
	}
}

func twoEngines(t *testing.T) []*enginetest.Fake {
	t.Helper()
	return []*enginetest.Fake{enginetest.New(channel()).Start(t), enginetest.New(channel()).Start(t)}
}

// playsOn is the engine that plays the one stream.
func (p *proxied) playsOn() string {
	for _, s := range p.hub.Snapshot() {
		if s.State == stream.StateLive {
			return s.Engine
		}
	}
	return ""
}

// fakeOf is the engine of an id, which the static provider numbers in order.
func fakeOf(t *testing.T, s *serving, id string, fakes []*enginetest.Fake) *enginetest.Fake {
	t.Helper()
	for _, e := range s.pool.Snapshot().Engines {
		for _, f := range fakes {
			if e.ID == id && strings.TrimSuffix(e.URL, "/") == strings.TrimSuffix(f.URL(), "/") {
				return f
			}
		}
	}
	t.Fatalf("no engine %q", id)
	return nil
}

func TestProxyPlaysOnBorrowedEngines(t *testing.T) {
	t.Parallel()
	fakes := twoEngines(t)
	s := lender(t, "127.0.0.1:0", fakes)
	p := startProxy(t, s.base)
	viewer := tune(t, p.base)
	viewer.goesOn(t)
	if used := s.lentTo(); len(used) != 1 || s.pool.Snapshot().Counters.Outcomes["first_byte"] == 0 {
		t.Errorf("%v, %+v", used, s.pool.Snapshot().Counters)
	}

	first := p.playsOn()
	if err := apiClient(t, s.base, operateKey).DrainEngine(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	until(t, "a drained engine is left", func() bool { return p.playsOn() != first && s.lentTo()[first] == 0 })
	viewer.goesOn(t)
	if err := s.pool.Undrain(first); err != nil {
		t.Fatal(err)
	}

	second := p.playsOn()
	fakeOf(t, s, second, fakes).Kill()
	until(t, "a dead engine is left", func() bool { return p.playsOn() == first })
	viewer.goesOn(t)
	viewer.close(t)
	until(t, "what is not needed is given back", func() bool { return len(s.lentTo()) == 0 && len(s.leases.List()) == 0 })

	until(t, "the proxy is ready", p.engines.Ready)
	if res, _ := get(t, p.base+"/readyz"); res.StatusCode != http.StatusOK {
		t.Errorf("readyz: %d", res.StatusCode)
	}
	if _, metrics := get(t, p.base+"/metrics"); !strings.Contains(string(metrics), "acequia_stream_viewers_total 1") {
		t.Errorf("%s", metrics)
	}
	if res, _ := get(t, p.base+"/api/v1/me"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an API that it has not: %d", res.StatusCode)
	}
}

// The server that lends the engines goes away and comes back, as another
// process, while its engines play for a proxy.
func TestOrchestratorRestartsUnderViewers(t *testing.T) {
	t.Parallel()
	fakes := twoEngines(t)
	s := lender(t, "127.0.0.1:0", fakes)
	address := s.listener.Addr().String()
	p := startProxy(t, s.base)
	viewer := tune(t, p.base)
	viewer.goesOn(t)
	engine := p.playsOn()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	viewer.goesOn(t)
	again := lender(t, address, fakes)
	until(t, "the slot is lent again", func() bool { return again.lentTo()[engine] == 1 })
	viewer.goesOn(t)
	if now := p.playsOn(); now != engine {
		t.Errorf("the stream moved from %s to %s", engine, now)
	}
	viewer.close(t)
	until(t, "the slot is free", func() bool { return len(again.lentTo()) == 0 })
	opens := 0
	for _, f := range fakes {
		opens += f.Counters().Opens
	}
	if opens != 1 {
		t.Errorf("%d sessions were opened for one viewer", opens)
	}
}

// A key that is no key is told to the person at the player.
func TestProxyWithoutAKey(t *testing.T) {
	t.Parallel()
	s := lender(t, "127.0.0.1:0", twoEngines(t))
	inv := invocation(t,
		config.Setting{Name: "listen", Text: "127.0.0.1:0"},
		config.Setting{Name: "orchestrator.url", Text: s.base},
		config.Setting{Name: "playback.start_timeout", Text: "2s"})
	p, err := newProxy(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	res, _ := get(t, "http://"+p.listener.Addr().String()+"/ace/getstream?infohash="+channelIH)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("X-Error-Code") != "no_engine" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A proxy that is killed gives nothing back: its leases expire.
func TestSlotsOfAKilledProxyAreFree(t *testing.T) {
	t.Parallel()
	s := lender(t, "127.0.0.1:0", twoEngines(t))
	address := deadAddress(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(operateKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "proxy", "--orchestrator", s.base, "--key-file", key,
		"--listen", address, "--data", t.TempDir())
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the proxy listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	viewer := tune(t, "http://"+address)
	viewer.goesOn(t)
	if n := len(s.leases.List()); n != 1 {
		t.Errorf("%d leases", n)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // that it was killed
	if err := <-viewer.done; err == nil {
		t.Error("the stream of a dead proxy has no end")
	}
	until(t, "the slot is free", func() bool { return len(s.leases.List()) == 0 && len(s.lentTo()) == 0 })
	events, _ := s.events.Since(0)
	if !slices.ContainsFunc(events, func(e event.Event) bool { return e.Type == lease.EventExpired }) {
		t.Error("nobody is told")
	}
}
