package relay

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

var (
	soakFor  = flag.Duration("soak", 15*time.Second, "how long TestSoak goes on")
	soakSeed = flag.Uint64("soak.seed", 0, "of what happens in TestSoak; 0 takes one from the clock")
)

// soak is an evening: viewers come, go and zap, some are slow, and engines fail
// one after the other.
type soak struct {
	t     *testing.T
	house *house
	base  string

	mu     sync.Mutex // guards what follows
	rng    *rand.Rand
	joined int
	packet int64 // media packets that viewers checked
	faults int
	worst  time.Duration
}

// TestSoak lets that go on for a time, an hour if asked to. Nobody who keeps up
// loses a packet; in the end everything is given back.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to see the same again: -soak %v -soak.seed %d", *soakFor, seed)
	h := open(t, 3, "--playback.write_timeout", "5s", "--playback.buffer", "2MiB")
	s := &soak{t: t, house: h, base: h.base, rng: rand.New(rand.NewPCG(seed, 0))}

	s.evening(3 * time.Second) // what is allocated once is allocated then
	before := s.quiet()
	s.evening(*soakFor)
	after := s.quiet()

	t.Logf("%d viewers, %d packets, %d faults; longest time without media %v", s.joined, s.packet, s.faults, s.worst.Round(time.Millisecond))
	t.Logf("before: %+v, after: %+v", before, after)
	if after.goroutines > before.goroutines+5 || after.files > before.files+5 {
		t.Errorf("left behind: %d goroutines, %d files", after.goroutines-before.goroutines, after.files-before.files)
	}
	if after.heap > before.heap+8<<20 {
		t.Errorf("left behind: %d bytes of heap", after.heap-before.heap)
	}
	for i, e := range h.engines {
		if c := e.counters(); c.MaxPerInfohash > 1 || c.MaxReaders > 1 || c.Corrupt > 0 || c.Expired > 0 {
			t.Errorf("engine %d: %+v", i, c)
		}
	}
}

// evening goes on for d.
func (s *soak) evening(d time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for range 20 {
		all.Go(func() { s.zap(ctx) })
	}
	for range 4 {
		all.Go(func() { s.dawdle(ctx) })
	}
	all.Go(func() { s.breakEngines(ctx) })
}

// zap watches one content after the other.
func (s *soak) zap(ctx context.Context) {
	for ctx.Err() == nil {
		v := playbacktest.Watch(s.t.Context(), s.base, s.dice(contents/2), 0)
		_ = playbacktest.Rest(ctx, s.time(500*time.Millisecond, 20*time.Second)) // leaves early in the end
		there := v.Alive()
		v.Leave()
		r, gap := v.Seen()
		if !there {
			s.t.Errorf("a viewer was let down: %v", v.Err())
		}
		if r.Packets > 0 && r.Err() != nil {
			s.t.Error(r.Err())
		}
		s.mu.Lock()
		s.joined++
		s.packet += r.Packets
		s.worst = max(s.worst, gap)
		s.mu.Unlock()
	}
}

// dawdle watches too slowly, or not at all: such viewers skip, or are sent away.
func (s *soak) dawdle(ctx context.Context) {
	for ctx.Err() == nil {
		pace := playbacktest.Rate / 4
		if s.dice(2) == 0 {
			pace = -1
		}
		v := playbacktest.Watch(s.t.Context(), s.base, s.dice(contents/2), pace)
		_ = playbacktest.Rest(ctx, s.time(time.Second, 30*time.Second))
		v.Leave()
		if r, _ := v.Seen(); r.Repeats+r.Corrupt+r.Foreign > 0 || r.Gaps > r.CleanGaps {
			s.t.Errorf("a slow viewer got what is wrong: %+v", r)
		}
	}
}

// breakEngines breaks one engine at a time, and mends it.
func (s *soak) breakEngines(ctx context.Context) {
	faults := []struct{ fail, mend func(*engine) }{
		{(*engine).kill, (*engine).revive},
		{func(e *engine) { e.signal(syscall.SIGSTOP) }, func(e *engine) { e.signal(syscall.SIGCONT) }},
		{fault(enginetest.Fault{Kind: enginetest.ResetAfter, After: 1, Times: 8}), (*engine).clear},
		{fault(enginetest.Fault{Kind: enginetest.EOFAfter, After: 1, Times: 8}), (*engine).clear},
		{fault(enginetest.Fault{Kind: enginetest.NoPeers}), (*engine).clear},
		{fault(enginetest.Fault{Kind: enginetest.Garbage}), (*engine).clear},
		{fault(enginetest.Fault{Kind: enginetest.VersionHang}), (*engine).clear},
		{fault(enginetest.Fault{Kind: enginetest.HeadersHang}), (*engine).clear},
		{fault(enginetest.Fault{Kind: enginetest.HTML500}), (*engine).clear},
	}
	for playbacktest.Rest(ctx, s.time(2*time.Second, 12*time.Second)) == nil {
		e, f := s.house.engines[s.dice(len(s.house.engines))], faults[s.dice(len(faults))]
		f.fail(e)
		_ = playbacktest.Rest(ctx, s.time(time.Second, 6*time.Second))
		f.mend(e)
		s.mu.Lock()
		s.faults++
		s.mu.Unlock()
	}
}

func (s *soak) dice(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

func (s *soak) time(least, most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return least + time.Duration(s.rng.Int64N(int64(most-least)))
}

// held is what acequia holds when nobody watches.
type held struct{ goroutines, files, heap int }

// quiet waits until no engine plays any more and acequia has let go of what it
// had for viewers, or for as long as tests wait, and returns what it holds then.
func (s *soak) quiet() (h held) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), playbacktest.Patience)
	defer cancel()
	err := playbacktest.Until(ctx, "every session is stopped", func() bool {
		for _, e := range s.house.engines {
			if c := e.counters(); c.Active > 0 || c.Readers > 0 {
				return false
			}
		}
		return true
	})
	if err != nil {
		s.t.Error(err)
	}
	// Connections that nobody uses are kept for a moment by both sides.
	least := s.held()
	for range 20 {
		if playbacktest.Rest(ctx, 250*time.Millisecond) != nil {
			break
		}
		now := s.held()
		least = held{min(least.goroutines, now.goroutines), min(least.files, now.files), min(least.heap, now.heap)}
	}
	return least
}

func (s *soak) held() held {
	s.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.house.cmd.Process.Pid))
	if err != nil {
		s.t.Skip("what a process holds is seen in /proc: ", err)
	}
	return held{
		goroutines: s.profile("goroutine?debug=1", `total (\d+)`),
		files:      len(files),
		heap:       s.profile("heap?debug=1&gc=1", `# HeapAlloc = (\d+)`),
	}
}

// profile finds a number in a profile of acequia.
func (s *soak) profile(name, pattern string) int {
	s.t.Helper()
	res, err := playbacktest.Client().Get(s.base + "/debug/pprof/" + name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.t.Fatal(res.Status)
	}
	number := regexp.MustCompile(pattern)
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if m := number.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatalf("the profile has no %s", pattern)
	return 0
}
