package stream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

// startFaults are the ways in which an engine fails before the first byte.
var startFaults = []struct {
	fault enginetest.Fault
	alone Code // what the player is told when there is no other engine
}{
	{enginetest.Fault{Kind: enginetest.OpenError}, CodeNotFound},
	{enginetest.Fault{Kind: enginetest.OpenError, Text: "something new"}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.HangOpen}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.SlowOpen, Delay: 50 * time.Second}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.HTML500}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.BrokenJSON}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.MissingOption}, CodeRefused},
	{enginetest.Fault{Kind: enginetest.AccessDenied}, CodeRefused},
	{enginetest.Fault{Kind: enginetest.Playback404}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.HeadersHang}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.SlowPrebuffer, Delay: 50 * time.Second}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.HeadersNoBytes}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.NoPeers}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.Garbage}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.ResetAfter}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.EOFAfter}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.Stall}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.APIHang}, CodeNoData},
	{enginetest.Fault{Kind: enginetest.Unavailable}, CodeEngine},
	{enginetest.Fault{Kind: enginetest.ResetAll}, CodeEngine},
}

// With another engine in the pool every fault of the first is nobody's
// business: the player gets its picture within the start timeout.
func TestStartFaultsWithAnotherEngine(t *testing.T) {
	t.Parallel()
	for _, tt := range startFaults {
		t.Run(name(tt.fault), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
				r.fakes[0].Set(tt.fault)
				began := time.Now()
				s := newScreen(channelIH)
				if err := r.watch(byInfohash, s, 30*time.Second); !errors.Is(err, errSeenEnough) {
					t.Fatal(err)
				}
				if err := s.verifier.Report().Err(); err != nil {
					t.Error(err)
				}
				if wait := s.first.Sub(began); wait > testConfig().StartTimeout {
					t.Errorf("first byte after %v", wait)
				}
				r.fakes[0].Clear()
				r.settle()
				r.checkNothingLeft()
			})
		})
	}
}

// Without another one the player gets a clear error in time.
func TestStartFaultsAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range startFaults {
		t.Run(name(tt.fault), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
				r.fakes[0].Set(tt.fault)
				began := time.Now()
				s := newScreen(channelIH)
				err := r.watch(byInfohash, s, time.Minute)
				if got := asError(err); got.Code != tt.alone {
					t.Errorf("told %q (%v), want %q", got.Code, err, tt.alone)
				}
				if wait := time.Since(began); wait > testConfig().StartTimeout {
					t.Errorf("told after %v", wait)
				}
				if s.got > 0 {
					t.Errorf("%d bytes and then an error", s.got)
				}
				r.fakes[0].Clear()
				r.settle()
				r.checkNothingLeft()
			})
		})
	}
}

// settle waits until what was abandoned is cleaned up.
func (r *rig) settle() {
	time.Sleep(abandonTimeout + 10*time.Second)
	synctest.Wait()
}

func name(f enginetest.Fault) string {
	n := string(f.Kind)
	if f.Text != "" {
		n += " " + f.Text
	}
	return n
}

// A content id that is an infohash in truth, as many lists have it.
func TestInfohashGivenAsContentID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		want := byInfohash
		want.Kind = "content_id"
		if err := r.watch(want, newScreen(channelIH), 10*time.Second); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		time.Sleep(testConfig().Linger + time.Second)
		// Once found out, it is not found out again.
		began := time.Now()
		s := newScreen(channelIH)
		if err := r.watch(want, s, 10*time.Second); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		timing := enginetest.MeasuredTiming()
		if wait := s.first.Sub(began); wait > timing.Open+timing.Prebuffer {
			t.Errorf("the second start took %v", wait)
		}
		r.checkNothingLeft()
	})
}

func TestUnknownContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		for _, want := range []struct {
			sel    string
			within time.Duration
		}{{"content_id", 15 * time.Second}, {"infohash", 30 * time.Second}} {
			sel := nobodyHas
			if want.sel == "content_id" {
				sel.Kind = "content_id"
			}
			began := time.Now()
			err := r.watch(sel, newScreen(unknownIH), time.Minute)
			if asError(err).Code != CodeNotFound || time.Since(began) > want.within {
				t.Errorf("%s: %v after %v", want.sel, err, time.Since(began))
			}
		}
		r.settle()
		r.checkNothingLeft()
	})
}

// An AceStream id with native engines only: told at once, and why.
func TestContentIDWithoutOfficialEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{Native: true, MultiReader: true})
		for _, f := range r.fakes {
			f.Set(enginetest.Fault{Kind: enginetest.OpenError, Reason: "not_native"})
		}
		began := time.Now()
		err := r.watch(byID, newScreen(channelIH), time.Minute)
		if asError(err).Code != CodeNotNative {
			t.Errorf("told %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("told after %v", took)
		}
		r.checkNothingLeft()
	})
}

func TestPoolFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{})
		r.pool.perEngine = 1
		var all sync.WaitGroup
		all.Go(func() { r.watch(byID, newScreen(channelIH), 10*time.Second) })
		time.Sleep(time.Second)
		err := r.watch(otherByID, newScreen(otherIH), time.Minute)
		if e := asError(err); e.Code != CodeFull || e.RetryAfter == 0 {
			t.Errorf("told %v", err)
		}
		all.Wait()
		r.checkNothingLeft()
	})
}

// breakages are the ways in which an engine fails under viewers.
var breakages = []struct {
	name string
	now  func(f *enginetest.Fake)
}{
	{"killed", func(f *enginetest.Fake) { f.Kill() }},
	{"stalls", func(f *enginetest.Fake) { f.Set(enginetest.Fault{Kind: enginetest.Stall}) }},
	{"loses its peers", func(f *enginetest.Fake) { f.Set(enginetest.Fault{Kind: enginetest.NoPeers}) }},
	{"resets", func(f *enginetest.Fake) { f.Set(enginetest.Fault{Kind: enginetest.ResetAfter}) }},
	{"ends", func(f *enginetest.Fake) { f.Set(enginetest.Fault{Kind: enginetest.EOFAfter}) }},
	{"hangs altogether", func(f *enginetest.Fake) {
		f.Set(enginetest.Fault{Kind: enginetest.Stall})
		f.Set(enginetest.Fault{Kind: enginetest.APIHang})
	}},
}

// An engine fails under viewers, and another one is there: no packet is lost,
// none comes twice, nobody's connection ends.
func TestAnEngineFailsAndNobodyNotices(t *testing.T) {
	t.Parallel()
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				timing := enginetest.MeasuredTiming()
				timing.Prebuffer = time.Second
				timing.Burst = 12 * time.Second // reaches back over the stall and the second start
				r := newRig(t, 2, testConfig(), enginetest.Config{Timing: timing})
				screens := make([]*screen, 20)
				var all sync.WaitGroup
				for i := range screens {
					screens[i] = newScreen(channelIH)
					all.Go(func() {
						if err := r.watch(byID, screens[i], time.Minute); !errors.Is(err, errSeenEnough) {
							t.Errorf("viewer %d: %v", i, err)
						}
					})
				}
				time.Sleep(20 * time.Second)
				for _, s := range r.hub.Snapshot() {
					for i, m := range r.pool.members {
						if m.id == s.Engine {
							b.now(r.fakes[i])
						}
					}
				}
				all.Wait()
				for i, s := range screens {
					if err := s.verifier.Report().Err(); err != nil {
						t.Errorf("viewer %d: %v", i, err)
					}
					if s.longest > testConfig().StallTimeout+3*time.Second {
						t.Errorf("viewer %d waited %v", i, s.longest)
					}
				}
				if r.happened(EventSwitched) != 1 {
					t.Errorf("%d switches", r.happened(EventSwitched))
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

// Every engine loses the content for ten seconds: the stream resumes on the
// same connections.
func TestOutageOfEveryEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timing := enginetest.DefaultTiming()
		timing.Burst = 20 * time.Second
		r := newRig(t, 2, testConfig(), enginetest.Config{Timing: timing})
		s := newScreen(channelIH)
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, 90*time.Second); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(20 * time.Second)
		for _, f := range r.fakes {
			f.Kill()
		}
		sent := func() int64 { return r.hub.Snapshot()[0].Viewers[0].Sent }
		time.Sleep(time.Second)
		before := sent()
		time.Sleep(9 * time.Second)
		if after := sent(); after != before {
			t.Errorf("%d bytes of padding were counted as sent", after-before)
		}
		for _, f := range r.fakes {
			if err := f.Revive(); err != nil {
				t.Fatal(err)
			}
		}
		all.Wait()
		rep := s.verifier.Report()
		if rep.Repeats+rep.Foreign+rep.Corrupt+rep.Skipped != 0 || rep.Gaps != rep.CleanGaps {
			t.Errorf("%+v", rep)
		}
		if s.longest < 10*time.Second || s.silence > paddingPause || rep.Null == 0 {
			t.Errorf("silent for %v of the %v without a picture, with %d null packets", s.silence, s.longest, rep.Null)
		}
		r.checkNothingLeft()
	})
}

// After an outage that no overlap bridges, pictures are missing, and neither a clock nor a
// counter shows it. The engine that took over then fails in turn, and although its packets are not
// the ones that were sent, the next one goes on with the very packet that was due.
func TestClocksGoOnAcrossAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{})
		s := newScreen(channelIH)
		seen := mpegts.NewScanner()
		var framer mpegts.Framer
		s.tee = func(p []byte) { seen.Scan(framer.Push(p)) }
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, 90*time.Second); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		for _, f := range r.fakes {
			f.Kill()
		}
		time.Sleep(20 * time.Second)
		for _, f := range r.fakes {
			if err := f.Revive(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait() // the viewer has what came
		gap := s.verifier.Report()
		if gap.Gaps != 1 || gap.CleanGaps != 1 {
			t.Fatalf("%+v; want one gap that ends at a random access point", gap)
		}
		_, fake := r.playing()
		fake.Kill()
		all.Wait()
		rep := s.verifier.Report()
		if rep.Gaps != 1 || rep.Lost != gap.Lost || rep.Repeats+rep.Foreign+rep.Corrupt+rep.Continuity+rep.Skipped != 0 {
			t.Errorf("%+v", rep)
		}
		if st := seen.Stats(); st.Jumps != 0 || st.Continuity != 0 {
			t.Errorf("%d jumps of the clock, %d continuity errors", st.Jumps, st.Continuity)
		}
		if n := r.happened(EventSwitched); n != 2 {
			t.Errorf("%d changes of engine, want 2", n)
		}
		r.checkNothingLeft()
	})
}

// An outage that goes on ends the stream, with a reason.
func TestOutageWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{})
		var all sync.WaitGroup
		all.Go(func() {
			began := time.Now()
			err := r.watch(byID, newScreen(channelIH), time.Hour)
			if !errors.Is(err, errOutage) {
				t.Errorf("the stream ended with %v", err)
			}
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("after %v", took)
			}
		})
		time.Sleep(10 * time.Second)
		r.fakes[0].Kill()
		all.Wait()
		r.checkNothingLeft()
	})
}

// Somebody else opens the content on our engine: our reader is cut, and the
// stream finds its way back.
func TestStolenSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{})
		s := newScreen(channelIH)
		var all sync.WaitGroup
		all.Go(func() {
			if err := r.watch(byID, s, 30*time.Second); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		if _, err := r.fakes[0].Client(t).Open(t.Context(), byInfohash, engine.OpenOptions{}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if err := s.verifier.Report().Err(); err != nil {
			t.Error(err)
		}
		r.checkNothingLeft()
	})
}

// waitingPool has engines, none of which becomes ready.
type waitingPool struct{ wait time.Duration }

func (p waitingPool) Acquire(ctx context.Context, _ Want) (*Slot, error) {
	select {
	case <-time.After(p.wait):
	case <-ctx.Done():
	}
	return nil, &Error{Code: CodeNoEngine, RetryAfter: time.Second}
}

// A player that waits in vain for an engine is told so, not that an engine had
// no data; and is not made to wait twice.
func TestNoEngineInTime(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{time.Second, 15 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			hub := NewHub(testConfig(), waitingPool{wait}, telemetrytest.Logger(t), nil)
			ctx, cancel := context.WithCancel(t.Context())
			var run sync.WaitGroup
			run.Go(func() { hub.Run(ctx) })
			began := time.Now()
			_, err := hub.Join(t.Context(), byID, Client{})
			if CodeOf(err) != CodeNoEngine {
				t.Errorf("told %v", err)
			}
			if took, most := time.Since(began), min(wait, testConfig().StartTimeout); took > most {
				t.Errorf("told after %v, want %v", took, most)
			}
			cancel()
			run.Wait()
		})
	}
}
