package stream

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// What each way of doing badly means. blamed tells that the pool holds it against
// the engine, marked for how long it is held against the content.
func TestHandlings(t *testing.T) {
	t.Parallel()
	const never, no = 0, false
	const until, attempt = "until one is found", "one attempt, then calm"
	for _, tt := range []struct {
		err    error
		reason Reason
		search string
		take   taking
		blamed bool
		marked time.Duration
	}{
		// The engine goes, or a person wants another one.
		{errLeaving, "leaving", until, takeAtOnce, no, never},
		{errAsked, "asked", attempt, takeAtOnce, no, never},
		// The source has ended.
		{io.EOF, "eof", until, takeAtOnce, true, never},
		{io.ErrUnexpectedEOF, "reset", until, takeAtOnce, true, never},
		{upstream.ErrGarbage, "garbage", until, takeAtOnce, true, never},
		{&engine.Error{Class: engine.NotFound}, "open", until, takeAtOnce, true, never},
		// It may recover, and has then what another one may not have.
		{upstream.ErrStalled, "stall", until, takeJoined, true, never},
		{upstream.ErrFrozen, "freeze", until, takeJoined, no, 10 * time.Minute},
		{upstream.ErrLoop, "loop", until, takeJoined, no, 10 * time.Minute},
		// It plays, and another one may do no better.
		{upstream.ErrStarved, "starved", attempt, takeIfBetter, true, 5 * time.Minute},
		{upstream.ErrDry, "dry", attempt, takeIfBetter, true, 5 * time.Minute},
		// It plays from what it has, and is over.
		{upstream.ErrLost, "lost", attempt, takeAtOnce, no, never},
	} {
		if got := reasonOf(fmt.Errorf("read: %w", tt.err)); got != tt.reason {
			t.Errorf("%v is %q, want %q", tt.err, got, tt.reason)
			continue
		}
		how, known := handlings[tt.reason]
		search := until
		if how.attempt {
			search = attempt
		}
		if !known || search != tt.search || how.take != tt.take || how.blame != tt.blamed || how.mark != tt.marked {
			t.Errorf("%s: %+v, want %+v", tt.reason, how, tt)
		}
		if cause := causes[tt.reason]; cause != nil && reasonOf(cause) != tt.reason {
			t.Errorf("a source left for %s ends for %s", tt.reason, reasonOf(cause))
		}
		if (how.mark > 0) != (markSentences[tt.reason] != "") {
			t.Errorf("%s: nothing to say of a marked content, or to no end", tt.reason)
		}
	}
}

func TestCalm(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for n := 1; n <= 6; n++ {
		got = append(got, calmAfter(n))
	}
	want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Statistics as they come every three seconds, and what they mean.
func TestVitals(t *testing.T) {
	t.Parallel()
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	good := func(n int) (engine.Stat, error) {
		at := begin.Add(time.Duration(n) * statEvery)
		return engine.Stat{Status: "dl", Peers: 5, SpeedDown: 200, Downloaded: int64(n+1) << 20, LivePos: &engine.LivePos{Last: at, LiveLast: at}}, nil
	}
	failing := func(class engine.Class) func(int) (engine.Stat, error) {
		return func(int) (engine.Stat, error) { return engine.Stat{}, &engine.Error{Class: class} }
	}
	for name, tt := range map[string]struct {
		then     func(n int) (engine.Stat, error) // from the fourth answer on
		reason   Reason
		after    int // answers
		complain bool
	}{
		"all is well": {then: good},
		"no statistics": {then: func(int) (engine.Stat, error) {
			return engine.Stat{}, nil
		}},
		"no peers, no download": {func(int) (engine.Stat, error) {
			st, err := good(2)
			st.Peers, st.SpeedDown = 0, 0
			return st, err
		}, reasonDry, 3, false},
		"no peers, and a download all the same": {then: func(n int) (engine.Stat, error) {
			st, err := good(n)
			st.Peers = 0
			return st, err
		}},
		"peers with nothing": {func(int) (engine.Stat, error) { return good(2) }, reasonDry, 5, false},
		"nothing newer, and a download": {then: func(n int) (engine.Stat, error) {
			st, err := good(n)
			st.LivePos = nil
			return st, err
		}},
		"fitful":    {then: func(n int) (engine.Stat, error) { return good(n - n%4) }},
		"not known": {failing(engine.SessionLost), reasonLost, 2, false},
		"not known, once": {then: func(n int) (engine.Stat, error) {
			if n%2 == 0 {
				return engine.Stat{}, &engine.Error{Class: engine.SessionLost}
			}
			return good(n)
		}},
		"mute": {then: failing(engine.Sick), complain: true},
	} {
		var v vitals
		complaints, at := 0, -1
		for n := range 20 {
			answer := good
			if n > 2 {
				answer = tt.then
			}
			st, err := answer(n)
			if v.tell(st, err, begin.Add(time.Duration(n)*statEvery)) {
				complaints++
			}
			if why := v.wrong(); why != "" && at < 0 {
				at = n - 2
				if why != tt.reason {
					t.Errorf("%s: %s, want %q", name, why, tt.reason)
				}
			}
		}
		if tt.reason != "" && at != tt.after || tt.reason == "" && at >= 0 {
			t.Errorf("%s: something is wrong after %d answers, want %d", name, at, tt.after)
		}
		if (complaints == 1) != tt.complain || complaints > 1 {
			t.Errorf("%s: %d complaints", name, complaints)
		}
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	name := func(n int) content.Selector {
		return content.Selector{Kind: content.Infohash, Value: fmt.Sprintf("%040d", n)}
	}
	for what, tt := range map[string]struct {
		engines []string
		settled bool
	}{
		"one engine":              {[]string{"a"}, false},
		"two engines":             {[]string{"a", "b"}, false},
		"three engines":           {[]string{"a", "b", "c"}, true},
		"the only one, again":     {[]string{"a", "a"}, true},
		"both, and the one again": {[]string{"a", "b", "a"}, true},
	} {
		m := make(marks)
		settled := false
		for _, id := range tt.engines {
			settled = m.note(name(1), reasonLoop, id, now)
		}
		if settled != tt.settled {
			t.Errorf("%s: settled %v", what, settled)
		}
		if again := m.shown(name(1), reasonLoop, "a", now); !again {
			t.Errorf("%s: a is left for what it showed before", what)
		}
		if m.shown(name(1), reasonFreeze, "a", now) || m.shown(name(2), reasonLoop, "a", now) {
			t.Errorf("%s: settled for another reason, or of another content", what)
		}
	}

	m := make(marks)
	m.note(name(1), reasonLoop, "a", now)
	if m.note(name(1), reasonStall, "a", now) || m.shown(name(1), reasonLoop, "b", now) {
		t.Error("a stall is the engine's own, and another engine is another one")
	}
	if m.note(name(1), reasonLoop, "a", now.Add(time.Hour)) {
		t.Error("a mark outlives its time")
	}
	for n := range 3 * marksMost {
		m.note(name(n), reasonStarved, "a", now.Add(time.Duration(n)*time.Millisecond))
	}
	list := m.list(now.Add(time.Second))
	if len(m) != marksMost || len(list) != marksMost || list[0].Content != name(3*marksMost-1) {
		t.Errorf("%d marks, %d listed, want %d, the newest first", len(m), len(list), marksMost)
	}
	if list := m.list(now.Add(time.Hour)); len(list) != 0 || len(m) != 0 {
		t.Errorf("%d marks after an hour", len(list))
	}
}
