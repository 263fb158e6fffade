package pool

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	api "github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

// What happens to the container of an engine that plays costs its viewers
// nothing, and the pool is at its minimum again soon after.
func TestEnginesEndUnderViewers(t *testing.T) {
	t.Parallel()
	began := time.Now()
	h := open(t, "--pool.min", "2", "--pool.max", "3", "--pool.streams_per_engine", "8")
	h.settles(2)
	t.Logf("at the minimum after %v", since(began))
	everybody := append(playbacktest.Gather(t, h.base, 0, 20), playbacktest.Gather(t, h.base, 1, 10)...)
	for _, tt := range []struct {
		name string
		fail func(containerID string) error
	}{
		{"docker kill", func(id string) error {
			_, err := h.daemon.ContainerKill(t.Context(), id, client.ContainerKillOptions{Signal: "SIGKILL"})
			return err
		}},
		{"docker rm -f", func(id string) error {
			_, err := h.daemon.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			return err
		}},
		{"docker pause", func(id string) error {
			_, err := h.daemon.ContainerPause(t.Context(), id, client.ContainerPauseOptions{})
			return err
		}},
	} {
		everybody.GoOn(t, time.Second)
		everybody.Measure()
		engine, id := h.busy()
		failed := time.Now()
		if err := tt.fail(id); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		h.gone(engine)
		h.settles(2)
		healed := since(failed)
		everybody.GoOn(t, calm)
		gap := everybody.Check(t)
		t.Logf("%s: two engines are ready after %v; longest time without media: %v", tt.name, healed, gap.Round(time.Millisecond))
		if gap > stall+slack {
			t.Errorf("%s: viewers were without media for %v", tt.name, gap)
		}
	}
	if _, most := h.life.sum(); most > 3 {
		t.Errorf("%d containers existed, and the maximum is 3", most)
	}
}

func since(t time.Time) time.Duration { return time.Since(t).Round(10 * time.Millisecond) }

// Engines outlive acequia, however it ends, and play for the next one at once.
func TestEnginesAreAdopted(t *testing.T) {
	t.Parallel()
	h := open(t, "--pool.min", "3", "--pool.max", "4")
	h.settles(3)
	everybody := append(playbacktest.Gather(t, h.base, 0, 5), playbacktest.Gather(t, h.base, 1, 5)...)
	everybody.GoOn(t, time.Second)
	before := h.starts()

	h.kill()
	if diff := cmp.Diff(before, h.starts()); diff != "" {
		t.Fatalf("engines ended with acequia (-before +after):\n%s", diff)
	}
	again := time.Now()
	h.run()
	listens := since(again)
	playbacktest.Gather(t, h.base, 0, 1)
	plays := since(again)
	h.settles(3)
	t.Logf("after kill -9 acequia listens after %v, the first viewer has a picture after %v, and all engines are adopted after %v", listens, plays, since(again))
	if plays > slack {
		t.Errorf("the first playback took %v", plays)
	}
	playbacktest.Gather(t, h.base, 1, 1).GoOn(t, time.Second)
	if diff := cmp.Diff(before, h.starts()); diff != "" {
		t.Errorf("engines were not adopted (-before +after):\n%s", diff)
	}
	if started, _ := h.life.sum(); started != 3 {
		t.Errorf("%d containers were started for three engines", started)
	}
}

// A family sits down at once, and leaves: the pool grows to its maximum, tells
// those for whom there is no room, and is at its minimum again.
func TestTenStreamsAtOnce(t *testing.T) {
	t.Parallel()
	const wait = 20 * time.Second
	h := open(t, "--pool.min", "2", "--pool.max", "5", "--pool.streams_per_engine", "2", "--pool.wait", wait.String(),
		"--pool.idle_ttl", "3s", "--pool.cooldown", "3s")
	h.settles(2)
	asked := time.Now()
	var family playbacktest.Audience
	for content := range 10 {
		family = append(family, playbacktest.Watch(t.Context(), h.base, content, 0))
	}
	leave := func() {
		for _, v := range family {
			v.Leave()
		}
	}
	t.Cleanup(leave)
	family.Await(t, "a picture", hasPicture)
	t.Logf("ten streams play after %v", since(asked))
	h.settles(5)

	res := refusal(h, 10)
	if res.code != "pool_full" || res.retryAfter < 1 || res.text == "" {
		t.Errorf("the eleventh was told %+v", res)
	}
	t.Logf("the eleventh was told %+v", res)
	family.GoOn(t, time.Second)
	family.Check(t)
	if started, most := h.life.sum(); started != 5 || most != 5 {
		t.Errorf("%d containers were started, %d existed at once", started, most)
	}

	h.life.watchFloor()
	left := time.Now()
	leave()
	h.settles(2)
	t.Logf("at the minimum %v after everybody left", since(left))
	if err := playbacktest.Rest(t.Context(), 5*time.Second); err != nil { // nothing more is stopped, however idle
		t.Fatal(err)
	}
	if got := get[api.Pool](h, "/pool"); got.Ready != 2 || h.life.floor() != 2 {
		t.Errorf("%d engines are ready, and as few as %d ran: the minimum is 2", got.Ready, h.life.floor())
	}
}
