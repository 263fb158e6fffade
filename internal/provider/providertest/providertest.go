// Package providertest is the contract of package provider as a test suite:
// every adapter passes it.
package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/provider"
)

// Fixture is a provider under test, fresh for each test.
type Fixture struct {
	Provider provider.Provider
	// Crash makes a running engine end by itself. Required where engines can be
	// started.
	Crash func(t *testing.T, id string)
}

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// Run runs the suite against the providers that open returns. Those that can
// start engines must come without any; the others with at least one.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"start and stop", startAndStop},
		{"start is idempotent", startIsIdempotent},
		{"concurrent starts of one engine", concurrentStarts},
		{"concurrent stops of one engine", concurrentStops},
		{"an id names one engine at a time", startAfterStop},
		{"an invalid id", invalidID},
		{"stop of what does not exist", stopUnknown},
		{"an engine that ends by itself", crash},
		{"inventories are ordered and owned by the caller", inventories},
		{"an ended context", endedContext},
	}
	fixed := []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"engines of someone else", someoneElses},
		{"stop of what does not exist", stopUnknown},
		{"inventories are ordered and owned by the caller", inventories},
		{"an ended context", endedContext},
	}
	if !list(t, open(t).Provider).CanStart {
		tests = fixed
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func startAndStop(t *testing.T, f Fixture) {
	if got := list(t, f.Provider).Engines; len(got) != 0 {
		t.Fatalf("a fresh provider lists %+v", got)
	}
	e := start(t, f.Provider, "engine-1")
	if e.ID != "engine-1" || e.StartedAt.IsZero() {
		t.Errorf("Start returned %+v", e)
	}
	e = awaitState(t, f.Provider, "engine-1", provider.Running)
	if !strings.HasPrefix(e.URL, "http://") || strings.HasSuffix(e.URL, "/") {
		t.Errorf("a running engine has the URL %q", e.URL)
	}

	drainWake(f.Provider)
	stop(t, f.Provider, "engine-1")
	if got := list(t, f.Provider).Engines; len(got) != 0 {
		t.Errorf("after Stop, List has %+v", got)
	}
	awaitWake(t, f.Provider)
	stop(t, f.Provider, "engine-1")
}

func startIsIdempotent(t *testing.T, f Fixture) {
	start(t, f.Provider, "engine-1")
	first := awaitState(t, f.Provider, "engine-1", provider.Running)
	again := start(t, f.Provider, "engine-1")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the second Start changed the engine (-first +second):\n%s", diff)
	}
	if got := list(t, f.Provider).Engines; len(got) != 1 {
		t.Errorf("two starts of one id made %+v", got)
	}
}

func concurrentStarts(t *testing.T, f Fixture) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := f.Provider.Start(t.Context(), provider.Spec{ID: "engine-1"}); err != nil {
				t.Errorf("Start: %v", err)
			}
		})
	}
	wg.Wait()
	if got := list(t, f.Provider).Engines; len(got) != 1 {
		t.Errorf("concurrent starts of one id made %+v", got)
	}
}

func concurrentStops(t *testing.T, f Fixture) {
	start(t, f.Provider, "engine-1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := f.Provider.Stop(t.Context(), "engine-1"); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
	wg.Wait()
	if got := list(t, f.Provider).Engines; len(got) != 0 {
		t.Errorf("after Stop of a starting engine, List has %+v", got)
	}
}

func startAfterStop(t *testing.T, f Fixture) {
	start(t, f.Provider, "engine-1")
	first := awaitState(t, f.Provider, "engine-1", provider.Running)
	stop(t, f.Provider, "engine-1")
	start(t, f.Provider, "engine-1")
	second := awaitState(t, f.Provider, "engine-1", provider.Running)
	if !second.StartedAt.After(first.StartedAt) {
		t.Errorf("the engine started at %s, and its successor at %s", first.StartedAt, second.StartedAt)
	}
}

func invalidID(t *testing.T, f Fixture) {
	for _, id := range []string{"", "../engine", "Engine", "-x", "a b", strings.Repeat("x", 64)} {
		if e, err := f.Provider.Start(t.Context(), provider.Spec{ID: id}); err == nil {
			t.Errorf("Start(%q) returned %+v", id, e)
		}
	}
	if got := list(t, f.Provider).Engines; len(got) != 0 {
		t.Errorf("refused starts made %+v", got)
	}
}

func stopUnknown(t *testing.T, f Fixture) {
	before := list(t, f.Provider)
	stop(t, f.Provider, "engine-99")
	if diff := cmp.Diff(before, list(t, f.Provider)); diff != "" {
		t.Errorf("Stop of an unknown engine changed the inventory:\n%s", diff)
	}
}

func crash(t *testing.T, f Fixture) {
	start(t, f.Provider, "engine-1")
	start(t, f.Provider, "engine-2")
	awaitState(t, f.Provider, "engine-1", provider.Running)
	bystander := awaitState(t, f.Provider, "engine-2", provider.Running)

	f.Crash(t, "engine-1")
	e := awaitState(t, f.Provider, "engine-1", provider.Failed)
	if e.Reason == "" || e.URL != "" {
		t.Errorf("a failed engine is listed as %+v", e)
	}
	if again := start(t, f.Provider, "engine-1"); again.State != provider.Failed {
		t.Errorf("Start brought a failed engine back: %+v", again)
	}
	stop(t, f.Provider, "engine-1")
	if diff := cmp.Diff([]provider.Engine{bystander}, list(t, f.Provider).Engines); diff != "" {
		t.Errorf("after the failed engine was collected, the inventory is off:\n%s", diff)
	}
}

func inventories(t *testing.T, f Fixture) {
	if list(t, f.Provider).CanStart {
		for _, id := range []string{"engine-3", "engine-1", "engine-2"} {
			start(t, f.Provider, id)
			awaitState(t, f.Provider, id, provider.Running)
		}
	}
	first := list(t, f.Provider)
	if !slices.IsSortedFunc(first.Engines, func(a, b provider.Engine) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("not ordered by id: %+v", first.Engines)
	}
	want := slices.Clone(first.Engines)
	clear(first.Engines)
	if diff := cmp.Diff(want, list(t, f.Provider).Engines); diff != "" {
		t.Errorf("the caller's change reached the provider:\n%s", diff)
	}
}

func endedContext(t *testing.T, f Fixture) {
	before := list(t, f.Provider)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Provider.List(ctx); err == nil {
		t.Error("List succeeded with an ended context")
	}
	if _, err := f.Provider.Start(ctx, provider.Spec{ID: "engine-1"}); err == nil {
		t.Error("Start succeeded with an ended context")
	}
	if diff := cmp.Diff(before, list(t, f.Provider)); diff != "" {
		t.Errorf("calls with an ended context changed the inventory:\n%s", diff)
	}
}

func someoneElses(t *testing.T, f Fixture) {
	before := list(t, f.Provider)
	if len(before.Engines) == 0 {
		t.Fatal("the fixture has no engine")
	}
	for _, e := range before.Engines {
		if e.State != provider.Running || e.URL == "" || !e.StartedAt.IsZero() {
			t.Errorf("listed as %+v", e)
		}
	}
	if _, err := f.Provider.Start(t.Context(), provider.Spec{ID: "engine-1"}); !errors.Is(err, provider.ErrUnsupported) {
		t.Errorf("Start: %v", err)
	}
	if err := f.Provider.Stop(t.Context(), before.Engines[0].ID); !errors.Is(err, provider.ErrUnsupported) {
		t.Errorf("Stop: %v", err)
	}
	if diff := cmp.Diff(before, list(t, f.Provider)); diff != "" {
		t.Errorf("the inventory changed:\n%s", diff)
	}
}

func list(t *testing.T, p provider.Provider) provider.Inventory {
	t.Helper()
	inventory, err := p.List(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return inventory
}

func start(t *testing.T, p provider.Provider, id string) provider.Engine {
	t.Helper()
	e, err := p.Start(t.Context(), provider.Spec{ID: id})
	if err != nil {
		t.Fatalf("Start(%s): %v", id, err)
	}
	return e
}

func stop(t *testing.T, p provider.Provider, id string) {
	t.Helper()
	if err := p.Stop(t.Context(), id); err != nil {
		t.Fatalf("Stop(%s): %v", id, err)
	}
}

// awaitState waits until the engine is in the state. It relies on Watch, so it
// fails where a change is not told.
func awaitState(t *testing.T, p provider.Provider, id string, want provider.State) provider.Engine {
	t.Helper()
	timeout := time.After(patience)
	for {
		engines := list(t, p).Engines
		i := slices.IndexFunc(engines, func(e provider.Engine) bool { return e.ID == id })
		if i >= 0 && engines[i].State == want {
			return engines[i]
		}
		select {
		case <-p.Watch():
		case <-timeout:
			t.Fatalf("engine %s did not become %s: %+v", id, want, engines)
		}
	}
}

// awaitWake waits for a wake-up, which must have come of what was done before.
func awaitWake(t *testing.T, p provider.Provider) {
	t.Helper()
	select {
	case <-p.Watch():
	case <-time.After(patience):
		t.Fatal("Watch did not tell of the change")
	}
}

// drainWake takes the wake-up of what was done before, if there is one.
func drainWake(p provider.Provider) {
	select {
	case <-p.Watch():
	default:
	}
}
