package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

// surgery is a provider whose engines can be measured, and leave things behind.
type surgery struct {
	*memory.Provider

	mu    sync.Mutex
	stats map[string]provider.Stats // guarded by mu
	left  []string                  // guarded by mu
}

func (s *surgery) Stats(_ context.Context, id string) (provider.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats, ok := s.stats[id]
	if !ok {
		return provider.Stats{Memory: -1, Cache: -1}, nil
	}
	return stats, nil
}

func (s *surgery) Collect(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.left
	s.left = nil
	return left, nil
}

func (s *surgery) measure(id string, stats provider.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats[id] = stats
}

// inSurgery is inWorld with engines that are inspected and measured. cleaned is
// told of every cache that is emptied.
func inSurgery(t *testing.T, policy pool.Policy, inspect reconcile.InspectFunc, clean func(url string) error, test func(*world, *surgery)) {
	t.Helper()
	s := &surgery{stats: make(map[string]provider.Stats)}
	inWorldWith(t, native, func(p *memory.Provider) provider.Provider {
		s.Provider = p
		return s
	}, policy, func(c *reconcile.Config) {
		c.Inspect = inspect
		c.Clean = func(_ context.Context, _, url string) error { return clean(url) }
		c.Quarantine = health.QuarantinePolicy{Deaths: 2, For: 10 * time.Minute}
	}, func(w *world) { test(w, s) })
}

func well(context.Context, string) (reconcile.Inspection, error) {
	return reconcile.Inspection{Connected: true, Sessions: 0, CacheUsed: -1, Cleanable: true}, nil
}

func TestFullCachesAreCleaned(t *testing.T) {
	policy := testPolicy()
	policy.MaxCache = 1 << 30
	var w *world
	var s *surgery
	fails := false
	var cleaned []string
	clean := func(url string) error {
		cleaned = append(cleaned, url)
		if fails {
			return errors.New("access denied")
		}
		s.measure("engine-1", provider.Stats{Memory: -1, Cache: 0})
		return nil
	}
	inSurgery(t, policy, well, clean, func(in *world, of *surgery) {
		w, s = in, of
		w.pass(time.Minute)
		slots := []*reconcile.Slot{w.playing(), w.playing()}
		s.measure("engine-1", provider.Stats{Memory: -1, Cache: 2 << 30})
		w.pass(time.Hour)
		if len(cleaned) != 0 {
			w.Errorf("cleaned %q while it played", cleaned)
		}
		for _, slot := range slots {
			slot.Release()
		}
		w.pass(time.Minute)
		if len(cleaned) != 1 || cleaned[0] != urlOf("engine-1") || w.told(reconcile.EventCleaning) != 1 {
			w.Errorf("cleaned %q", cleaned)
		}
		w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")

		// What cannot be cleaned is replaced.
		fails = true
		w.playing().Release()
		w.playing().Release()
		s.measure("engine-1", provider.Stats{Memory: -1, Cache: 2 << 30})
		w.pass(5 * time.Minute)
		w.expect("engine-2 ready 0/2", "engine-3 ready 0/2")
		if w.told(reconcile.EventCleanFailed) != 1 || w.pool.Snapshot().Counters.Stops[pool.CacheFull] != 1 {
			w.Error("it was not told why")
		}
	})
}

func TestMemoryAndAge(t *testing.T) {
	policy := testPolicy()
	policy.MaxMemory, policy.MaxAge = 1<<30, time.Hour
	inSurgery(t, policy, well, nil, func(w *world, s *surgery) {
		w.pass(time.Minute)
		s.measure("engine-1", provider.Stats{Memory: 1 << 30, Cache: -1})
		s.measure("engine-2", provider.Stats{Memory: 95 << 20, MemoryLimit: 100 << 20, Cache: -1})
		w.pass(2 * time.Minute)
		w.expect("engine-3 ready 0/2", "engine-4 ready 0/2")
		if got := w.pool.Snapshot().Counters.Stops[pool.MemoryFull]; got != 2 {
			w.Errorf("%d went for their memory", got)
		}
		slot := w.playing()
		w.pass(2 * time.Hour)
		if got := w.pool.Snapshot().Counters.Stops[pool.TooOld]; got < 1 || drained(slot) {
			w.Errorf("%d went for their age, the one that plays: %v", got, drained(slot))
		}
		slot.Release()
	})
}

// Sessions of a process before are nobody's, and go with their engine.
func TestLeftoversOfAdoptedEngines(t *testing.T) {
	busy := func(_ context.Context, url string) (reconcile.Inspection, error) {
		sessions := 0
		if url == urlOf("engine-1") {
			sessions = 3
		}
		return reconcile.Inspection{Connected: true, Sessions: sessions, CacheUsed: -1}, nil
	}
	adopt := func(p *memory.Provider) {
		p.Add(provider.Engine{ID: "engine-1", State: provider.Running, URL: urlOf("engine-1"), StartedAt: time.Now()})
	}
	t.Run("ours", func(t *testing.T) {
		inSurgery(t, testPolicy(), busy, nil, func(w *world, _ *surgery) {
			w.pass(10 * time.Minute)
			w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")
		})
	})
	t.Run("counted", func(t *testing.T) {
		inWorldWith(t, native, func(p *memory.Provider) provider.Provider {
			adopt(p)
			return p
		}, testPolicy(), func(c *reconcile.Config) { c.Inspect = busy }, func(w *world) {
			w.pass(time.Minute)
			w.expect("engine-1 ready 0/2", "engine-2 ready 0/2")
			w.pass(3 * time.Minute)
			w.expect("engine-2 ready 0/2", "engine-3 ready 0/2")
			if w.pool.Snapshot().Counters.Stops[pool.Leftover] != 1 {
				w.Error("it was not told why")
			}
		})
	})
	t.Run("by its traffic", func(t *testing.T) {
		s := &surgery{stats: make(map[string]provider.Stats)}
		inWorldWith(t, native, func(p *memory.Provider) provider.Provider {
			adopt(p)
			s.Provider = p
			return s
		}, testPolicy(), func(c *reconcile.Config) { c.Inspect = well }, func(w *world) {
			for n := range 10 {
				s.measure("engine-1", provider.Stats{Memory: -1, Cache: -1, Received: int64(n+1) << 24})
				w.pass(30 * time.Second)
			}
			w.expect("engine-2 ready 0/2", "engine-3 ready 0/2")
		})
	})
}

func TestEngineWithoutItsNetwork(t *testing.T) {
	var offline sync.Map
	look := func(_ context.Context, url string) (reconcile.Inspection, error) {
		_, off := offline.Load(url)
		return reconcile.Inspection{Connected: !off, Sessions: 0, CacheUsed: -1}, nil
	}
	inSurgery(t, testPolicy(), look, nil, func(w *world, _ *surgery) {
		w.pass(time.Minute)
		slot := w.playing()
		offline.Store(urlOf(slot.EngineID), true)
		w.pass(2 * time.Minute)
		if e := w.pool.Snapshot().Engines[0]; e.Phase != pool.Degraded || !strings.Contains(e.Reason, "network") {
			w.Errorf("it is %s: %s", e.Phase, e.Reason)
		}
		offline.Clear()
		w.pass(time.Minute)
		if e := w.pool.Snapshot().Engines[0]; e.Phase != pool.Ready {
			w.Errorf("it is %s", e.Phase)
		}
		slot.Release()
	})
}

func TestSessionsWithoutPeers(t *testing.T) {
	inSurgery(t, testPolicy(), well, nil, func(w *world, _ *surgery) {
		w.pass(time.Minute)
		slot := w.playing()
		slot.Watch(func(context.Context) (reconcile.SessionState, error) { return reconcile.SessionState{}, nil })
		w.pass(2 * time.Minute)
		if e := w.pool.Snapshot().Engines[0]; e.Phase != pool.Ready {
			w.Errorf("too soon it is %s", e.Phase)
		}
		w.pass(3 * time.Minute)
		if e := w.pool.Snapshot().Engines[0]; e.Phase != pool.Degraded || !strings.Contains(e.Reason, "peer") {
			w.Errorf("it is %s: %s", e.Phase, e.Reason)
		}
		slot.Release()
	})
}

func TestContentThatKillsEngines(t *testing.T) {
	inSurgery(t, testPolicy(), well, nil, func(w *world, _ *surgery) {
		w.pass(time.Minute)
		for range 2 {
			slot := w.acquire(reconcile.Request{Content: "poison"})
			w.provider.Crash(slot.EngineID, "signal: segmentation fault")
			w.pass(0)
			slot.Release()
			w.pass(2 * time.Minute)
		}
		u, took := w.refused(reconcile.Request{Content: "poison"})
		if u.Reason != reconcile.ReasonQuarantine || took != 0 || u.RetryAfter <= 0 || u.RetryAfter > 10*time.Minute {
			w.Errorf("refused with %+v after %s", u, took)
		}
		if got := w.pool.Snapshot().Quarantined; len(got) != 1 || got[0] != "poison" || w.told(reconcile.EventQuarantined) != 1 {
			w.Errorf("quarantined: %q", got)
		}
		w.acquire(reconcile.Request{Content: "another"}).Release()
		w.pass(u.RetryAfter)
		w.acquire(reconcile.Request{Content: "poison"}).Release()
	})
}

func TestLeftBehindThingsAreCollected(t *testing.T) {
	inSurgery(t, testPolicy(), well, nil, func(w *world, s *surgery) {
		w.pass(time.Minute)
		s.mu.Lock()
		s.left = []string{"the volume of engine-7"}
		s.mu.Unlock()
		w.pass(time.Hour)
		if w.told(reconcile.EventLeftBehind) != 1 {
			w.Error("it was not collected once")
		}
	})
}

// A new image rolls through the pool one engine at a time, and what plays moves
// before its engine goes.
func TestRollingReplacement(t *testing.T) {
	policy := testPolicy()
	inWorld(t, native, policy, func(w *world) {
		w.pass(time.Minute)
		slots := []*reconcile.Slot{w.playing(), w.playing()}
		for _, id := range []string{"engine-1", "engine-2"} {
			w.provider.Add(provider.Engine{
				ID: id, State: provider.Running, URL: urlOf(id), StartedAt: w.pool.Snapshot().Engines[0].StartedAt,
				Outdated: "there is a newer image",
			})
		}
		for moves := 0; moves < 2; {
			for i, s := range slots {
				if drained(s) { // as the relay does: first the new one
					moves++
					slots[i] = w.playing()
					s.Release()
				}
			}
			w.pass(time.Second)
			ready := 0
			for _, e := range w.pool.Snapshot().Engines {
				if e.Phase == pool.Ready {
					ready++
				}
			}
			if ready < policy.Min {
				w.Fatalf("the engines are %q", w.engines())
			}
		}
		w.pass(time.Minute)
		w.expect("engine-3 ready 1/2", "engine-4 ready 1/2")
		if got := w.pool.Snapshot().Counters.Stops[pool.Outdated]; got != 2 {
			w.Errorf("%d were replaced", got)
		}
		for _, s := range slots {
			s.Release()
		}
	})
}
