package upstream

import (
	"bytes"
	"hash/maphash"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

const (
	// printEvery is the media time between packets that a [Guard] remembers.
	printEvery = mpegts.ClockRate / 5
	// printsMost is how many it remembers: 27 minutes of them in 64 KiB, about
	// the half hour of a broadcast's window that engines keep
	// (https://docs.acestream.net/developers/start-playback/, livepos).
	printsMost = 8192
	// clearAfter is the media time after a jump of the clock within which a
	// repetition shows, because two remembered packets would have come by.
	clearAfter = 2 * printEvery
	// naturalStep is how far a clock may step forward. References are at most
	// 100 ms apart (ISO/IEC 13818-1, 2.7.2), but packets get lost.
	naturalStep = 10 * mpegts.ClockRate
	// doubtMost and doubtLong bound what is held back in doubt: at 50 Mbit/s
	// the bytes are still more than [clearAfter].
	doubtMost = 4 << 20
	doubtLong = 2 * time.Second
	// brokenMost and brokenLong bound what is held back after a break of
	// continuity alone, until the next clock reference tells whether the clock
	// jumped: losses are common, and must not cost viewers time.
	brokenMost = 1 << 20
	brokenLong = 300 * time.Millisecond
	// otherClock is how many references of another PID, with none of the known
	// one between them, make that PID the clock.
	otherClock = 16
	// recentMost is how many of the last references are all remembered, so that a
	// repetition of less than printEvery is known, too.
	recentMost = 64
	// startsMost is how many beginnings of PES packets are remembered, so that
	// the same few seconds again and again are no progress.
	startsMost = 256
)

// Guard notices when a live source lies: when it sends what it sent before, or
// sends packets with which nothing goes on.
//
// A repetition is the very packet with the very clock reference that came by
// before, after the clock has jumped. So none of these is taken for one: a
// clock that wraps around or is set anew, a loss, a change of program, a file
// that the broadcaster plays in a loop with clocks that go on, and a jump that
// the broadcaster announces with the discontinuity_indicator, as where an
// advertisement is inserted, even the same one twice. Packets are held back
// only while it is in doubt which it is, from a break of the continuity counters
// or a jump of the clock on: for less than half a second of media.
//
// One Guard sees all the sources of a stream, one after the other, so that a
// source that repeats what another one sent is noticed too. Its memory is
// bounded: 64 KiB for what came by, and what is held back, at most 4 MiB. It is
// owned by one goroutine; time is an input.
type Guard struct {
	seed   maphash.Seed
	prints prints // every [printEvery]
	recent prints // all, of late
	starts prints // of PES packets

	pid     uint16 // of the clock
	clock   int64  // last reference; -1 before the first of a source
	printed int64  // last reference among prints; -1 where there is none
	same    int    // references in a row that were equal to the one before
	others  int    // references of other PIDs since the last of the clock
	said    bool   // a discontinuity was announced on the clock's PID
	counts  [0x2000]uint8

	state  doubt
	held   []byte // whole packets; those before passed were passed on
	passed int
	since  time.Time // of the doubt
	jumped int64     // the first reference after the jump

	progress time.Time // when something new came
	unsure   int       // bytes passed on since the last reference that was right
}

// doubt is what a Guard thinks of the packets that come.
type doubt uint8

const (
	fine      doubt = iota
	broken          // continuity broke: the next clock reference tells more
	leapt           // the clock jumped: what comes may be a repetition
	repeating       // it is one
)

const unknownCount = 0xff

// NewGuard returns a guard that has seen nothing.
func NewGuard() *Guard {
	g := &Guard{
		seed:   maphash.MakeSeed(),
		prints: prints{most: printsMost}, recent: prints{most: recentMost}, starts: prints{most: startsMost},
	}
	g.Turn(time.Time{})
	return g
}

// Turn tells that the next packets are of another source. What is held back is
// dropped: the new source has it.
func (g *Guard) Turn(now time.Time) {
	g.clock, g.printed, g.same, g.others, g.said = -1, -1, 0, 0, false
	g.state, g.held, g.passed = fine, nil, 0
	g.progress, g.unsure = now, 0
	for i := range g.counts {
		g.counts[i] = unknownCount
	}
}

// Resume tells that the packets to come continue what viewers have, after a
// repetition was overcome.
func (g *Guard) Resume(now time.Time) {
	g.state, g.printed, g.said = fine, -1, false
	g.progress = now
}

// Progress returns when something came that was neither padding nor tables nor
// a repetition.
func (g *Guard) Progress() time.Time { return g.progress }

// Repeating tells whether the source repeats itself.
func (g *Guard) Repeating() bool { return g.state == repeating }

// Unsure returns how many of the last bytes passed on may belong to the
// repetition already: those since the last clock reference that was right. It
// is for a [Joint].
func (g *Guard) Unsure() int { return g.unsure }

// Feed takes the next packets. It returns those to pass on; those after them
// that repeat what came before; and those after that, which it has not looked
// at and which the caller feeds next. Once there is a repetition everything is
// one until [Guard.Resume] or [Guard.Turn]; it is handed out in runs without a
// break, so that where it overtakes what came before is not missed. The results
// are valid for as long as packets is.
func (g *Guard) Feed(packets []byte, now time.Time) (pass, again, rest []byte) {
	if g.state == repeating {
		n := g.follow(packets)
		return nil, packets[:n], packets[n:]
	}
	at, in := 0, packets
	if held := g.held[g.passed:]; len(held) > 0 {
		at = len(held)
		in = append(append(make([]byte, 0, len(held)+len(packets)), held...), packets...)
	}
	clear := 0
	for ; at < len(in) && g.state != repeating; at += mpegts.PacketSize {
		doubted := g.state != fine
		g.packet(mpegts.Packet(in[at:at+mpegts.PacketSize]), now)
		switch {
		case g.state == fine:
			clear = at + mpegts.PacketSize
			g.unsure += mpegts.PacketSize
		case !doubted:
			g.since = now
		}
	}
	if g.state == repeating {
		g.held, g.passed = nil, 0
		return in[:clear], in[clear:at], in[at:]
	}
	if g.tired(len(in)-clear, now) {
		g.state, clear = fine, len(in)
	}
	if at = len(packets); clear < len(in) && len(in) == at { // the caller's own
		g.held, g.passed = bytes.Clone(in[clear:]), 0
	} else if len(in) > at {
		g.held, g.passed = in, clear
	} else {
		g.held, g.passed = nil, 0
	}
	return in[:clear], nil, nil
}

// tired tells whether a doubt has cost enough.
func (g *Guard) tired(size int, now time.Time) bool {
	switch g.state {
	case broken:
		return size > brokenMost || now.Sub(g.since) > brokenLong
	case leapt:
		return size > doubtMost || now.Sub(g.since) > doubtLong
	}
	return false
}

// follow goes along with a repetition, up to the packet with which it begins
// anew, or the end.
func (g *Guard) follow(packets []byte) int {
	for at := 0; at < len(packets); at += mpegts.PacketSize {
		p := mpegts.Packet(packets[at : at+mpegts.PacketSize])
		pid := p.PID()
		if pid == mpegts.NullPID || p.Errored() {
			continue
		}
		pcr, ok := p.PCR()
		ok = ok && pid == g.pid
		step := clockDifference(pcr, g.clock)
		if at > 0 && (!follows(g.counts[pid], p) || ok && (step < 0 || step > naturalStep)) {
			return at
		}
		g.counts[pid] = p.CC()
		g.unsure += mpegts.PacketSize
		if ok {
			g.clock, g.unsure = pcr, 0
		}
	}
	return len(packets)
}

// packet takes one packet.
func (g *Guard) packet(p mpegts.Packet, now time.Time) {
	pid := p.PID()
	if pid == mpegts.NullPID || p.Errored() {
		return
	}
	if pid == g.pid && p.Discontinuity() {
		g.said = true
	}
	duplicate := g.counts[pid] == p.CC()
	if !follows(g.counts[pid], p) && g.state == fine && g.clock >= 0 && !g.said {
		g.state = broken
	}
	g.counts[pid] = p.CC()
	if pcr, ok := p.PCR(); ok {
		g.reference(p, pcr, duplicate, now)
	}
	if g.state == fine && p.UnitStart() {
		g.start(p, now)
	}
}

// follows tells whether p goes on from a continuity counter (ISO/IEC 13818-1,
// 2.4.3.3). A packet may come twice.
func follows(last uint8, p mpegts.Packet) bool {
	cc := p.CC()
	return last == unknownCount || cc == last || p.Discontinuity() || p.HasPayload() && cc == (last+1)&0x0f
}

// reference takes the clock reference of p. duplicate tells that p may be the
// packet before it on its PID once more.
func (g *Guard) reference(p mpegts.Packet, pcr int64, duplicate bool, now time.Time) {
	pid := p.PID()
	if g.clock < 0 {
		g.pid = pid
	}
	if pid != g.pid {
		if g.others++; g.others > otherClock {
			g.clock, g.printed, g.state = -1, -1, fine
		}
		return
	}
	g.others = 0
	sum := maphash.Bytes(g.seed, p)
	said := g.said || g.clock < 0
	step := clockDifference(pcr, g.clock)
	g.said = false
	switch {
	case said:
		g.printed = -1
		g.accept(sum, pcr, now)
	case g.state != leapt && step == 0:
		// A packet may come twice. One that comes a third time is stuck, and
		// one that comes after others is a repetition of them all.
		if g.same++; (g.same > 1 || !duplicate) && g.recent.has(sum) {
			g.state = repeating
		}
	case g.state != leapt && 0 < step && step <= naturalStep:
		g.accept(sum, pcr, now)
	default:
		if g.state != leapt {
			g.state, g.jumped = leapt, pcr
		}
		g.clock = pcr
		if g.recent.has(sum) || g.prints.has(sum) {
			g.state = repeating
		} else if clockDifference(pcr, g.jumped) >= clearAfter {
			g.printed = -1
			g.accept(sum, pcr, now)
		}
	}
}

// accept takes a reference that goes on from the one before, or is known to be
// right.
func (g *Guard) accept(sum uint64, pcr int64, now time.Time) {
	g.clock, g.same, g.state, g.progress = pcr, 0, fine, now
	g.unsure = -mpegts.PacketSize // without the packet of the reference itself
	g.recent.add(sum)
	if g.printed < 0 || clockDifference(pcr, g.printed) >= printEvery {
		g.prints.add(sum)
		g.printed = pcr
	}
}

// start takes a packet with which something begins. A PES packet that did not
// come by of late is progress.
func (g *Guard) start(p mpegts.Packet, now time.Time) {
	pes := p.Payload()
	if len(pes) < 4 || pes[0] != 0 || pes[1] != 0 || pes[2] != 1 {
		return
	}
	if sum := maphash.Bytes(g.seed, pes); !g.starts.has(sum) {
		g.starts.add(sum)
		g.progress = now
	}
}

// prints remembers the last sums of packets.
type prints struct {
	sums []uint64 // a ring once it is full
	next int      // place of the next one in the full ring
	most int
}

func (r *prints) add(sum uint64) {
	if len(r.sums) < r.most {
		r.sums = append(r.sums, sum)
		return
	}
	r.sums[r.next] = sum
	r.next = (r.next + 1) % r.most
}

func (r *prints) has(sum uint64) bool { return slices.Contains(r.sums, sum) }
