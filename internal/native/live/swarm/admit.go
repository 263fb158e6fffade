package swarm

import (
	"slices"
	"time"
)

const (
	granting  = 0.92 // the part of the upload that subscriptions may take
	stronger  = 1.6  // how much more upload displaces a child
	delayGood = 150 * time.Millisecond
	delayBad  = 300 * time.Millisecond
	maxTry    = 3
)

// admit answers a subscription.
func (n *Node) admit(nb *neighbor, m Subscribe) {
	var yes, no, added uint32
	var why Reason
	for s := range n.cfg.Substreams {
		bit := uint32(1) << s
		if m.Mask&bit == 0 {
			continue
		}
		if reason := n.refusal(nb, s); reason != 0 {
			no, why = no|bit, reason
			continue
		}
		if nb.out&bit == 0 {
			nb.out |= bit
			added |= bit
			n.up.kids++
			n.up.bySub[s]++
		}
		yes |= bit
	}
	if yes != 0 {
		nb.useful = n.now
		n.send(nb, Grant{yes})
		n.backfill(nb, added, m.From)
	}
	if no != 0 {
		n.send(nb, Deny{no, why, n.roomy(nb)})
	}
}

// refusal says why a neighbour does not get a substream, and makes room for it
// where it may.
func (n *Node) refusal(nb *neighbor, s int) Reason {
	bit := uint32(1) << s
	switch {
	case nb.out&bit != 0:
		return 0
	case n.parent[s] == nb, n.asking[s] == nb && n.cfg.Self < nb.peer:
		return Loop
	case n.cfg.Role != Source && (n.parent[s] == nil || n.last[s] == 0 || n.ownLag(s) > 2*time.Second):
		return NoData
	}
	room := n.grants() - n.up.kids
	if n.cfg.Role == Source && n.up.bySub[s] > 0 {
		// Every substream has its first child before any has a second.
		for _, kids := range n.up.bySub[:n.cfg.Substreams] {
			if kids == 0 {
				room--
			}
		}
	}
	if room > 0 {
		return 0
	}
	if weakest := n.weakestChild(bit); weakest != nil && float64(nb.upload) > stronger*float64(weakest.upload) {
		n.evict(weakest, bit, Preempted)
		return 0
	}
	if plenty, found := n.plentiful(s); found {
		n.evict(n.weakestChild(1<<plenty), 1<<plenty, Preempted)
		return 0
	}
	return Full
}

// plentiful returns a substream given to children that more than twice as many
// neighbours have as have s. It gives way: a substream whose few holders spend
// their upload on others would never spread.
func (n *Node) plentiful(s int) (most int, found bool) {
	if n.cfg.Role == Source {
		return 0, false
	}
	least := 2*n.holders(s) + 1
	for other := range n.cfg.Substreams {
		if n.up.bySub[other] == 0 || other == s {
			continue
		}
		if holders := n.holders(other); holders > least {
			most, found, least = other, true, holders
		}
	}
	return most, found
}

// holders counts the neighbours that a substream has lately flowed to.
func (n *Node) holders(s int) int {
	lately := n.win.top - min(n.win.top, Seq(2*n.pace))
	count := 0
	for _, nb := range n.links {
		if nb.top[s] > lately {
			count++
		}
	}
	return count
}

func (n *Node) evict(nb *neighbor, bit uint32, why Reason) {
	n.release(nb, bit)
	n.send(nb, Evict{bit, why, n.roomy(nb)})
}

// roomy returns neighbours that said they would grant more.
func (n *Node) roomy(asking *neighbor) []Candidate {
	var found []Candidate
	first := int(n.dice.next() % uint64(len(n.links)))
	for i := range n.links {
		nb := n.links[(first+i)%len(n.links)]
		if nb != asking && nb.window.Room > 0 && nb.role != Source && len(found) < maxTry {
			found = append(found, nb.Candidate)
		}
	}
	return found
}

// weakestChild returns the child with the least upload of those with a
// substream of the mask.
func (n *Node) weakestChild(mask uint32) *neighbor {
	var weakest *neighbor
	for _, nb := range n.links {
		if nb.out&mask != 0 && (weakest == nil || nb.upload < weakest.upload) {
			weakest = nb
		}
	}
	return weakest
}

// release takes subscriptions from a child.
func (n *Node) release(nb *neighbor, mask uint32) {
	for s := range n.cfg.Substreams {
		if bit := uint32(1) << s; mask&nb.out&bit != 0 {
			nb.out &^= bit
			n.up.kids--
			n.up.bySub[s]--
		}
	}
}

// grants is how many subscriptions the upload carries.
func (n *Node) grants() int {
	most := n.up.learned
	if n.cfg.Upload > 0 {
		most = min(most, int(granting*float64(n.cfg.Upload)*float64(n.cfg.Substreams)/n.rate))
	}
	return most
}

// learnUpload corrects the number of subscriptions by what pushes wait.
func (n *Node) learnUpload() {
	u := &n.up
	if n.now < u.review {
		return
	}
	u.review = n.now + learnEvery
	if len(u.delays) < 8 {
		return
	}
	slices.Sort(u.delays)
	p95 := u.delays[len(u.delays)*95/100]
	u.delays = u.delays[:0]
	switch {
	case p95 > delayBad && u.kids > 1:
		u.learned = u.kids - 1
		nb := n.weakestChild(^uint32(0))
		for s := range n.cfg.Substreams {
			if bit := uint32(1) << s; nb.out&bit != 0 {
				n.evict(nb, bit, Overload)
				return
			}
		}
	case p95 < delayGood && u.kids >= u.learned:
		u.learned++
	}
}
