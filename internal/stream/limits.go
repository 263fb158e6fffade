package stream

import "time"

// admit registers s under the names that are known for it, unless a limit keeps it
// out. The caller holds mu.
func (h *Hub) admit(s *Stream) error {
	if h.cfg.MaxStreams > 0 && h.running >= h.cfg.MaxStreams {
		return &Error{Code: CodeStreams, RetryAfter: retryLater}
	}
	if !h.memory.reserve(s) {
		return &Error{Code: CodeMemory, RetryAfter: retryLater}
	}
	h.running++
	h.streams[s.content] = s
	if name, ok := h.known.name(s.content); ok {
		h.streams[name] = s
	}
	return nil
}

// makeRoom returns a stream that is ending: if none is, it ends the one that
// has been without a viewer for longest. It returns nil if all are watched.
// Somebody who zaps through channels leaves a trail of streams that linger; they
// must not be in the way of the next. The caller holds mu.
func (h *Hub) makeRoom() *Stream {
	var idle *Stream
	var longest time.Time
	for _, s := range h.distinct() {
		s.mu.Lock()
		ending, free, since := s.state == StateEnding, len(s.viewers) == 0, s.since
		s.mu.Unlock()
		if ending {
			return s
		}
		if free && (idle == nil || since.Before(longest)) {
			idle, longest = s, since
		}
	}
	if idle != nil {
		idle.endIfIdle()
	}
	return idle
}
