package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/acequia-tv/acequia/internal/content"
)

// Errors of [Hub.Move], beside those of an engine that does not take over.
var (
	ErrNoStream   = errors.New("the content is not playing")
	ErrNotLive    = errors.New("the content is a file, whose players choose their engines themselves")
	ErrPlaysThere = errors.New("the stream plays on that engine already")
)

// request is a person's wish to have a stream on another engine. A nil one
// takes no answer.
type request struct {
	to      string // engine id; "" for any other
	answers chan error
}

func (r *request) answer(err error) {
	if r != nil {
		r.answers <- err
	}
}

// Move has the stream of a content go on from another engine: from that with
// the id to, or from any other where to is "". It returns once that engine
// delivers; the engine that played is let go then, and viewers see no seam. When
// the other engine does not play it, the stream stays where it is and the error
// says why; it is an *[Error] where the pool has no such engine or no room on it.
func (h *Hub) Move(ctx context.Context, want content.Selector, to string) error {
	h.mu.Lock()
	s := h.find(want)
	h.mu.Unlock()
	if s == nil {
		return ErrNoStream
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.StartTimeout, errStartTimeout)
	defer cancel()
	select {
	case <-s.ready:
	case <-ctx.Done():
		return fmt.Errorf("wait for the stream to start: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	state, playing := s.state, s.engine
	s.mu.Unlock()
	switch {
	case state == StateFile:
		return ErrNotLive
	case state != StateLive:
		return ErrNoStream
	case to != "" && to == playing:
		return ErrPlaysThere
	}
	r := &request{to: to, answers: make(chan error, 1)}
	select {
	case s.moves <- r:
	case <-s.done:
		return ErrNoStream
	case <-ctx.Done():
		return fmt.Errorf("the stream is busy finding an engine: %w", context.Cause(ctx))
	}
	select {
	case err := <-r.answers:
		if err != nil {
			return fmt.Errorf("move to another engine: %w", err)
		}
		return nil
	case <-s.done:
		return ErrNoStream
	case <-ctx.Done():
		return fmt.Errorf("move to another engine: %w", context.Cause(ctx))
	}
}
