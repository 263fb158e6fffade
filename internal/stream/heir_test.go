package stream

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// playing returns the id of the engine that plays the only stream, and its
// fake.
func (r *rig) playing() (string, *enginetest.Fake) {
	r.t.Helper()
	streams := r.hub.Snapshot()
	if len(streams) != 1 {
		r.t.Fatalf("%d streams", len(streams))
	}
	for i, f := range r.fakes {
		if f.URL() == r.urlOf(streams[0].Engine) {
			return streams[0].Engine, r.fakes[i]
		}
	}
	r.t.Fatalf("no engine plays: %+v", streams[0])
	return "", nil
}

func (r *rig) urlOf(id string) string { return "http://" + id + ":6878" }

// An engine that is drained plays on until another one delivers: its viewers
// do not even see a pause.
func TestMoveOffADrainedEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timing := enginetest.MeasuredTiming()
		timing.Burst = 12 * time.Second
		r := newRig(t, 2, testConfig(), enginetest.Config{Timing: timing})
		s := newScreen(channelIH)
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, time.Minute); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(20 * time.Second)
		old, _ := r.playing()
		r.pool.drain(old)
		time.Sleep(15 * time.Second)
		if now, _ := r.playing(); now == old {
			t.Error("the stream is still on the drained engine")
		}
		all.Wait()
		if err := s.verifier.Report().Err(); err != nil {
			t.Error(err)
		}
		if s.longest > time.Second {
			t.Errorf("the viewer waited %v, though the old engine played on", s.longest)
		}
		if r.happened(EventSource) != 0 || r.happened(EventSwitched) != 1 {
			t.Errorf("%d failures and %d switches, want a switch alone", r.happened(EventSource), r.happened(EventSwitched))
		}
		if c := r.counters(); c.MaxPerInfohash != 1 {
			t.Errorf("%d sessions of the content on one engine", c.MaxPerInfohash)
		}
		r.checkNothingLeft()
	})
}

// With nowhere to go, a stream stays where it is, drained or not.
func TestDrainedEngineWithoutAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{})
		s := newScreen(channelIH)
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, 5*time.Minute); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		r.pool.drain("engine0")
		all.Wait()
		if err := s.verifier.Report().Err(); err != nil {
			t.Error(err)
		}
		r.checkNothingLeft()
	})
}

// A gap of a few seconds is bridged by the engine itself: another one that was
// asked meanwhile is let go, and not asked again at every gap.
func TestShortGapChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		s := newScreen(channelIH)
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, 50*time.Second); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(20 * time.Second)
		before, fake := r.playing()
		for range 5 {
			fake.Set(enginetest.Fault{Kind: enginetest.Stall, For: 3500 * time.Millisecond})
			time.Sleep(5 * time.Second)
		}
		if after, _ := r.playing(); after != before {
			t.Errorf("moved from %s to %s", before, after)
		}
		all.Wait()
		if err := s.verifier.Report().Err(); err != nil {
			t.Error(err)
		}
		if c := r.counters(); c.Opens > 2 {
			t.Errorf("%d sessions for one stream with short gaps", c.Opens)
		}
		r.settle()
		r.checkNothingLeft()
	})
}

// Another program takes the session again and again: the stream survives, and
// does not fight over it.
func TestStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{})
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, newScreen(channelIH), 2*time.Minute); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(5 * time.Second)
		thief := r.fakes[0].Client(t)
		opens := r.counters().Opens
		const minute, step = time.Minute, 100 * time.Millisecond
		for range int(minute / step) {
			if _, err := thief.Open(t.Context(), byInfohash, engine.OpenOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(step)
		}
		ours := r.counters().Opens - opens - int(minute/step)
		if ours > 30 || ours < 5 {
			t.Errorf("%d sessions opened within a minute of theft", ours)
		}
		all.Wait()
		r.checkNothingLeft()
	})
}

// An engine hangs. Another one that has what is missing takes over before the
// hanging one is given up, and before viewers have used up their burst.
func TestSilenceEndsBeforeTheBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timing := enginetest.DefaultTiming()
		timing.Burst = 10 * time.Second
		cfg := testConfig()
		r := newRig(t, 2, cfg, enginetest.Config{Timing: timing})
		s := newScreen(channelIH)
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, 40*time.Second); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(20 * time.Second)
		old, fake := r.playing()
		fake.Set(enginetest.Fault{Kind: enginetest.Stall})
		time.Sleep(cfg.StallTimeout - time.Second)
		if now, _ := r.playing(); now == old {
			t.Error("the stream waits for the hanging engine to be given up")
		}
		all.Wait()
		if err := s.verifier.Report().Err(); err != nil {
			t.Error(err)
		}
		if s.longest > cfg.Burst {
			t.Errorf("the viewer waited %v, longer than its burst of %v", s.longest, cfg.Burst)
		}
		r.checkNothingLeft()
	})
}
