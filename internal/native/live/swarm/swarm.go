// Package swarm decides for one node of one live channel: whom to connect to,
// from whom to take which part of the stream, whom to send it to and in which
// order, what to fetch again, and what the player gets when.
//
// A [Node] is a state machine. Events go in, actions come out; it has no clock,
// no network, no goroutine and no randomness but its seed, so the same node
// runs on virtual time, over sockets, and in a replay of what it was told.
//
// The stream is a sequence of units, dealt out to substreams by their number.
// A node subscribes to each substream at one neighbour, its parent, which
// pushes every unit of it on arrival: a hop costs one delay and one
// transmission, not an announcement, a request and an answer. What a push
// did not bring is pulled from whoever announced it, the most urgent first.
// The source keeps quiet about its newest units, so that its upload goes into
// pushes that others multiply. Neighbours with more upload displace those with
// less, so that the strong ones are near the source.
package swarm

import (
	"cmp"
	"slices"
	"time"
)

// The figures of the scheduler. They were found by simulation.
const (
	beat          = 100 * time.Millisecond // repair, subscriptions, playout
	batch         = 50 * time.Millisecond  // announcements are collected for this long
	leafBatch     = 500 * time.Millisecond // of a node that nobody can take for a parent
	windowEvery   = 2 * time.Second
	reviewEvery   = 1500 * time.Millisecond // looking for better parents, plus up to a third
	askTimeout    = 600 * time.Millisecond
	switchGain    = 250 * time.Millisecond // a better parent must be this much better
	overdue       = 600 * time.Millisecond // a parent this late is reviewed at once
	quiet         = 1500 * time.Millisecond
	hookBack      = time.Second // how far behind the newest unit a viewer begins
	stuck         = 5 * time.Second
	hopeless      = 4 * time.Second // a viewer this far behind begins anew
	learnEvery    = 2 * time.Second
	ahead         = 2 * time.Second // announcements may be ahead of the newest unit held
	maxSubstreams = 32
	maxSeq        = 1 << 62 // no stream lives that long
	maxRoom       = 255
	defaultPace   = 32 // units per second, until it is known
)

// Config is what a node is told once.
type Config struct {
	Self       Peer
	Role       Role
	Seed       uint64
	Substreams int           // at most 32
	Upload     int           // bytes per second that may be sent; 0: unlimited, grants are learned
	Window     int           // units held, rounded up to a power of two
	Degree     int           // neighbours wanted
	MaxDegree  int           // neighbours accepted
	Delay      time.Duration // a unit that is this much late is skipped
	Prebuffer  time.Duration // contiguous media before the player gets the first unit
}

// Default returns the configuration of a node of that role.
func Default(self Peer, role Role, seed uint64) Config {
	c := Config{
		Self: self, Role: role, Seed: seed, Substreams: 8, Window: 1024, Degree: 12, MaxDegree: 24,
		Delay: 3 * time.Second, Prebuffer: time.Second,
	}
	if role != Viewer {
		c.MaxDegree = 64
	}
	return c
}

// Node is one node of one channel. It is owned by one goroutine.
type Node struct {
	cfg     Config
	now     time.Duration
	dice    dice
	actions []Action
	stats   Stats

	win       window
	frontier  Seq         // the newest unit that can be believed in
	links     []*neighbor // in the order in which they joined: iteration is deterministic
	neighbors map[Peer]*neighbor

	// the receiving side, per substream
	parent []*neighbor
	asking []*neighbor
	asked  []time.Duration
	last   []Seq
	lag    []time.Duration
	review time.Duration

	up       uplink
	fresh    []announcement
	play     playout
	book     book
	pace     float64 // units per second
	rate     float64 // bytes per second
	nextTick time.Duration
	nextHave time.Duration
	nextWin  time.Duration
	nextRate time.Duration
}

// announcement is a unit held that neighbours are told of from a time on.
type announcement struct {
	seq Seq
	at  time.Duration
}

// Stats counts what a node did. Bytes are of messages, without what the
// transport adds.
type Stats struct {
	Received     int // units, each counted once
	Duplicates   int // units that were held already
	Pulled       int // units that came because they were asked for
	Late         int // units that were older than the window
	Skipped      int // units the player did not get
	Ignored      int // announcements out of range
	Rehooks      int // begun anew after a standstill
	Dropped      int // pushes that waited too long
	UnitBytes    int // sent
	ControlBytes int // sent
	Neighbors    int
	Parents      int // substreams with a parent
	Children     int // substreams granted to others
}

// New makes a node. It does nothing before its first event.
func New(cfg Config) *Node {
	cfg.Substreams = min(max(cfg.Substreams, 1), maxSubstreams)
	n := &Node{
		cfg: cfg, dice: dice(cfg.Seed), win: newWindow(cfg.Window), neighbors: make(map[Peer]*neighbor),
		parent: make([]*neighbor, cfg.Substreams), asking: make([]*neighbor, cfg.Substreams),
		asked: make([]time.Duration, cfg.Substreams), last: make([]Seq, cfg.Substreams),
		lag:  make([]time.Duration, cfg.Substreams),
		pace: defaultPace, rate: defaultPace * 16 << 10,
	}
	n.up = newUplink(cfg)
	return n
}

// Step tells the node what happened, and when: a time since any fixed origin,
// which never goes back. The actions are valid until the next call.
func (n *Node) Step(now time.Duration, ev Event) []Action {
	clear(n.actions)
	n.now, n.actions = max(n.now, now), n.actions[:0]
	switch e := ev.(type) {
	case Joined:
		n.join(e)
	case Left:
		n.leave(n.neighbors[e.Peer])
		n.book.failed(e.Peer, n.now)
	case Unreachable:
		n.book.unreachable(e.Peer, n.now)
	case Discovered:
		n.book.learn(e.Peers, 0, n.cfg.Self)
	case Received:
		if nb := n.neighbors[e.Peer]; nb != nil {
			n.receive(nb, e.Message)
		}
	case Drained:
		n.drained(n.neighbors[e.Peer], e.Bytes)
	case Produced:
		n.produce(e.Unit)
	case Tick:
	}
	if n.now >= n.nextTick {
		n.nextTick = n.now + beat
		n.tick()
	}
	if n.now >= n.nextHave {
		n.nextHave = n.now + batch
		if n.cfg.Role != Source && n.grants() == 0 {
			n.nextHave = n.now + leafBatch
		}
		n.announce()
	}
	n.deliver()
	n.pump()
	return n.actions
}

// Wake is when the node wants a Tick at the latest.
func (n *Node) Wake() time.Duration { return min(n.nextTick, n.nextHave, n.up.wake) }

// Stats returns the counters of the node.
func (n *Node) Stats() Stats {
	s := n.stats
	s.Neighbors, s.Children = len(n.links), n.up.kids
	for _, p := range n.parent {
		if p != nil {
			s.Parents++
		}
	}
	return s
}

func (n *Node) tick() {
	n.expire()
	n.dropSilent()
	if n.now >= n.nextRate {
		n.nextRate = n.now + time.Second
		n.measure()
	}
	if n.now >= n.nextWin {
		n.nextWin = n.now + windowEvery
		n.tellWindow()
	}
	if n.cfg.Role != Source {
		n.hook()
		n.subscribe()
		n.repair()
	}
	n.learnUpload()
	n.mingle()
}

func (n *Node) receive(nb *neighbor, m Message) {
	nb.spoke = n.now
	switch m := m.(type) {
	case Window:
		if m.Hi >= maxSeq || m.Start > m.Hi || m.Lo > m.Hi {
			n.stats.Ignored++
			return
		}
		nb.window, nb.windowAt = m, n.now
		if m.Room > 0 {
			clear(nb.barred)
		}
		if n.cfg.Role != Source {
			n.hook()
		}
	case Have:
		n.heard(nb, m)
	case Subscribe:
		n.admit(nb, m)
	case Grant:
		n.granted(nb, m.Mask)
	case Deny:
		n.denied(nb, m)
	case Unsubscribe:
		n.release(nb, m.Mask)
	case Evict:
		n.evicted(nb, m)
	case Request:
		n.requested(nb, m)
	case Cancel:
		n.up.cancel(nb, m.Units)
	case Busy:
		n.refused(nb, m.Units)
	case Data:
		n.unit(nb, m.Unit)
	case Candidates:
		n.book.learn(m.Peers[:min(len(m.Peers), maxTold)], nb.peer, n.cfg.Self)
	}
}

// send passes a message other than a unit to a neighbour. It does not queue:
// control goes before everything.
func (n *Node) send(nb *neighbor, m Message) {
	size := m.Size()
	n.stats.ControlBytes += size
	n.up.tokens -= float64(size)
	n.actions = append(n.actions, Send{Peer: nb.peer, Message: m})
}

// sub returns the substream of a unit.
func (n *Node) sub(seq Seq) int { return int(seq % Seq(n.cfg.Substreams)) }

// produce takes a unit of the source itself.
func (n *Node) produce(u Unit) {
	if n.cfg.Role != Source || u.Seq == 0 || (n.win.top != 0 && u.Seq <= n.win.top) {
		return
	}
	n.win.reach(u.Seq)
	n.win.at(u.Seq).take(u, n.now)
	n.last[n.sub(u.Seq)] = u.Seq
	silent := n.now + quiet
	if n.up.bySub[n.sub(u.Seq)] == 0 {
		silent = n.now // nobody gets it pushed
	}
	n.fresh = append(n.fresh, announcement{u.Seq, silent})
	n.push(u.Seq, nil)
}

// unit takes a unit that a neighbour sent.
func (n *Node) unit(nb *neighbor, u Unit) {
	pulled := n.settle(nb, u.Seq)
	nb.useful = n.now
	if !n.play.hooked || u.Seq == 0 || u.Seq >= maxSeq {
		return
	}
	// A signed unit proves that the stream has got so far. What is further
	// ahead than the window is long comes only after a standstill.
	if n.win.top != 0 && u.Seq > n.win.top+Seq(len(n.win.slots)/2) {
		n.stats.Ignored++
		return
	}
	n.win.reach(u.Seq)
	nb.mark(u.Seq, n.sub(u.Seq))
	sl := n.win.at(u.Seq)
	switch {
	case sl == nil:
		n.stats.Late++
		return
	case sl.held:
		n.stats.Duplicates++
		return
	}
	s := n.sub(u.Seq)
	sl.take(u, n.now)
	n.stats.Received++
	if pulled {
		n.stats.Pulled++
	} else {
		n.lag[s] = smooth(n.lag[s], n.now-sl.heard)
		nb.sample(s, n.now-sl.heard)
	}
	n.last[s] = max(n.last[s], u.Seq)
	n.play.saw(u, n.now)
	n.withdraw(sl, u.Seq)
	n.fresh = append(n.fresh, announcement{u.Seq, n.now})
	n.push(u.Seq, nb)
}

// measure learns the pace and the rate of the stream from what is held.
func (n *Node) measure() {
	var first, newest *slot
	var units, bytes int
	for seq := n.win.top; seq >= n.win.lo() && seq > 0 && units < 256; seq-- {
		sl := n.win.at(seq)
		if sl == nil || !sl.held {
			continue
		}
		if newest == nil {
			newest = sl
		}
		first = sl
		units++
		bytes += sl.unit.Size
	}
	if units < 16 {
		return
	}
	span := (newest.unit.At - first.unit.At).Seconds()
	if span <= 0.2 {
		return
	}
	numbers := float64(newest.unit.Seq - first.unit.Seq)
	n.pace = numbers / span
	n.rate = float64(bytes-first.unit.Size) / float64(units-1) * n.pace
}

// headroom is how many units announcements may be ahead of what is held.
func (n *Node) headroom() Seq {
	return Seq(min(max(int(n.pace*ahead.Seconds()), 64), len(n.win.slots)/4))
}

// tellWindow tells every neighbour what this node has.
func (n *Node) tellWindow() {
	w, ok := n.ownWindow()
	if !ok {
		return
	}
	for _, nb := range n.links {
		n.send(nb, w)
	}
}

func (n *Node) ownWindow() (Window, bool) {
	if n.win.top == 0 || (n.cfg.Role != Source && !n.play.hooked) {
		return Window{}, false
	}
	w := Window{Lo: n.win.lo(), Hi: n.win.top, Room: max(min(n.grants()-n.up.kids, maxRoom), 0)}
	for w.Hi >= w.Lo && !n.win.at(w.Hi).held {
		w.Hi--
	}
	if w.Hi < w.Lo || w.Hi == 0 {
		return Window{}, false
	}
	newest := n.win.at(w.Hi)
	for seq := w.Hi; seq >= w.Lo && seq > 0; seq-- {
		sl := n.win.at(seq)
		if !sl.held {
			continue
		}
		if sl.unit.Key {
			w.Start = seq
			if newest.unit.At-sl.unit.At >= hookBack {
				break
			}
		}
		if newest.unit.At-sl.unit.At >= 8*hookBack {
			break
		}
	}
	return w, true
}

// announce tells neighbours of the units that came since the last time. A
// neighbour that sent a unit, or has it coming, is not told of it.
func (n *Node) announce() {
	slices.SortStableFunc(n.fresh, func(a, b announcement) int { return cmp.Compare(a.at, b.at) })
	due := 0
	for due < len(n.fresh) && n.fresh[due].at <= n.now {
		due++
	}
	if due == 0 {
		return
	}
	news := n.fresh[:due]
	for _, nb := range n.links {
		var seqs []Seq
		for _, a := range news {
			if nb.out&(1<<n.sub(a.seq)) == 0 && !nb.holds(a.seq) {
				seqs = append(seqs, a.seq)
			}
		}
		if len(seqs) > 0 {
			n.send(nb, newHave(seqs))
		}
	}
	n.fresh = slices.Delete(n.fresh, 0, due)
}

// heard notes what a neighbour announced. How late it is with each unit, next
// to whoever announced that unit first, is how good a parent it would be.
func (n *Node) heard(nb *neighbor, h Have) {
	first := !nb.announced
	nb.announced = true
	for seq := range h.All() {
		if n.win.top != 0 && (seq > max(n.win.top, n.frontier)+n.headroom() || seq < n.win.lo()) || seq == 0 || seq >= maxSeq {
			n.stats.Ignored++
			continue
		}
		s := n.sub(seq)
		nb.mark(seq, s)
		sl := n.win.at(seq)
		if sl == nil || !n.play.hooked {
			continue
		}
		if sl.heard < 0 {
			sl.heard = n.now
		}
		if !first {
			nb.sample(s, n.now-sl.heard)
		}
	}
}
