package swarm

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

func unitOf(seq Seq) Unit {
	return Unit{Seq: seq, At: time.Duration(seq) * 33 * ms, Key: seq%30 == 1, Size: 16459}
}

// viewer returns a viewer that follows the source at unit 100.
func viewer(t *testing.T) (*Node, time.Duration) {
	t.Helper()
	n := New(Default(7, Viewer, 1))
	now := time.Second
	n.Step(now, Joined{Candidate: Candidate{Peer: 1, Reachable: true}, Role: Source, Upload: 1 << 20, RTT: 40 * ms})
	n.Step(now, Received{1, Window{Lo: 1, Hi: 100, Start: 61}})
	if !n.play.hooked || n.play.next != 61 {
		t.Fatalf("hooked %v at %d, want at 61", n.play.hooked, n.play.next)
	}
	return n, now
}

func delivered(actions []Action) []Seq {
	var seqs []Seq
	for _, a := range actions {
		if d, ok := a.(Deliver); ok {
			seqs = append(seqs, d.Unit.Seq)
		}
	}
	return seqs
}

func TestPlayerGetsUnitsInOrderOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n, now := viewer(t)
		order := rapid.Permutation(seqs(61, 140)).Draw(rt, "order")
		var got []Seq
		for _, seq := range order {
			now += ms
			got = append(got, delivered(n.Step(now, Received{1, Data{unitOf(seq)}}))...)
			got = append(got, delivered(n.Step(now, Received{1, Data{unitOf(seq)}}))...)
		}
		if len(got) == 0 || !unitOf(got[0]).Key {
			rt.Fatalf("player begins with %v", got)
		}
		if diff := cmp.Diff(seqs(got[0], 140), got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func seqs(from, to Seq) []Seq {
	var all []Seq
	for s := from; s <= to; s++ {
		all = append(all, s)
	}
	return all
}

func TestHoleIsPassedOverWhenDue(t *testing.T) {
	t.Parallel()
	n, now := viewer(t)
	feed := func(from, to Seq) (got []Seq) {
		for seq := from; seq <= to; seq++ {
			now += 33 * ms
			got = append(got, delivered(n.Step(now, Received{1, Data{unitOf(seq)}}))...)
		}
		return got
	}
	feed(61, 120)
	if got := feed(122, 150); len(got) > 0 {
		t.Fatalf("player got %v before unit 121", got)
	}
	before := now
	for n.play.next == 121 {
		now += 10 * ms
		n.Step(now, Tick{})
		if now > before+10*time.Second {
			t.Fatal("the hole is never passed over")
		}
	}
	// Unit 122 came 29 units before the feed ended.
	if waited := now - (before - 28*33*ms); waited < n.cfg.Delay-50*ms || waited > n.cfg.Delay+50*ms {
		t.Errorf("waited %v for a unit, want %v", waited, n.cfg.Delay)
	}
	if n.stats.Skipped != 1 {
		t.Errorf("%d units skipped, want 1", n.stats.Skipped)
	}
}

func TestAnnouncementsMoveNothing(t *testing.T) {
	t.Parallel()
	n, now := viewer(t)
	before := n.win.top
	for i := range 200 {
		n.Step(now+time.Duration(i)*ms, Received{1, newHave([]Seq{before + Seq(i)*1000 + 300, before + Seq(i)*1000 + 301})})
	}
	if n.win.top != before {
		t.Errorf("announcements moved the window from %d to %d", before, n.win.top)
	}
	if n.stats.Ignored == 0 {
		t.Error("none was ignored")
	}
}

func TestOneViewerAloneIsNotBelievedAtOnce(t *testing.T) {
	t.Parallel()
	n := New(Default(7, Viewer, 1))
	n.Step(0, Joined{Candidate: Candidate{Peer: 2}, Role: Viewer})
	n.Step(0, Received{2, Window{Lo: 1, Hi: 1 << 40, Start: 1 << 40}})
	if n.play.hooked {
		t.Fatal("began where one viewer said")
	}
	n.Step(ms, Joined{Candidate: Candidate{Peer: 3}, Role: Viewer})
	n.Step(ms, Received{3, Window{Lo: 1, Hi: 100, Start: 61}})
	if !n.play.hooked || n.play.next != 61 {
		t.Errorf("hooked %v at %d, want at 61, which two have reached", n.play.hooked, n.play.next)
	}
}

func TestStrongerUploadDisplacesWeaker(t *testing.T) {
	t.Parallel()
	cfg := Default(1, Source, 1)
	cfg.Upload = 8 * int(defaultPace*16<<10) / 8 * 110 / 100 // a stream and a bit: 8 subscriptions
	n := New(cfg)
	n.Step(0, Produced{unitOf(1)})
	join := func(p Peer, upload int) []Action {
		n.Step(0, Joined{Candidate: Candidate{Peer: p}, Role: Viewer, Upload: upload})
		return n.Step(0, Received{p, Subscribe{Mask: 0xff, From: 1}})
	}
	join(2, 1000)
	if n.up.kids != 8 {
		t.Fatalf("%d subscriptions granted, want 8", n.up.kids)
	}
	join(3, 1500) // not enough stronger
	if n.neighbors[3].out != 0 {
		t.Error("a viewer with 1.5 times the upload displaced another")
	}
	join(4, 2000)
	if n.neighbors[4].out != 0xff || n.neighbors[2].out != 0 {
		t.Errorf("substreams %#x of the stronger, %#x of the weaker: want all and none", n.neighbors[4].out, n.neighbors[2].out)
	}
}

func TestUploadStaysBelowTheCap(t *testing.T) {
	t.Parallel()
	cfg := Default(1, Source, 1)
	cfg.Upload = 1 << 20
	n := New(cfg)
	n.Step(0, Joined{Candidate: Candidate{Peer: 2}, Role: Viewer, Upload: 1})
	sent := 0
	for now := time.Duration(0); now < 10*time.Second; now += ms {
		var actions []Action
		if now%(10*ms) == 0 { // 1.6 MB a second
			n.Step(now, Received{2, Subscribe{Mask: 0xff, From: 1}})
			actions = n.Step(now, Produced{unitOf(Seq(now/(10*ms)) + 1)})
		} else {
			actions = n.Step(now, Tick{})
		}
		for _, a := range actions {
			if s, ok := a.(Send); ok {
				sent += s.Message.Size()
				if d, ok := s.Message.(Data); ok {
					n.Step(now, Drained{2, d.Unit.Size})
				}
			}
		}
	}
	if most := 10<<20 + 128<<10; sent > most {
		t.Errorf("%d bytes sent in 10 s, at most %d wanted", sent, most)
	}
	if len(n.up.pushes) > maxPushes {
		t.Errorf("%d pushes queued", len(n.up.pushes))
	}
}

// TestAnythingMayBeSaid feeds a node with messages that make no sense: it must
// survive them, in bounded memory, and still say the same thing twice.
func TestAnythingMayBeSaid(t *testing.T) {
	t.Parallel()
	peer := rapid.Custom(func(t *rapid.T) Peer { return Peer(rapid.IntRange(0, 40).Draw(t, "peer")) })
	number := rapid.Custom(func(t *rapid.T) Seq {
		if rapid.Bool().Draw(t, "near") {
			return Seq(rapid.IntRange(0, 400).Draw(t, "seq"))
		}
		return Seq(rapid.Uint64Range(0, 1<<62).Draw(t, "far"))
	})
	candidates := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Candidate {
		return Candidate{Peer: Peer(rapid.IntRange(0, 5000).Draw(t, "candidate")), Reachable: rapid.Bool().Draw(t, "reachable")}
	}), 0, 40)
	mask := rapid.Uint32()
	message := rapid.Custom(func(t *rapid.T) Message {
		switch rapid.IntRange(0, 11).Draw(t, "message") {
		case 0:
			return Window{number.Draw(t, "lo"), number.Draw(t, "hi"), number.Draw(t, "start"), rapid.Int().Draw(t, "room")}
		case 1:
			return Have{number.Draw(t, "base"), rapid.SliceOfN(rapid.Uint64(), 0, 70).Draw(t, "bits")}
		case 2:
			return Subscribe{mask.Draw(t, "mask"), number.Draw(t, "from")}
		case 3:
			return Grant{mask.Draw(t, "mask")}
		case 4:
			return Deny{mask.Draw(t, "mask"), NoData, candidates.Draw(t, "try")}
		case 5:
			return Unsubscribe{mask.Draw(t, "mask")}
		case 6:
			return Evict{mask.Draw(t, "mask"), Overload, candidates.Draw(t, "try")}
		case 7:
			return Request{[]Want{{number.Draw(t, "want"), time.Second}}}
		case 8:
			return Cancel{[]Seq{number.Draw(t, "cancel")}}
		case 9:
			return Busy{[]Seq{number.Draw(t, "busy")}}
		case 10:
			return Candidates{candidates.Draw(t, "peers")}
		}
		return Data{unitOf(number.Draw(t, "unit") % 1000)}
	})
	event := rapid.Custom(func(t *rapid.T) Event {
		p := peer.Draw(t, "peer")
		switch rapid.IntRange(0, 9).Draw(t, "event") {
		case 0:
			return Joined{Candidate{Peer: p}, Role(rapid.IntRange(0, 2).Draw(t, "role")), rapid.IntRange(0, 1<<20).Draw(t, "upload"), 40 * ms}
		case 1:
			return Left{p}
		case 2:
			return Unreachable{p}
		case 3:
			return Drained{p, rapid.IntRange(0, 1<<20).Draw(t, "bytes")}
		}
		return Received{p, message.Draw(t, "message")}
	})
	rapid.Check(t, func(t *rapid.T) {
		role := Role(rapid.IntRange(0, 2).Draw(t, "role"))
		one, other := New(Default(7, role, 1)), New(Default(7, role, 1))
		now := time.Duration(0)
		for range rapid.IntRange(1, 150).Draw(t, "events") {
			now += time.Duration(rapid.IntRange(0, 700).Draw(t, "passed")) * ms
			ev := event.Draw(t, "what")
			if diff := cmp.Diff(fmt.Sprint(one.Step(now, ev)), fmt.Sprint(other.Step(now, ev))); diff != "" {
				t.Fatal(diff)
			}
			bounded(t, one)
		}
	})
}

func bounded(t *rapid.T, n *Node) {
	kids, inflight := 0, 0
	for _, nb := range n.links {
		for s := range n.cfg.Substreams {
			if nb.out&(1<<s) != 0 {
				kids++
			}
		}
		inflight += nb.inflight
		if nb.pulling < 0 || nb.pulling > maxPulling {
			t.Fatalf("%d requests under way to one neighbour", nb.pulling)
		}
	}
	switch {
	case len(n.links) > n.cfg.MaxDegree || len(n.links) != len(n.neighbors):
		t.Fatalf("%d links, %d neighbours, at most %d wanted", len(n.links), len(n.neighbors), n.cfg.MaxDegree)
	case kids != n.up.kids || inflight != n.up.inflight:
		t.Fatalf("%d subscriptions counted as %d, %d bytes under way counted as %d", kids, n.up.kids, inflight, n.up.inflight)
	case len(n.up.pushes) > maxPushes || len(n.up.pulls) > maxPulls || len(n.book.entries) > maxBook || len(n.play.open) > len(n.win.slots):
		t.Fatalf("queues of %d, %d, book of %d, %d open", len(n.up.pushes), len(n.up.pulls), len(n.book.entries), len(n.play.open))
	}
}
