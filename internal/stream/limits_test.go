package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// Shares are within the budget, enough where that can be, even among those who get
// more than their least, and leave nothing over that somebody could have.
func TestFairShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 1000).Draw(t, "most")
		least := rapid.SliceOfN(rapid.IntRange(1, most), 0, 20).Draw(t, "least")
		budget := rapid.IntRange(0, 10_000).Draw(t, "budget")
		shares := fairShares(budget, most, least)
		sum, sumLeast := 0, 0
		for i := range least {
			sum += shares[i]
			sumLeast += least[i]
		}
		if sum > budget {
			t.Fatalf("shares %v exceed %d", shares, budget)
		}
		if sumLeast > budget {
			return
		}
		level := most // of those who have more than their least
		for i, got := range shares {
			if got < least[i] || got > most {
				t.Fatalf("share %d of %v is not in [%d, %d]", i, shares, least[i], most)
			}
			if got > least[i] {
				level = min(level, got)
			}
		}
		hungry := 0
		for i, got := range shares {
			if got > least[i] && got != level {
				t.Fatalf("shares %v for %v are not even", shares, least)
			}
			if got < most {
				hungry++
			}
		}
		if hungry > 0 && budget-sum >= len(least) {
			t.Fatalf("%d of %d left over in %v for %v", budget-sum, budget, shares, least)
		}
	})
}

func channel(i int) content.Selector {
	return content.Selector{Kind: content.Infohash, Value: fmt.Sprintf("%040x", i+1)}
}

// channels is a catalogue of n live contents, each with its bitrate in bytes per second.
func channels(n int, bitrate func(i int) int) []enginetest.Content {
	var all []enginetest.Content
	for i := range n {
		all = append(all, enginetest.Content{Infohash: channel(i).Value, Name: "channel", Live: true, Bitrate: bitrate(i)})
	}
	return all
}

// join joins and leaves again at the end of the test.
func (r *rig) join(want content.Selector) (*Viewer, error) {
	return r.hub.Join(r.t.Context(), want, Client{Addr: "192.0.2.1:1", App: "test"})
}

// Of many viewers that come at the same instant, exactly as many as may be get in,
// and each one who leaves makes room for one.
func TestViewerLimitIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxViewers = 7
		r := newRig(t, 1, cfg, enginetest.Config{Timing: enginetest.MeasuredTiming()})
		var mu sync.Mutex
		var in []*Viewer
		rush := func(n int) (refused int) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					v, err := r.join(byInfohash)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						in = append(in, v)
					case CodeOf(err) == CodeCrowded && asError(err).RetryAfter > 0:
						refused++
					default:
						t.Errorf("join: %v", err)
					}
				})
			}
			all.Wait()
			return refused
		}
		if refused := rush(50); refused != 43 || len(in) != 7 {
			t.Fatalf("%d got in and %d were refused, want 7 and 43", len(in), refused)
		}
		in[0].Leave()
		in[0].Leave()
		in[1].Leave()
		in = in[2:]
		if refused := rush(10); refused != 8 || len(in) != 7 {
			t.Fatalf("after two left: %d are in, %d refused; want 7 and 8", len(in), refused)
		}
		if n := r.happened(EventRefused); n != 51 {
			t.Errorf("%d refusals were told, want 51", n)
		}
		for _, v := range in {
			v.Leave()
		}
		r.checkNothingLeft()
	})
}

// A stream that nobody watches makes room for another; one that is watched does not.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxStreams = 2
		r := newRig(t, 3, cfg, enginetest.Config{Timing: enginetest.MeasuredTiming(), Contents: channels(4, func(int) int { return 0 })})
		var watched []*Viewer
		for i := range 2 {
			v, err := r.join(channel(i))
			if err != nil {
				t.Fatal(err)
			}
			watched = append(watched, v)
		}
		if _, err := r.join(channel(2)); CodeOf(err) != CodeStreams || asError(err).RetryAfter <= 0 {
			t.Fatalf("a third stream: %v", err)
		}
		if v, err := r.join(channel(1)); err != nil {
			t.Errorf("a second viewer of a stream: %v", err)
		} else {
			v.Leave()
		}
		watched[1].Leave()
		time.Sleep(time.Second)
		watched[0].Leave()
		// Both linger. The one that was left first goes.
		if v, err := r.join(channel(2)); err != nil {
			t.Errorf("no room beside streams that linger: %v", err)
		} else {
			defer v.Leave()
		}
		if _, there := r.hub.Find(channel(0)); !there {
			t.Error("the stream that was left last has ended")
		}
		if _, there := r.hub.Find(channel(1)); there {
			t.Error("the stream that was left first goes on")
		}
		if n := len(r.hub.Snapshot()); n != 2 {
			t.Errorf("%d streams", n)
		}
		r.checkNothingLeft()
	})
}

// Whatever players do, no limit is ever exceeded, and nothing is left behind.
func TestLimitsHoldUnderStress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const contents, players = 8, 40
		cfg := testConfig()
		cfg.MaxStreams, cfg.MaxViewers, cfg.Linger = 4, 6, 2*time.Second
		cfg.Memory, cfg.Buffer = 14<<20, 8<<20
		r := newRig(t, 4, cfg, enginetest.Config{
			Timing:   enginetest.Timing{Open: 50 * time.Millisecond, Prebuffer: 200 * time.Millisecond, Burst: 4 * time.Second, Inactivity: time.Minute},
			Contents: channels(contents, func(i int) int { return 100_000 << (i % 4) }),
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		seen := make(map[Code]int)
		var mu sync.Mutex
		var all sync.WaitGroup
		for p := range players {
			all.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(p)))
				for ctx.Err() == nil {
					_ = pause(ctx, time.Duration(random.IntN(2000))*time.Millisecond)
					err := r.watch(channel(random.IntN(contents)), newScreen(""), time.Duration(random.IntN(10_000))*time.Millisecond)
					if !errors.Is(err, errSeenEnough) {
						mu.Lock()
						seen[CodeOf(err)]++
						mu.Unlock()
					}
				}
			})
		}
		for ctx.Err() == nil {
			_ = pause(ctx, 7*time.Millisecond)
			streams, memory := 0, 0
			for _, s := range r.hub.Snapshot() {
				streams++
				memory += s.Buffered
				if len(s.Viewers) > cfg.MaxViewers {
					t.Fatalf("%d viewers of %v", len(s.Viewers), s.Content)
				}
			}
			if streams > cfg.MaxStreams || memory > cfg.Memory {
				t.Fatalf("%d streams with %d bytes", streams, memory)
			}
		}
		all.Wait()
		if len(seen) > 3 || seen[CodeStreams]+seen[CodeMemory] == 0 || seen[CodeCrowded] == 0 {
			t.Errorf("refused were %v; want some for each limit, and nobody for another reason", seen)
		}
		r.checkNothingLeft()
		if r.hub.running != 0 || len(r.hub.memory.needs) != 0 {
			t.Errorf("%d streams and %d claims on memory are left", r.hub.running, len(r.hub.memory.needs))
		}
	})
}

// Rings shrink evenly, but not below what a viewer needs to join; what is left over
// is for the others; when one ends they grow again.
func TestRingsShareMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Buffer, cfg.Memory = 6<<20, 12_000_000
		// 3 s of the second and a second between its random access points are 2.4 MB,
		// with the tail for the seam more than an even share.
		rates := []int{40_000, 600_000, 40_000, 40_000}
		r := newRig(t, 4, cfg, enginetest.Config{
			Timing:   enginetest.Timing{Burst: 60 * time.Second, Inactivity: time.Minute}, // like a file
			Contents: channels(len(rates)+1, func(i int) int { return append(rates, 0)[i] }),
		})
		settle := func() {
			time.Sleep(3 * time.Minute)
			synctest.Wait()
		}
		buffered := func() (sizes []int, sum int) {
			for i := range rates {
				if s, ok := r.hub.Find(channel(i)); ok {
					sizes = append(sizes, s.Buffered)
					sum += s.Buffered
				}
			}
			return sizes, sum
		}
		var watched []*Viewer
		for i := range rates {
			v, err := r.join(channel(i))
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
			watched = append(watched, v)
			time.Sleep(2 * time.Second) // what it needs is measured
			synctest.Wait()
			if _, sum := buffered(); sum > cfg.Memory {
				t.Fatalf("%d bytes after stream %d", sum, i)
			}
		}
		settle()
		sizes, sum := buffered()
		if sum > cfg.Memory || sum < cfg.Memory*8/10 {
			t.Errorf("rings hold %v, %d in sum; want nearly %d", sizes, sum, cfg.Memory)
		}
		if sizes[1] < 3_000_000 || sizes[0] > sizes[1] {
			t.Errorf("the stream of 4.8 Mbit/s has %d bytes, less than its viewers need to join", sizes[1])
		}
		if _, err := r.join(channel(4)); CodeOf(err) != CodeMemory {
			t.Errorf("a fifth, for which there is no room: %v", err)
		}
		// The verifier sees that viewers join where they should.
		for i := range rates {
			s := newScreen(channel(i).Value)
			if err := r.watch(channel(i), s, 5*time.Second); !errors.Is(err, errSeenEnough) {
				t.Fatal(err)
			}
			if rep := s.verifier.Report(); rep.Err() != nil || !rep.TablesFirst || s.got < int64(7*rates[i]) {
				t.Errorf("stream %d: %d bytes in 5 s, %+v", i, s.got, rep)
			}
		}
		for _, v := range watched[1:] {
			v.Leave()
		}
		settle()
		settle()
		if sizes, _ := buffered(); len(sizes) != 1 || sizes[0] < 5<<20 {
			t.Errorf("the stream that is left has %v, want all of its buffer", sizes)
		}
		r.checkNothingLeft()
	})
}

// There is always memory for one stream, and never for more than fit.
func TestMemoryLimitRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Memory = 2 << 20
		r := newRig(t, 2, cfg, enginetest.Config{Contents: append(channels(2, func(int) int { return 200_000 }), catalogue()...)})
		s := newScreen(channel(0).Value)
		if err := r.watch(channel(0), s, 30*time.Second); !errors.Is(err, errSeenEnough) || s.verifier.Report().Err() != nil {
			t.Fatalf("%v, %v", err, s.verifier.Report().Err())
		}
		v, err := r.join(channel(0))
		if err != nil {
			t.Fatal(err)
		}
		if st, _ := r.hub.Find(channel(0)); st.Buffered > cfg.Memory || st.Buffered < cfg.Memory/2 {
			t.Errorf("%d bytes in memory, with %d to be had", st.Buffered, cfg.Memory)
		}
		if _, err := r.join(channel(1)); CodeOf(err) != CodeMemory || asError(err).RetryAfter <= 0 {
			t.Errorf("a second one: %v", err)
		}
		v.Leave()
		// Files need none, and the stream that lingers gives way to what does.
		if v, err := r.join(theFile); err != nil {
			t.Error(err)
		} else {
			defer v.Leave()
		}
		if v, err := r.join(channel(1)); err != nil {
			t.Error(err)
		} else {
			v.Leave()
		}
		r.checkNothingLeft()
	})
}
