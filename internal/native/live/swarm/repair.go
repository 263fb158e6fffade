package swarm

import (
	"cmp"
	"slices"
	"time"
)

const (
	patience       = 500 * time.Millisecond  // a unit announced this long ago should have been pushed
	orphanPatience = 150 * time.Millisecond  // the same where nobody pushes
	gapPatience    = 200 * time.Millisecond  // the same where a later one was pushed
	hurry          = 1500 * time.Millisecond // due so soon, the earliest goes first
	lastChance     = 700 * time.Millisecond  // due so soon, two neighbours are asked
	maxPulling     = 4                       // requests under way to one neighbour
	maxWants       = 32
	maxDoubled     = 6 // units missing, up to which two neighbours are asked
	maxMissing     = 128
	sourceCost     = 300 * time.Millisecond
	requestLife    = 600 * time.Millisecond
)

// missing is a unit that should have come.
type missing struct {
	seq     Seq
	due     time.Duration
	holders int
}

// repair asks for the units that pushes did not bring.
func (n *Node) repair() {
	if !n.play.hooked || len(n.links) == 0 {
		return
	}
	lost := n.lacking()
	slices.SortStableFunc(lost, func(a, b missing) int {
		urgentA, urgentB := a.due-n.now < hurry, b.due-n.now < hurry
		switch {
		case urgentA && urgentB:
			return cmp.Compare(a.due, b.due)
		case urgentA != urgentB:
			if urgentA {
				return -1
			}
			return 1
		case !n.play.started:
			return cmp.Compare(a.seq, b.seq)
		}
		return cmp.Compare(a.holders, b.holders)
	})
	wants := make(map[*neighbor][]Want)
	for _, m := range lost {
		sl := n.win.at(m.seq)
		most := 1
		if len(lost) <= maxDoubled && (m.due-n.now < lastChance || !n.play.started && n.now-sl.heard > gapPatience) {
			most = 2
		}
		for sl.outstanding() < most {
			nb := n.bestHolder(m.seq, sl)
			if nb == nil {
				break
			}
			i := slices.IndexFunc(sl.asks[:], func(a ask) bool { return a.to == nil })
			sl.asks[i] = ask{nb, n.now + max(requestLife, 3*nb.rtt) + nb.rtt}
			if !slices.Contains(n.play.open, m.seq) {
				n.play.open = append(n.play.open, m.seq)
			}
			nb.pulling++
			wants[nb] = append(wants[nb], Want{m.seq, max(m.due-n.now, 0)})
		}
	}
	for _, nb := range n.links { // in order: a map has none
		if w := wants[nb]; len(w) > 0 {
			n.send(nb, Request{w})
		}
	}
}

// lacking returns the units that are missed by now.
func (n *Node) lacking() []missing {
	var lost []missing
	for seq := n.play.next; seq <= n.win.top+n.headroom() && len(lost) < maxMissing; seq++ {
		sl := n.win.at(seq)
		if sl == nil || sl.held || sl.heard < 0 {
			continue
		}
		s := n.sub(seq)
		wait := patience
		if n.parent[s] == nil && n.asking[s] == nil {
			wait = orphanPatience
		} else if n.last[s] > seq {
			wait = gapPatience
		}
		if seq > n.play.hookTop && n.now-sl.heard < wait {
			continue
		}
		m := missing{seq: seq, due: n.dueOf(seq)}
		for _, nb := range n.links {
			if nb.holds(seq) {
				m.holders++
			}
		}
		if m.holders > 0 {
			lost = append(lost, m)
		}
	}
	return lost
}

// bestHolder returns the neighbour that is likely to send a unit first.
func (n *Node) bestHolder(seq Seq, sl *slot) *neighbor {
	var best *neighbor
	var least time.Duration
	for _, nb := range n.links {
		if !nb.holds(seq) || nb.pulling >= maxPulling || nb.pullsBar > n.now || nb == sl.asks[0].to || nb == sl.asks[1].to {
			continue
		}
		cost := (nb.rtt+50*time.Millisecond)*time.Duration(1+nb.pulling) + n.silence(nb) + n.dice.below(40*time.Millisecond)
		if nb.role == Source {
			cost += sourceCost
		}
		if nb.window.Room == 0 {
			cost += fullCost
		}
		if best == nil || cost < least {
			best, least = nb, cost
		}
	}
	return best
}

// expire gives up requests that were not answered in time.
func (n *Node) expire() {
	n.play.open = slices.DeleteFunc(n.play.open, func(seq Seq) bool {
		sl := n.win.at(seq)
		if sl == nil {
			return true
		}
		for i, a := range sl.asks {
			if a.to != nil && n.now > a.until {
				sl.asks[i] = ask{}
				a.to.pulling--
				if a.to.fails++; a.to.fails >= 3 {
					a.to.fails, a.to.pullsBar = 0, n.now+2*time.Second
				}
			}
		}
		return sl.outstanding() == 0
	})
}

// settle notes that a neighbour sent a unit, and says whether it was asked to.
func (n *Node) settle(nb *neighbor, seq Seq) bool {
	sl := n.win.at(seq)
	if sl == nil {
		return false
	}
	for i, a := range sl.asks {
		if a.to == nb {
			sl.asks[i] = ask{}
			nb.pulling--
			nb.fails = 0
			return true
		}
	}
	return false
}

// withdraw takes back the requests for a unit that came.
func (n *Node) withdraw(sl *slot, seq Seq) {
	for i, a := range sl.asks {
		if a.to != nil {
			sl.asks[i] = ask{}
			a.to.pulling--
			n.send(a.to, Cancel{[]Seq{seq}})
		}
	}
}

// refused notes that a neighbour will not send units.
func (n *Node) refused(nb *neighbor, seqs []Seq) {
	for _, seq := range seqs[:min(len(seqs), maxWants)] {
		if n.settle(nb, seq) {
			nb.pullsBar = n.now + 300*time.Millisecond + n.dice.below(300*time.Millisecond)
		}
	}
}
