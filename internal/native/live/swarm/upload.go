package swarm

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	pushLife    = time.Second            // a push that waited longer is left to repair
	pullLife    = 500 * time.Millisecond // a request that waited longer is refused
	credit      = 64 << 10               // bytes passed to a link and not drained
	burst       = 50 * time.Millisecond  // of upload that may go out at once
	maxPushes   = 1024
	maxPulls    = 256
	maxDelays   = 256
	unitBytes   = 16 << 10
	sourcePulls = 0.2 // the part of the upload of the source that requests may take
)

// push is a unit on its way to a child.
type push struct {
	to  *neighbor
	seq Seq
	at  time.Duration
}

// pull is a unit that was asked for.
type pull struct {
	to  *neighbor
	seq Seq
	at  time.Duration
	due time.Duration
	own bool // sent along with a grant, not asked for
}

// uplink decides what is sent next. Links are given little at a time, so that
// the decision is late: pushes first, in the order of arrival, then requests,
// the most urgent first.
type uplink struct {
	rate     float64 // bytes per second; 0: unlimited
	tokens   float64
	spare    float64 // tokens for requests, of a source
	filled   time.Duration
	wake     time.Duration
	inflight int

	pushes []push
	pulls  []pull

	kids    int // subscriptions granted
	bySub   [maxSubstreams]int
	learned int
	review  time.Duration
	delays  []time.Duration // of pushes, since the last review
}

func newUplink(cfg Config) uplink {
	u := uplink{rate: float64(cfg.Upload), learned: cfg.Substreams, wake: math.MaxInt64}
	if cfg.Upload > 0 {
		u.learned = math.MaxInt32
	}
	return u
}

// push queues a unit for every child of its substream but the one it came from.
func (n *Node) push(seq Seq, from *neighbor) {
	bit := uint32(1) << n.sub(seq)
	for _, nb := range n.links {
		if nb != from && nb.out&bit != 0 && !nb.holds(seq) {
			n.up.pushes = append(n.up.pushes, push{nb, seq, n.now})
		}
	}
	if extra := len(n.up.pushes) - maxPushes; extra > 0 {
		n.stats.Dropped += extra
		n.up.pushes = slices.Delete(n.up.pushes, 0, extra)
	}
}

// backfill sends a new child what it lacks of its substreams, up to now. It is
// sent like a request: what is new goes before.
func (n *Node) backfill(nb *neighbor, mask uint32, from Seq) {
	from = max(from, n.win.lo(), n.win.top-min(n.win.top, Seq(3*n.pace)))
	for seq := from; seq <= n.win.top; seq++ {
		if mask&(1<<n.sub(seq)) == 0 || nb.holds(seq) || len(n.up.pulls) >= maxPulls {
			continue
		}
		sl := n.win.at(seq)
		if sl == nil || !sl.held {
			continue
		}
		if n.cfg.Role == Source && n.now-sl.heard < quiet && len(n.up.pushes) < maxPushes {
			// Nobody else may have it.
			n.up.pushes = append(n.up.pushes, push{nb, seq, n.now})
		} else {
			n.up.pulls = append(n.up.pulls, pull{to: nb, seq: seq, at: n.now, due: n.now + 300*time.Millisecond, own: true})
		}
	}
}

// requested queues what a neighbour asks for, and refuses what would wait.
func (n *Node) requested(nb *neighbor, m Request) {
	var busy []Seq
	for _, w := range m.Wants[:min(len(m.Wants), maxWants)] {
		sl := n.win.at(w.Seq)
		if sl == nil || !sl.held || len(n.up.pulls) >= maxPulls || n.queueTime() > pullLife/2 {
			busy = append(busy, w.Seq)
			continue
		}
		n.up.pulls = append(n.up.pulls, pull{to: nb, seq: w.Seq, at: n.now, due: n.now + w.Left})
	}
	if len(busy) > 0 {
		n.send(nb, Busy{busy})
	}
}

// queueTime is about how long what is queued takes to send.
func (n *Node) queueTime() time.Duration {
	if n.up.rate == 0 {
		return 0
	}
	bytes := float64((len(n.up.pushes) + len(n.up.pulls)) * unitBytes)
	return time.Duration(bytes / n.up.rate * float64(time.Second))
}

func (u *uplink) cancel(nb *neighbor, seqs []Seq) {
	u.pulls = slices.DeleteFunc(u.pulls, func(p pull) bool { return p.to == nb && slices.Contains(seqs, p.seq) })
}

// forget drops everything queued for a neighbour.
func (u *uplink) forget(nb *neighbor) {
	u.inflight -= nb.inflight
	nb.inflight = 0
	u.pushes = slices.DeleteFunc(u.pushes, func(p push) bool { return p.to == nb })
	u.pulls = slices.DeleteFunc(u.pulls, func(p pull) bool { return p.to == nb })
}

func (n *Node) drained(nb *neighbor, bytes int) {
	if nb == nil {
		return
	}
	bytes = min(bytes, nb.inflight)
	nb.inflight -= bytes
	nb.drained = n.now
	n.up.inflight -= bytes
}

// pump sends as much as upload and links take now.
func (n *Node) pump() {
	u := &n.up
	u.refill(n.now)
	u.wake = math.MaxInt64
	kept := u.pushes[:0]
	for _, p := range u.pushes {
		sl := n.win.at(p.seq)
		switch {
		case sl == nil || !sl.held || p.to.out&(1<<n.sub(p.seq)) == 0 || p.to.holds(p.seq):
		case n.now-p.at > pushLife:
			n.stats.Dropped++
			u.waited(n.now - p.at)
		case !u.open(p.to):
			kept = append(kept, p)
		default:
			u.waited(n.now - p.at)
			n.carry(p.to, sl.unit)
		}
	}
	clear(u.pushes[len(kept):])
	u.pushes = kept
	if len(u.pulls) > 0 {
		n.servePulls()
	}
	if u.rate > 0 && u.tokens <= 0 && len(u.pushes)+len(u.pulls) > 0 {
		u.wake = n.now + time.Duration(-u.tokens/u.rate*float64(time.Second)) + time.Millisecond
	}
}

func (n *Node) servePulls() {
	u := &n.up
	slices.SortStableFunc(u.pulls, func(a, b pull) int { return cmp.Compare(a.due, b.due) })
	kept := u.pulls[:0]
	for _, p := range u.pulls {
		sl := n.win.at(p.seq)
		switch {
		case sl == nil || !sl.held || p.to.holds(p.seq):
		case n.now-p.at > pullLife:
			if !p.own {
				n.send(p.to, Busy{[]Seq{p.seq}})
			}
		case !u.open(p.to) || n.cfg.Role == Source && u.rate > 0 && u.spare <= 0:
			kept = append(kept, p)
		default:
			u.spare -= float64(sl.unit.Size)
			n.carry(p.to, sl.unit)
		}
	}
	clear(u.pulls[len(kept):])
	u.pulls = kept
}

// carry sends a unit.
func (n *Node) carry(nb *neighbor, u Unit) {
	if nb.inflight == 0 {
		nb.drained = n.now
	}
	nb.inflight += u.Size
	nb.useful = n.now
	nb.mark(u.Seq, n.sub(u.Seq))
	n.up.inflight += u.Size
	n.up.tokens -= float64(u.Size)
	n.stats.UnitBytes += u.Size
	n.actions = append(n.actions, Send{Peer: nb.peer, Message: Data{u}})
}

// open says whether a unit may be sent to a neighbour now.
func (u *uplink) open(nb *neighbor) bool {
	most := 8 * credit
	if u.rate > 0 {
		if u.tokens <= 0 {
			return false
		}
		most = max(credit, int(u.rate/10))
	}
	return nb.inflight < credit && u.inflight < most
}

func (u *uplink) refill(now time.Duration) {
	if u.rate == 0 {
		return
	}
	passed := (now - u.filled).Seconds()
	u.filled = now
	most := max(u.rate*burst.Seconds(), 2*unitBytes)
	u.tokens = min(u.tokens+passed*u.rate, most)
	u.spare = min(u.spare+passed*u.rate*sourcePulls, most)
}

func (u *uplink) waited(d time.Duration) {
	if len(u.delays) < maxDelays {
		u.delays = append(u.delays, d)
	}
}
