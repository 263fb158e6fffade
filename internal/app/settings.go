package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/store"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// Events of the settings.
const (
	eventSettingsChanged = "settings.changed" // keys
	eventSettingsIgnored = "settings.ignored" // keys, reason: what was stored does not fit any more
)

// settings holds the settings and changes them. It implements [api.Settings]
// and is safe for concurrent use.
type settings struct {
	base   *config.Settings // without what was changed while a server ran
	store  *store.Store
	events *event.Log
	level  *slog.LevelVar // of the log; may be nil
	// apply has settings count that can be changed at once. Set before the first
	// Change.
	apply func(config.Config) error

	change sync.Mutex // held through a change, so that changes do not cross
	mu     sync.Mutex // guards what follows; never held across I/O
	stored map[string]string
	next   *config.Settings // with all that is stored
	now    *config.Settings // with what counts
}

// newSettings adds to the settings of the command line what was changed while
// a server ran. What does not fit any more is left out, and told.
func newSettings(ctx context.Context, inv cli.Invocation, kept *store.Store, events *event.Log) *settings {
	s := &settings{
		base: inv.Settings, store: kept, events: events, level: inv.Level,
		stored: map[string]string{}, next: inv.Settings, now: inv.Settings,
	}
	stored, err := kept.Settings(ctx)
	if err != nil {
		inv.Log.Error("settings that were changed are not read", "err", err)
		return s
	}
	for len(stored) > 0 {
		next, err := s.base.With(stored)
		if err == nil {
			s.stored, s.next, s.now = stored, next, next
			s.setLevel(next.Config)
			return s
		}
		ignored := s.leaveOut(stored, err)
		inv.Log.Warn("settings that were changed are ignored", "keys", ignored, "err", err)
		events.Publish(event.Event{
			Time: time.Now(), Type: eventSettingsIgnored,
			Message: "Settings that were changed do not fit any more and are ignored: " + ignored + ".",
			Attrs:   map[string]string{"keys": ignored, "reason": err.Error()},
		})
	}
	return s
}

// leaveOut removes what err complains about, or else everything, and names it.
func (s *settings) leaveOut(stored map[string]string, err error) string {
	var keys []string
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		for _, p := range invalid.Problems {
			if _, there := stored[p.Key]; there {
				keys = append(keys, p.Key)
				delete(stored, p.Key)
			}
		}
	}
	if len(keys) == 0 {
		keys = slices.Sorted(maps.Keys(stored))
		clear(stored)
	}
	return strings.Join(keys, ", ")
}

// Settings implements [api.Settings].
func (s *settings) Settings() (next, now *config.Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next, s.now
}

// Try implements [api.Settings].
func (s *settings) Try(changes map[string]*string) (*config.Settings, error) {
	next, _, err := s.with(changes)
	return next, err
}

// with returns the settings after changes, and what would be stored then.
func (s *settings) with(changes map[string]*string) (*config.Settings, map[string]string, error) {
	s.mu.Lock()
	stored := maps.Clone(s.stored)
	s.mu.Unlock()
	for key, text := range changes {
		if text == nil {
			delete(stored, key)
		} else {
			stored[key] = *text
		}
	}
	next, err := s.base.With(stored)
	return next, stored, err
}

// Change implements [api.Settings].
func (s *settings) Change(ctx context.Context, changes map[string]*string) error {
	s.change.Lock()
	defer s.change.Unlock()
	next, stored, err := s.with(changes)
	if err != nil {
		return err
	}
	now, err := s.counting(stored)
	if err != nil {
		return err
	}
	if err := s.store.ChangeSettings(ctx, changes, time.Now()); err != nil {
		return err
	}
	if err := s.apply(next.Config); err != nil {
		return err
	}
	s.setLevel(next.Config)
	s.mu.Lock()
	s.stored, s.next, s.now = stored, next, now
	s.mu.Unlock()
	keys := slices.Sorted(maps.Keys(changes))
	s.events.Publish(event.Event{
		Time: time.Now(), Type: eventSettingsChanged, Message: "Settings were changed: " + strings.Join(keys, ", ") + ".",
		Attrs: map[string]string{"keys": strings.Join(keys, ",")},
	})
	return nil
}

// counting returns the settings that count once stored is: all that can be
// changed at once, and the rest as it was at the start.
func (s *settings) counting(stored map[string]string) (*config.Settings, error) {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	counts := make(map[string]string)
	for _, key := range config.Keys() {
		text, changed := stored[key.Name]
		switch {
		case key.Reload && changed:
			counts[key.Name] = text
		case !key.Reload && now.Origin(key.Name).Layer == config.Stored:
			counts[key.Name] = now.Text(key.Name)
		}
	}
	return s.base.With(counts)
}

func (s *settings) setLevel(cfg config.Config) {
	if level, err := telemetry.ParseLevel(cfg.Log.Level); err == nil && s.level != nil {
		s.level.Set(level)
	}
}

// applySettings has those settings count that need no restart.
func (s *server) applySettings(cfg config.Config) error {
	policy, err := accessPolicy(cfg.Auth)
	if err != nil {
		return err
	}
	s.guard.SetPolicy(policy)
	s.pool.Limit(cfg.Pool.Min, cfg.Pool.Max)
	return nil
}
