package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// notebook is a Knowledge in memory, slow and unreliable if told so.
type notebook struct {
	slow time.Duration

	mu    sync.Mutex
	names []Name // guarded by mu
	fail  int    // saves that fail from now on; guarded by mu
}

func (n *notebook) Load(ctx context.Context) ([]Name, error) {
	if err := pause(ctx, n.slow); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.names), nil
}

func (n *notebook) Save(_ context.Context, names []Name) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail > 0 {
		n.fail--
		return errors.New("disk full")
	}
	for _, name := range names {
		n.names = slices.DeleteFunc(n.names, func(o Name) bool { return o.Content == name.Content })
		n.names = append(n.names, name)
	}
	return nil
}

func (n *notebook) saved() []Name {
	names, _ := n.Load(context.Background())
	slices.SortFunc(names, func(a, b Name) int { return cmp.Compare(a.Content.Value, b.Content.Value) })
	return names
}

// What a hub learnt, the next one knows: it asks no engine who the content is,
// and a content id that is an infohash in truth opens as one at once.
func TestKnowledgeOutlivesTheHub(t *testing.T) {
	t.Parallel()
	mistaken := content.Selector{Kind: content.ContentID, Value: channelIH}
	synctest.Test(t, func(t *testing.T) {
		book := &notebook{}
		cfg := testConfig()
		cfg.Knowledge = book
		learn := newRig(t, 1, cfg, enginetest.Config{Timing: enginetest.MeasuredTiming()})
		var slow time.Duration
		for _, name := range []content.Selector{mistaken, otherByID} {
			s := newScreen("")
			began := time.Now()
			if err := learn.watch(name, s, 40*time.Second); !errors.Is(err, errSeenEnough) {
				t.Fatalf("%v: %v", name, err)
			}
			if name == mistaken {
				slow = s.first.Sub(began)
			}
		}
		learn.checkNothingLeft()
		want := []Name{
			{Content: mistaken, Infohash: channelIH, Mistaken: true},
			{Content: otherByID, Infohash: otherIH},
		}
		if got := book.saved(); !slices.Equal(got, want) {
			t.Fatalf("saved %v, want %v", got, want)
		}

		again := newRig(t, 1, cfg, enginetest.Config{Timing: enginetest.MeasuredTiming()})
		synctest.Wait()
		s := newScreen("")
		began := time.Now()
		if err := again.watch(mistaken, s, 40*time.Second); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		if quick := s.first.Sub(began); quick >= slow {
			t.Errorf("the second time the first byte took %v, the first time %v", quick, slow)
		}
		if c := again.counters(); c.Opens != 1 {
			t.Errorf("%d opens, want 1", c.Opens)
		}
		again.checkNothingLeft()
	})
}

// A store that is slow to answer, or cannot save for a while, holds no player up,
// and loses nothing in the end.
func TestKnowledgeNeverBlocksPlayback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := Name{Content: otherByID, Infohash: otherIH}
		book := &notebook{slow: time.Minute, fail: 1, names: []Name{old}}
		cfg := testConfig()
		cfg.Knowledge = book
		r := newRig(t, 1, cfg, enginetest.Config{Timing: enginetest.MeasuredTiming()})
		s := newScreen(channelIH)
		began := time.Now()
		if err := r.watch(byID, s, 2*time.Minute); !errors.Is(err, errSeenEnough) {
			t.Fatal(err)
		}
		if wait := s.first.Sub(began); wait > 10*time.Second {
			t.Errorf("first byte after %v", wait)
		}
		if got := book.saved(); !slices.Equal(got, []Name{old}) {
			t.Errorf("saved %v though saving failed", got)
		}
		if !r.hub.knows(otherByID) || !r.hub.knows(byID) {
			t.Error("what was loaded late, or learnt before, is not known")
		}
		r.checkNothingLeft()
		if got := book.saved(); !slices.Equal(got, []Name{old, {Content: byID, Infohash: channelIH}}) {
			t.Errorf("saved %v in the end", got)
		}
	})
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	m := newInfohashes()
	id := func(i int) content.Selector {
		return content.Selector{Kind: content.ContentID, Value: fmt.Sprintf("%040x", i)}
	}
	for i := range MostNames + 10 {
		m.learn(id(i), channelIH)
	}
	m.learn(content.Selector{Kind: content.URL, Value: "http://h/" + string(make([]byte, longestName))}, channelIH)
	m.learn(byInfohash, channelIH)
	if len(m.of) != MostNames || len(m.order) != MostNames || len(m.fresh) != MostNames {
		t.Errorf("%d names, %d in order, %d to save; want %d", len(m.of), len(m.order), len(m.fresh), MostNames)
	}
	if _, ok := m.name(id(9)); ok {
		t.Error("the oldest is still known")
	}
	if _, ok := m.name(id(10)); !ok {
		t.Error("more than the oldest are forgotten")
	}
	m.unsaved()
	m.learn(id(20), channelIH)
	if len(m.fresh) != 0 {
		t.Error("what is known already is to be saved again")
	}
	// Another file of the same content has the same infohash.
	third := id(20)
	third.File, third.Chosen = 2, true
	if name, ok := m.name(third); !ok || name.File != 2 || name.Value != channelIH {
		t.Errorf("the third file is called %v", name)
	}
	// What is loaded late is older than what was learnt meanwhile.
	m.learn(id(20), otherIH)
	m.load([]Name{{Content: id(20), Infohash: fileIH}, {Content: id(1), Infohash: fileIH}})
	if name, _ := m.name(id(20)); name.Value != otherIH {
		t.Errorf("what was loaded (%s) beat what was learnt", name.Value)
	}
	if n := m.unsaved(); !slices.Equal(n, []Name{{Content: id(20), Infohash: otherIH}}) {
		t.Errorf("to be saved: %v", n)
	}
	if _, ok := m.name(id(1)); ok || len(m.of) != MostNames {
		t.Error("what was loaded took the place of what was learnt")
	}
}
