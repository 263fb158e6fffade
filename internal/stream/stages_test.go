package stream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// latePool gives slots out after a while.
type latePool struct {
	*pool
	delay time.Duration
}

func (p latePool) Acquire(ctx context.Context, want Want) (*Slot, error) {
	if err := pause(ctx, p.delay); err != nil {
		return nil, err
	}
	return p.pool.Acquire(ctx, want)
}

// Whatever stage is slow, the time is told of that stage, to the millisecond.
func TestStagesOfAStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		slot  time.Duration
		fault enginetest.Fault
		want  Stages
	}{
		"nothing is slow": {want: Stages{}},
		"slot":            {slot: 3 * time.Second, want: Stages{StageEngine: 3 * time.Second}},
		"resolve":         {fault: enginetest.Fault{Kind: enginetest.VersionHang, For: 2 * time.Second}, want: Stages{StageResolve: 2 * time.Second}},
		"open":            {fault: enginetest.Fault{Kind: enginetest.SlowOpen, Delay: 4 * time.Second}, want: Stages{StageOpen: 4 * time.Second}},
		"prebuffer":       {fault: enginetest.Fault{Kind: enginetest.SlowPrebuffer, Delay: 6 * time.Second}, want: Stages{StagePrebuffer: 6 * time.Second}},
		"slot and open":   {slot: time.Second, fault: enginetest.Fault{Kind: enginetest.SlowOpen, Delay: 2 * time.Second}, want: Stages{StageEngine: time.Second, StageOpen: 2 * time.Second}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1, testConfig(), enginetest.Config{})
			r.hub.engines = latePool{r.pool, tt.slot}
			if tt.fault.Kind != "" {
				r.fakes[0].Set(tt.fault)
			}
			s := newScreen(channelIH)
			began := time.Now()
			if err := r.watch(byID, s, 20*time.Second); !errors.Is(err, errSeenEnough) {
				t.Fatalf("%s: %v", name, err)
			}
			st, ok := r.hub.Find(byID)
			if !ok || len(st.Start.Tries) != 1 {
				t.Fatalf("%s: %+v", name, st.Start)
			}
			won := st.Start.Tries[0]
			if diff := cmp.Diff(Try{Engine: "engine0", Stage: StageJoin, Took: tt.want, Won: true}, won); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if got := s.first.Sub(began); st.Start.FirstByte.Round(time.Millisecond) != got {
				t.Errorf("%s: the first byte came after %v, and is said to have come after %v", name, got, st.Start.FirstByte)
			}
			r.checkNothingLeft()
		})
	}
}

// The attempts that lost are told with their reasons, and where they were. A viewer
// that comes in the middle is told what it waited for, and one that comes later
// that it did not wait.
func TestStagesOfARace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, testConfig(), enginetest.Config{})
		r.fakes[0].Set(enginetest.Fault{Kind: enginetest.OpenError, Text: "engine is tired"})
		r.fakes[1].Set(enginetest.Fault{Kind: enginetest.HangOpen})
		r.fakes[2].Set(enginetest.Fault{Kind: enginetest.SlowPrebuffer, Delay: 2 * time.Second})
		waits := make([]Wait, 3)
		var all sync.WaitGroup
		for i, after := range []time.Duration{0, 11 * time.Second, 20 * time.Second} {
			all.Go(func() {
				_ = pause(t.Context(), after)
				v, err := r.join(byID)
				if err != nil {
					t.Error(err)
					return
				}
				defer v.Leave()
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				_ = v.Relay(ctx, newScreen(channelIH)) // it ends with ctx
				waits[i] = v.Waited()
			})
		}
		_ = pause(t.Context(), 5*time.Second)
		if st, _ := r.hub.Find(byID); len(st.Start.Tries) != 2 || st.Start.Tries[1].Stage != StageOpen || st.Start.Tries[1].Err != nil {
			t.Errorf("in the middle of the start: %+v", st.Start)
		}
		all.Wait()
		st, _ := r.hub.Find(byID)
		tries := st.Start.Tries
		if len(tries) != 3 {
			t.Fatalf("%d attempts: %+v", len(tries), tries)
		}
		if lost := tries[0]; lost.Err == nil || lost.Stage != StageOpen || lost.After != 0 {
			t.Errorf("the one that failed: %+v", lost)
		}
		if slow := tries[1]; !errors.Is(slow.Err, errLostRace) || slow.Stage != StageOpen || slow.Took[StageOpen] != 12*time.Second {
			t.Errorf("the one that was too slow: %+v", slow)
		}
		want := Try{Engine: "engine2", After: 10 * time.Second, Stage: StageJoin, Took: Stages{StagePrebuffer: 2 * time.Second}, Won: true}
		if diff := cmp.Diff(want, tries[2]); diff != "" {
			t.Error(diff)
		}
		for i, total := range []time.Duration{12 * time.Second, time.Second, 0} {
			if w := waits[i]; w.Total.Round(time.Millisecond) != total || (w.Start != nil) != (total > 0) {
				t.Errorf("viewer %d waited %+v, want %v", i, w, total)
			}
		}
		if n := r.happened(EventFirstByte); n != 3 {
			t.Errorf("%d viewers had a first byte", n)
		}
		r.checkNothingLeft()
	})
}

// A start that fails everywhere tells of each attempt.
func TestStagesOfAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{})
		for _, f := range r.fakes {
			f.Set(enginetest.Fault{Kind: enginetest.HTML500})
		}
		if err := r.watch(byID, newScreen(channelIH), time.Minute); err == nil {
			t.Fatal("it plays")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events {
			if e.Kind != EventFailed {
				continue
			}
			if e.Start == nil || len(e.Start.Tries) < 2 || len(e.Start.Tries) > mostTries {
				t.Fatalf("%+v", e.Start)
			}
			for _, try := range e.Start.Tries {
				if try.Err == nil || try.Won {
					t.Errorf("%+v", try)
				}
			}
			return
		}
		t.Error("no event")
	})
}
