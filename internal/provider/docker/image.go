package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/backoff"
)

// pullAgain is how long to wait after pulls in a row that failed.
var pullAgain = backoff.Policy{Min: 30 * time.Second, Max: 10 * time.Minute}

// keepImage finds the image, and tries again until it is there.
func (h *host) keepImage(ctx context.Context) {
	h.findImage(ctx, h.config.Pull == PullAlways)
	for n := 1; h.config.Pull != PullNever && !h.hasImage(); n++ {
		timer := time.NewTimer(pullAgain.Delay(n))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		h.findImage(ctx, false)
	}
}

func (h *host) hasImage() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.image.id != ""
}

// findImage finds the image on the host, and pulls it where the policy says so.
func (h *host) findImage(ctx context.Context, pull bool) {
	if !pull {
		err := h.inspectImage(ctx)
		if err == nil || !errdefs.IsNotFound(err) || h.config.Pull == PullNever {
			h.noImage(err)
			return
		}
	}
	err := h.pull(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		reason := explain(err, h.config.Image)
		h.tell(slog.LevelError, EventPullFailed, "The image "+h.config.Image+" could not be pulled: "+reason+".", "image", h.config.Image, "reason", reason)
		// An older one is better than none.
		if h.inspectImage(ctx) != nil {
			h.lackImage("the image " + h.config.Image + " could not be pulled: " + reason)
		}
		return
	}
	h.noImage(h.inspectImage(ctx))
}

// noImage notes why there is no image, if err is one; it was found otherwise.
func (h *host) noImage(err error) {
	if err != nil {
		h.lackImage(explain(err, h.config.Image))
	}
}

// lackImage notes why there is no image, in words for a person.
func (h *host) lackImage(why string) {
	h.mu.Lock()
	h.image = image{trouble: why}
	h.mu.Unlock()
	h.wake()
}

// inspectImage notes the image that the host has.
func (h *host) inspectImage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := h.client.ImageInspect(ctx, h.config.Image)
	if err != nil {
		return err
	}
	if p := h.config.Profile; found.Architecture != "" && !p.Runs(found.Architecture) {
		h.log.Warn("the image is of an architecture that its profile does not know", "image", h.config.Image, "architecture", found.Architecture)
	}
	h.mu.Lock()
	changed := h.image.id != found.ID
	h.image = image{id: found.ID}
	h.mu.Unlock()
	if changed {
		h.wake()
	}
	return nil
}

// lookAtImage takes in that an image of the host changed.
func (h *host) lookAtImage(ctx context.Context) {
	h.mu.Lock()
	had, pulling := h.image.id != "", h.image.progress != ""
	h.mu.Unlock()
	if pulling {
		return // it looks when it has ended
	}
	err := h.inspectImage(ctx)
	if errdefs.IsNotFound(err) {
		if had {
			h.tell(slog.LevelWarn, EventImageGone, "The image "+h.config.Image+" was removed from the Docker host "+h.name+": no engine can be started there.", "image", h.config.Image)
		}
		h.noImage(err)
	}
}

// progressEvery is how often a pull tells how far it is.
const progressEvery = 10 * time.Second

// pull pulls the image and tells how far it is.
func (h *host) pull(ctx context.Context) error {
	name := h.config.Image
	h.progress("the image " + name + " is being pulled")
	defer h.progress("")
	h.tell(slog.LevelInfo, EventPulling, "The image "+name+" is being pulled to the Docker host "+h.name+".", "image", name)
	response, err := h.client.ImagePull(ctx, name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer response.Close()
	var layers layers
	told := time.Now()
	for message, err := range response.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil {
			return errors.New(message.Error.Message)
		}
		if message.Progress == nil || message.Progress.Total <= 0 || message.Status != "Downloading" {
			continue
		}
		far := layers.note(message.ID, message.Progress.Current, message.Progress.Total)
		h.progress("the image " + name + " is being pulled, " + far)
		if time.Since(told) >= progressEvery {
			told = time.Now()
			h.tell(slog.LevelInfo, EventPulling, "The image "+name+" is being pulled: "+far+".", "image", name, "progress", far)
		}
	}
	h.tell(slog.LevelInfo, EventPulled, "The image "+name+" is on the Docker host "+h.name+".", "image", name)
	return nil
}

func (h *host) progress(text string) {
	h.mu.Lock()
	h.image.progress = text
	h.mu.Unlock()
}

// layers adds up how far the layers of an image are.
type layers map[string][2]int64 // by layer: bytes had and in all

// note takes in one layer and returns how far all are that are known of.
func (l *layers) note(id string, current, total int64) string {
	if *l == nil {
		*l = make(layers)
	}
	(*l)[id] = [2]int64{min(current, total), total}
	var had, all int64
	for _, layer := range *l {
		had, all = had+layer[0], all+layer[1]
	}
	return fmt.Sprintf("%d of %d MB", had/1_000_000, all/1_000_000)
}
