package memory_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/memory"
	"github.com/acequia-tv/acequia/internal/provider/providertest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(*testing.T) providertest.Fixture {
		p := memory.New(memory.Config{StartDelay: time.Millisecond})
		return providertest.Fixture{
			Provider: p,
			Crash:    func(_ *testing.T, id string) { p.Crash(id, "exit status 2") },
		}
	})
}

func TestContractFixed(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(*testing.T) providertest.Fixture {
		p := memory.New(memory.Config{Fixed: true})
		p.Add(provider.Engine{ID: "fixed-1", State: provider.Running, URL: "http://fixed-1"})
		return providertest.Fixture{Provider: p}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	count := func(p *memory.Provider) int {
		inventory, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(inventory.Engines)
	}

	p := memory.New(memory.Config{})
	p.Inject(memory.OpStart, memory.NotDone, memory.DoneButFailed)
	p.Inject(memory.OpStop, memory.NotDone, memory.DoneButFailed)

	for i, want := range []int{0, 1} {
		if _, err := p.Start(t.Context(), provider.Spec{ID: "engine-1"}); !errors.Is(err, memory.ErrInjected) {
			t.Errorf("start %d: %v", i, err)
		}
		if got := count(p); got != want {
			t.Errorf("after faulty start %d there are %d engines", i, got)
		}
	}
	for i, want := range []int{1, 0} {
		if err := p.Stop(t.Context(), "engine-1"); !errors.Is(err, memory.ErrInjected) {
			t.Errorf("stop %d: %v", i, err)
		}
		if got := count(p); got != want {
			t.Errorf("after faulty stop %d there are %d engines", i, got)
		}
	}
	p.Inject(memory.OpList, memory.NotDone)
	if _, err := p.List(t.Context()); !errors.Is(err, memory.ErrInjected) {
		t.Errorf("list: %v", err)
	}
	if got := p.Calls(memory.OpStart); got != 2 {
		t.Errorf("%d starts were counted", got)
	}
}

func TestStartDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(memory.Config{StartDelay: 3 * time.Second})
		e, err := p.Start(t.Context(), provider.Spec{ID: "engine-1"})
		if err != nil || e.State != provider.Starting || e.URL != "" {
			t.Fatalf("Start: %+v, %v", e, err)
		}
		<-p.Watch() // it exists
		<-p.Watch() // it runs
		if got := time.Since(e.StartedAt); got != 3*time.Second {
			t.Errorf("it ran after %s", got)
		}
	})
}
