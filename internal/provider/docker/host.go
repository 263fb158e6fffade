package docker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/provider"
)

// host is one Docker host. Its methods are safe for concurrent use.
type host struct {
	name   string
	host   Host
	config *Config // of the provider; not changed
	client *client.Client
	wake   func() // tells the provider's watcher
	log    *slog.Logger

	mu sync.Mutex
	// trouble says why the host is of no use now; "" when it is. Guarded by mu.
	trouble string
	// away says that the trouble is that the host cannot be reached. Guarded by mu.
	away bool
	// image is what the host has of the image. Guarded by mu.
	image image
	// network is what containers join; "" publishes ports. Guarded by mu.
	network string
	// address is where ports are published. Guarded by mu.
	address netip.Addr
	// seen are the engines of the newest list that succeeded. Guarded by mu.
	seen []provider.Engine
	// ends says how containers ended, by their ids. Guarded by mu.
	ends map[string]string
	// starved are the containers that the daemon told an oom event of, which may
	// come after the end of the container has been looked at. Guarded by mu.
	starved map[string]bool
	// taken are host ports that a start is about to use. Guarded by mu.
	taken map[int]bool
	// starting are the engines that are being started. Guarded by mu.
	starting map[string]bool
}

// image is what a host has of the image that engines are made of.
type image struct {
	id       string // "" while the host has none
	progress string // of a pull, "" when there is none
	trouble  string // why there is none
}

func newHost(h Host, config *Config, wake func()) (*host, error) {
	c, err := h.connect()
	if err != nil {
		return nil, err
	}
	return &host{
		name: h.Name, host: h, config: config, client: c, wake: wake,
		log:     config.Log.With("docker", h.Name),
		trouble: "the Docker host is being connected to", away: true,
		ends: make(map[string]string), taken: make(map[int]bool), starting: make(map[string]bool), starved: make(map[string]bool),
	}, nil
}

func (h *host) close() error { return h.client.Close() }

// reconnect is how long to wait after failures in a row of the connection.
var reconnect = backoff.Policy{Min: time.Second, Max: 30 * time.Second}

// run keeps the host connected until ctx ends: it finds out what there is to
// know of it, sees to the image, and follows the events.
func (h *host) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := h.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > reconnect.Max {
			failures = 0
		}
		failures++
		h.lost(err)
		timer := time.NewTimer(reconnect.Delay(failures))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// follow is one connection.
func (h *host) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var pulls sync.WaitGroup
	defer pulls.Wait()
	defer cancel()
	// The stream of events comes first, so that nothing is missed in between.
	stream := h.client.Events(ctx, client.EventsListOptions{Filters: eventFilters()})
	if err := h.learn(ctx); err != nil {
		return err
	}
	pulls.Go(func() { h.keepImage(ctx) })
	return h.watch(ctx, stream)
}

// learn finds out how engines on the host are reached.
func (h *host) learn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := h.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true, ForceNegotiate: true}); err != nil {
		return err
	}
	network, err := h.findNetwork(ctx)
	if err != nil {
		return err
	}
	address, err := h.findAddress(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	changed := h.away
	h.trouble, h.away, h.network, h.address = "", false, network, address
	h.mu.Unlock()
	if changed {
		how := "on the network " + network
		if network == "" {
			how = "on ports of " + address.String()
		}
		h.tell(slog.LevelInfo, EventReachable, "The Docker host "+h.name+" is connected: engines are reached "+how+".")
		h.wake()
	}
	return nil
}

// lost notes that the connection ended.
func (h *host) lost(err error) {
	reason := "the daemon closed the connection"
	if err != nil {
		reason = explain(err, h.config.Image)
	}
	h.mu.Lock()
	changed := !h.away || h.trouble != reason
	h.trouble, h.away = reason, true
	h.mu.Unlock()
	if changed {
		h.tell(slog.LevelWarn, EventUnreachable, "The Docker host "+h.name+" cannot be reached: "+reason+". It is tried again.", "reason", reason)
		h.wake()
	}
}

func (h *host) findAddress(ctx context.Context) (netip.Addr, error) {
	if h.config.Address == "" {
		return h.host.address(ctx)
	}
	address, err := netip.ParseAddr(h.config.Address)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("docker.address: %w", err)
	}
	return address, nil
}

// findNetwork returns the network that engines join, "" where their ports are
// published: that of the settings, else the one that this program's own
// container is on, if the host has that container.
func (h *host) findNetwork(ctx context.Context) (string, error) {
	switch h.config.Network {
	case NetworkPublish:
		return "", nil
	case NetworkAuto:
	default:
		return h.config.Network, nil
	}
	for _, id := range h.config.Self() {
		found, err := h.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		switch {
		case errdefs.IsNotFound(err):
			continue
		case err != nil:
			return "", err
		}
		// A container may use the network of another, as behind a VPN.
		if other := found.Container.HostConfig.NetworkMode.ConnectedContainer(); other != "" {
			if found, err = h.client.ContainerInspect(ctx, other, client.ContainerInspectOptions{}); err != nil {
				return "", fmt.Errorf("look at the container whose network this one uses: %w", err)
			}
		}
		return sharedNetwork(found.Container), nil
	}
	return "", nil
}

// sharedNetwork picks the network to share with a container: one that people
// made, before the default one, where containers may be kept from each other.
func sharedNetwork(c container.InspectResponse) string {
	if c.NetworkSettings == nil || c.HostConfig.NetworkMode.IsHost() {
		return ""
	}
	best := ""
	for name := range c.NetworkSettings.Networks {
		switch {
		case name == "none" || name == "host":
		case best == "" || best == "bridge" || name != "bridge" && name < best:
			best = name
		}
	}
	return best
}

// unready says why no engine can be started here now; "" when one can.
func (h *host) unready() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.trouble != "":
		return h.trouble
	case h.image.id != "":
		return ""
	case h.image.progress != "":
		return h.image.progress
	case h.image.trouble != "":
		return h.image.trouble
	}
	return "the image " + h.config.Image + " is being looked for"
}
