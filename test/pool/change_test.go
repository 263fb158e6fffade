package pool

import (
	"testing"
	"time"

	api "github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

// A changed image, or a changed setting of the containers, reaches one engine
// after the other, and no viewer notices.
func TestEnginesAreRolled(t *testing.T) {
	t.Parallel()
	h := open(t, "--pool.min", "2", "--pool.max", "3", "--pool.streams_per_engine", "4")
	h.settles(2)
	roll := func(change string, started time.Time, everybody playbacktest.Audience, old map[string]string) {
		t.Helper()
		h.await("every engine is another one", func() bool {
			for id := range h.containers() {
				if _, there := old[id]; there {
					return false
				}
			}
			return true
		})
		h.settles(2)
		rolled := since(started)
		everybody.GoOn(t, calm)
		gap := everybody.Check(t)
		t.Logf("%s: rolled after %v; longest time without media: %v", change, rolled, gap.Round(time.Millisecond))
		if gap > stall+slack {
			t.Errorf("%s: viewers were without media for %v", change, gap)
		}
		if floor := h.life.floor(); floor < 2 {
			t.Errorf("%s: as few as %d engines ran", change, floor)
		}
		if _, most := h.life.sum(); most > 3 {
			t.Errorf("%s: as many as %d containers existed", change, most)
		}
		for _, s := range get[[]api.Stream](h, "/streams") {
			for _, c := range s.Changes {
				if !c.Seamless || c.Reason != "leaving" {
					t.Errorf("%s: the stream changed its engine as in %+v", change, c)
				}
			}
		}
	}
	gather := func() playbacktest.Audience {
		return append(playbacktest.Gather(t, h.base, 0, 10), playbacktest.Gather(t, h.base, 1, 10)...)
	}

	everybody := gather()
	everybody.GoOn(t, time.Second)
	everybody.Measure()
	before := h.starts()
	h.life.watchFloor()
	changed := time.Now()
	h.build("second")
	roll("another image", changed, everybody, before)

	h.stop()
	before = h.starts()
	if len(before) != 2 {
		t.Fatalf("after the end of acequia there are %v", before)
	}
	changed = time.Now()
	h.run("--docker.env", "SEASON=2")
	roll("another setting", changed, gather(), before)
}
