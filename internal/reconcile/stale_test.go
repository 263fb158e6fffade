package reconcile

import (
	"log/slog"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/health"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
)

// A plan is made while slots are claimed and wishes made: what is no longer as
// the plan saw it is left alone.
func TestStalePlanDoesNoHarm(t *testing.T) {
	t.Parallel()
	stop := []pool.Action{{Op: pool.Stop, ID: "engine-1", Cause: pool.Idle, Reason: "idle"}}
	tests := []struct {
		name      string
		meanwhile func(*Pool)
		stops     bool
	}{
		{"nothing happens", func(*Pool) {}, true},
		{"its slot is claimed", func(p *Pool) { p.claim(time.Now(), p.members["engine-1"], Request{}) }, false},
		{"the pool is paused", func(p *Pool) { p.wishes.Paused = true }, false},
		{"a start is asked for", func(p *Pool) { p.asked = append(p.asked, make(chan string, 1)) }, false},
		{"another engine is claimed", func(p *Pool) { p.claim(time.Now(), p.members["engine-2"], Request{}) }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := New(Config{Provider: memory.New(memory.Config{}), Events: event.NewLog(10), Log: slog.New(slog.DiscardHandler)})
			for _, id := range []string{"engine-1", "engine-2"} {
				p.join(time.Now(), provider.Engine{ID: id, State: provider.Running}).health = health.Record{State: health.Healthy}
			}
			p.mu.Lock()
			observed := p.everything(time.Now())
			test.meanwhile(p)
			p.carryOut(t.Context(), time.Now(), stop, observed)
			stopping := p.members["engine-1"].stop != nil
			p.unlock()
			p.wg.Wait()
			if stopping != test.stops {
				t.Errorf("stopping: %v", stopping)
			}
			if !test.stops && len(p.wake) == 0 {
				t.Error("nobody looks again")
			}
		})
	}
}
