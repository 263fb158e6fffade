package pool

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	api "github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
	"github.com/acequia-tv/acequia/internal/provider/docker/dockertest"
)

// house is acequia serve as a process, with engines in containers, beside
// containers of others.
type house struct {
	t        *testing.T
	daemon   *client.Client
	instance string
	image    string
	images   []string // the ids of all that had the name
	args     []string
	life     *life

	base   string // URL
	cmd    *exec.Cmd
	logged chan struct{} // closed when the log has ended
}

// program is the package of what runs in the containers.
const program = "github.com/acequia-tv/acequia/test/pool/engine"

// ports are where the next house may publish ports.
var ports atomic.Int32

// open runs acequia with such settings until the test ends. The containers of
// others that are there must be as they were in the end.
func open(t *testing.T, flags ...string) *house {
	t.Helper()
	h := &house{t: t, daemon: dockertest.Daemon(t)}
	t.Cleanup(func() {
		// Before the instance, so that it is done when its containers are gone.
		for _, id := range h.images {
			_, err := h.daemon.ImageRemove(context.Background(), id, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			if err != nil && !errdefs.IsNotFound(err) {
				t.Errorf("remove an image of the engines: %v", err)
			}
		}
	})
	h.instance = dockertest.Instance(t, h.daemon)
	h.image = "acequia-pool-test:" + h.instance
	h.build("first")
	h.life = follow(t, h.daemon, h.instance)
	h.strangers()
	first := 30000 + 100*(ports.Add(1)-1)
	h.args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--log.format", "json",
		"--auth.trusted_networks", "127.0.0.1", "--playback.stall_timeout", stall.String(), "--playback.linger", "500ms",
		"--pool.provider", "docker", "--docker.image", h.image, "--docker.pull", "never", "--docker.instance", h.instance,
		"--docker.network", "publish", "--docker.ports", fmt.Sprintf("%d-%d", first, first+99), "--docker.memory", "128MiB",
		"--docker.profile", "custom", "--docker.custom.p2p_port", "0", "--docker.custom.init=false", "--docker.custom.read_only",
		"--pool.unhealthy_ttl", "1s",
	}, flags...)
	t.Cleanup(func() { h.stop() })
	h.run()
	return h
}

// build makes the image of the engines, another one for each variant.
func (h *house) build(variant string) {
	h.t.Helper()
	if err := dockertest.Build(h.t.Context(), h.daemon, h.image, program, h.instance+"-"+variant); err != nil {
		h.t.Fatalf("build the image of the engines: %v", err)
	}
	found, err := h.daemon.ImageInspect(h.t.Context(), h.image)
	if err != nil {
		h.t.Fatal(err)
	}
	h.images = append(h.images, found.ID)
}

// run runs acequia with further settings, and waits until it listens.
func (h *house) run(flags ...string) {
	h.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	h.cmd, h.logged = exec.Command(exe, slices.Concat(h.args, flags)...), make(chan struct{})
	log, err := h.cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	listens := make(chan string, 1)
	go h.follow(log, h.logged, listens)
	select {
	case address := <-listens:
		h.base = "http://" + address
	case <-h.logged:
		h.t.Fatal("acequia ended as soon as it was started")
	case <-time.After(patience):
		h.t.Fatal("acequia does not listen")
	}
}

// follow copies the log to the test's output, and tells the address.
func (h *house) follow(log io.Reader, logged chan<- struct{}, listens chan<- string) {
	defer close(logged)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		fmt.Fprintf(h.t.Output(), "%s\n", lines.Bytes())
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "ready to play" {
			listens <- entry.Address
		}
	}
}

// kill ends acequia as kill -9 does.
func (h *house) kill() {
	_ = h.cmd.Process.Kill() // fails where it has ended
	<-h.logged
	_ = h.cmd.Wait() // says that it was killed
	h.cmd = nil
}

// stop ends acequia in order, if it runs. An end that is none, or that does not
// come, is a fault.
func (h *house) stop() {
	if h.cmd == nil || h.cmd.Process == nil {
		return
	}
	_ = h.cmd.Process.Signal(os.Interrupt) // fails where it has ended
	hung := time.AfterFunc(patience, func() {
		h.t.Error("acequia does not end")
		_ = h.cmd.Process.Kill()
	})
	defer hung.Stop()
	<-h.logged
	if err := h.cmd.Wait(); err != nil {
		h.t.Errorf("acequia ended with %v", err)
	}
	h.cmd = nil
}

// get asks the API.
func get[T any](h *house, path string) T {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.base+"/api/v1"+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := playbacktest.Client().Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var v T
	if res.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %s", path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		h.t.Fatalf("%s: %v", path, err)
	}
	return v
}

// await waits until a condition holds.
func (h *house) await(what string, holds func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := playbacktest.Until(ctx, what, holds); err != nil {
		h.t.Fatalf("%v; the pool is %+v, the engines are %v", err, get[api.Pool](h, "/pool"), h.containers())
	}
}

// settles waits until there are n engines, all of which can play.
func (h *house) settles(n int) {
	h.t.Helper()
	h.await(fmt.Sprintf("%d engines are ready and no other exists", n), func() bool {
		pool := get[api.Pool](h, "/pool")
		return pool.Ready == n && pool.Engines == n && len(h.containers()) == n
	})
}

// gone waits until the container of an engine is.
func (h *house) gone(engine string) {
	h.t.Helper()
	h.await(engine+" is gone", func() bool { _, there := h.containers()[engine]; return !there })
}

// tells waits for an event.
func (h *house) tells(kind string) api.Event {
	h.t.Helper()
	var found api.Event
	h.await("an event "+kind, func() bool {
		page := get[api.EventPage](h, "/events?limit=1&type="+kind)
		if len(page.Events) == 0 {
			return false
		}
		found = page.Events[0]
		return true
	})
	return found
}

// containers returns the containers of the engines by the engines' ids.
func (h *house) containers() map[string]container.Summary {
	h.t.Helper()
	found, err := h.daemon.ContainerList(h.t.Context(), client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", "acequia.instance="+h.instance),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	containers := make(map[string]container.Summary)
	for _, c := range found.Items {
		containers[c.Labels["acequia.engine"]] = c
	}
	return containers
}

// starts tells each container of an engine, and when it was started.
func (h *house) starts() map[string]string {
	h.t.Helper()
	starts := make(map[string]string)
	for id, c := range h.containers() {
		found, err := h.daemon.ContainerInspect(h.t.Context(), c.ID, client.ContainerInspectOptions{})
		if err != nil {
			h.t.Fatal(err)
		}
		starts[id] = c.ID + " " + found.Container.State.StartedAt
	}
	return starts
}

// busy returns the id of an engine that plays something, and of its container.
func (h *house) busy() (engine, containerID string) {
	h.t.Helper()
	h.await("an engine plays", func() bool {
		engine = ""
		for _, s := range get[[]api.Stream](h, "/streams") {
			engine = max(engine, s.Engine)
		}
		return engine != ""
	})
	return engine, h.containers()[engine].ID
}

// refused is what a player is told that gets no media.
type refused struct {
	status, code string
	retryAfter   int // seconds
	text         string
}

// refusal asks for a content that is not to play.
func refusal(h *house, content int) refused {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, playbacktest.Address(h.base, content), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := playbacktest.Client().Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		h.t.Fatalf("the answer is %s", res.Status)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil {
		h.t.Errorf("Retry-After: %v", err)
	}
	return refused{res.Status, res.Header.Get("X-Error-Code"), seconds, strings.TrimSpace(string(text))}
}

func hasPicture(r enginetest.Report) bool { return r.Packets > 0 }
