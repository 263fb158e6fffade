package stream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// Fifty players that press play in the same instant.
func TestManyViewersOneSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		const viewers = 50
		screens := make([]*screen, viewers)
		var all sync.WaitGroup
		for i := range viewers {
			screens[i] = newScreen(channelIH)
			all.Go(func() {
				if err := r.watch(byID, screens[i], 20*time.Second); !errors.Is(err, errSeenEnough) {
					t.Errorf("viewer %d: %v", i, err)
				}
			})
		}
		all.Wait()
		for i, s := range screens {
			rep := s.verifier.Report()
			if err := rep.Err(); err != nil {
				t.Errorf("viewer %d: %v", i, err)
			}
			if !rep.TablesFirst || !rep.RandomAccess {
				t.Errorf("viewer %d begins where no decoder can: %+v", i, rep)
			}
		}
		c := r.counters()
		if c.Opens != 1 || c.Reopens != 0 || c.Stopped != 0 || c.Active != 1 {
			t.Errorf("right after they left: %+v; want one session, alive", c)
		}
		// The linger, to the second.
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if c := r.counters(); c.Active != 1 {
			t.Errorf("stopped before the linger was over: %+v", c)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c := r.counters(); c.Active != 0 || c.Stopped != 1 || c.Opens != 1 {
			t.Errorf("after the linger: %+v; want the one session stopped", c)
		}
		r.checkNothingLeft()
	})
}

func TestComingBackWithinTheLingerIsInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		if err := r.watch(byID, newScreen(channelIH), 5*time.Second); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		back := newScreen(channelIH)
		began := time.Now()
		if err := r.watch(byInfohash, back, 5*time.Second); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		if wait := back.first.Sub(began); wait > 0 {
			t.Errorf("first byte after %v, though the stream was there", wait)
		}
		if c := r.counters(); c.Opens != 1 {
			t.Errorf("%d sessions, want the first one to serve both", c.Opens)
		}
		r.checkNothingLeft()
	})
}

// A content id and the infohash of the same content, asked for at once and one
// after the other, on one engine and on two.
func TestNamesOfOneContentMeet(t *testing.T) {
	t.Parallel()
	for _, engines := range []int{1, 2} {
		for _, apart := range []time.Duration{0, time.Second, 20 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, engines, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
				var all sync.WaitGroup
				for i, name := range []content.Selector{byID, byInfohash} {
					all.Go(func() {
						time.Sleep(time.Duration(i) * apart)
						s := newScreen(channelIH)
						if err := r.watch(name, s, time.Minute); !errors.Is(err, errSeenEnough) {
							t.Errorf("%d engines, %v apart: %v: %v", engines, apart, name, err)
						}
						if err := s.verifier.Report().Err(); err != nil {
							t.Errorf("%d engines, %v apart: %v: %v", engines, apart, name, err)
						}
					})
				}
				time.Sleep(45 * time.Second)
				if n := len(r.hub.Snapshot()); n != 1 {
					t.Errorf("%d engines, %v apart: %d streams, want 1", engines, apart, n)
				}
				if c := r.counters(); c.Active != 1 || c.Readers != 1 {
					t.Errorf("%d engines, %v apart: %+v; want one session and one reader", engines, apart, c)
				}
				all.Wait()
				if c := r.counters(); c.Opens != 1 {
					t.Errorf("%d engines, %v apart: %d sessions were opened, want 1", engines, apart, c.Opens)
				}
				r.checkNothingLeft()
			})
		}
	}
}

// A player that gives up while the engine prebuffers frees its place; the
// start goes on for the linger, so that its second click finds it warm.
func TestGivingUpDuringTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := r.hub.Join(ctx, byID, Client{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Join = %v", err)
		}
		time.Sleep(5 * time.Second)
		s := newScreen(channelIH)
		began := time.Now()
		if err := r.watch(byID, s, 3*time.Second); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		if wait := s.first.Sub(began); wait > 0 {
			t.Errorf("second click waited %v", wait)
		}
		if c := r.counters(); c.Opens != 1 {
			t.Errorf("%d sessions", c.Opens)
		}
		r.checkNothingLeft()
	})
}

func TestNobodyCameBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{Timing: enginetest.MeasuredTiming()})
		r.fakes[0].Set(enginetest.Fault{Kind: enginetest.HeadersHang})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := r.hub.Join(ctx, byID, Client{}); err == nil {
			t.Fatal("joined a content that sends nothing")
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if c := r.counters(); c.Active != 0 || c.Stopped != 1 {
			t.Errorf("%+v; want the session stopped a linger after the only viewer gave up", c)
		}
		r.checkNothingLeft()
	})
}

func TestSlowViewersHoldNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Buffer = 1 << 20 // four seconds
		r := newRig(t, 1, cfg, enginetest.Config{})
		var all sync.WaitGroup
		fast := make([]*screen, 10)
		for i := range fast {
			fast[i] = newScreen(channelIH)
			all.Go(func() { r.watch(byID, fast[i], time.Minute) })
		}
		slow := newScreen(channelIH)
		slow.rate = 25_000 // a tenth of what the channel sends
		all.Go(func() { r.watch(byID, slow, time.Minute) })
		stuck := newScreen(channelIH)
		stuck.rate = 1
		began := time.Now()
		var gone time.Duration
		all.Go(func() {
			if err := r.watch(byID, stuck, time.Hour); err == nil || errors.Is(err, errSeenEnough) {
				t.Errorf("viewer that takes nothing: %v", err)
			}
			gone = time.Since(began)
		})
		all.Wait()
		for i, s := range fast {
			if err := s.verifier.Report().Err(); err != nil {
				t.Errorf("fast viewer %d: %v", i, err)
			}
			if s.longest > 150*time.Millisecond {
				t.Errorf("fast viewer %d waited %v", i, s.longest)
			}
		}
		rep := slow.verifier.Report()
		if rep.Gaps == 0 || rep.CleanGaps != rep.Gaps || rep.Repeats+rep.Foreign+rep.Corrupt != 0 {
			t.Errorf("slow viewer: %+v; want gaps that each end at a random access point", rep)
		}
		if r.happened(EventSkipped) == 0 {
			t.Error("no skip was reported")
		}
		if gone > testConfig().WriteTimeout+time.Second {
			t.Errorf("a viewer that takes nothing stayed for %v", gone)
		}
		r.checkNothingLeft()
	})
}

func TestShutdownStopsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{})
		var all sync.WaitGroup
		for _, name := range []content.Selector{byID, otherByID} {
			all.Go(func() {
				s := newScreen("")
				if err := r.watch(name, s, time.Hour); asError(err).Code != CodeClosing {
					t.Errorf("%v: %v", name, err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		began := time.Now()
		r.end()
		if took := time.Since(began); took > time.Second {
			t.Errorf("shutdown took %v", took)
		}
		all.Wait()
		if _, err := r.hub.Join(t.Context(), byID, Client{}); asError(err).Code != CodeClosing {
			t.Errorf("Join after shutdown: %v", err)
		}
		r.checkNothingLeft()
	})
}
