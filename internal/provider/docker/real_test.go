package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/docker"
	"github.com/acequia-tv/acequia/internal/provider/docker/dockertest"
	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
	"github.com/acequia-tv/acequia/internal/provider/providertest"
)

// real is a provider on the real daemon.
type real struct {
	*docker.Provider
	daemon *client.Client
	config docker.Config
	events *event.Log
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// openReal opens a provider on the real daemon, with an instance of its own.
func openReal(t *testing.T, edit func(*docker.Config)) *real {
	t.Helper()
	daemon := dockertest.Daemon(t)
	p, _ := profile.Named(profile.AcequiaEngine)
	r := &real{daemon: daemon, events: event.NewLog(1000), config: docker.Config{
		Hosts:   []docker.Host{{Name: "local", URL: dockertest.Socket}},
		Profile: p, Image: dockertest.Image(t, daemon), Pull: docker.PullNever,
		Instance: dockertest.Instance(t, daemon), Secret: secret,
		Ports: docker.PortRange{First: 27000, Last: 27999}, CacheBytes: 256 << 20, LogBytes: 1 << 20, Memory: 512 << 20, NanoCPUs: 1e9,
		Self: func() []string { return nil },
		Log:  slog.New(slog.DiscardHandler),
	}}
	r.config.Events = r.events
	if edit != nil {
		edit(&r.config)
	}
	r.open(t)
	return r
}

// open opens the provider and waits until it can start engines.
func (r *real) open(t *testing.T) {
	t.Helper()
	p, err := docker.Open(r.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	r.Provider = p
	await(t, p, func() bool {
		inventory, err := p.List(t.Context())
		return err == nil && inventory.Unready == ""
	})
}

// await waits until a condition holds, looking at each change that the provider
// tells of.
func await(t *testing.T, p *docker.Provider, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-p.Watch():
		case <-ctx.Done():
			inventory, err := p.List(t.Context())
			t.Fatalf("waited in vain; the inventory is %+v, %v", inventory, err)
		}
	}
}

func (r *real) container(id string) string { return "acequia-" + r.config.Instance + "-" + id }

func (r *real) kill(t *testing.T, id string) {
	t.Helper()
	if _, err := r.daemon.ContainerKill(t.Context(), r.container(id), client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Fixture {
		r := openReal(t, nil)
		return providertest.Fixture{Provider: r, Crash: r.kill}
	})
}

func (r *real) start(t *testing.T, id string) provider.Engine {
	t.Helper()
	if _, err := r.Start(t.Context(), provider.Spec{ID: id}); err != nil {
		t.Fatal(err)
	}
	return r.state(t, id, provider.Running)
}

// state waits until an engine is in a state.
func (r *real) state(t *testing.T, id string, want provider.State) provider.Engine {
	t.Helper()
	var found provider.Engine
	await(t, r.Provider, func() bool {
		inventory, err := r.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(inventory.Engines, func(e provider.Engine) bool { return e.ID == id })
		if i < 0 {
			return false
		}
		found = inventory.Engines[i]
		return found.State == want
	})
	return found
}

// answers asks an engine for its version until it answers.
func answers(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/webui/api/service?method=get_version", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no engine answers at %s", url)
		}
	}
}

func TestEngineIsConfined(t *testing.T) {
	t.Parallel()
	r := openReal(t, nil)
	e := r.start(t, "engine-1")
	answers(t, e.URL)
	found, err := r.daemon.ContainerInspect(t.Context(), r.container("engine-1"), client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := found.Container
	if h := c.HostConfig; !h.ReadonlyRootfs || !slices.Equal(h.CapDrop, []string{"ALL"}) || len(h.CapAdd) != 0 || h.Privileged ||
		!slices.Contains(h.SecurityOpt, "no-new-privileges") || h.Memory != 512<<20 || h.NanoCPUs != 1e9 ||
		h.LogConfig.Config["max-size"] == "" || h.RestartPolicy.Name != container.RestartPolicyDisabled || h.AutoRemove {
		t.Errorf("the container runs with %+v", h)
	}
	for _, bindings := range c.HostConfig.PortBindings {
		for _, b := range bindings {
			if !b.HostIP.IsLoopback() {
				t.Errorf("a port is published on %s", b.HostIP)
			}
		}
	}

	stats, err := r.Stats(t.Context(), "engine-1")
	if err != nil || stats.CPUTime <= 0 || stats.Memory <= 0 || stats.MemoryLimit != 512<<20 {
		t.Errorf("the statistics are %+v, %v", stats, err)
	}
	lines, err := r.Logs(t.Context(), "engine-1", 10, false)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	if text, err := io.ReadAll(lines); err != nil || !strings.Contains(string(text), "engine listens") {
		t.Errorf("the log is %q, %v", text, err)
	}
	if _, err := r.Stats(t.Context(), "engine-2"); !errors.Is(err, provider.ErrUnknown) {
		t.Errorf("the statistics of no engine: %v", err)
	}
}

func TestEnginesAreAdopted(t *testing.T) {
	t.Parallel()
	r := openReal(t, nil)
	before := []provider.Engine{r.start(t, "engine-1"), r.start(t, "engine-2")}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	after, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after.Engines); diff != "" {
		t.Errorf("engines changed over a restart of the provider (-before +after):\n%s", diff)
	}
	answers(t, after.Engines[0].URL)

	// Other settings make them outdated, and leave them alone.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.config.Memory = 768 << 20
	r.open(t)
	after, err = r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range after.Engines {
		if !strings.Contains(e.Outdated, "settings") || e.State != provider.Running {
			t.Errorf("after a change of the settings an engine is %+v", e)
		}
	}
	if fresh := r.start(t, "engine-3"); fresh.Outdated != "" || fresh.Revision == before[0].Revision {
		t.Errorf("a new engine is %+v", fresh)
	}
}

func TestFrozenEngineIsStopped(t *testing.T) {
	t.Parallel()
	r := openReal(t, nil)
	r.start(t, "engine-1")
	if _, err := r.daemon.ContainerPause(t.Context(), r.container("engine-1"), client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context(), "engine-1"); err != nil {
		t.Fatal(err)
	}
	if inventory, err := r.List(t.Context()); err != nil || len(inventory.Engines) != 0 {
		t.Errorf("after the stop there is %+v, %v", inventory, err)
	}
}

func TestEngineRemovedByOthers(t *testing.T) {
	t.Parallel()
	r := openReal(t, nil)
	r.start(t, "engine-1")
	if _, err := r.daemon.ContainerRemove(t.Context(), r.container("engine-1"), client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	await(t, r.Provider, func() bool {
		inventory, err := r.List(t.Context())
		return err == nil && len(inventory.Engines) == 0
	})
	volumes := func() int {
		found, err := r.daemon.VolumeList(t.Context(), client.VolumeListOptions{
			Filters: make(client.Filters).Add("label", "acequia.instance="+r.config.Instance),
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(found.Items)
	}
	if got := volumes(); got != 1 {
		t.Fatalf("%d volumes were left, so there is nothing to collect", got)
	}
	r.start(t, "engine-2")
	for _, want := range [][]string{{"the volume of engine-1 on local"}, nil} {
		removed, err := r.Collect(t.Context())
		if diff := cmp.Diff(want, removed); diff != "" || err != nil {
			t.Errorf("what was collected (-want +got), %v:\n%s", err, diff)
		}
	}
	if got := volumes(); got != 1 {
		t.Errorf("%d volumes are left, and one engine has one", got)
	}
}

// eventually waits for an event of that type.
func (r *real) eventually(t *testing.T, kind string) event.Event {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		changed := r.events.Changed()
		events, _ := r.events.Since(0)
		if i := slices.IndexFunc(events, func(e event.Event) bool { return e.Type == kind }); i >= 0 {
			return events[i]
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no event %s; there are %+v", kind, events)
		}
	}
}

// stranger makes a container that is none of ours, and returns a function that
// says what became of it.
func (r *real) stranger(t *testing.T, name string, labels map[string]string) (state func() string) {
	t.Helper()
	made, err := r.daemon.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{
			Image: r.config.Image, Labels: labels,
			Cmd: []string{"engine", "--data=/tmp", "--engine.http_port=0", "--engine.p2p_port=0"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = r.daemon.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	})
	if _, err := r.daemon.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	return func() string {
		found, err := r.daemon.ContainerInspect(t.Context(), made.ID, client.ContainerInspectOptions{})
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(found.Container.Name, found.Container.State.Status, found.Container.State.StartedAt, found.Container.Config.Labels)
	}
}

func TestContainersOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := openReal(t, nil)
	strangers := map[string]func() string{
		"one with the name of ours": r.stranger(t, r.container("engine-1"), nil),
		"one of another instance": r.stranger(t, r.container("engine-2"), map[string]string{
			"acequia.instance": r.config.Instance + "-other", "acequia.engine": "engine-2",
		}),
		"one that claims to be another engine": r.stranger(t, r.container("engine-3"), map[string]string{
			"acequia.engine": "engine-3",
		}),
		"one of no relation": r.stranger(t, r.config.Instance+"-unrelated", map[string]string{"com.example": "1"}),
	}
	before := make(map[string]string)
	for name, state := range strangers {
		before[name] = state()
	}
	for _, id := range []string{"engine-1", "engine-2", "engine-3"} {
		if err := r.Stop(t.Context(), id); err != nil {
			t.Errorf("stop of an engine that does not exist: %v", err)
		}
		if e, err := r.Start(t.Context(), provider.Spec{ID: id}); err == nil || !strings.Contains(err.Error(), "not one of ours") {
			t.Errorf("start under the name of a stranger: %+v, %v", e, err)
		}
		if _, err := r.Logs(t.Context(), id, 1, false); err == nil {
			t.Error("a stranger's log was read")
		}
		if err := r.Stop(t.Context(), id); err != nil {
			t.Errorf("stop of an engine that does not exist: %v", err)
		}
	}
	r.start(t, "engine-4")
	if err := r.Stop(t.Context(), "engine-4"); err != nil {
		t.Error(err)
	}
	inventory, err := r.List(t.Context())
	if err != nil || len(inventory.Engines) != 0 {
		t.Errorf("the inventory is %+v, %v", inventory, err)
	}
	for name, state := range strangers {
		if got := state(); got != before[name] {
			t.Errorf("%s was %s, and is %s", name, before[name], got)
		}
	}
}

func TestEngineOutOfMemory(t *testing.T) {
	t.Parallel()
	// The least that a daemon allows; the engine needs more to start with.
	r := openReal(t, func(c *docker.Config) { c.Memory = 6 << 20 })
	if _, err := r.Start(t.Context(), provider.Spec{ID: "engine-1"}); err != nil {
		if strings.Contains(err.Error(), "memory") || strings.Contains(err.Error(), "OCI runtime") {
			t.Skipf("no container can be made with so little memory here: %v", err)
		}
		t.Fatal(err)
	}
	// The daemon may tell of the end before it tells why.
	await(t, r.Provider, func() bool {
		inventory, err := r.List(t.Context())
		return err == nil && len(inventory.Engines) == 1 && inventory.Engines[0].State == provider.Failed &&
			strings.Contains(inventory.Engines[0].Reason, "lack of memory (docker.memory allows 6 MiB)")
	})
	r.eventually(t, docker.EventOutOfMemory)
}

func TestTakenPortIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	var taken net.Listener
	var first int
	for first = 28000; ; first += 7 { // a port that is free, and the next one too, in all likelihood
		var err error
		if taken, err = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", first)); err == nil {
			break
		}
	}
	defer taken.Close()
	r := openReal(t, func(c *docker.Config) { c.Ports = docker.PortRange{First: first, Last: first + 5} })
	e := r.start(t, "engine-1")
	if strings.HasSuffix(e.URL, fmt.Sprint(":", first)) {
		t.Errorf("the engine is at %s, which another program has", e.URL)
	}
	answers(t, e.URL)
	if told := r.eventually(t, docker.EventPortTaken); told.Attrs["port"] != fmt.Sprint(first) {
		t.Errorf("the event is %+v", told)
	}
}

func TestSharedNetwork(t *testing.T) {
	t.Parallel()
	var self []string
	r := openReal(t, func(c *docker.Config) { c.Self = func() []string { return self } })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	name := r.config.Instance + "-net"
	if _, err := r.daemon.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{
		Driver: "bridge", Labels: map[string]string{"acequia.instance": r.config.Instance},
	}); err != nil {
		t.Fatal(err)
	}
	// What stands for the container that this program runs in. It is removed
	// like an engine, and is none.
	made, err := r.daemon.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name:       r.config.Instance + "-self",
		Config:     &container.Config{Image: r.config.Image, Labels: map[string]string{"acequia.instance": r.config.Instance}},
		HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(name)},
	})
	if err != nil {
		t.Fatal(err)
	}
	self = []string{"0123456789ab", made.ID}
	r.open(t)
	e := r.start(t, "engine-1")
	answers(t, e.URL)
	found, err := r.daemon.ContainerInspect(t.Context(), r.container("engine-1"), client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := found.Container; len(c.HostConfig.PortBindings) != 0 || c.NetworkSettings.Networks[name] == nil {
		t.Errorf("the engine publishes %v and is on %v", c.HostConfig.PortBindings, c.NetworkSettings.Networks)
	}
	if inventory, err := r.List(t.Context()); err != nil || len(inventory.Engines) != 1 {
		t.Errorf("the inventory is %+v, %v", inventory, err)
	}
}

func TestMissingImage(t *testing.T) {
	t.Parallel()
	daemon := dockertest.Daemon(t)
	p, _ := profile.Named(profile.AcequiaEngine)
	events := event.NewLog(100)
	dp, err := docker.Open(docker.Config{
		Hosts: []docker.Host{{Name: "local", URL: dockertest.Socket}}, Profile: p, Pull: docker.PullNever,
		Image: "acequia-engine-test:never-built", Instance: dockertest.Instance(t, daemon), Secret: secret,
		Self: func() []string { return nil }, Log: slog.New(slog.DiscardHandler), Events: events,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	await(t, dp, func() bool {
		inventory, err := dp.List(t.Context())
		return err == nil && strings.Contains(inventory.Unready, "has no image acequia-engine-test:never-built: build or pull it")
	})
	if _, err := dp.Start(t.Context(), provider.Spec{ID: "engine-1"}); err == nil || !strings.Contains(err.Error(), "build or pull it") {
		t.Errorf("Start without an image: %v", err)
	}
}
