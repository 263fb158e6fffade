package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/provider"
)

// portTries bounds how many ports are tried for one engine.
const portTries = 20

// start makes and starts the container of an engine that does not exist.
func (h *host) start(ctx context.Context, id string) (provider.Engine, error) {
	h.beginStart(id, true)
	defer h.beginStart(id, false)
	tried := make(map[int]bool)
	for range portTries {
		at, release, err := h.reserve(ctx, tried)
		if err != nil {
			return provider.Engine{}, err
		}
		err = h.startAt(ctx, id, at)
		release()
		switch {
		case err == nil:
			return h.find(ctx, id)
		case !portTaken(err):
			return provider.Engine{}, errors.New(explain(err, h.config.Image))
		}
		for _, number := range []int{at.port, at.p2p} {
			if number != 0 {
				tried[number] = true
			}
		}
		h.tell(slog.LevelInfo, EventPortTaken, "Port "+strconv.Itoa(at.port)+" of the Docker host "+h.name+" is taken by another program: the next one is tried.", "port", strconv.Itoa(at.port))
	}
	return provider.Engine{}, fmt.Errorf("%d ports were tried and all are taken: set docker.ports to others", portTries)
}

// beginStart notes that an engine is being started, or is no more.
func (h *host) beginStart(id string, begins bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if begins {
		h.starting[id] = true
	} else {
		delete(h.starting, id)
	}
}

func (h *host) isStarting(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.starting[id]
}

// startAt makes and starts a container. Where it cannot be started, it goes.
func (h *host) startAt(ctx context.Context, id string, at place) error {
	h.mu.Lock()
	imageID := h.image.id
	h.mu.Unlock()
	options := blueprint(h.config, h.name, h.config.Image, id, at, time.Now())
	options.Config.Labels[labelRevision] = revisionOf(h.config, imageID)
	made, err := h.client.ContainerCreate(ctx, options)
	containerID := made.ID
	if err != nil {
		// It may have been made all the same, and reported failed; or somebody
		// else's container has the name.
		c, ownErr := h.owned(ctx, id)
		switch {
		case errors.Is(ownErr, errStranger):
			return ownErr
		case ownErr != nil:
			return err
		}
		containerID = c.ID
	}
	for _, warning := range made.Warnings {
		h.log.Debug("the daemon warns of a container", "engine", id, "warning", warning)
	}
	if _, err = h.client.ContainerStart(ctx, containerID, client.ContainerStartOptions{}); err == nil {
		return nil
	}
	// The call may have been cut off: what becomes of the container is decided
	// even so.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if c, ownErr := h.owned(after, id); ownErr == nil && c.State != nil && c.State.Running {
		return nil // done, and reported failed
	}
	if removeErr := h.remove(after, containerID); removeErr != nil && !errdefs.IsNotFound(removeErr) {
		err = errors.Join(err, fmt.Errorf("remove the container: %w", removeErr))
	}
	return err
}

// reserve picks the ports of an engine to be started: such as no engine of ours
// on the host has, and none of tried. They are kept until release is called.
func (h *host) reserve(ctx context.Context, tried map[int]bool) (at place, release func(), err error) {
	found, err := h.summaries(ctx, make(client.Filters))
	if err != nil {
		return place{}, nil, errors.New(explain(err, h.config.Image))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	used := make(map[int]bool)
	for _, c := range found {
		for _, l := range []string{labelPort, labelP2PPort} {
			if l == labelPort && c.Labels[labelAddress] == "" {
				continue // a port inside
			}
			number, _ := strconv.Atoi(c.Labels[l])
			used[number] = true
		}
	}
	free := func(r PortRange, key string) (int, error) {
		for number := r.First; number <= r.Last; number++ {
			if !used[number] && !tried[number] && !h.taken[number] {
				h.taken[number] = true
				return number, nil
			}
		}
		return 0, fmt.Errorf("all ports from %d to %d are taken: make %s larger", r.First, r.Last, key)
	}
	at = place{network: h.network, address: h.address}
	release = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.taken, at.port)
		delete(h.taken, at.p2p)
	}
	if at.network == "" {
		if at.port, err = free(h.config.Ports, "docker.ports"); err != nil {
			return place{}, nil, err
		}
	}
	if h.config.P2P != (PortRange{}) {
		if at.p2p, err = free(h.config.P2P, "docker.p2p_ports"); err != nil {
			delete(h.taken, at.port)
			return place{}, nil, err
		}
	}
	return at, release, nil
}
