package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/docker"
	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
)

// daemon is as much of a Docker daemon as the provider asks of one, with faults
// on demand.
type daemon struct {
	server *httptest.Server

	mu         sync.Mutex
	containers map[string]map[string]any // guarded by mu; by name
	images     map[string]bool           // guarded by mu
	pulls      []string                  // guarded by mu; the lines that a pull answers
	fault      func(method, path string) (status int, message string, after bool)
	away       bool          // guarded by mu: connections are cut
	cut        chan struct{} // guarded by mu: closed to end the streams of events
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{containers: make(map[string]map[string]any), images: map[string]bool{"acequia": true}, cut: make(chan struct{})}
	d.server = httptest.NewServer(d)
	t.Cleanup(func() {
		d.setAway(true)
		d.server.Close()
	})
	return d
}

func (d *daemon) setAway(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
	if away {
		close(d.cut)
		d.cut = make(chan struct{})
	}
}

func (d *daemon) setFault(f func(method, path string) (int, string, bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

var version = regexp.MustCompile(`^/v[0-9.]+`)

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := version.ReplaceAllString(r.URL.Path, "")
	d.mu.Lock()
	away, cut, fault := d.away, d.cut, d.fault
	d.mu.Unlock()
	if away {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Api-Version", "1.44")
	if path == "/events" {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case <-cut:
		case <-r.Context().Done():
		}
		return
	}
	if fault != nil {
		if status, message, after := fault(r.Method, path); status != 0 {
			if after {
				d.serve(httptest.NewRecorder(), r, path)
			}
			refuse(w, status, message)
			return
		}
	}
	d.serve(w, r, path)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (d *daemon) serve(w http.ResponseWriter, r *http.Request, path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/_ping":
		_, _ = w.Write([]byte("OK"))
	case path == "/volumes":
		answer(w, 200, map[string]any{"Volumes": []any{}})
	case path == "/images/create":
		for _, line := range d.pulls {
			_, _ = fmt.Fprintln(w, line)
		}
		if len(d.pulls) > 0 && !strings.Contains(d.pulls[len(d.pulls)-1], "error") {
			d.images[strings.TrimPrefix(r.URL.Query().Get("fromImage"), "docker.io/")] = true
		}
	case parts[0] == "images":
		if name := strings.Join(parts[1:len(parts)-1], "/"); d.images[name] {
			answer(w, 200, map[string]any{"Id": "sha256:" + name, "Architecture": "amd64"})
		} else {
			refuse(w, 404, "No such image: "+name)
		}
	case path == "/containers/json":
		list := []any{}
		for _, c := range d.containers {
			list = append(list, c)
		}
		answer(w, 200, list)
	case path == "/containers/create":
		name := r.URL.Query().Get("name")
		if d.containers[name] != nil {
			refuse(w, 409, "Conflict. The container name is already in use")
			return
		}
		var body struct{ Labels map[string]string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		d.containers[name] = map[string]any{"Id": "id-" + name, "Names": []string{"/" + name}, "State": "created", "ImageID": "sha256:acequia", "Labels": body.Labels}
		answer(w, 201, map[string]any{"Id": "id-" + name, "Warnings": []string{}})
	case parts[0] == "containers":
		d.container(w, r, parts)
	default:
		refuse(w, 404, "page not found")
	}
}

func (d *daemon) container(w http.ResponseWriter, r *http.Request, parts []string) {
	name := strings.TrimPrefix(parts[1], "id-")
	c := d.containers[name]
	switch {
	case c == nil:
		refuse(w, 404, "No such container: "+name)
	case r.Method == http.MethodDelete:
		delete(d.containers, name)
		w.WriteHeader(http.StatusNoContent)
	case parts[2] == "json":
		answer(w, 200, map[string]any{
			"Id": c["Id"], "Name": "/" + name, "Config": map[string]any{"Labels": c["Labels"]}, "HostConfig": map[string]any{},
			"State": map[string]any{"Status": c["State"], "Running": c["State"] == "running", "ExitCode": 3},
		})
	case parts[2] == "start":
		c["State"] = "running"
		w.WriteHeader(http.StatusNoContent)
	case parts[2] == "stop":
		c["State"] = "exited"
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, 404, "page not found")
	}
}

// openFake opens a provider on fake daemons.
func openFake(t *testing.T, edit func(*docker.Config), daemons ...*daemon) (*docker.Provider, *event.Log) {
	t.Helper()
	p, _ := profile.Named(profile.AcequiaEngine)
	events := event.NewLog(1000)
	c := docker.Config{
		Profile: p, Image: "acequia", Instance: "fake", Secret: secret, Address: "127.0.0.1",
		Self: func() []string { return nil }, Log: slog.New(slog.DiscardHandler), Events: events,
	}
	for i, d := range daemons {
		c.Hosts = append(c.Hosts, docker.Host{Name: string(rune('a' + i)), URL: strings.Replace(d.server.URL, "http:", "tcp:", 1)})
	}
	if edit != nil {
		edit(&c)
	}
	dp, err := docker.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dp.Close() })
	return dp, events
}

func ready(t *testing.T, p *docker.Provider) {
	t.Helper()
	await(t, p, func() bool {
		inventory, err := p.List(t.Context())
		return err == nil && inventory.Unready == ""
	})
}

func TestFaultsOfTheDaemon(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call    string // "METHOD suffix"
		status  int
		message string
		after   bool
		want    string // in the error of the start; "" when it succeeds
		left    int
	}{
		"create is done and reported failed": {"POST /containers/create", 500, "internal error", true, "", 1},
		"create is not done":                 {"POST /containers/create", 500, "internal error", false, "internal error", 0},
		"start is done and reported failed":  {"POST /start", 500, "internal error", true, "", 1},
		"start is not done":                  {"POST /start", 500, "OCI runtime create failed", false, "OCI runtime", 0},
		"disk full":                          {"POST /containers/create", 500, "mkdir /var/lib/docker: no space left on device", false, "free some", 0},
		"every port is taken":                {"POST /start", 500, "Bind for 127.0.0.1 failed: port is already allocated", false, "set docker.ports", 0},
		"a proxy refuses":                    {"POST /containers/create", 403, "Forbidden", false, "CONTAINERS and POST", 0},
		"the network is gone":                {"POST /start", 404, "network x not found", false, "docker.network", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t)
			p, _ := openFake(t, nil, d)
			ready(t, p)
			d.setFault(func(method, path string) (int, string, bool) {
				wantMethod, suffix, _ := strings.Cut(test.call, " ")
				if method == wantMethod && strings.HasSuffix(path, suffix) {
					return test.status, test.message, test.after
				}
				return 0, "", false
			})
			e, err := p.Start(t.Context(), provider.Spec{ID: "engine-1"})
			if test.want == "" && (err != nil || e.State != provider.Running || e.URL == "") {
				t.Errorf("Start: %+v, %v", e, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Start: %+v, %v", e, err)
			}
			d.setFault(nil)
			inventory, err := p.List(t.Context())
			if err != nil || len(inventory.Engines) != test.left {
				t.Errorf("the inventory is %+v, %v", inventory, err)
			}
			if err := p.Stop(t.Context(), "engine-1"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHostsAreIndependent(t *testing.T) {
	t.Parallel()
	one, two := newDaemon(t), newDaemon(t)
	p, events := openFake(t, nil, one, two)
	await(t, p, func() bool {
		events, _ := events.Since(0)
		n := 0
		for _, e := range events {
			if e.Type == docker.EventReachable {
				n++
			}
		}
		return n == 2
	})
	ready(t, p)
	var before provider.Inventory
	for _, id := range []string{"engine-1", "engine-2"} {
		await(t, p, func() bool {
			_, err := p.Start(t.Context(), provider.Spec{ID: id})
			return err == nil
		})
	}
	before, err := p.List(t.Context())
	if err != nil || len(before.Engines) != 2 || before.Engines[0].Host == "" {
		t.Fatalf("the inventory is %+v, %v", before, err)
	}
	two.setAway(true)
	after, err := p.List(t.Context())
	if err != nil || len(after.Engines) != 2 {
		t.Errorf("with one host away the inventory is %+v, %v", after, err)
	}
	await(t, p, func() bool {
		e, err := p.Start(t.Context(), provider.Spec{ID: "engine-3"})
		return err == nil && e.Host == "a"
	})
	one.setAway(true)
	if inventory, err := p.List(t.Context()); err == nil {
		t.Errorf("with every host away the inventory is %+v", inventory)
	}
	one.setAway(false)
	two.setAway(false)
	await(t, p, func() bool {
		inventory, err := p.List(t.Context())
		return err == nil && len(inventory.Engines) == 3 && inventory.Unready == ""
	})
}

func TestPull(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.pulls = []string{
		`{"status":"Downloading","id":"l1","progressDetail":{"current":1000000,"total":4000000}}`,
		`{"errorDetail":{"message":"toomanyrequests: rate exceeded"},"error":"toomanyrequests: rate exceeded"}`,
	}
	p, events := openFake(t, func(c *docker.Config) { c.Image = "jopsis/aceserve" }, d)
	await(t, p, func() bool {
		inventory, err := p.List(t.Context())
		return err == nil && strings.Contains(inventory.Unready, "aceserve")
	})
	timeout := time.After(time.Minute)
	for {
		changed := events.Changed()
		all, _ := events.Since(0)
		if last := all[len(all)-1]; last.Type == docker.EventPullFailed {
			if !strings.Contains(last.Message, "the registry limits how much is pulled") {
				t.Errorf("the event says %q", last.Message)
			}
			break
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("the events are %+v", all)
		}
	}
	d.mu.Lock()
	d.pulls = []string{`{"status":"Status: Downloaded newer image"}`}
	d.mu.Unlock()
	d.setAway(true) // the next connection tries again
	d.setAway(false)
	ready(t, p)
}

func TestSlowDaemon(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	p, _ := openFake(t, nil, d)
	ready(t, p)
	held := make(chan struct{})
	d.setFault(func(string, string) (int, string, bool) { <-held; return 0, "", false })
	defer close(held)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.List(ctx); err == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("List: %v", err)
	}
}

// A start that finds a port taken tries the next one. Until it is through there
// is no engine to be seen, which could seem to have ended.
func TestStartOnTakenPortsShowsNothing(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	p, _ := openFake(t, nil, d)
	ready(t, p)
	var tries, seen atomic.Int32
	d.setFault(func(method, path string) (int, string, bool) {
		if method != http.MethodPost || !strings.HasSuffix(path, "/start") || tries.Add(1) > 3 {
			return 0, "", false
		}
		inventory, err := p.List(t.Context())
		if err != nil {
			t.Error(err)
		}
		seen.Add(int32(len(inventory.Engines)))
		return 500, "Bind for 127.0.0.1 failed: port is already allocated", false
	})
	e, err := p.Start(t.Context(), provider.Spec{ID: "engine-1"})
	if err != nil || e.State != provider.Running || tries.Load() != 4 {
		t.Errorf("Start: %+v, %v, after %d tries", e, err, tries.Load())
	}
	if seen.Load() != 0 {
		t.Error("the engine was listed before it was started")
	}
}
