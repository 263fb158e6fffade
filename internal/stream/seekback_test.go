package stream

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

// pace is the rate of the channel in bytes per second.
const pace = 50_000

// modest are engines with a channel that does not take much to watch for minutes.
func modest() enginetest.Config {
	return enginetest.Config{Contents: []enginetest.Content{{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true, Bitrate: pace}}}
}

// shifting is a rig's configuration with time shift on a directory of the test, and memory for a
// few seconds.
func shifting(t *testing.T, keep time.Duration, limit int64) Config {
	t.Helper()
	store, err := timeshift.Open(filepath.Join(t.TempDir(), "timeshift"), timeshift.Config{Keep: keep, Limit: limit}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := store.Size(); n != 0 {
			t.Errorf("%d bytes are kept of streams that have ended", n)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := testConfig()
	cfg.Buffer = 1 << 18 // five seconds
	cfg.Timeshift = store
	return cfg
}

// watchBack is watch, that far behind live, and returns how far it really is.
func (r *rig) watchBack(want content.Selector, s *screen, back, lasting time.Duration) (behind time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(r.t.Context())
	defer cancel(nil)
	v, err := r.hub.Join(ctx, want, Client{Addr: "192.0.2.1:1", App: "test"})
	if err != nil {
		return 0, err
	}
	defer v.Leave()
	if behind, err = v.SeekBack(ctx, back); err != nil {
		return 0, err
	}
	s.leave = cancel
	timer := time.AfterFunc(lasting, func() { cancel(errSeenEnough) })
	defer timer.Stop()
	return behind, v.Relay(ctx, s)
}

// keepAwake has somebody watch for as long as a test lasts.
func (r *rig) keepAwake(lasting time.Duration) (wait func()) {
	var watching sync.WaitGroup
	watching.Go(func() {
		s := newScreen(channelIH)
		if err := r.watch(byID, s, lasting); !errors.Is(err, errSeenEnough) {
			r.t.Errorf("viewer at live: %v", err)
		}
		if err := s.verifier.Report().Err(); err != nil {
			r.t.Errorf("viewer at live: %v", err)
		}
		if s.longest > 150*time.Millisecond {
			r.t.Errorf("viewer at live waited %v", s.longest)
		}
	})
	return watching.Wait
}

// Far behind live, at the pace of a player and as fast as can be: every packet from
// the disk, over into memory, and on.
func TestSeekBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, shifting(t, 10*time.Minute, 1<<30), modest())
		wait := r.keepAwake(10 * time.Minute)
		time.Sleep(5 * time.Minute)
		var all sync.WaitGroup
		for _, c := range []struct {
			back time.Duration
			rate float64 // of that of the channel; 0 for all at once
			tell time.Duration
		}{
			{back: 4 * time.Minute, rate: 1.01, tell: 4 * time.Minute},
			{back: 4 * time.Minute, tell: 4 * time.Minute},
			{back: 90 * time.Second, rate: 2, tell: 90 * time.Second},
			{back: 2 * time.Second, tell: 3 * time.Second},
			{back: time.Hour, rate: 1.01, tell: 5 * time.Minute},
		} {
			all.Go(func() {
				s := newScreen(channelIH)
				s.rate = int(c.rate * pace)
				behind, err := r.watchBack(byID, s, c.back, 3*time.Minute)
				if !errors.Is(err, errSeenEnough) {
					t.Errorf("%v back: %v", c.back, err)
				}
				if off := behind - c.tell; off < -3*time.Second || off > 8*time.Second {
					t.Errorf("%v back, is told %v", c.back, behind)
				}
				rep := s.verifier.Report()
				if err := rep.Err(); err != nil || !rep.TablesFirst || !rep.RandomAccess {
					t.Errorf("%v back: %v, %+v", c.back, err, rep)
				}
				most := 3*time.Minute + behind
				if c.rate > 0 {
					most = min(most, time.Duration(c.rate*float64(3*time.Minute)))
				}
				length := r.fakes[0].Broadcast(channelIH).Time(rep.Last) - r.fakes[0].Broadcast(channelIH).Time(rep.First)
				if off := length - most; off < -3*time.Second || off > 3*time.Second {
					t.Errorf("%v back: %v in 3 minutes, want %v", c.back, length, most)
				}
			})
		}
		all.Go(func() {
			time.Sleep(time.Minute)
			st := r.hub.Snapshot()[0]
			if st.Kept.Length < 350*time.Second || st.Kept.Size < 345*pace || st.Kept.Err != nil {
				t.Errorf("kept: %+v", st.Kept)
			}
			behind := make(map[int]int)
			for _, v := range st.Viewers {
				behind[int(v.Behind.Round(30*time.Second).Seconds())]++
				if lag := time.Duration(float64(v.Lag) / pace * float64(time.Second)); (lag - v.Behind).Abs() > 3*time.Second {
					t.Errorf("%v behind, or %d bytes", v.Behind, v.Lag)
				}
			}
			if behind[0] != 3 || behind[30] != 1 || behind[240] != 1 || behind[300] != 1 {
				t.Errorf("viewers by seconds behind live: %v", behind)
			}
		})
		all.Wait()
		if n := r.happened(EventSkipped); n != 0 {
			t.Errorf("%d skips", n)
		}
		wait()
		r.checkNothingLeft()
	})
}

// Without time shift, as far as memory reaches.
func TestSeekBackInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Buffer = 32 * pace
		r := newRig(t, 1, cfg, modest())
		wait := r.keepAwake(5 * time.Minute)
		time.Sleep(2 * time.Minute)
		for back, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, time.Minute: 29 * time.Second} {
			s := newScreen(channelIH)
			s.rate = pace * 101 / 100 // stays where it is
			behind, err := r.watchBack(byID, s, back, time.Minute)
			if !errors.Is(err, errSeenEnough) || s.verifier.Report().Err() != nil {
				t.Errorf("%v, %v", err, s.verifier.Report().Err())
			}
			// Memory is given back by blocks, each of which holds almost three seconds.
			if (behind - want).Abs() > 4*time.Second {
				t.Errorf("%v back is %v, want %v", back, behind, want)
			}
		}
		if n := r.happened(EventSkipped); n != 0 {
			t.Errorf("%d skips", n)
		}
		wait()
		r.checkNothingLeft()
	})
}

// A viewer too slow for what is kept skips ahead, to the oldest that it can stay at.
func TestSeekBackTooSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, shifting(t, time.Minute, 64<<20), modest())
		wait := r.keepAwake(20 * time.Minute)
		time.Sleep(5 * time.Minute)
		s := newScreen(channelIH)
		s.rate = pace / 2
		if _, err := r.watchBack(byID, s, time.Minute, 10*time.Minute); !errors.Is(err, errSeenEnough) {
			t.Error(err)
		}
		rep := s.verifier.Report()
		if rep.Gaps == 0 || rep.CleanGaps != rep.Gaps || rep.Repeats+rep.Foreign+rep.Corrupt != 0 || int64(r.happened(EventSkipped)) != rep.Gaps {
			t.Errorf("%d skips, %+v", r.happened(EventSkipped), rep)
		}
		// Five of ten minutes are left out, some at a time.
		if lost := r.fakes[0].Broadcast(channelIH).Time(rep.Lost); lost < 4*time.Minute || lost > 6*time.Minute || rep.Gaps < 4 {
			t.Errorf("%v lost in %d gaps", lost, rep.Gaps)
		}
		wait()
		r.checkNothingLeft()
	})
}

// Engines change under a viewer behind live, with a seam and with a break.
func TestSeekBackOverChanges(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{0, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2, shifting(t, 10*time.Minute, 1<<30), modest())
			all := make(chan error, 1)
			live := newScreen(channelIH)
			go func() { all <- r.watch(byID, live, 6*time.Minute) }()
			time.Sleep(time.Minute)
			for _, f := range r.fakes {
				f.Kill()
				if away == 0 {
					break
				}
			}
			time.Sleep(away)
			for _, f := range r.fakes {
				if away > 0 {
					if err := f.Revive(); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Minute)
			s := newScreen(channelIH)
			s.rate = 2 * pace
			if _, err := r.watchBack(byID, s, 10*time.Minute, 3*time.Minute); !errors.Is(err, errSeenEnough) {
				t.Error(err)
			}
			<-all
			a, b := live.verifier.Report(), s.verifier.Report()
			if a.Gaps != b.Gaps || a.Lost != b.Lost || b.CleanGaps != b.Gaps || b.Foreign != a.Foreign || b.Continuity != a.Continuity || b.Repeats+b.Corrupt != 0 || (b.Gaps > 0) != (away > 0) {
				t.Errorf("%v away: behind live %+v, live %+v", away, b, a)
			}
			r.checkNothingLeft()
		})
	}
}

// The stream ends, and who is behind sees it to its end.
func TestSeekBackToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, shifting(t, 10*time.Minute, 1<<30), modest())
		live, over := newScreen(channelIH), make(chan error, 1)
		go func() { over <- r.watch(byID, live, time.Hour) }()
		time.Sleep(3 * time.Minute)
		s := newScreen(channelIH)
		s.rate = pace * 102 / 100
		ended := make(chan error, 1)
		go func() {
			_, err := r.watchBack(byID, s, 2*time.Minute, time.Hour)
			ended <- err
		}()
		time.Sleep(time.Minute)
		r.fakes[0].Kill()
		<-over
		began := time.Now()
		if err := <-ended; err == nil || errors.Is(err, errSeenEnough) {
			t.Error(err)
		}
		if took := time.Since(began); took < 45*time.Second {
			t.Errorf("sees %v after the end", took)
		}
		rep := s.verifier.Report()
		if last := live.verifier.Report().Last; rep.Err() != nil || rep.Last != last {
			t.Errorf("%v, up to packet %d of %d", rep.Err(), rep.Last, last)
		}
		synctest.Wait()
		r.checkNothingLeft()
	})
}

// The disk fills, fails, or hangs: the live stream goes on, and so does time shift when it can.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		slow time.Duration
	}{"full": {err: syscall.ENOSPC}, "broken": {err: syscall.EIO}, "slow": {slow: 2 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fs := newFaulty(t)
				cfg := testConfig()
				cfg.Buffer = 1 << 18
				cfg.Timeshift = timeshift.New(fs, timeshift.Config{Keep: time.Hour, Limit: 1 << 30}, slog.New(slog.DiscardHandler))
				r := newRig(t, 1, cfg, modest())
				wait := r.keepAwake(10 * time.Minute)
				time.Sleep(3 * time.Minute)
				s := newScreen(channelIH)
				s.rate = pace * 101 / 100
				done := make(chan error, 1)
				go func() {
					_, err := r.watchBack(byID, s, 2*time.Minute, 5*time.Minute)
					done <- err
				}()
				time.Sleep(time.Minute)
				fs.fail(c.err, c.slow)
				time.Sleep(time.Minute)
				kept := r.hub.Snapshot()[0].Kept
				if kept.Err == nil && kept.Length > 20*time.Second || r.happened(EventUnkept) == 0 {
					t.Errorf("%+v, %d times told", kept, r.happened(EventUnkept))
				}
				fs.fail(nil, 0)
				time.Sleep(2 * time.Minute)
				if kept := r.hub.Snapshot()[0].Kept; kept.Err != nil || kept.Length < 30*time.Second {
					t.Errorf("healed: %+v", kept)
				}
				if err := <-done; !errors.Is(err, errSeenEnough) {
					t.Error(err)
				}
				if rep := s.verifier.Report(); rep.Gaps != 1 || rep.CleanGaps != 1 || rep.Repeats+rep.Foreign+rep.Corrupt != 0 {
					t.Errorf("viewer behind live: %+v", rep)
				}
				wait()
				r.checkNothingLeft()
				if n := fs.left(); n != 0 {
					t.Errorf("%d files left", n)
				}
			})
		})
	}
}

// faulty is a directory whose writes fail, or take long.
type faulty struct {
	t    *testing.T
	root *os.Root
	err  atomic.Pointer[error]
	slow atomic.Int64
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{t: t, root: root}
	f.fail(nil, 0)
	t.Cleanup(func() { root.Close() })
	return f
}

func (f *faulty) fail(err error, slow time.Duration) {
	f.err.Store(&err)
	f.slow.Store(int64(slow))
}

func (f *faulty) left() int {
	list, err := os.ReadDir(f.root.Name())
	if err != nil {
		f.t.Error(err)
	}
	return len(list)
}

type faultyFile struct {
	*os.File
	disk *faulty
}

func (f faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if slow := f.disk.slow.Load(); slow > 0 {
		time.Sleep(time.Duration(slow))
	}
	if err := *f.disk.err.Load(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faulty) Create(name string) (timeshift.File, error) {
	file, err := f.root.Create(name)
	return faultyFile{file, f}, err
}

func (f *faulty) Open(name string) (timeshift.File, error) {
	file, err := f.root.Open(name)
	return faultyFile{file, f}, err
}

func (f *faulty) Remove(name string) error { return f.root.Remove(name) }

func (f *faulty) Space() (free, size int64, err error) { return 1 << 40, 1 << 40, nil }

// A person disconnects viewers that read from the disk, and stops the stream: they end at once, and
// nothing is kept for them.
func TestSeekBackDisconnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, shifting(t, 10*time.Minute, 1<<30), modest())
		go r.watch(byID, newScreen(channelIH), time.Hour)
		time.Sleep(3 * time.Minute)
		ended := make(chan error)
		for range 2 {
			go func() {
				s := newScreen(channelIH)
				s.rate = pace * 101 / 100
				_, err := r.watchBack(byID, s, 2*time.Minute, time.Hour)
				ended <- err
			}()
			time.Sleep(10 * time.Second)
		}
		late := r.hub.Snapshot()[0].Viewers
		if !r.hub.Disconnect(late[len(late)-1].ID, "test") {
			t.Fatal("no such viewer")
		}
		began := time.Now()
		if err := <-ended; CodeOf(err) != CodeStopped {
			t.Error(err)
		}
		if !r.hub.Stop(byID, "test") {
			t.Fatal("no such stream")
		}
		if err := <-ended; CodeOf(err) != CodeStopped {
			t.Error(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("they went on for %v", took)
		}
		r.checkNothingLeft()
	})
}
