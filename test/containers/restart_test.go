// Package containers tests acequia serve with engines in real containers: what
// of them outlives it, and what it does about those that do not.
package containers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/app"
	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/provider/docker/dockertest"
)

// TestMain lets the test binary be acequia serve.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(cli.Main(cli.System{
			Args: os.Args, Environ: os.Environ(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
		}, cli.Apps{Serve: app.Serve}))
	}
	os.Exit(m.Run())
}

// patience bounds every wait.
const patience = 2 * time.Minute

// house is acequia serve as a process, with two engines in containers.
type house struct {
	t        *testing.T
	daemon   *client.Client
	instance string
	args     []string
	address  string
	cmd      *exec.Cmd
}

func (h *house) run() {
	h.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	h.cmd = exec.Command(exe, h.args...)
	h.cmd.Stdout, h.cmd.Stderr = h.t.Output(), h.t.Output()
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
}

// kill ends it as kill -9 does.
func (h *house) kill() {
	_ = h.cmd.Process.Kill() // it may have ended
	_ = h.cmd.Wait()         // says that it was killed
}

// engines returns the ids of the containers that run, by engine.
func (h *house) engines() map[string]string {
	h.t.Helper()
	found, err := h.daemon.ContainerList(h.t.Context(), client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", "acequia.instance="+h.instance),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	running := make(map[string]string)
	for _, c := range found.Items {
		if c.State == container.StateRunning {
			running[c.Labels["acequia.engine"]] = c.ID
		}
	}
	return running
}

// await waits until it is ready to play and the condition holds.
func (h *house) await(what string, holds func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !h.ready(ctx) || !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.t.Fatalf("%s did not happen; the engines are %v", what, h.engines())
		}
	}
}

func (h *house) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.address+"/readyz", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func TestEnginesOutliveAcequia(t *testing.T) {
	t.Parallel()
	daemon := dockertest.Daemon(t)
	image := dockertest.Image(t, daemon)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, daemon: daemon, instance: dockertest.Instance(t, daemon), address: free.Addr().String()}
	free.Close()
	h.args = []string{
		"serve", "--listen", h.address, "--data", t.TempDir(), "--log.level", "debug",
		"--pool.provider", "docker", "--pool.min", "2", "--pool.max", "3",
		"--docker.image", image, "--docker.profile", "acequia-engine", "--docker.pull", "never",
		"--docker.instance", h.instance, "--docker.network", "publish", "--docker.ports", "29000-29099",
		"--docker.memory", strconv.Itoa(512 << 20), "--docker.cache_size", strconv.Itoa(256 << 20),
	}
	h.run()
	defer func() { h.kill() }()
	h.await("the minimum of two engines", func() bool { return len(h.engines()) == 2 })
	before := h.engines()

	h.kill()
	if diff := cmp.Diff(before, h.engines()); diff != "" {
		t.Fatalf("engines ended with it:\n%s", diff)
	}
	h.run()
	h.await("being ready again", func() bool { return true })
	if diff := cmp.Diff(before, h.engines()); diff != "" {
		t.Errorf("engines were not adopted (-before +after):\n%s", diff)
	}

	// One that is removed by others is replaced, and the other one stays.
	gone := ""
	for id := range before {
		gone = max(gone, id)
	}
	if _, err := daemon.ContainerRemove(t.Context(), before[gone], client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
		t.Fatal(err)
	}
	delete(before, gone)
	h.await("a replacement", func() bool { return len(h.engines()) == 2 })
	after := h.engines()
	for id, c := range before {
		if after[id] != c {
			t.Errorf("engine %s was not left alone: %v", id, after)
		}
	}
	if _, reused := after[gone]; reused {
		t.Errorf("the id %s was used again: %s", gone, fmt.Sprint(after))
	}
}
