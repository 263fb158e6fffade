package swarm

import "time"

// fullCost is what it counts against a neighbour that says it has no room: it
// may still take one in, for another that has less upload.
const fullCost = 200 * time.Millisecond

// orphanCost is the same where there is no parent at all: any that has room is
// better than the best that has not.
const orphanCost = 3 * time.Second

// subscribe sees to it that every substream has a parent, and a better one
// where there is one. The new parent pushes before the old one is left.
func (n *Node) subscribe() {
	if !n.play.hooked {
		return
	}
	reviewing := n.now >= n.review
	if reviewing {
		n.review = n.now + reviewEvery + n.dice.below(reviewEvery/3)
	}
	var asks []subscription
	first := int(n.dice.next() % uint64(n.cfg.Substreams))
	for i := range n.cfg.Substreams {
		s := (first + i) % n.cfg.Substreams
		if nb := n.asking[s]; nb != nil {
			if n.now-n.asked[s] < askTimeout {
				continue
			}
			n.asking[s] = nil
			nb.barred[s] = n.now + time.Second
		}
		mine := n.ownLag(s)
		impatient := mine > overdue && n.now-n.asked[s] > beat*3
		if n.parent[s] != nil && !reviewing && !impatient {
			continue
		}
		best, score := n.bestParent(s, asks)
		if best == nil || n.parent[s] != nil && score >= mine-switchGain {
			continue
		}
		n.asking[s], n.asked[s] = best, n.now
		asks = append(asks, subscription{best, s})
	}
	for _, a := range asks {
		// What there was at the hook is pulled from everybody at once.
		// So is what was asked for since.
		from := max(n.play.hookTop, n.last[a.sub]) + 1
		for seq := from; seq <= n.win.top+n.headroom(); seq++ {
			if sl := n.win.at(seq); n.sub(seq) == a.sub && sl != nil && sl.outstanding() > 0 {
				from = seq + 1
			}
		}
		n.send(a.to, Subscribe{Mask: 1 << a.sub, From: from})
	}
}

// subscription is a substream asked for at a neighbour.
type subscription struct {
	to  *neighbor
	sub int
}

// bestParent returns the neighbour that is least late with a substream. The
// subscriptions just asked for spread the load.
func (n *Node) bestParent(s int, asks []subscription) (*neighbor, time.Duration) {
	var best *neighbor
	var least time.Duration
	for _, nb := range n.links {
		if nb == n.parent[s] || nb.barred[s] > n.now || nb.out&(1<<s) != 0 {
			continue
		}
		score, flows := n.lagOf(nb, s)
		if !flows {
			continue
		}
		score += nb.rtt/2 + n.silence(nb) + n.dice.below(50*time.Millisecond)
		room := nb.window.Room
		for _, a := range asks {
			if a.to == nb && nb.role != Source {
				score += 30 * time.Millisecond
				room--
			}
		}
		switch {
		case room > 0:
		case n.parent[s] == nil:
			score += orphanCost
		default:
			score += fullCost
		}
		if best == nil || score < least {
			best, least = nb, score
		}
	}
	return best, least
}

// lagOf says how late a neighbour is with a substream, and whether it has it at
// all. The source, which keeps quiet, is never late.
func (n *Node) lagOf(nb *neighbor, s int) (time.Duration, bool) {
	if nb.role == Source {
		return -time.Second, true
	}
	if nb.top[s] == 0 {
		return 0, false
	}
	lag := max(nb.lag[s], n.pending(nb.top[s]))
	return lag, lag < 2*time.Second
}

// ownLag says how late this node is with a substream.
func (n *Node) ownLag(s int) time.Duration {
	return max(n.lag[s], n.pending(n.last[s]))
}

// pending is for how long the unit after one of the same substream has been
// known to exist.
func (n *Node) pending(last Seq) time.Duration {
	sl := n.win.at(last + Seq(n.cfg.Substreams))
	if last == 0 || sl == nil || sl.heard < 0 {
		return 0
	}
	return n.now - sl.heard
}

func (n *Node) granted(nb *neighbor, mask uint32) {
	for s := range n.parent {
		bit := uint32(1) << s
		if mask&bit == 0 {
			continue
		}
		if n.asking[s] != nb {
			if n.parent[s] != nb {
				n.send(nb, Unsubscribe{bit}) // it came too late
			}
			continue
		}
		n.asking[s] = nil
		if old := n.parent[s]; old != nil && old != nb {
			old.in &^= bit
			n.send(old, Unsubscribe{bit})
		}
		n.parent[s] = nb
		nb.in |= bit
		nb.useful = n.now
		n.lag[s] = min(n.lag[s], unknownLag)
	}
}

func (n *Node) denied(nb *neighbor, d Deny) {
	for s := range n.parent {
		if d.Mask&(1<<s) == 0 || n.asking[s] != nb {
			continue
		}
		n.asking[s] = nil
		bar := time.Second + n.dice.below(2*time.Second)
		if d.Reason == NoData {
			bar /= 2
		}
		nb.barred[s] = n.now + bar
	}
	n.redirected(nb, d.Try)
	n.subscribe()
}

// redirected dials those that are said to have room, before others.
func (n *Node) redirected(by *neighbor, try []Candidate) {
	try = try[:min(len(try), maxTry)]
	if len(try) == 0 || !n.orphaned() {
		return
	}
	n.book.learn(try, by.peer, n.cfg.Self)
	for _, c := range try {
		if e := n.book.find(c.Peer); e != nil && n.dialable(e) && len(n.links) < n.cfg.MaxDegree {
			n.dial(e)
		}
	}
}

func (n *Node) evicted(nb *neighbor, m Evict) {
	mask := m.Mask
	nb.in &^= mask
	for s := range n.parent {
		if mask&(1<<s) != 0 && n.parent[s] == nb {
			n.parent[s] = nil
			nb.barred[s] = n.now + 2*time.Second + n.dice.below(2*time.Second)
		}
	}
	n.redirected(nb, m.Try)
	n.subscribe()
}
