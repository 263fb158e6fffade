package upstream_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// watched is what a guard made of a source.
type watched struct {
	passed   []byte
	again    []byte
	progress time.Duration // since the last, at the end
}

// watch feeds a guard chunks of n packets at the pace of a broadcast.
func watch(g *upstream.Guard, packets []byte, n int) (w watched) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	g.Turn(now)
	for len(packets) > 0 {
		chunk := packets[:min(len(packets), n*mpegts.PacketSize)]
		packets = packets[len(chunk):]
		now = now.Add(time.Duration(len(chunk)) * time.Second / rate)
		for len(chunk) > 0 {
			var pass, again []byte
			pass, again, chunk = g.Feed(chunk, now)
			w.passed = append(w.passed, pass...)
			w.again = append(w.again, again...)
		}
	}
	w.progress = now.Sub(g.Progress())
	return w
}

// setPCR gives a packet that has a clock reference another one.
func setPCR(p mpegts.Packet, pcr int64) {
	base, ext := pcr/300, pcr%300
	p[6], p[7], p[8], p[9] = byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1)
	p[10], p[11] = byte(base<<7)|0x7e|byte(ext>>8), byte(ext)
}

// shifted returns packets with their clock references moved.
func shifted(packets []byte, by int64) []byte {
	packets = bytes.Clone(packets)
	for at := 0; at < len(packets); at += mpegts.PacketSize {
		p := mpegts.Packet(packets[at : at+mpegts.PacketSize])
		if pcr, ok := p.PCR(); ok {
			setPCR(p, (pcr+by+mpegts.PCRModulus)%mpegts.PCRModulus)
		}
	}
	return packets
}

// What is new passes, all of it and as it is, whatever its clock and its
// continuity do.
func TestGuardPassesWhatIsNew(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	second := c.b.Rate() / mpegts.PacketSize
	other := newCast(t, ihTwo)
	// Two seconds of the packets of the end, which no rule holds back.
	after := c.packets(2000*second, 2002*second)
	advert := shifted(other.packets(0, 5*second), 0)
	announced := func(p []byte) []byte {
		var out []byte
		for _, pid := range []uint16{0x100, 0x101} {
			p := mpegts.NullPacket() // without payload, with the discontinuity_indicator
			p[1], p[2], p[3], p[4], p[5] = byte(pid>>8), byte(pid), 0x2f, mpegts.PacketSize-5, 0x80
			out = append(out, p...)
		}
		return append(out, p...)
	}
	join := func(parts ...[]byte) []byte { return append(bytes.Join(parts, nil), after...) }
	const wrap = mpegts.PCRModulus / mpegts.ClockRate // seconds
	once := c.packets(0, 10*second)
	for name, packets := range map[string][]byte{
		"a broadcast":                  once,
		"a clock that wraps around":    c.packets((wrap-5)*second, (wrap+5)*second),
		"a clock set back":             join(c.packets(100*second, 105*second), c.packets(50*second, 55*second)),
		"a clock set forward":          join(once, c.packets(500*second, 505*second)),
		"another programme":            join(once, other.packets(0, 5*second)),
		"losses":                       join(c.packets(0, 300), c.packets(301, 900), c.packets(950, 3000), c.packets(20*second, 21*second)),
		"a file in a loop, clocks on":  join(once, shifted(once, 10*mpegts.ClockRate), shifted(once, 20*mpegts.ClockRate)),
		"announced, twice":             join(once, announced(advert), announced(c.packets(10*second, 20*second)), announced(advert), announced(c.packets(20*second, 30*second))),
		"each packet twice":            twice(once),
		"a clock that stands still":    stopped(once),
		"no clock":                     clockless(once),
		"nothing but padding":          bytes.Repeat(mpegts.NullPacket(), 3000),
		"errors":                       join(once, errored(c.packets(0, 5*second))),
		"two clocks, one after other":  join(once, moved(other.packets(0, 10*second))),
		"two clocks, the other is old": join(once, moved(once)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, chunk := range []int{1, 7, 133, 348, 5000} {
				w := watch(upstream.NewGuard(), packets, chunk)
				if len(w.again) > 0 {
					t.Fatalf("%d packets at a time: taken for a repetition after %d of %d packets", chunk, len(w.passed)/mpegts.PacketSize, len(packets)/mpegts.PacketSize)
				}
				if !bytes.Equal(w.passed, packets) {
					t.Fatalf("%d packets at a time: %d of %d packets passed, or others", chunk, len(w.passed)/mpegts.PacketSize, len(packets)/mpegts.PacketSize)
				}
			}
		})
	}
}

// each returns packets as change makes them.
func each(packets []byte, change func(p mpegts.Packet) []byte) []byte {
	var out []byte
	for at := 0; at < len(packets); at += mpegts.PacketSize {
		out = append(out, change(bytes.Clone(packets[at:at+mpegts.PacketSize]))...)
	}
	return out
}

func twice(packets []byte) []byte {
	return each(packets, func(p mpegts.Packet) []byte { return append(p, p...) })
}

func stopped(packets []byte) []byte {
	return each(packets, func(p mpegts.Packet) []byte {
		if _, ok := p.PCR(); ok {
			setPCR(p, 12345)
		}
		return p
	})
}

// clockless turns the flag of the clock off, and what was the reference into
// private data that nobody reads.
func clockless(packets []byte) []byte {
	return each(packets, func(p mpegts.Packet) []byte {
		if _, ok := p.PCR(); ok {
			p[5] &^= 0x12
		}
		return p
	})
}

func errored(packets []byte) []byte {
	return each(packets, func(p mpegts.Packet) []byte { p[1] |= 0x80; return p })
}

// moved puts the video and its clock on another PID.
func moved(packets []byte) []byte {
	return each(packets, func(p mpegts.Packet) []byte {
		if p.PID() == 0x100 {
			p[1], p[2] = 0x02, 0x00
		}
		return p
	})
}

// Wherever a source begins to repeat itself, and however much it repeats: what
// came before passes, next to nothing of the repetition does, and no more than
// half a second of it is needed to know.
func TestGuardNoticesARepetition(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	second := c.b.Rate() / mpegts.PacketSize
	var leaks, cases int
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.Int64Range(second/20, 12*second).Draw(t, "length")
		end := length + rapid.Int64Range(0, 4*second).Draw(t, "before")
		chunk := rapid.IntRange(1, 600).Draw(t, "chunk")
		real := c.packets(0, end)
		loop := c.packets(end-length, end)
		packets := append(bytes.Clone(real), bytes.Repeat(loop, int(2+2*second/length))...)
		w := watch(upstream.NewGuard(), packets, chunk)
		if len(w.again) == 0 {
			t.Fatal("not noticed")
		}
		leaked := int64(len(w.passed)-len(real)) / mpegts.PacketSize
		if leaked < -second/20 || leaked > second/20 {
			t.Fatalf("%d packets of the repetition passed; that is more than comes between two clock references", leaked)
		}
		if !bytes.Equal(w.passed, packets[:len(w.passed)]) || !bytes.Equal(w.again, packets[len(w.passed):]) {
			t.Fatal("packets are missing or out of order")
		}
		cases++
		if leaked > 0 {
			leaks++
		}
	})
	// Continuity tells where a repetition begins, but in one case of sixteen for each track.
	if leaks > cases/2 {
		t.Errorf("in %d of %d cases packets of the repetition passed", leaks, cases)
	}
}

// A source that repeats what another one sent is noticed, however long ago
// within the half hour that engines keep.
func TestGuardKnowsWhatOtherSourcesSent(t *testing.T) {
	t.Parallel()
	b, err := enginetest.NewBroadcast(ihOne, enginetest.MinBitrate)
	if err != nil {
		t.Fatal(err)
	}
	c := cast{t, b}
	second := b.Rate() / mpegts.PacketSize
	g := upstream.NewGuard()
	watch(g, c.packets(0, 1500*second), 348)
	next := append(c.packets(1499*second, 1505*second), c.packets(second, 3*second)...)
	w := watch(g, next, 133)
	if leaked := len(w.passed)/mpegts.PacketSize - int(6*second); len(w.again) == 0 || leaked < 0 || leaked > int(second/20) {
		t.Errorf("%d packets passed, want %d; %d are known to be old", len(w.passed)/mpegts.PacketSize, 6*second, len(w.again)/mpegts.PacketSize)
	}
}

// A hiccup is overcome: the source sends something again and then goes on. What
// it sends again is handed out in runs, so that the seam finds where.
func TestGuardResumes(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	second := c.b.Rate() / mpegts.PacketSize
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.Int64Range(5*second, 8*second).Draw(t, "end")
		back := rapid.Int64Range(second/2, 5*second).Draw(t, "back")
		times := rapid.IntRange(1, 4).Draw(t, "times")
		chunk := rapid.IntRange(1, 500).Draw(t, "chunk")
		packets := c.packets(0, end)
		for range times {
			packets = append(packets, c.packets(end-back, end)...)
		}
		packets = append(packets, c.packets(end, end+2*second)...)
		v := enginetest.NewVerifier(ihOne)
		r := relay{guard: upstream.NewGuard(), out: v}
		for len(packets) > 0 {
			run := packets[:min(len(packets), chunk*mpegts.PacketSize)]
			packets = packets[len(run):]
			r.feed(run)
		}
		report := v.Report()
		if report.Gaps+report.Foreign > 0 || c.b.Time(report.Last) < c.b.Time(0)+time.Duration(end+2*second-20)*time.Second/time.Duration(second) {
			t.Fatalf("%+v", report)
		}
		// Between two clock references a repetition may not be told by anything.
		if most := int64(times) * second / 20; report.Repeats > most {
			t.Fatalf("%d packets again, at most %d cannot be helped", report.Repeats, most)
		}
	})
}

// relay passes packets on as a stream does.
type relay struct {
	guard *upstream.Guard
	joint *upstream.Joint
	tail  []byte
	out   *enginetest.Verifier
}

func (r *relay) feed(packets []byte) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for len(packets) > 0 {
		var pass, again []byte
		pass, again, packets = r.guard.Feed(packets, now)
		if r.joint != nil && !r.joint.Done() {
			pass = r.joint.Feed(pass)
		}
		r.write(pass)
		if len(again) == 0 {
			continue
		}
		if r.joint == nil || r.joint.Joined() {
			r.joint = upstream.NewJoint(r.tail, r.guard.Unsure())
		}
		r.write(r.joint.Feed(again))
		if r.joint.Joined() {
			r.guard.Resume(now)
		}
	}
}

func (r *relay) write(packets []byte) {
	r.out.Write(packets)
	r.tail = tailOf(append(r.tail, packets...))
}

// Packets with which nothing goes on are no progress.
func TestGuardSeesAStandstill(t *testing.T) {
	t.Parallel()
	c := newCast(t, ihOne)
	second := c.b.Rate() / mpegts.PacketSize
	play := c.packets(0, 5*second)
	tables := each(c.packets(0, 20*second), func(p mpegts.Packet) []byte {
		if p.PID() == 0x100 || p.PID() == 0x101 {
			return mpegts.NullPacket()
		}
		return p
	})
	still := bytes.Repeat
	for name, tt := range map[string]struct {
		packets []byte
		stands  bool
	}{
		"plays":           {c.packets(0, 25*second), false},
		"no clock":        {clockless(c.packets(0, 25*second)), false},
		"a stopped clock": {stopped(c.packets(0, 25*second)), false},
		"padding":         {append(bytes.Clone(play), still(mpegts.NullPacket(), int(20*second))...), true},
		"tables":          {append(bytes.Clone(play), tables...), true},
		"one packet":      {append(bytes.Clone(play), still(play[len(play)-mpegts.PacketSize:], int(20*second))...), true},
		"one picture":     {append(bytes.Clone(play), still(c.packets(5*second, 5*second+second/25), 500)...), true},
		"one second":      {append(bytes.Clone(play), still(c.packets(4*second, 5*second), 20)...), true},
		"one, clockless":  {append(clockless(play), still(clockless(c.packets(4*second, 5*second)), 20)...), true},
	} {
		w := watch(upstream.NewGuard(), tt.packets, 33)
		if stands := w.progress > 18*time.Second; stands != tt.stands || !stands && w.progress > time.Second {
			t.Errorf("%s: nothing new for %v", name, w.progress)
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	c := newCast(b, ihOne)
	second := c.b.Rate() / mpegts.PacketSize
	packets := c.packets(0, 60*second)
	g := upstream.NewGuard()
	now := time.Now()
	b.SetBytes(int64(len(packets)))
	b.ReportAllocs()
	for b.Loop() {
		g.Turn(now)
		for at := 0; at < len(packets); at += 348 * mpegts.PacketSize {
			g.Feed(packets[at:min(len(packets), at+348*mpegts.PacketSize)], now)
		}
	}
}
