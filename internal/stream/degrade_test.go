package stream

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// degradations are the ways in which an engine does badly while it lives.
var degradations = []struct {
	name   string
	fault  enginetest.Fault
	reason Reason
	within time.Duration // of the fault, another engine plays
	pause  time.Duration // the most that a viewer is without a packet
}{
	// A fault of the bytes shows within half the stall time; opening takes 1.5 s here,
	// and what the other engine has beyond shows with its burst.
	{"repeats ten seconds", enginetest.Fault{Kind: enginetest.Loop}, reasonLoop, 5 * time.Second, 5 * time.Second},
	{"repeats a second", enginetest.Fault{Kind: enginetest.Loop, Delay: time.Second}, reasonLoop, 5 * time.Second, 5 * time.Second},
	{"sends padding", enginetest.Fault{Kind: enginetest.Freeze}, reasonFreeze, 7 * time.Second, 6 * time.Second},
	// At half its rate a source loses 2.5 s in 5; it has to do so for two more.
	{"sends at half the rate", enginetest.Fault{Kind: enginetest.Trickle, Rate: 125_000}, reasonStarved, 11 * time.Second, time.Second},
	{"sends a tenth too little", enginetest.Fault{Kind: enginetest.Trickle, Rate: 225_000}, reasonStarved, 32 * time.Second, time.Second},
	// The statistics are asked for every three seconds.
	{"lost its peers", enginetest.Fault{Kind: enginetest.Drained, Delay: 20 * time.Second}, reasonDry, 17 * time.Second, time.Second},
	{"has nothing newer", enginetest.Fault{Kind: enginetest.StatStill}, reasonDry, 24 * time.Second, time.Second},
	{"does not know the session", enginetest.Fault{Kind: enginetest.StatUnknown}, reasonLost, 9 * time.Second, time.Second},
}

// badConfig is of engines whose burst reaches back over the time that it takes
// to notice.
func badConfig() enginetest.Config {
	timing := enginetest.MeasuredTiming()
	timing.Prebuffer = time.Second
	timing.Burst = 12 * time.Second
	return enginetest.Config{Timing: timing}
}

// An engine does badly under viewers, and another one does well: the stream
// moves there, no packet is lost, none comes twice.
func TestADegradedEngineIsLeft(t *testing.T) {
	t.Parallel()
	for _, d := range degradations {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2, testConfig(), badConfig())
				screens, all := r.audience(5, 90*time.Second)
				time.Sleep(20 * time.Second)
				old, fake := r.playing()
				struck := time.Now()
				fake.Set(d.fault)
				all.Wait()
				status := r.lastStatus
				if len(status.Changes) != 1 {
					t.Fatalf("changes of engine: %+v, want one", status.Changes)
				}
				change := status.Changes[0]
				if change.From != old || change.Reason != d.reason || !change.Seamless || change.Gap > d.pause {
					t.Errorf("%+v; want it to leave %s for %s, without a seam, and a gap of at most %v", change, old, d.reason, d.pause)
				}
				if took := change.At.Sub(struck); took > d.within {
					t.Errorf("another engine played after %v, want %v", took, d.within)
				}
				for i, s := range screens {
					if err := s.verifier.Report().Err(); err != nil {
						t.Errorf("viewer %d: %v", i, err)
					}
					if s.longest > d.pause {
						t.Errorf("viewer %d waited %v", i, s.longest)
					}
				}
				if n := r.happened(EventDegraded); n != 1 {
					t.Errorf("told %d times that the engine does badly", n)
				}
				if c := r.counters(); c.MaxPerInfohash != 1 {
					t.Errorf("%d sessions of the content on one engine", c.MaxPerInfohash)
				}
				fake.Clear()
				r.settle()
				r.checkNothingLeft()
			})
		})
	}
}

// audience has n viewers watch the channel, and notes the status of the stream
// just before they leave.
func (r *rig) audience(n int, lasting time.Duration) ([]*screen, *sync.WaitGroup) {
	r.t.Helper()
	screens := make([]*screen, n)
	var all sync.WaitGroup
	for i := range screens {
		screens[i] = newScreen(channelIH)
		all.Go(func() {
			if err := r.watch(byID, screens[i], lasting); !errors.Is(err, errSeenEnough) {
				r.t.Errorf("viewer %d: %v", i, err)
			}
		})
	}
	all.Go(func() {
		time.Sleep(lasting - time.Millisecond)
		r.lastStatus, _ = r.hub.Find(byID)
	})
	return screens, &all
}

// With no other engine the stream goes on as well as it can: slow media stays
// slow, and what the statistics say is not believed against the bytes.
func TestADegradedEngineIsAllThereIs(t *testing.T) {
	t.Parallel()
	for _, d := range degradations {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1, testConfig(), badConfig())
				screens, all := r.audience(3, 2*time.Minute)
				time.Sleep(20 * time.Second)
				_, fake := r.playing()
				d.fault.For = 45 * time.Second
				fake.Set(d.fault)
				all.Wait()
				for i, s := range screens {
					rep := s.verifier.Report()
					if end := fake.Broadcast(channelIH).Time(rep.Last); time.Since(enginetest.DefaultEpoch)-end > 20*time.Second {
						t.Errorf("viewer %d: is %v behind, long after the engine recovered", i, time.Since(enginetest.DefaultEpoch)-end)
					}
					switch d.reason {
					case reasonLoop, reasonFreeze:
						// Once it is settled that there is nothing else, it is shown as
						// it is. The engine recovers in the middle of a packet.
						if rep.Gaps > 1 || rep.Corrupt > 1 {
							t.Errorf("viewer %d: %+v", i, rep)
						}
					case reasonDry: // for longer than a new session reaches back
						if rep.Gaps > 1 || rep.Gaps != rep.CleanGaps || rep.Repeats+rep.Foreign+rep.Corrupt+rep.Continuity > 0 {
							t.Errorf("viewer %d: %+v", i, rep)
						}
					default:
						if err := rep.Err(); err != nil {
							t.Errorf("viewer %d: %v", i, err)
						}
					}
				}
				if c := r.counters(); c.Opens > 8 {
					t.Errorf("%d sessions within two minutes", c.Opens)
				}
				r.settle()
				r.checkNothingLeft()
			})
		})
	}
}

// Every engine shows the same: it is the content's own fault. The stream tries
// them, stays, and says so.
func TestEveryEngineShowsTheSame(t *testing.T) {
	t.Parallel()
	for _, d := range degradations[:6] {
		for _, engines := range []int{2, 4} {
			t.Run(fmt.Sprintf("%s on %d engines", d.name, engines), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, engines, testConfig(), badConfig())
					_, all := r.audience(2, 4*time.Minute)
					time.Sleep(20 * time.Second)
					for _, f := range r.fakes {
						d.fault.Delay = max(d.fault.Delay, 10*time.Second)
						if d.fault.Kind == enginetest.Drained {
							d.fault.Delay = time.Hour
						}
						f.Set(d.fault)
					}
					all.Wait()
					if n := r.lastStatus.Switches; n > sameOnEngines {
						t.Errorf("the stream changed its engine %d times: %+v", n, r.lastStatus.Changes)
					}
					if c := r.counters(); c.Opens > 12 {
						t.Errorf("%d sessions within four minutes", c.Opens)
					}
					if m := r.lastStatus.Mark; m == nil || m.Reason != d.reason {
						t.Errorf("the content is marked %+v, want %s", m, d.reason)
					}
					if d.reason == reasonLoop || d.reason == reasonFreeze {
						if r.happened(EventSettled) != 1 || r.lastStatus.Mark == nil || !r.lastStatus.Mark.Settled {
							t.Errorf("told %d times that it is the content's own fault", r.happened(EventSettled))
						}
					}
					if marks := r.hub.Marks(); len(marks) != 1 || marks[0].Content != byInfohash {
						t.Errorf("marks: %+v", marks)
					}
					for _, f := range r.fakes {
						f.Clear()
					}
					r.settle()
					r.checkNothingLeft()
				})
			})
		}
	}
}

// An engine that plays and does not answer is left alone, and the pool hears of
// it once.
func TestAMuteEngineThatPlays(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.FaultKind{enginetest.StatHang, enginetest.APIHang} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2, testConfig(), badConfig())
				screens, all := r.audience(2, 2*time.Minute)
				time.Sleep(20 * time.Second)
				_, fake := r.playing()
				fake.Set(enginetest.Fault{Kind: kind})
				all.Wait()
				if r.lastStatus.Switches != 0 || r.happened(EventDegraded) != 0 {
					t.Errorf("%+v", r.lastStatus)
				}
				failures := 0
				for _, err := range r.pool.reports {
					if err != nil {
						failures++
					}
				}
				if failures != 1 {
					t.Errorf("the pool heard of %d failures, want one: %v", failures, r.pool.reports)
				}
				for i, s := range screens {
					if err := s.verifier.Report().Err(); err != nil || s.longest > time.Second {
						t.Errorf("viewer %d waited %v: %v", i, s.longest, err)
					}
				}
				fake.Clear()
				r.settle()
				r.checkNothingLeft()
			})
		})
	}
}

// The statistics are asked for every three seconds, of the session that plays
// and of no other, and do not count as the player's activity.
func TestStatisticsAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), badConfig())
		_, all := r.audience(3, time.Minute)
		all.Wait()
		time.Sleep(2 * time.Minute)
		var asked []int
		for _, f := range r.fakes {
			c := f.Counters()
			asked = append(asked, c.Stats)
			if c.StatsAsPlayer != 0 {
				t.Errorf("%d questions that keep a session from expiring", c.StatsAsPlayer)
			}
		}
		if n := max(asked[0], asked[1]); min(asked[0], asked[1]) != 0 || n < 20 || n > 27 {
			t.Errorf("asked %v times, want once every %v for about 75 s, of one engine", asked, statEvery)
		}
		r.checkNothingLeft()
	})
}
