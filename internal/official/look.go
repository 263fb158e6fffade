package official

import (
	"context"
	"time"
)

// watch looks at the engine at every interval until ctx ends or it has found
// the engine failed, which it says in verdicts.
func (s *Supervisor) watch(ctx context.Context, w *watch, verdicts chan<- ending) {
	seen := &clients{ports: s.launch.ports}
	measured := time.Now()
	// An engine that starts is asked more often, so that it is used at once.
	const eager = 250 * time.Millisecond
	for {
		interval := s.probe
		if !w.ready {
			interval = min(interval, eager)
		}
		if !wait(ctx, interval) {
			return
		}
		measure := time.Since(measured) >= s.measure
		l := s.look(ctx, seen, measure)
		if ctx.Err() != nil {
			return // what was seen may be the end of the engine
		}
		if measure {
			measured = time.Now()
		}
		what, why := w.judge(l)
		switch {
		case l.answers:
			s.become(true, "")
		case w.ready:
			s.become(false, "the engine does not answer")
		}
		for _, note := range w.notes {
			s.log.Info(note)
		}
		switch what {
		case clearCache:
			s.clear(ctx, why)
		case restart:
			verdicts <- ending{cause: causeHang, how: why}
			return
		case restartOnce:
			verdicts <- ending{cause: causeCache, how: why}
			return
		case carryOn:
		}
	}
}

// look sees how the engine is now.
func (s *Supervisor) look(ctx context.Context, seen *clients, measure bool) look {
	_, err := s.client.Version(ctx)
	l := look{at: time.Now(), answers: err == nil, cache: -1}
	if sockets, known := readSockets(); known {
		l.sockets = true
		l.playing, l.abandoned = seen.see(l.at, sockets)
	}
	if measure {
		files, err := cacheFiles(s.launch.cacheDir)
		if err != nil {
			s.log.Warn("size of the engine's cache is not known", "err", err)
			return l
		}
		l.cache = sizeOf(files)
		s.mu.Lock()
		s.cache = l.cache
		s.mu.Unlock()
	}
	return l
}

// clear has the engine clear its cache. Where it does not, the next look finds
// the cache as it was, and the engine is started again, with its files trimmed.
func (s *Supervisor) clear(ctx context.Context, why string) {
	s.log.Info("engine is told to clear its cache", "reason", why)
	s.mu.Lock()
	s.clears++
	s.mu.Unlock()
	if err := s.client.ClearCache(ctx); err != nil {
		s.log.Warn("engine did not clear its cache", "err", err)
	}
}

// trim makes room in the cache while no engine runs, and tells whether it is
// still too large.
func (s *Supervisor) trim() bool {
	removed, left, err := trimCache(s.launch.cacheDir, s.launch.limit)
	if err != nil {
		s.log.Warn("engine's cache could not be trimmed", "err", err)
	}
	if removed > 0 {
		s.log.Info("engine's cache was trimmed before its start", "removed_bytes", removed, "left_bytes", left)
	}
	s.mu.Lock()
	s.cache = left
	s.mu.Unlock()
	return left > s.launch.limit
}
