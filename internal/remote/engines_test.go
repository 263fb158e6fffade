package remote_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/remote"
	"github.com/acequia-tv/acequia/internal/stream"
)

// orchestrator is an API whose answers tests change. It is safe for concurrent
// use.
type orchestrator struct {
	mu      sync.Mutex
	err     error // of every call
	leaving string
	asked   []client.NewLease
	renewed []client.LeaseClaim
	told    []string // reports, and "end", in order
}

func (o *orchestrator) set(err error, leaving string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err, o.leaving = err, leaving
}

func (o *orchestrator) lease() (client.Lease, error) {
	return client.Lease{
		ID: "L", Content: "c", Expires: 15, Leaving: o.leaving,
		Engine: client.LeaseEngine{ID: "engine-1", URL: "http://127.0.0.1:6878"},
	}, o.err
}

func (o *orchestrator) Lease(_ context.Context, l client.NewLease) (client.Lease, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, l)
	return o.lease()
}

func (o *orchestrator) RenewLease(_ context.Context, _ string, c client.LeaseClaim) (client.Lease, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.renewed = append(o.renewed, c)
	return o.lease()
}

func (o *orchestrator) tell(what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, what)
	return o.err
}

func (o *orchestrator) ReportLease(_ context.Context, _ string, r client.LeaseReport) error {
	return o.tell(r.Outcome)
}
func (o *orchestrator) EndLease(context.Context, string) error { return o.tell("end") }
func (o *orchestrator) Pool(context.Context) (client.Pool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return client.Pool{Ready: 1}, o.err
}

// heard returns what the orchestrator was asked and told.
func (o *orchestrator) heard() (asked []client.NewLease, renewed []client.LeaseClaim, told []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asked), slices.Clone(o.renewed), slices.Clone(o.told)
}

func refusal(code string) error {
	return &client.Error{Problem: client.Problem{Code: code, Detail: "because"}, RetryAfter: time.Second}
}

// inWorld runs play in virtual time. The engines have ended when it returns.
func inWorld(t *testing.T, play func(*testing.T, *orchestrator, *remote.Engines)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &orchestrator{}
		e := remote.New(remote.Config{
			API: o, Wait: 2 * time.Second, Log: slog.New(slog.DiscardHandler),
			Outcome: func(err error) client.LeaseReport {
				if err != nil {
					return client.LeaseReport{Outcome: "failed"}
				}
				return client.LeaseReport{Outcome: "first_byte"}
			},
			Code: func(reason string) (stream.Code, bool) { return stream.CodeFull, reason == "full" },
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		play(t, o, e)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func want() stream.Want {
	return stream.Want{Content: content.Selector{Kind: content.Infohash, Value: "0a4848271c91ce2d8965ce416267c25047dc8141"}, Exclude: []string{"engine-9"}}
}

func acquire(t *testing.T, e *remote.Engines) *stream.Slot {
	t.Helper()
	s, err := e.Acquire(t.Context(), want())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func leaving(s *stream.Slot) bool {
	select {
	case <-s.Leaving:
		return true
	default:
		return false
	}
}

func TestLeaseIsKeptToldOfAndGivenBack(t *testing.T) {
	inWorld(t, func(t *testing.T, o *orchestrator, e *remote.Engines) {
		s := acquire(t, e)
		if asked, _, _ := o.heard(); s.EngineID != "engine-1" || asked[0].Wait != 2000 || asked[0].Exclude[0] != "engine-9" {
			t.Errorf("%+v, %+v", s, asked)
		}
		s.Opened(nil)
		s.Report(nil)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if _, renewed, _ := o.heard(); len(renewed) != 12 || !renewed[11].Playing || renewed[11].Engine != "engine-1" {
			t.Errorf("%d renewals, %+v", len(renewed), renewed)
		}
		s.Report(errors.New("broke"))
		s.Release()
		time.Sleep(time.Minute)
		_, renewed, told := o.heard()
		if want := []string{"opened", "first_byte", "failed", "end"}; !slices.Equal(told, want) {
			t.Errorf("told %q; want %q", told, want)
		}
		if len(renewed) != 12 || leaving(s) {
			t.Errorf("%d renewals after the end", len(renewed)-12)
		}
	})
}

func TestEngineLeaves(t *testing.T) {
	for name, change := range map[string]func(*orchestrator){
		"a renewal says so":     func(o *orchestrator) { o.set(nil, "it is drained") },
		"somebody has its slot": func(o *orchestrator) { o.set(refusal("slot_full"), "") },
		"it is gone":            func(o *orchestrator) { o.set(refusal("slot_all_excluded"), "") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, o *orchestrator, e *remote.Engines) {
				s := acquire(t, e)
				change(o)
				time.Sleep(6 * time.Second)
				if !leaving(s) {
					t.Error("the stream is not told")
				}
				s.Release()
			})
		})
	}
}

// A stream stays where it is through an outage, for the grace, and is not moved
// after one that ended before.
func TestOutageIsOutlasted(t *testing.T) {
	for name, err := range map[string]error{
		"no answer":    errors.New("connection refused"),
		"just started": refusal("slot_no_engines"),
		"no key":       refusal("bad_key"),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, o *orchestrator, e *remote.Engines) {
				s := acquire(t, e)
				o.set(err, "")
				time.Sleep(remote.Grace - 10*time.Second)
				if leaving(s) || e.Ready() {
					t.Error("it left, or all is said to be well")
				}
				o.set(nil, "")
				time.Sleep(10 * time.Second)
				o.set(err, "")
				time.Sleep(remote.Grace - 10*time.Second)
				if leaving(s) {
					t.Error("two outages made one")
				}
				time.Sleep(20 * time.Second)
				if !leaving(s) {
					t.Error("it waits for ever")
				}
				s.Release()
			})
		})
	}
}

func TestWhyThereIsNoSlot(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		code stream.Code
	}{
		"the pool's reason": {refusal("slot_full"), stream.CodeFull},
		"another reason":    {refusal("bad_key"), stream.CodeNoEngine},
		"no answer":         {errors.New("connection refused"), stream.CodeNoEngine},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, o *orchestrator, e *remote.Engines) {
				o.set(test.err, "")
				_, err := e.Acquire(t.Context(), want())
				if why, ok := errors.AsType[*stream.Error](err); !ok || why.Code != test.code || why.RetryAfter == 0 || why.Detail == "" {
					t.Errorf("%+v", err)
				}
			})
		})
	}
}

// Slots that are still held when everything ends are given back.
func TestEndGivesAllBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &orchestrator{}
		e := remote.New(remote.Config{API: o, Wait: time.Second, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		acquire(t, e)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, _, told := o.heard(); !slices.Equal(told, []string{"end"}) {
			t.Errorf("told %q", told)
		}
		_, err := e.Acquire(t.Context(), want())
		if why, ok := errors.AsType[*stream.Error](err); !ok || why.Code != stream.CodeClosing {
			t.Errorf("%v", err)
		}
	})
}
