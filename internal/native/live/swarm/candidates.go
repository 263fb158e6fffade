package swarm

import (
	"slices"
	"time"
)

const (
	maxBook      = 256
	maxTold      = 20
	maxDials     = 12 // connections begun at once
	dialEvery    = 200 * time.Millisecond
	dialTimeout  = 5 * time.Second
	tellEvery    = 20 * time.Second
	discoverWait = 5 * time.Second
	idleAfter    = time.Minute
	rotateEvery  = 2 * time.Second
)

// book is what a node knows of peers it may connect to.
type book struct {
	entries  []entry
	nextDial time.Duration
	nextTell time.Duration
	nextFind time.Duration
	nextTurn time.Duration
	replaced int
}

type entry struct {
	Candidate
	via   Peer // the neighbour that told of it
	after time.Duration
	until time.Duration // a connection is under way until then
	fails int
}

func (b *book) find(p Peer) *entry {
	for i := range b.entries {
		if b.entries[i].Peer == p {
			return &b.entries[i]
		}
	}
	return nil
}

// learn adds candidates. A full book forgets those that were there longest.
func (b *book) learn(peers []Candidate, via, self Peer) {
	for _, c := range peers {
		if c.Peer == self || c.Peer == 0 {
			continue
		}
		if e := b.find(c.Peer); e != nil {
			e.Reachable = e.Reachable || c.Reachable && via == 0
			if via != 0 {
				e.via = via
			}
			continue
		}
		e := entry{Candidate: c, via: via}
		if len(b.entries) < maxBook {
			b.entries = append(b.entries, e)
			continue
		}
		b.entries[b.replaced%maxBook] = e
		b.replaced++
	}
}

func (b *book) joined(c Candidate) {
	if e := b.find(c.Peer); e != nil {
		e.Candidate, e.until, e.fails = c, 0, 0
	}
}

// failed notes that a link ended.
func (b *book) failed(p Peer, now time.Duration) {
	if e := b.find(p); e != nil {
		e.until, e.after = 0, now+10*time.Second
	}
}

// unreachable notes that no link came about. Thrice in a row, and the peer is
// forgotten.
func (b *book) unreachable(p Peer, now time.Duration) {
	e := b.find(p)
	if e == nil {
		return
	}
	if e.fails++; e.fails >= 3 {
		b.entries = slices.DeleteFunc(b.entries, func(e entry) bool { return e.Peer == p })
		return
	}
	e.until, e.after = 0, now+5*time.Second<<e.fails
}

// mingle keeps the number of neighbours, and tells them of each other.
func (n *Node) mingle() {
	b := &n.book
	if n.now >= b.nextTell {
		b.nextTell = n.now + tellEvery + n.dice.below(tellEvery/4)
		for _, nb := range n.links {
			n.tellCandidates(nb)
		}
	}
	n.rotate()
	dialling := 0
	for _, e := range b.entries {
		if e.until > n.now {
			dialling++
		}
	}
	wanted := n.cfg.Degree - len(n.links) - dialling
	if n.orphaned() {
		wanted += min(n.cfg.Degree, n.cfg.MaxDegree-n.cfg.Degree) / 2
	}
	if wanted > 0 && n.now >= b.nextFind && (len(n.links)+dialling < 4 || !n.anyone()) {
		b.nextFind = n.now + discoverWait
		n.actions = append(n.actions, Discover{})
	}
	if wanted <= 0 || n.now < b.nextDial {
		return
	}
	b.nextDial = n.now + dialEvery
	first := 0
	if len(b.entries) > 0 {
		first = int(n.dice.next() % uint64(len(b.entries)))
	}
	for i := range b.entries {
		e := &b.entries[(first+i)%len(b.entries)]
		if wanted == 0 || dialling >= maxDials {
			return
		}
		if !n.dialable(e) {
			continue
		}
		wanted--
		dialling++
		n.dial(e)
	}
}

func (n *Node) dial(e *entry) {
	e.until = n.now + dialTimeout
	c := Connect{Peer: e.Peer}
	if !e.Reachable {
		c.Via = e.via
	}
	n.actions = append(n.actions, c)
}

// anyone says whether there is somebody left to connect to.
func (n *Node) anyone() bool {
	for i := range n.book.entries {
		if n.dialable(&n.book.entries[i]) {
			return true
		}
	}
	return false
}

func (n *Node) dialable(e *entry) bool {
	return e.until <= n.now && e.after <= n.now && n.neighbors[e.Peer] == nil && (e.Reachable || n.neighbors[e.via] != nil)
}

// orphaned says whether the stream flows and part of it has no parent here.
func (n *Node) orphaned() bool {
	return n.cfg.Role != Source && n.play.hooked && slices.Contains(n.parent, nil)
}

// rotate ends links of no use: those beyond the degree after a minute, and one
// at a time while substreams have no parent, so that there are others to ask.
func (n *Node) rotate() {
	b := &n.book
	if n.now < b.nextTurn {
		return
	}
	b.nextTurn = n.now + rotateEvery
	orphaned := n.orphaned()
	if len(n.links) <= n.cfg.Degree {
		return
	}
	var worst *neighbor
	for _, nb := range n.links {
		idle := nb.in|nb.out == 0 && nb.role == Viewer && n.now-nb.joined > rotateEvery
		if idle && (orphaned && nb.window.Room == 0 || n.now-nb.useful > idleAfter) && (worst == nil || nb.useful < worst.useful) {
			worst = nb
		}
	}
	if worst != nil {
		n.drop(worst, Idle)
	}
}

// tellCandidates tells a peer of the neighbours of this node.
func (n *Node) tellCandidates(to *neighbor) {
	if len(n.links) == 0 {
		return
	}
	var told []Candidate
	first := int(n.dice.next() % uint64(len(n.links)))
	for i := range n.links {
		nb := n.links[(first+i)%len(n.links)]
		if nb != to && len(told) < maxTold {
			c := nb.Candidate
			c.Support = nb.role == Support
			told = append(told, c)
		}
	}
	if len(told) > 0 {
		n.send(to, Candidates{told})
	}
}
