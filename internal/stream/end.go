package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
)

// Disconnect ends one viewer's connection, or HLS session, as somebody wishes: why
// is for the log and the events. It returns false if there is no such viewer.
func (h *Hub) Disconnect(viewer uint64, why string) bool {
	h.mu.Lock()
	streams := h.distinct()
	h.mu.Unlock()
	for _, s := range streams {
		if v := s.viewer(viewer); v != nil {
			s.log.Info("viewer disconnected", "viewer", viewer, "addr", v.client.Addr, "why", why)
			v.disconnect(&Error{Code: CodeStopped, Err: fmt.Errorf("disconnected: %s", why)})
			return true
		}
	}
	return false
}

// Stop ends the stream of a content, under any of its names, and disconnects its
// viewers. It returns false if there is none. Who asks for the content
// again starts it anew.
func (h *Hub) Stop(want content.Selector, why string) bool {
	h.mu.Lock()
	s := h.find(want)
	h.mu.Unlock()
	if s == nil {
		return false
	}
	cause := &Error{Code: CodeStopped, Err: fmt.Errorf("stopped: %s", why)}
	s.mu.Lock()
	s.state = StateEnding // nobody joins any more
	viewers := make([]*Viewer, 0, len(s.viewers))
	for v := range s.viewers {
		viewers = append(viewers, v)
	}
	s.mu.Unlock()
	s.log.Info("stream stopped", "viewers", len(viewers), "why", why)
	s.cancel(cause)
	for _, v := range viewers {
		v.disconnect(cause)
	}
	return true
}

// viewer returns the viewer with an id, or nil.
func (s *Stream) viewer(id uint64) *Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		if v.id == id {
			return v
		}
	}
	return nil
}

// disconnect ends what the viewer is doing, and its place.
func (v *Viewer) disconnect(why *Error) {
	v.cancel(why)
	v.Leave()
}

// parting is how long a write may take to a viewer that is being disconnected.
// Its answer is ended in order where it reads.
const parting = time.Second

// bind returns a context that ends with ctx and when the viewer is disconnected.
// Then a write to sink that waits for a slow player ends too.
func (v *Viewer) bind(ctx context.Context, sink Sink) (bound context.Context, release func()) {
	bound, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(v.ctx, func() {
		cancel(context.Cause(v.ctx))
		if sink != nil {
			_ = sink.SetWriteDeadline(time.Now().Add(parting)) // where there are no deadlines it ends when it can
		}
	})
	return bound, func() {
		stop()
		cancel(nil)
	}
}
