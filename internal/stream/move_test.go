package stream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// A person has a stream go on from another engine, and then from a certain one:
// viewers see nothing of it.
func TestMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, testConfig(), badConfig())
		screens, all := r.audience(5, time.Minute)
		time.Sleep(20 * time.Second)
		first, _ := r.playing()
		if err := r.hub.Move(t.Context(), byInfohash, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		second, _ := r.playing()
		if second == first {
			t.Errorf("the stream is still on %s", first)
		}
		if err := r.hub.Move(t.Context(), byID, first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if now, _ := r.playing(); now != first {
			t.Errorf("the stream is on %s, want %s", now, first)
		}
		all.Wait()
		for i, s := range screens {
			if err := s.verifier.Report().Err(); err != nil || s.longest > time.Second {
				t.Errorf("viewer %d waited %v: %v", i, s.longest, err)
			}
		}
		for _, change := range r.lastStatus.Changes {
			if change.Reason != ReasonAsked || !change.Seamless || change.Gap > time.Second {
				t.Errorf("%+v", change)
			}
		}
		if r.happened(EventSource) != 0 || r.lastStatus.Switches != 2 {
			t.Errorf("%d failures, %d switches", r.happened(EventSource), r.lastStatus.Switches)
		}
		r.settle()
		r.checkNothingLeft()
	})
}

// A move that cannot be made says why, and changes nothing.
func TestMoveThatCannotBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), badConfig())
		if err := r.hub.Move(t.Context(), byID, ""); !errors.Is(err, ErrNoStream) {
			t.Errorf("nothing plays: %v", err)
		}
		screens, all := r.audience(1, 2*time.Minute)
		time.Sleep(20 * time.Second)
		here, fake := r.playing()
		there := "engine1"
		if here == there {
			there = "engine0"
		}
		for _, f := range r.fakes {
			if f != fake {
				f.Set(enginetest.Fault{Kind: enginetest.OpenError})
			}
		}
		for to, want := range map[string]Code{there: CodeNotFound, "": CodeNotFound, "engine9": CodeExhausted} {
			if err := r.hub.Move(t.Context(), byID, to); CodeOf(err) != want {
				t.Errorf("to %q: %v, want %s", to, err, want)
			}
		}
		if err := r.hub.Move(t.Context(), byID, here); !errors.Is(err, ErrPlaysThere) {
			t.Errorf("to where it plays: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.hub.Move(gone, byID, there); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody waits: %v", err)
		}
		all.Wait()
		if err := screens[0].verifier.Report().Err(); err != nil || r.lastStatus.Switches != 0 {
			t.Errorf("%d switches; %v", r.lastStatus.Switches, err)
		}
		r.settle()
		r.checkNothingLeft()
	})
}

// A file has no engine to be moved from.
func TestMoveOfAFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{})
		v, err := r.hub.Join(t.Context(), theFile, Client{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.hub.Move(t.Context(), theFile, ""); !errors.Is(err, ErrNotLive) {
			t.Error(err)
		}
		v.Leave()
		r.checkNothingLeft()
	})
}

// Who starts a content that is known to be at fault is told so, if it does not
// play.
func TestStartOfAMarkedContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), badConfig())
		r.hub.mu.Lock()
		r.hub.marks.note(byInfohash, reasonLoop, "engine0", time.Now())
		r.hub.mu.Unlock()
		r.fakes[0].Set(enginetest.Fault{Kind: enginetest.OpenError, Text: "something new"})
		for _, want := range []content.Selector{byInfohash, otherByID} {
			err := r.watch(want, newScreen(channelIH), time.Minute)
			told := asError(err)
			if marked := want == byInfohash; marked != (told.Detail == "the broadcast repeats itself") {
				t.Errorf("%v: told %q", want, told.Detail)
			}
		}
		// It plays all the same, where it can.
		r.fakes[0].Clear()
		if err := r.watch(byInfohash, newScreen(channelIH), 10*time.Second); !errors.Is(err, errSeenEnough) {
			t.Error(err)
		}
		time.Sleep(11 * time.Minute)
		if marks := r.hub.Marks(); len(marks) != 0 {
			t.Errorf("still marked: %+v", marks)
		}
		r.checkNothingLeft()
	})
}
