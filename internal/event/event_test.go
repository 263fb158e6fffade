package event_test

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/event"
)

func publish(l *event.Log, n int) {
	for range n {
		l.Publish(event.Event{Type: "engine.ready"})
	}
}

func numbers(events []event.Event) []uint64 {
	var seqs []uint64
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func TestSince(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                string
		capacity, published int
		since               uint64
		want                []uint64
		missed              uint64
	}{
		{"an empty log", 3, 0, 0, nil, 0},
		{"all of a young log", 3, 2, 0, []uint64{1, 2}, 0},
		{"the newest", 3, 2, 1, []uint64{2}, 0},
		{"nothing new", 3, 2, 2, nil, 0},
		{"a full log", 3, 3, 0, []uint64{1, 2, 3}, 0},
		{"an old reader", 3, 7, 1, []uint64{5, 6, 7}, 3},
		{"a reader just in time", 3, 7, 4, []uint64{5, 6, 7}, 0},
		{"a number of an earlier process", 3, 2, 99, []uint64{1, 2}, 0},
		{"no capacity", 0, 2, 0, []uint64{2}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := event.NewLog(test.capacity)
			publish(l, test.published)
			events, missed := l.Since(test.since)
			if diff := cmp.Diff(test.want, numbers(events)); diff != "" || missed != test.missed {
				t.Errorf("missed %d, not %d; events (-want +got):\n%s", missed, test.missed, diff)
			}
			if got := l.Last(); got != uint64(test.published) {
				t.Errorf("the last is %d", got)
			}
		})
	}
}

func TestPublishedEventsDoNotChange(t *testing.T) {
	t.Parallel()
	l := event.NewLog(1)
	attrs := map[string]string{"engine": "engine-1"}
	l.Publish(event.Event{Attrs: attrs})
	attrs["engine"] = "changed"
	if events, _ := l.Since(0); events[0].Attrs["engine"] != "engine-1" {
		t.Errorf("the event became %+v", events[0])
	}
}

// A reader that takes the channel before it reads sees every event that fits
// the log, however its steps fall between those of the writer.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const total = 1000
		l := event.NewLog(total)
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range total {
				l.Publish(event.Event{Message: strconv.Itoa(n)})
			}
		})
		var seen uint64
		for seen < total {
			changed := l.Changed()
			events, missed := l.Since(seen)
			if missed != 0 {
				t.Fatalf("missed %d", missed)
			}
			for _, e := range events {
				if e.Seq != seen+1 || e.Message != strconv.FormatUint(seen, 10) {
					t.Fatalf("after %d came %+v", seen, e)
				}
				seen = e.Seq
			}
			if len(events) == 0 {
				<-changed // a lost wake-up deadlocks the bubble, which fails the test
			}
		}
		wg.Wait()
	})
}

// The log is a window on the list of all events.
func TestLogIsAWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 8).Draw(t, "capacity")
		published := rapid.IntRange(0, 30).Draw(t, "published")
		since := rapid.IntRange(0, published).Draw(t, "since")
		l := event.NewLog(capacity)
		publish(l, published)

		first := max(since, published-capacity)
		var want []uint64
		for n := first + 1; n <= published; n++ {
			want = append(want, uint64(n))
		}
		events, missed := l.Since(uint64(since))
		if diff := cmp.Diff(want, numbers(events)); diff != "" || missed != uint64(first-since) {
			t.Fatalf("missed %d; events (-want +got):\n%s", missed, diff)
		}
	})
}
