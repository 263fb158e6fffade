package swarm

import (
	"slices"
	"time"
)

// unknownLag is what a neighbour is taken for that has not announced anything
// new yet.
const unknownLag = 150 * time.Millisecond

// silentFor is how long a link may take nothing of what is being sent to it.
const silentFor = 2 * time.Second

// chatty is how often a neighbour that lives and has the stream says something.
const chatty = 200 * time.Millisecond

// neighbor is a peer this node has a link to.
type neighbor struct {
	Candidate
	peer   Peer
	role   Role
	upload int
	rtt    time.Duration
	joined time.Duration
	spoke  time.Duration // when it last said anything
	useful time.Duration // when either side last had something from the other

	have      bitRing
	announced bool
	window    Window
	windowAt  time.Duration

	// per substream
	top    []Seq
	lag    []time.Duration
	barred []time.Duration // not asked before

	in       uint32        // substreams it pushes to this node
	out      uint32        // substreams this node pushes to it
	inflight int           // bytes passed on and not drained
	drained  time.Duration // when some of them last were, or the first was passed on
	pulling  int           // requests under way to it
	fails    int           // requests in a row that it did not answer
	pullsBar time.Duration
}

func (nb *neighbor) mark(seq Seq, sub int) {
	nb.have.set(seq)
	nb.top[sub] = max(nb.top[sub], seq)
}

func (nb *neighbor) holds(seq Seq) bool { return nb.have.has(seq) }

func (nb *neighbor) sample(sub int, lag time.Duration) {
	nb.lag[sub] = smooth(nb.lag[sub], lag)
}

func (n *Node) join(e Joined) {
	if n.neighbors[e.Peer] != nil || e.Peer == n.cfg.Self || e.Peer == 0 {
		return
	}
	n.book.joined(e.Candidate)
	nb := &neighbor{
		Candidate: e.Candidate, peer: e.Peer, role: e.Role, upload: e.Upload, rtt: e.RTT, joined: n.now, spoke: n.now, useful: n.now,
		have:   bitRing{bits: make([]uint64, len(n.win.slots)/64)},
		top:    make([]Seq, n.cfg.Substreams),
		lag:    make([]time.Duration, n.cfg.Substreams),
		barred: make([]time.Duration, n.cfg.Substreams),
	}
	for s := range nb.lag {
		nb.lag[s] = unknownLag
	}
	if len(n.links) >= n.cfg.MaxDegree && !n.makeRoom(nb) {
		n.tellCandidates(nb)
		n.actions = append(n.actions, Disconnect{e.Peer, Full})
		return
	}
	n.links = append(n.links, nb)
	n.neighbors[e.Peer] = nb
	if w, ok := n.ownWindow(); ok {
		n.send(nb, w)
		n.tellAll(nb)
	}
	n.tellCandidates(nb)
}

// tellAll announces what is held of the last seconds.
func (n *Node) tellAll(nb *neighbor) {
	var seqs []Seq
	silent := n.now
	if n.cfg.Role == Source {
		silent -= quiet
	}
	from := max(n.win.lo(), n.win.top-min(n.win.top, Seq(8*n.pace)))
	for seq := from; seq <= n.win.top; seq++ {
		if sl := n.win.at(seq); sl != nil && sl.held && sl.heard <= silent {
			seqs = append(seqs, seq)
		}
	}
	if len(seqs) > 0 {
		n.send(nb, newHave(seqs))
	}
}

// makeRoom drops a link of no use for a newcomer that has more upload, or for
// any while there is upload to give.
func (n *Node) makeRoom(newcomer *neighbor) bool {
	var worst *neighbor
	for _, nb := range n.links {
		if nb.in|nb.out == 0 && n.now-nb.joined > rotateEvery && (worst == nil || nb.upload < worst.upload) {
			worst = nb
		}
	}
	if worst == nil {
		return false
	}
	// Who takes no connections has few to turn to; who does has others.
	needy := n.cfg.Role == Support && worst.Reachable && !newcomer.Reachable
	if newcomer.role == Viewer && worst.upload >= newcomer.upload && n.grants() <= n.up.kids && !needy {
		return false
	}
	n.drop(worst, Full)
	return true
}

// drop ends a link.
func (n *Node) drop(nb *neighbor, why Reason) {
	n.actions = append(n.actions, Disconnect{nb.peer, why})
	n.leave(nb)
	n.book.failed(nb.peer, n.now)
}

// silence is what it counts against a neighbour to have said nothing of late.
func (n *Node) silence(nb *neighbor) time.Duration { return max(n.now-nb.spoke-chatty, 0) }

// dropSilent ends links that take nothing more: what is pushed to a machine
// that is gone is missing everywhere below it.
func (n *Node) dropSilent() {
	for i := len(n.links) - 1; i >= 0; i-- {
		if nb := n.links[i]; nb.inflight > 0 && n.now-nb.drained > silentFor {
			n.drop(nb, Silent)
		}
	}
}

// leave forgets a neighbour and everything that hung on it.
func (n *Node) leave(nb *neighbor) {
	if nb == nil {
		return
	}
	for s := range n.parent {
		if n.parent[s] == nb {
			n.parent[s] = nil
		}
		if n.asking[s] == nb {
			n.asking[s] = nil
		}
	}
	n.release(nb, nb.out)
	n.up.forget(nb)
	for i := range n.win.slots {
		for j := range n.win.slots[i].asks {
			if n.win.slots[i].asks[j].to == nb {
				n.win.slots[i].asks[j] = ask{}
			}
		}
	}
	delete(n.neighbors, nb.peer)
	n.links = slices.DeleteFunc(n.links, func(other *neighbor) bool { return other == nb })
}
