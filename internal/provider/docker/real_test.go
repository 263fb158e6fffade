package docker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/event"
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
