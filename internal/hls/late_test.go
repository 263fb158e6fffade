package hls

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/hls/hlstest"
)

// A lateRig is a rig that also has clients behind live, and holds the stream that
// segments without bytes are of.
type lateRig struct {
	*rig
	stream  []byte
	clients []*lateClient
}

type lateClient struct {
	list     *Late
	from     int64 // position asked for
	began    time.Time
	follower hlstest.Follower
	newest   hlstest.Playlist
	next     int64 // media sequence number of the segment to be played next
	played   float64
}

// advance feeds packets, and has the clients look.
func (r *lateRig) advance(packets []byte, after time.Duration) {
	r.t.Helper()
	r.stream = append(r.stream, packets...)
	r.feed(packets, after)
	for _, c := range r.clients {
		r.look(c)
	}
}

func (r *lateRig) join(pos int64) *lateClient {
	c := &lateClient{list: r.list.Late(pos), from: pos, began: r.now}
	c.next = c.list.first
	r.clients = append(r.clients, c)
	r.look(c)
	return c
}

// look reloads a client's playlist, and fetches its first and its last segment.
func (r *lateRig) look(c *lateClient) {
	r.t.Helper()
	var err error
	if c.newest, err = c.follower.Check(c.list.Text(r.now)); err != nil {
		r.t.Fatal(err)
	}
	for _, s := range []hlstest.Segment{c.newest.Segments[0], c.newest.Segments[len(c.newest.Segments)-1]} {
		n, _ := ParseName(s.URI)
		m, ok, _ := r.list.Media(n)
		if !ok {
			r.t.Fatalf("%s is listed and not there", s.URI)
		}
		body := slices.Concat(m.Bufs...)
		if m.Bufs == nil {
			body = slices.Concat(m.Preface, r.stream[m.From:m.End])
		}
		if len(body) != m.Size || !bytes.Equal(body, r.bodies[s.MSN]) {
			r.t.Fatalf("%s is not what it was: %d bytes", s.URI, len(body))
		}
	}
	for _, s := range c.newest.Segments {
		if s.MSN == c.next {
			c.next++
			c.played += s.Duration
		}
	}
}

// Wherever clients begin, they are given live playlists at the pace of the clock that lose
// nothing on the way, with the segments that clients at live were given.
func TestLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, m := &lateRig{rig: newRig(t, testConfig)}, newMux()
		for range 12 {
			m.group(75)
			r.advance(m.take(), 3*time.Second)
		}
		for range rapid.IntRange(5, 20).Draw(t, "groups") {
			if rapid.IntRange(0, 4).Draw(t, "join") == 0 {
				r.join(rapid.Int64Range(0, int64(len(r.stream))).Draw(t, "pos"))
			}
			if rapid.IntRange(0, 9).Draw(t, "break") == 0 {
				m.clock += 1 << 30
			}
			m.group(75)
			r.advance(m.take(), 3*time.Second)
		}
		for _, c := range r.clients {
			if c.newest.Open.MSN != c.next {
				t.Fatalf("a client lost segment %d; the newest is %d", c.next, c.newest.Open.MSN-1)
			}
			// Three segments to begin with, then the pace of the clock.
			if real := r.now.Sub(c.began).Seconds(); c.played < real || c.played > real+12 {
				t.Fatalf("%gs in %gs", c.played, real)
			}
		}
		r.seg.Close()
		r.check()
		for range 40 { // they see it to its end
			r.now = r.now.Add(3 * time.Second)
			for _, c := range r.clients {
				r.look(c)
			}
		}
		for _, c := range r.clients {
			if !c.newest.Ended || c.newest.Open.MSN != c.next {
				t.Fatalf("ended %v at segment %d of %d", c.newest.Ended, c.next, r.list.next)
			}
		}
	})
}

// A client begins with the segment of the position that it asks for.
func TestLateBegins(t *testing.T) {
	t.Parallel()
	r, m := &lateRig{rig: newRig(t, testConfig)}, newMux()
	for range 40 {
		m.group(75)
		r.advance(m.take(), 3*time.Second)
	}
	for _, s := range r.list.all() {
		for _, pos := range []int64{s.from, s.end - 1} {
			l := r.list.Late(pos)
			p, err := hlstest.Parse(l.Text(r.now))
			if err != nil {
				t.Fatal(err)
			}
			if want := min(s.msn, r.list.next-1-leastSegments); p.MediaSequence != want || len(p.Segments) != leastSegments {
				t.Errorf("at %d: %d segments from %d on, want %d", pos, len(p.Segments), p.MediaSequence, want)
			}
		}
	}
}

// What cannot be had any more leaves the playlist, and a client that was there goes on
// further ahead.
func TestForget(t *testing.T) {
	t.Parallel()
	r, m := &lateRig{rig: newRig(t, testConfig)}, newMux()
	for range 60 {
		m.group(75)
		r.advance(m.take(), 3*time.Second)
	}
	c := r.join(0)
	oldest := r.list.archive[20]
	r.list.Forget(oldest.from)
	for range 5 {
		r.now = r.now.Add(3 * time.Second)
		r.look(c)
		if c.newest.MediaSequence != oldest.msn {
			t.Fatalf("%d is listed first, %d is the oldest", c.newest.MediaSequence, oldest.msn)
		}
	}
	if _, ok, _ := r.list.Media(Name{MSN: oldest.msn - 1, Part: -1}); ok {
		t.Error("a forgotten segment is there")
	}
	r.list.Forget(1 << 60)
	if n := len(r.list.archive); n != 0 {
		t.Errorf("%d archived segments", n)
	}
}
