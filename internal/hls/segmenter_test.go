package hls

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/hls/hlstest"
	"github.com/acequia-tv/acequia/internal/mpegts"
)

var testConfig = Config{
	Segment: 3 * time.Second, Part: 500 * time.Millisecond, Window: 6,
	HoldBack: 3 * time.Second, Memory: 32 << 20,
}

// noon is when tests begin.
var noon = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

// A rig feeds a Segmenter as time goes by, and follows both forms of the playlist.
type rig struct {
	t      rapid.TB
	list   *Playlist
	seg    *Segmenter
	now    time.Time
	pos    int64
	plain  hlstest.Follower
	low    hlstest.Follower
	newest hlstest.Playlist // of the form with parts
	bodies map[int64][]byte // of the segments, as served
	shown  bool
}

func newRig(t rapid.TB, cfg Config) *rig {
	r := &rig{t: t, list: NewPlaylist(cfg), now: noon, bodies: make(map[int64][]byte)}
	r.seg = NewSegmenter(r.list)
	r.seg.Start(0, nil, r.now)
	r.list.Show()
	return r
}

// feed passes packets on after some time, and checks what is then served.
func (r *rig) feed(packets []byte, after time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(after)
	r.pos += int64(len(packets))
	r.seg.Feed(r.now, packets)
	r.check()
}

// check follows the playlist and fetches what is new in it.
func (r *rig) check() {
	r.t.Helper()
	if ready, err := r.list.Reached(Directives{}); err != nil || !ready {
		return
	}
	if r.list.Ended() && !r.shown {
		return
	}
	r.shown = true
	if _, err := r.plain.Check(r.list.Text(false)); err != nil {
		r.t.Fatal(err)
	}
	var err error
	if r.newest, err = r.low.Check(r.list.Text(true)); err != nil {
		r.t.Fatal(err)
	}
	for _, s := range r.newest.Segments {
		if _, ok := r.bodies[s.MSN]; ok && !r.newest.Ended {
			continue // looked at when it came, and once more in the end
		}
		body := r.fetch(s.URI)
		if was, ok := r.bodies[s.MSN]; ok && !bytes.Equal(was, body) {
			r.t.Fatalf("%s changed", s.URI)
		}
		r.bodies[s.MSN] = body
		var parts []byte
		for _, p := range s.Parts {
			parts = append(parts, r.fetch(p.URI)...)
		}
		if len(s.Parts) > 0 && !bytes.Equal(parts, body) {
			r.t.Fatalf("the parts of %s are not the segment", s.URI)
		}
	}
}

// fetch returns the body behind a URI of the playlist.
func (r *rig) fetch(uri string) []byte {
	r.t.Helper()
	n, ok := ParseName(uri)
	if !ok {
		r.t.Fatalf("%q is no name", uri)
	}
	m, ok, _ := r.list.Media(n)
	body := slices.Concat(m.Bufs...)
	if !ok || len(body) != m.Size {
		r.t.Fatalf("%s: there %v, %d bytes of %d", uri, ok, len(body), m.Size)
	}
	return body
}

// durations returns those of the segments served so far.
func (r *rig) durations() (list []float64) {
	for _, s := range r.newest.Segments {
		list = append(list, s.Duration)
	}
	return list
}

func TestCutsAtRandomAccessPoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gop    int // pictures at 25 a second
		want   []float64
		target int
	}{
		{gop: 12, want: []float64{1.44, 1.44, 1.44, 2.88, 2.88, 2.88}, target: 4},
		{gop: 25, want: []float64{1, 1, 1, 1, 3, 3}, target: 4},
		{gop: 48, want: []float64{1.92, 1.92, 1.92, 3.84, 3.84, 3.84}, target: 4},
		{gop: 50, want: []float64{2, 2, 4, 4, 4, 4}, target: 4},
		{gop: 75, want: []float64{3, 3, 3, 3, 3, 3}, target: 5},
		{gop: 110, want: []float64{4.4, 4.4, 4.4, 4.4, 4.4}, target: 5},
		{gop: 250, want: []float64{10, 10, 10, 10}, target: 10},
	} {
		t.Run(fmt.Sprint(c.gop), func(t *testing.T) {
			t.Parallel()
			r, m := newRig(t, Config{Segment: 3 * time.Second, Part: 500 * time.Millisecond, Window: 100, Memory: 1 << 30}), newMux()
			for len(r.newest.Segments) < len(c.want) {
				m.group(c.gop)
				r.feed(m.take(), time.Duration(c.gop)*40*time.Millisecond)
			}
			if got := r.durations(); !slices.Equal(got[:len(c.want)], c.want) {
				t.Errorf("segments of %v, want %v", got, c.want)
			}
			if r.newest.TargetDuration != c.target || !r.newest.Independent {
				t.Errorf("target duration %d, independent %v; want %d, true", r.newest.TargetDuration, r.newest.Independent, c.target)
			}
			for _, s := range r.newest.Segments {
				if !beginsDecodable(r.bodies[s.MSN]) {
					t.Errorf("segment %d does not begin with tables and a key picture", s.MSN)
				}
			}
		})
	}
}

// beginsDecodable tells whether a segment begins with PAT, PMT and a random access
// point, as an independent scanner sees it.
func beginsDecodable(body []byte) bool {
	if mpegts.Packet(body[:mpegts.PacketSize]).PID() != mpegts.PATPID || mpegts.Packet(body[mpegts.PacketSize:]).PID() != pmtPID {
		return false
	}
	points := mpegts.NewScanner().Scan(body)
	return len(points) > 0 && points[0].Pos == 2*mpegts.PacketSize && !points[0].Guess
}

// A stream whose key pictures stay away gets segments all the same, and the
// playlist says that not all of them are independent.
func TestCutsWithoutRandomAccessPoints(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	for range 4 {
		m.group(50)
	}
	r.feed(m.take(), time.Second)
	if !r.newest.Independent || r.newest.TargetDuration != 4 {
		t.Fatalf("%+v", r.newest)
	}
	m.group(400)
	r.feed(m.take(), 16*time.Second)
	if r.newest.Independent {
		t.Error("said to be independent")
	}
	for _, s := range r.newest.Segments {
		if s.Discontinuity {
			t.Errorf("segment %d is discontinuous", s.MSN)
		}
	}
}

// Every way in which a stream breaks makes one discontinuity, at the right place.
func TestDiscontinuities(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		broken func(r *rig, m *mux)
		want   int
	}{
		{"none", func(*rig, *mux) {}, 0},
		{"announced, without a jump", func(_ *rig, m *mux) { m.tables(); m.write(shot{key: true, lasts: 3600, discontinuity: true}) }, 1},
		{"announced, with a jump", func(_ *rig, m *mux) {
			m.clock += 1 << 30
			m.tables()
			m.write(shot{key: true, lasts: 3600, discontinuity: true})
		}, 1},
		{"jump back", func(_ *rig, m *mux) { m.clock -= 5 * rate }, 1},
		{"jump ahead", func(_ *rig, m *mux) { m.clock += 60 * rate }, 1},
		{"a hole of 5 s", func(_ *rig, m *mux) { m.clock += 5 * rate }, 1},
		{"a hole of 0.2 s", func(_ *rig, m *mux) { m.clock += rate / 5 }, 0},
		{"wrap of the clock", func(r *rig, m *mux) {
			// Get there in one announced jump, and over it without one.
			m.clock = 1<<33 - 2*rate
			m.tables()
			m.write(shot{key: true, lasts: 3600, discontinuity: true})
		}, 1},
		{"another program map", func(_ *rig, m *mux) { m.more = true }, 1},
		{"bytes left out", func(r *rig, m *mux) { r.pos += 1 << 20; r.seg.Start(r.pos, nil, r.now) }, 1},
		{"two at once", func(_ *rig, m *mux) {
			for range 2 {
				m.tables()
				m.write(shot{key: true, lasts: 3600, discontinuity: true})
			}
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig
			cfg.Window = 100
			r, m := newRig(t, cfg), newMux()
			for range 6 {
				m.group(50)
				r.feed(m.take(), 2*time.Second)
			}
			at := r.pos
			c.broken(r, m)
			for range 6 {
				m.group(50)
				r.feed(m.take(), 2*time.Second)
			}
			var breaks int
			for _, s := range r.newest.Segments {
				if !s.Discontinuity {
					continue
				}
				breaks++
				media, _, _ := r.list.Media(Name{MSN: s.MSN - 1, Part: -1})
				if breaks == 1 && (media.End < at || media.End > at+3*mpegts.PacketSize) {
					t.Errorf("the segment before the break ends at %d, the break is at %d", media.End, at)
				}
			}
			if breaks != c.want {
				t.Errorf("%d discontinuities, want %d", breaks, c.want)
			}
		})
	}
}

// As segments leave the list, the discontinuity sequence counts those with the tag.
func TestDiscontinuitySequence(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	for i := range 40 {
		if i%5 == 4 {
			m.clock += 100 * rate
		}
		m.group(75)
		r.feed(m.take(), 3*time.Second) // the follower checks the sequence
	}
	if r.newest.DiscontinuitySequence < 5 {
		t.Errorf("discontinuity sequence %d after 8 breaks, of which 2 or 3 are still listed", r.newest.DiscontinuitySequence)
	}
}

func TestAudioOnly(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	m.audio = true
	for range 10 {
		m.tables()
		for range 50 {
			m.write(shot{lasts: 3600})
		}
		r.feed(m.take(), 2*time.Second)
	}
	if len(r.newest.Segments) < 5 || !r.newest.Independent {
		t.Errorf("%+v", r.newest)
	}
}

// Pictures without time stamps are placed by the clock.
func TestUnstamped(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	for range 10 {
		m.tables()
		for i := range 50 {
			m.write(shot{key: i == 0, lasts: 3600, unstamped: true})
		}
		r.feed(m.take(), 2*time.Second)
	}
	if got := r.durations(); len(got) < 4 || got[len(got)-1] != 4 {
		t.Errorf("segments of %v", got)
	}
}

// What no segment can be made of is not kept.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig)
	noise := bytes.Repeat(mpegts.NullPacket(), 5000)
	for range 60 {
		r.feed(noise, time.Second)
		if size := r.seg.scanner.Pos() - r.seg.backlog.from; size > maxBacklog+int64(len(noise)) {
			t.Fatalf("%d bytes are kept", size)
		}
	}
	m := newMux()
	for range 5 {
		m.group(75)
		r.feed(m.take(), 3*time.Second)
	}
	m.tables()
	r.feed(m.take(), 0)
	for range 60 {
		r.feed(noise, time.Second)
		if size := r.seg.scanner.Pos() - r.seg.backlog.from; size > maxBacklog+int64(len(noise)) {
			t.Fatalf("%d bytes are kept", size)
		}
	}
}

// The end of a stream ends the playlist with all that was fed.
func TestEnd(t *testing.T) {
	t.Parallel()
	r, m := newRig(t, testConfig), newMux()
	for range 3 {
		m.group(75)
		r.feed(m.take(), 3*time.Second)
	}
	m.group(30)
	r.feed(m.take(), time.Second)
	r.seg.Close()
	r.check()
	if got := r.durations(); !r.newest.Ended || !slices.Equal(got, []float64{3, 3, 3, 1.2}) {
		t.Errorf("ended %v with segments of %v", r.newest.Ended, got)
	}
	if ok, err := r.list.Reached(Directives{Block: true, MSN: 99, Part: -1}); !ok || err != nil {
		t.Errorf("a client waits for what never comes: %v, %v", ok, err)
	}
}

// Whatever a stream is like and however it arrives: each version of the playlist
// keeps the rules, follows from the one before it, and what it lists is the stream, byte by
// byte, with durations that add up.
func TestAnyStream(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := testConfig
		cfg.Segment = time.Duration(rapid.IntRange(2, 10).Draw(t, "segment")) * time.Second
		cfg.Part = time.Duration(rapid.SampledFrom([]int{200, 333, 500, 1000}).Draw(t, "part")) * time.Millisecond
		cfg.Window = rapid.IntRange(6, 10).Draw(t, "window")
		r, m := newRig(t, cfg), newMux()
		m.clock = rapid.SampledFrom([]int64{0, 1<<33 - 10*rate}).Draw(t, "clock")
		lasts := rapid.SampledFrom([]int64{1500, 3600, 3003}).Draw(t, "picture")
		gop := rapid.IntRange(5, 300).Draw(t, "gop")
		var stream []byte
		breaks := 0
		pictures := rapid.IntRange(100, 1200).Draw(t, "pictures")
		scenes := rapid.SliceOfNDistinct(rapid.IntRange(1, 1200), 0, 20, rapid.ID).Draw(t, "scenes")
		jumps := rapid.SliceOfNDistinct(rapid.IntRange(1, 1200), 0, 3, rapid.ID).Draw(t, "jumps")
		chunk := rapid.IntRange(5, 400).Draw(t, "packets at once")
		for i := range pictures {
			key := i%gop == 0 || slices.Contains(scenes, i)
			if key {
				m.tables()
			}
			if slices.Contains(jumps, i) {
				m.clock += 1000 * rate
				breaks++
			}
			m.write(shot{key: key, lasts: lasts, packets: 1 + i%7})
			if len(m.out) > chunk*mpegts.PacketSize || i == pictures-1 {
				stream = append(stream, m.out...)
				r.feed(m.take(), 40*time.Millisecond)
			}
		}
		r.seg.Close()
		r.check()
		if !r.shown {
			return // too short to begin with
		}
		// The segments of the whole stream are those that a window without an end lists.
		all := everything(t, cfg, stream, chunk)
		if len(all) < len(r.newest.Segments) {
			t.Fatalf("%d segments in all, %d listed", len(all), len(r.newest.Segments))
		}
		found := int64(0)
		for _, s := range r.newest.Segments {
			if s.Discontinuity {
				found++
			}
		}
		if got := found + r.newest.DiscontinuitySequence; got != int64(breaks) {
			t.Fatalf("%d discontinuities, want %d", got, breaks)
		}
	})
}

// everything cuts a stream, and checks that the segments are the stream.
func everything(t rapid.TB, cfg Config, stream []byte, chunk int) []*segment {
	t.Helper()
	cfg.Window, cfg.Memory = 1<<30, 1<<40
	list := NewPlaylist(cfg)
	list.Show()
	seg := NewSegmenter(list)
	seg.Start(0, nil, noon)
	for run := range slices.Chunk(stream, chunk*mpegts.PacketSize) {
		seg.Feed(noon, run)
		if list.ready() {
			list.Text(true)
		}
	}
	seg.Close()
	rest := stream[2*mpegts.PacketSize:] // before it, tables: the first picture is a key picture
	for _, s := range list.segments {
		body, sum := slices.Concat(s.media().Bufs...), int64(0)
		for _, p := range s.parts {
			sum += p.duration
		}
		tables, media := body[:2*mpegts.PacketSize], body[2*mpegts.PacketSize:]
		if mpegts.Packet(tables).PID() != mpegts.PATPID || !bytes.HasPrefix(rest, media) {
			t.Fatalf("segment %d is not what comes next in the stream", s.msn)
		}
		if sum != s.duration || len(body) != s.size {
			t.Fatalf("segment %d: %d ticks and %d bytes, its parts have %d and %d", s.msn, s.duration, s.size, sum, len(body))
		}
		rest = rest[len(media):]
	}
	if len(rest) > 0 {
		t.Fatalf("%d bytes are in no segment", len(rest))
	}
	return list.segments
}
