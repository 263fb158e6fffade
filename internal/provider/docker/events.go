package docker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/event"
)

// The types of event that the provider publishes. Their attributes are
// "docker", the name of the host, and what the comments name.
const (
	EventReachable   = "docker.reachable"
	EventUnreachable = "docker.unreachable" // reason
	EventPulling     = "docker.pulling"     // image, progress
	EventPulled      = "docker.pulled"      // image
	EventPullFailed  = "docker.pull_failed" // image, reason
	EventOutOfMemory = "docker.oom"         // engine
	EventSick        = "docker.unhealthy"   // engine: the image's own health check fails
	EventImageGone   = "docker.image_gone"  // image
	EventPortTaken   = "docker.port_taken"  // port: another program has it
	EventStranger    = "docker.name_taken"  // container: somebody else's has the name that ours would
)

// tell publishes an event and logs it. attrs are pairs of key and value.
func (h *host) tell(level slog.Level, kind, message string, attrs ...string) {
	e := event.Event{Time: time.Now(), Type: kind, Message: message, Attrs: map[string]string{"docker": h.name}}
	logged := []slog.Attr{slog.String("event", kind)}
	for i := 0; i+1 < len(attrs); i += 2 {
		e.Attrs[attrs[i]] = attrs[i+1]
		if attrs[i] != "reason" {
			logged = append(logged, slog.String(attrs[i], attrs[i+1]))
		}
	}
	h.config.Events.Publish(e)
	h.log.LogAttrs(context.Background(), level, message, logged...)
}

// eventFilters asks for what changes a list, and for no more: health checks
// make several events each.
func eventFilters() client.Filters {
	return make(client.Filters).
		Add("type", string(events.ContainerEventType), string(events.ImageEventType)).
		Add("event", "create", "start", "die", "oom", "destroy", "pause", "unpause", "health_status", "pull", "tag", "untag", "delete", "load")
}

// watch takes in the daemon's events until the stream ends.
func (h *host) watch(ctx context.Context, stream client.EventsResult) error {
	for {
		select {
		case m := <-stream.Messages:
			h.happened(ctx, m)
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errors.New("the daemon ended the stream of its events, as when it is restarted")
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// happened takes in one event.
func (h *host) happened(ctx context.Context, m events.Message) {
	if m.Type == events.ImageEventType {
		h.lookAtImage(ctx)
		return
	}
	if m.Actor.Attributes[labelInstance] != h.config.Instance {
		return
	}
	id := m.Actor.Attributes[labelEngine]
	switch m.Action {
	case events.ActionOOM:
		h.mu.Lock()
		h.starved[m.Actor.ID] = true
		delete(h.ends, m.Actor.ID)
		h.mu.Unlock()
		h.tell(slog.LevelWarn, EventOutOfMemory, "The kernel ended a process of engine "+id+" for lack of memory: docker.memory is its limit.", "engine", id)
	case events.ActionHealthStatusUnhealthy:
		h.tell(slog.LevelWarn, EventSick, "The image's own health check says that engine "+id+" is unhealthy.", "engine", id)
	}
	h.wake()
	// The daemon tells of an event while it is still at it, and lists the
	// container as it was until it has ended. Looking at the container waits for
	// that (handleContainerExit in
	// https://github.com/moby/moby/blob/master/daemon/monitor.go).
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, _ = h.client.ContainerInspect(bounded, m.Actor.ID, client.ContainerInspectOptions{}) // it may be gone
	h.wake()
}
