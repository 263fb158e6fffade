package relay

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

const (
	viewers = 50
	// stall is playback.stall_timeout of these tests, and slack what a busy
	// machine may add to it and to the start of the second engine, which takes
	// the fakes no time.
	stall = 2 * time.Second
	slack = 4 * time.Second
)

// Everything that can happen to an engine that plays, under fifty viewers, with
// a second engine there: nobody loses a packet, gets one twice, or is let down.
func TestAnEngineFailsUnderFiftyViewers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fail func(e *engine)
		mend func(e *engine)
	}{
		{name: "kill -9", fail: (*engine).kill, mend: (*engine).revive},
		{
			name: "freeze",
			fail: func(e *engine) { e.signal(syscall.SIGSTOP) },
			mend: func(e *engine) { e.signal(syscall.SIGCONT) },
		},
		{name: "reset", fail: fault(enginetest.Fault{Kind: enginetest.ResetAfter, After: 1}), mend: (*engine).clear},
		{name: "eof", fail: fault(enginetest.Fault{Kind: enginetest.EOFAfter, After: 1}), mend: (*engine).clear},
		{name: "stall", fail: fault(enginetest.Fault{Kind: enginetest.Stall}), mend: (*engine).clear},
		{name: "no peers", fail: fault(enginetest.Fault{Kind: enginetest.NoPeers}), mend: (*engine).clear},
		{name: "starvation", fail: fault(enginetest.Fault{Kind: enginetest.Trickle, Rate: playbacktest.Rate / 4}), mend: (*engine).clear},
		{name: "garbage", fail: fault(enginetest.Fault{Kind: enginetest.Garbage}), mend: (*engine).clear},
		{name: "API hangs", fail: fault(enginetest.Fault{Kind: enginetest.APIHang}), mend: (*engine).clear},
		{name: "all hangs", fail: fault(enginetest.Fault{Kind: enginetest.VersionHang}), mend: (*engine).clear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, 2)
			everybody := playbacktest.Gather(t, h.base, 0, viewers)
			everybody.GoOn(t, time.Second)
			busy, _ := h.players()
			if len(busy) != 1 {
				t.Fatalf("%d engines play one content", len(busy))
			}
			everybody.Measure()
			tt.fail(busy[0])
			everybody.GoOn(t, 7*time.Second)
			gap := everybody.Check(t)
			t.Logf("longest time without media: %v", gap.Round(time.Millisecond))
			if gap > stall+slack {
				t.Errorf("viewers were without media for %v", gap)
			}
			tt.mend(busy[0])
			for _, e := range h.engines {
				if c := e.counters(); c.MaxPerInfohash > 1 || c.MaxReaders > 1 || c.Corrupt > 0 {
					t.Errorf("an engine had more than one session or reader of a content: %+v", c)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), playbacktest.Patience)
			defer cancel()
			if err := playbacktest.Until(ctx, "one engine plays", func() bool { busy, _ := h.players(); return len(busy) == 1 }); err != nil {
				t.Error(err)
			}
		})
	}
}

func fault(f enginetest.Fault) func(*engine) { return func(e *engine) { e.set(f) } }

// Every engine loses the content, or dies, and comes back: the stream goes on,
// on the same connections.
func TestEveryEngineFailsForTenSeconds(t *testing.T) {
	t.Parallel()
	const outage = 10 * time.Second
	for _, tt := range []struct {
		name       string
		fail, mend func(e *engine)
	}{
		{"no peers", fault(enginetest.Fault{Kind: enginetest.NoPeers}), (*engine).clear},
		{"kill -9", (*engine).kill, (*engine).revive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, 2)
			everybody := playbacktest.Gather(t, h.base, 0, viewers)
			everybody.GoOn(t, time.Second)
			for _, e := range h.engines {
				tt.fail(e)
			}
			if err := playbacktest.Rest(t.Context(), outage); err != nil {
				t.Fatal(err)
			}
			for _, e := range h.engines {
				tt.mend(e)
			}
			everybody.Measure()
			everybody.GoOn(t, 5*time.Second)
			for i, v := range everybody {
				r, _ := v.Seen()
				if r.Repeats+r.Corrupt > 0 || r.Gaps > r.CleanGaps || !v.Alive() {
					t.Errorf("viewer %d: there %v, %+v", i, v.Alive(), r)
				}
			}
		})
	}
}

// A viewer at a tenth of the rate and one that never reads are their own
// problem.
func TestSlowViewersHarmNobody(t *testing.T) {
	t.Parallel()
	h := open(t, 1, "--playback.buffer", "2MiB", "--playback.write_timeout", "5s")
	everybody := playbacktest.Gather(t, h.base, 0, viewers-2)
	everybody.GoOn(t, 5*time.Second)
	alone := everybody.Check(t)
	everybody.Measure()
	slow, stuck := playbacktest.Watch(t.Context(), h.base, 0, playbacktest.Rate/10), playbacktest.Watch(t.Context(), h.base, 0, -1)
	t.Cleanup(slow.Leave)
	t.Cleanup(stuck.Leave)
	everybody.GoOn(t, 15*time.Second)
	together := everybody.Check(t)
	t.Logf("longest time without media: %v without the slow ones, %v with them", alone.Round(time.Millisecond), together.Round(time.Millisecond))
	if together > alone+slack {
		t.Errorf("48 viewers were without media for %v because of two slow ones", together)
	}
}
