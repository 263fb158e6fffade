package pool

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// life is what became of the containers of an instance, as the daemon tells it.
// Safe for concurrent use.
type life struct {
	mu             sync.Mutex      // guards what follows
	exist, running map[string]bool // by the containers' ids
	started        int
	most           int // that existed at the same time
	least          int // that ran at the same time, since watchFloor
}

// follow follows the daemon's events until the test ends.
func follow(t *testing.T, daemon *client.Client, instance string) *life {
	t.Helper()
	l := &life{exist: make(map[string]bool), running: make(map[string]bool)}
	ctx, cancel := context.WithCancel(context.Background())
	stream := daemon.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).
		Add("type", string(events.ContainerEventType)).Add("label", "acequia.instance="+instance)})
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			select {
			case m := <-stream.Messages:
				l.happened(m)
			case err := <-stream.Err:
				if ctx.Err() == nil {
					t.Errorf("the daemon's events: %v", err)
				}
				return
			}
		}
	}()
	return l
}

func (l *life) happened(m events.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m.Action {
	case events.ActionCreate:
		l.exist[m.Actor.ID] = true
	case events.ActionDestroy:
		delete(l.exist, m.Actor.ID)
		delete(l.running, m.Actor.ID)
	case events.ActionStart:
		l.running[m.Actor.ID] = true
		l.started++
	case events.ActionDie:
		delete(l.running, m.Actor.ID)
	}
	l.most = max(l.most, len(l.exist))
	l.least = min(l.least, len(l.running))
}

// sum returns how many containers were started so far, and the most that existed
// at the same time.
func (l *life) sum() (started, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started, l.most
}

// watchFloor begins to note the fewest containers that run, and floor returns
// them.
func (l *life) watchFloor() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.least = len(l.running)
}

func (l *life) floor() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.least
}

// strangers runs containers that are none of ours, as like them as they can be.
// In the end they must be as they were.
func (h *house) strangers() {
	h.t.Helper()
	for name, labels := range map[string]map[string]string{
		"acequia-" + h.instance + "-engine-1000":        nil,
		"acequia-" + h.instance + "-other-engine-1":     {"acequia.engine": "engine-1"},
		"acequia-" + h.instance + "-neighbour-engine-1": {"acequia.engine": "engine-1", "acequia.instance": h.instance + "-neighbour"},
	} {
		made, err := h.daemon.ContainerCreate(h.t.Context(), client.ContainerCreateOptions{
			Name: name, Config: &container.Config{Image: h.image, Labels: labels},
		})
		if err != nil {
			h.t.Fatal(err)
		}
		state := func() string {
			found, err := h.daemon.ContainerInspect(context.Background(), made.ID, client.ContainerInspectOptions{})
			if err != nil {
				return err.Error()
			}
			c := found.Container
			return fmt.Sprint(c.Name, " ", c.State.Status, " since ", c.State.StartedAt, ", ", c.RestartCount, " restarts, labels ", c.Config.Labels)
		}
		var before string
		h.t.Cleanup(func() {
			if now := state(); now != before {
				h.t.Errorf("a container of others was %s, and is %s", before, now)
			}
			if _, err := h.daemon.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
				h.t.Error(err)
			}
		})
		if _, err := h.daemon.ContainerStart(h.t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			h.t.Fatal(err)
		}
		before = state()
	}
}
