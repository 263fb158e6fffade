package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

// world is a pool of engines in memory, in a bubble of virtual time.
type world struct {
	*testing.T
	provider *memory.Provider
	pool     *reconcile.Pool
	events   *event.Log
	shutdown func() // ends the pool's Run and waits for it

	mu       sync.Mutex
	sick     map[string]string // guarded by mu; URL to what is wrong with it: "error", "hang"
	official map[string]bool   // guarded by mu; by URL
	probes   map[string]int    // guarded by mu; by URL
}

// startDelay is how long an engine in memory takes to start.
const startDelay = 2 * time.Second

// native is the provider of most tests, testPolicy their policy.
var native = memory.Config{StartDelay: startDelay, StartsNative: true}

func testPolicy() pool.Policy {
	p := pool.DefaultPolicy()
	p.Min, p.Max, p.StreamsPerEngine, p.OpensPerEngine = 2, 4, 2, 2
	return p
}

// inWorld runs the test in a bubble in which the pool runs already.
func inWorld(t *testing.T, engines memory.Config, policy pool.Policy, test func(w *world)) {
	t.Helper()
	inWorldOf(t, engines, func(p *memory.Provider) provider.Provider { return p }, policy, test)
}

// inWorldOf is inWorld with a pool that sees the engines through wrap.
func inWorldOf(t *testing.T, engines memory.Config, wrap func(*memory.Provider) provider.Provider, policy pool.Policy, test func(w *world)) {
	t.Helper()
	inWorldWith(t, engines, wrap, policy, func(*reconcile.Config) {}, test)
}

// inWorldWith is inWorldOf with more of a configuration.
func inWorldWith(t *testing.T, engines memory.Config, wrap func(*memory.Provider) provider.Provider, policy pool.Policy, configure func(*reconcile.Config), test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			T:        t,
			provider: memory.New(engines),
			events:   event.NewLog(1000),
			sick:     make(map[string]string),
			official: make(map[string]bool),
			probes:   make(map[string]int),
		}
		config := reconcile.Config{
			Provider: wrap(w.provider),
			Probe:    w.probe,
			Events:   w.events,
			Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
			Policy:   policy,
		}
		configure(&config)
		w.pool = reconcile.New(config)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.pool.Run(ctx) }()
		w.shutdown = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		defer w.shutdown()
		test(w)
	})
}

// probe answers for the engines in memory.
func (w *world) probe(ctx context.Context, url string) (reconcile.Identity, error) {
	w.mu.Lock()
	sick, official := w.sick[url], w.official[url]
	w.probes[url]++
	w.mu.Unlock()
	switch sick {
	case "error":
		return reconcile.Identity{}, errors.New("connection refused")
	case "hang":
		<-ctx.Done()
		return reconcile.Identity{}, context.Cause(ctx)
	}
	return reconcile.Identity{Version: "3.2.3", Native: !official}, nil
}

func urlOf(id string) string { return "http://" + id + ".memory" }

// ail makes an engine answer its probes in another way; "" cures it.
func (w *world) ail(id, sickness string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sick[urlOf(id)] = sickness
}

// probed returns how often an engine was probed.
func (w *world) probed(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.probes[url]
}

// add puts engines of someone else into the world.
func (w *world) add(official bool, ids ...string) {
	for _, id := range ids {
		w.mu.Lock()
		w.official[urlOf(id)] = official
		w.mu.Unlock()
		w.provider.Add(provider.Engine{ID: id, State: provider.Running, URL: urlOf(id)})
	}
}

// pass lets virtual time pass, and everything happen that is due by then.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// acquire claims a slot that must be there at once.
func (w *world) acquire(r reconcile.Request) *reconcile.Slot {
	w.Helper()
	begun := time.Now()
	slot, err := w.pool.Acquire(w.Context(), r)
	if err != nil {
		w.Fatalf("Acquire(%+v): %v", r, err)
	}
	if waited := time.Since(begun); waited > 0 {
		w.Fatalf("Acquire(%+v) took %s", r, waited)
	}
	return slot
}

// playing claims a slot whose session plays.
func (w *world) playing() *reconcile.Slot {
	w.Helper()
	slot := w.acquire(reconcile.Request{})
	slot.Report(reconcile.Outcome{Kind: reconcile.FirstByte})
	return slot
}

// refused asks for a slot that must not be there, and returns why and after
// how long.
func (w *world) refused(r reconcile.Request) (*reconcile.Unavailable, time.Duration) {
	w.Helper()
	begun := time.Now()
	slot, err := w.pool.Acquire(w.Context(), r)
	if err == nil {
		w.Fatalf("Acquire(%+v) gave a slot on %s", r, slot.EngineID)
	}
	u, ok := errors.AsType[*reconcile.Unavailable](err)
	if !ok {
		w.Fatalf("Acquire(%+v): %v", r, err)
	}
	if u.Message == "" || u.Error() != u.Message {
		w.Errorf("refusal without words: %+v", u)
	}
	return u, time.Since(begun)
}

// engines returns "id phase used/slots" of every engine.
func (w *world) engines() []string {
	var all []string
	for _, e := range w.pool.Snapshot().Engines {
		all = append(all, fmt.Sprintf("%s %s %d/%d", e.ID, e.Phase, e.Used, e.Slots))
	}
	return all
}

// expect checks the engines, each as "id phase used/slots".
func (w *world) expect(want ...string) {
	w.Helper()
	if got := w.engines(); !slices.Equal(got, want) {
		w.Fatalf("the engines are %q, not %q", got, want)
	}
}

// told returns how many events of the type were published.
func (w *world) told(kind string) int {
	events, _ := w.events.Since(0)
	n := 0
	for _, e := range events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// drained says whether the slot's engine is lost to it.
func drained(s *reconcile.Slot) bool {
	select {
	case <-s.Draining():
		return true
	default:
		return false
	}
}
