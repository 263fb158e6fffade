package swarm

import (
	"math"
	"slices"
	"time"
)

// playout is where the player is.
type playout struct {
	hooked  bool
	started bool
	hookTop Seq   // the newest unit when it began
	next    Seq   // the unit the player gets next
	lost    int   // units given up since the last one delivered
	open    []Seq // units with requests under way
	// offset is the least that local time was ahead of a unit's own time: the
	// fastest way from the source here. Its clock needs no agreement with ours.
	offset   time.Duration
	offsetAt time.Duration
	progress time.Duration // when the last new unit came
	since    time.Duration // when the first window was seen
}

// drift is how fast clocks are taken to run apart at most.
const drift = 200e-6

// saw takes a unit that has just come.
func (p *playout) saw(u Unit, now time.Duration) {
	p.progress = now
	least := now - u.At
	if p.offset != math.MaxInt64 {
		least = min(least, p.offset+time.Duration(drift*float64(now-p.offsetAt)))
	}
	p.offset, p.offsetAt = least, now
}

// dueOf is when a unit is given up: its own time, by the fastest way here, and
// the delay. The time of a unit that never came is reckoned from the newest.
func (n *Node) dueOf(seq Seq) time.Duration {
	if n.play.offset == math.MaxInt64 {
		return n.now + n.cfg.Delay
	}
	if sl := n.win.at(seq); sl != nil && sl.held {
		return sl.unit.At + n.play.offset + n.cfg.Delay
	}
	for ref := n.win.top; ref >= n.win.lo() && ref > 0; ref-- {
		if sl := n.win.at(ref); sl != nil && sl.held {
			away := (float64(seq) - float64(ref)) / n.pace
			return sl.unit.At + time.Duration(away*float64(time.Second)) + n.play.offset + n.cfg.Delay
		}
	}
	return n.now + n.cfg.Delay
}

// hook begins at a unit that neighbours say one may begin at. Two of them must
// have got so far, or the source or a support node: one alone may lie. It also
// begins anew when the stream has gone on too far without this node.
func (n *Node) hook() {
	p := &n.play
	w, ok := n.quorum()
	if !ok {
		return
	}
	n.frontier = max(n.frontier, w.Hi)
	behind := Seq(n.pace * hopeless.Seconds())
	if n.now-p.progress >= stuck {
		behind = Seq(n.pace)
	}
	if p.hooked && w.Hi <= n.win.top+behind {
		return
	}
	if p.hooked {
		n.stats.Rehooks++
	}
	start := min(max(w.Start, w.Lo, w.Hi-min(w.Hi, n.win.ahead()), 1), w.Hi)
	n.win.restart(start, w.Hi)
	for s := range n.parent {
		if nb := n.parent[s]; nb != nil {
			nb.in &^= 1 << s
			n.send(nb, Unsubscribe{1 << s})
		}
		n.parent[s], n.asking[s], n.last[s], n.lag[s] = nil, nil, 0, unknownLag
	}
	for _, nb := range n.links {
		nb.pulling = 0
	}
	for seq := start; seq <= w.Hi; seq++ {
		n.win.at(seq).heard = n.now
	}
	lost := 0
	if p.started {
		lost = p.lost + int(start-min(p.next, start))
		n.stats.Skipped += int(start - min(p.next, start))
	}
	*p = playout{hooked: true, started: p.started, next: max(start, p.next), hookTop: w.Hi, lost: lost, offset: math.MaxInt64, progress: n.now}
	n.subscribe()
	n.repair()
}

// quorum returns the newest window that can be believed.
func (n *Node) quorum() (Window, bool) {
	var seen []Window
	var trusted Window
	for _, nb := range n.links {
		if nb.window.Start == 0 || n.now-nb.windowAt > windowEvery*3/2 {
			continue
		}
		if nb.role != Viewer && nb.window.Hi > trusted.Hi {
			trusted = nb.window
		}
		seen = append(seen, nb.window)
	}
	if trusted.Hi != 0 {
		return trusted, true
	}
	slices.SortFunc(seen, func(a, b Window) int { return int(b.Hi) - int(a.Hi) })
	switch {
	case len(seen) >= 2:
		return seen[1], true
	case len(seen) == 1:
		if n.play.since == 0 {
			n.play.since = n.now
		}
		return seen[0], n.now-n.play.since > time.Second
	}
	return Window{}, false
}

// deliver gives the player what is contiguous, and gives up what is overdue.
func (n *Node) deliver() {
	p := &n.play
	if !p.hooked {
		return
	}
	if !p.started && !n.buffered() {
		n.giveUp()
		return
	}
	p.started = true
	for {
		sl := n.win.at(p.next)
		if sl == nil || !sl.held {
			if !n.giveUp() {
				return
			}
			continue
		}
		if n.cfg.Role == Viewer {
			n.actions = append(n.actions, Deliver{Unit: sl.unit, Lost: p.lost})
		}
		p.lost = 0
		p.next++
	}
}

// buffered says whether enough is contiguous to start, from the first unit on
// that a decoder can start at and that has enough after it.
func (n *Node) buffered() bool {
	var first *slot
	for seq := max(n.play.next, n.win.lo()); seq <= n.win.top; seq++ {
		sl := n.win.at(seq)
		switch {
		case !sl.held:
			first = nil
		case first == nil && sl.unit.Key:
			first = sl
		case first != nil && sl.unit.At-first.unit.At >= n.cfg.Prebuffer:
			n.play.next = first.unit.Seq
			return true
		}
	}
	return false
}

// giveUp passes over a hole once what comes after it is due. Before the start
// it goes on to a unit that a decoder can start at.
func (n *Node) giveUp() bool {
	p := &n.play
	for seq := max(p.next, n.win.lo()); seq <= n.win.top; seq++ {
		sl := n.win.at(seq)
		if sl == nil || !sl.held || !p.started && (!sl.unit.Key || seq == p.next) {
			continue
		}
		if seq == p.next || n.now < n.dueOf(seq) {
			return false
		}
		if p.started {
			p.lost += int(seq - p.next)
			n.stats.Skipped += int(seq - p.next)
		}
		p.next = seq
		return true
	}
	return false
}
