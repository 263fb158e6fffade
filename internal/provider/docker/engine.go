package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/provider"
)

// list returns the engines of the host; with an error, those last seen.
func (h *host) list(ctx context.Context) ([]provider.Engine, error) {
	found, err := h.summaries(ctx, make(client.Filters))
	if err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.seen, fmt.Errorf("docker host %s: %s", h.name, explain(err, h.config.Image))
	}
	engines := make([]provider.Engine, 0, len(found))
	ended, exist := make(map[string]bool), make(map[string]bool)
	for _, c := range found {
		e := h.engineOf(c)
		exist[c.ID] = true
		if e.State != provider.Running && h.isStarting(e.ID) {
			// The start may still take another port, in another container.
			continue
		}
		if e.State == provider.Failed {
			ended[c.ID] = true
			e.Reason = h.endOf(ctx, c)
		}
		engines = append(engines, e)
	}
	h.mu.Lock()
	h.seen = engines
	for id := range h.ends {
		if !ended[id] {
			delete(h.ends, id)
		}
	}
	for id := range h.starved {
		if !exist[id] {
			delete(h.starved, id)
		}
	}
	h.mu.Unlock()
	return engines, nil
}

// summaries lists our containers on the host.
func (h *host) summaries(ctx context.Context, also client.Filters) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	filters := also.Clone().Add("label", labelInstance+"="+h.config.Instance)
	result, err := h.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, err
	}
	var ours []container.Summary
	for _, c := range result.Items {
		// Not left to the filter: a proxy in between may not know it.
		if c.Labels[labelInstance] == h.config.Instance && provider.ValidID(c.Labels[labelEngine]) {
			ours = append(ours, c)
		}
	}
	return ours, nil
}

// find returns the engine of that id as it is, or ErrUnknown.
func (h *host) find(ctx context.Context, id string) (provider.Engine, error) {
	found, err := h.summaries(ctx, make(client.Filters).Add("label", labelEngine+"="+id))
	if err != nil {
		return provider.Engine{}, errors.New(explain(err, h.config.Image))
	}
	for _, c := range found {
		if c.Labels[labelEngine] == id {
			e := h.engineOf(c)
			if e.State == provider.Failed {
				e.Reason = h.endOf(ctx, c)
			}
			return e, nil
		}
	}
	return provider.Engine{}, provider.ErrUnknown
}

// engineOf reads an engine from its container.
func (h *host) engineOf(c container.Summary) provider.Engine {
	l := c.Labels
	e := provider.Engine{ID: l[labelEngine], State: provider.Starting, Revision: l[labelRevision]}
	e.StartedAt, _ = time.Parse(time.RFC3339Nano, l[labelStarted])
	if e.StartedAt.IsZero() {
		e.StartedAt = time.Unix(c.Created, 0)
	}
	e.P2PPort, _ = strconv.Atoi(l[labelP2PPort])
	switch c.State {
	case container.StateExited, container.StateDead, container.StateRemoving:
		e.State = provider.Failed
	case container.StateRunning, container.StatePaused, container.StateRestarting:
		if host := addressOf(c); host != "" {
			e.State, e.URL = provider.Running, "http://"+net.JoinHostPort(host, l[labelPort])
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch current := h.image.id; {
	case current == "" || e.Revision == revisionOf(h.config, current):
	case c.ImageID != current:
		e.Outdated = "the image " + h.config.Image + " is another one now"
	default:
		e.Outdated = "the settings of its container have changed"
	}
	return e
}

// addressOf returns where the API of an engine is; "" while that is not known.
func addressOf(c container.Summary) string {
	name := c.Labels[labelNetwork]
	if name == "" {
		return c.Labels[labelAddress]
	}
	if c.NetworkSettings == nil {
		return ""
	}
	endpoint := c.NetworkSettings.Networks[name]
	if endpoint == nil || !endpoint.IPAddress.IsValid() || endpoint.IPAddress.IsUnspecified() {
		return ""
	}
	return endpoint.IPAddress.String()
}

// endOf says, for a person, how a container ended. It asks once for each.
func (h *host) endOf(ctx context.Context, c container.Summary) string {
	h.mu.Lock()
	end, known := h.ends[c.ID]
	h.mu.Unlock()
	if known {
		return end
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := h.client.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
	if err != nil || found.Container.State == nil {
		return "its container has ended"
	}
	lastWords := h.lastWords(ctx, c.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	// Another process of the container may have been what was ended.
	if h.starved[c.ID] && found.Container.State.ExitCode == 137 {
		found.Container.State.OOMKilled = true
	}
	end = endText(found.Container, lastWords)
	h.ends[c.ID] = end
	return end
}

// endText says how a container ended. lastWords is what it wrote last.
func endText(c container.InspectResponse, lastWords string) string {
	s := c.State
	text := "its container exited with code " + strconv.Itoa(s.ExitCode)
	switch {
	case s.OOMKilled:
		text = "the kernel ended it for lack of memory"
		if c.HostConfig != nil && c.HostConfig.Memory > 0 {
			text += fmt.Sprintf(" (docker.memory allows %d MiB)", c.HostConfig.Memory>>20)
		}
	case s.Error != "":
		text = "its container ended: " + s.Error
	case s.ExitCode == 137:
		text = "its container was killed"
	case s.ExitCode == 143:
		text = "its container was stopped by somebody else"
	}
	if lastWords != "" && !s.OOMKilled {
		text += ": " + lastWords
	}
	return text
}

// maxLastWords bounds what is repeated of an engine's log, in bytes.
const maxLastWords = 300

// lastWords returns the last line that a container wrote.
func (h *host) lastWords(ctx context.Context, id string) string {
	r, err := h.output(ctx, id, 1, false)
	if err != nil {
		return ""
	}
	defer r.Close()
	line, _ := bufio.NewReader(r).ReadString('\n')
	line = strings.TrimSpace(line)
	return strings.ToValidUTF8(line[:min(len(line), maxLastWords)], "")
}

// errStranger says that a container of ours in name is not ours in its labels.
var errStranger = errors.New("the container of that name is not one of ours, and is left alone: rename it, or set docker.instance")

// owned returns the container of an engine after making sure, by its labels,
// that it is one. What is done to it is done by its id, so that no other can
// take its place in between.
func (h *host) owned(ctx context.Context, id string) (container.InspectResponse, error) {
	found, err := h.client.ContainerInspect(ctx, containerName(h.config.Instance, id), client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return container.InspectResponse{}, provider.ErrUnknown
	}
	if err != nil {
		return container.InspectResponse{}, err
	}
	c := found.Container
	if c.Config == nil || c.Config.Labels[labelInstance] != h.config.Instance || c.Config.Labels[labelEngine] != id {
		h.tell(slog.LevelWarn, EventStranger, "The container "+strings.TrimPrefix(c.Name, "/")+" has the name of one of ours and is not one. It is left alone.", "container", c.ID)
		return container.InspectResponse{}, errStranger
	}
	return c, nil
}

// stopGrace is how long an engine may take to end when asked, in seconds.
const stopGrace = 5

// stop ends an engine and removes its container and cache.
func (h *host) stop(ctx context.Context, id string) error {
	c, err := h.owned(ctx, id)
	switch {
	case errors.Is(err, provider.ErrUnknown), errors.Is(err, errStranger):
		return nil // there is no such engine
	case err != nil:
		return errors.New(explain(err, h.config.Image))
	}
	if c.State != nil && c.State.Paused {
		// What is frozen cannot end: it is killed as soon as it thaws.
		_, killErr := h.client.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: "SIGKILL"})
		_, thawErr := h.client.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{})
		h.log.Debug("froze container is ended", "engine", id, "kill", killErr, "unpause", thawErr)
	} else {
		grace := stopGrace
		if _, err := h.client.ContainerStop(ctx, c.ID, client.ContainerStopOptions{Timeout: &grace}); err != nil && !errdefs.IsNotFound(err) {
			h.log.Debug("container did not stop when asked and is removed by force", "engine", id, "error", err)
		}
	}
	if err := h.remove(ctx, c.ID); err != nil {
		return errors.New(explain(err, h.config.Image))
	}
	return nil
}

// remove removes a container of ours and its volumes.
func (h *host) remove(ctx context.Context, containerID string) error {
	_, err := h.client.ContainerRemove(ctx, containerID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
