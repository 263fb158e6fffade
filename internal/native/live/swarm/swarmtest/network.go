package swarmtest

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/acequia-tv/acequia/internal/native/live/swarm"
)

// event is something that will happen.
type event struct {
	at    time.Duration
	order uint64
	do    func()
}

// agenda is a heap of events; those of one moment stay in order.
type agenda struct {
	events []event
	count  uint64
	now    time.Duration
}

func (a *agenda) Len() int { return len(a.events) }

func (a *agenda) Less(i, j int) bool {
	x, y := &a.events[i], &a.events[j]
	return x.at < y.at || x.at == y.at && x.order < y.order
}

func (a *agenda) Swap(i, j int) { a.events[i], a.events[j] = a.events[j], a.events[i] }

func (a *agenda) Push(x any) { a.events = append(a.events, x.(event)) }

func (a *agenda) Pop() any {
	last := a.events[len(a.events)-1]
	a.events[len(a.events)-1].do = nil
	a.events = a.events[:len(a.events)-1]
	return last
}

func (a *agenda) at(t time.Duration, do func()) {
	a.count++
	heap.Push(a, event{max(t, a.now), a.count, do})
}

func (a *agenda) run(until time.Duration) {
	for len(a.events) > 0 && a.events[0].at <= until {
		e := heap.Pop(a).(event)
		a.now = e.at
		e.do()
	}
	a.now = until
}

const (
	packet     = 1400 // bytes
	silence    = 10 * time.Second
	dialFails  = time.Second
	trackerRTT = 100 * time.Millisecond
	trackerMax = 30
)

// link is one direction between two machines, in order like TCP.
type link struct {
	to      *machine
	delay   time.Duration
	arrived time.Duration // the last message arrives then
	cut     bool
}

// machine is one node with its access link.
type machine struct {
	id       swarm.Peer
	role     swarm.Role
	node     *swarm.Node
	up       float64 // bytes per second
	down     float64
	declared int
	natted   bool
	closed   bool // NAT that no hole can be punched into
	dead     bool
	gone     bool // known to be dead
	busyUp   time.Duration
	busyDown time.Duration
	wake     time.Duration
	links    map[swarm.Peer]*link
	seen     *record
}

// pairDice gives a pair of machines the same numbers in every run.
func (r *run) pairDice(a, b swarm.Peer, salt uint64) *rand.Rand {
	if a > b {
		a, b = b, a
	}
	return rand.New(rand.NewPCG(r.Seed^salt, uint64(a)<<32|uint64(b)))
}

func (r *run) delay(a, b swarm.Peer) time.Duration {
	return r.Delay[0] + time.Duration(r.pairDice(a, b, 1).Float64()*float64(r.Delay[1]-r.Delay[0]))
}

// punchable says whether two machines behind NAT can reach each other.
func (r *run) punchable(a, b *machine) bool {
	return !a.closed && !b.closed && r.pairDice(a.id, b.id, 2).Float64() < r.Punch
}

func (m *machine) candidate() swarm.Candidate {
	return swarm.Candidate{Peer: m.id, Reachable: !m.natted, Support: m.role == swarm.Support}
}

// step tells a node something, and does what it wants.
func (r *run) step(m *machine, ev swarm.Event) {
	if m.dead {
		return
	}
	for _, a := range m.node.Step(r.now, ev) {
		switch a := a.(type) {
		case swarm.Send:
			r.send(m, a)
		case swarm.Connect:
			r.connect(m, a)
		case swarm.Disconnect:
			r.disconnect(m, a.Peer)
		case swarm.Deliver:
			m.seen.delivered(r, a)
		case swarm.Discover:
			r.track(m)
		}
	}
	if wake := m.node.Wake(); wake < m.wake || m.wake <= r.now {
		m.wake = max(wake, r.now+time.Microsecond)
		due := m.wake
		r.at(due, func() {
			if m.wake == due {
				r.step(m, swarm.Tick{})
			}
		})
	}
}

// send puts a message on the access link of the sender, then under way.
func (r *run) send(m *machine, a swarm.Send) {
	l := m.links[a.Peer]
	if l == nil {
		return
	}
	size := a.Message.Size()
	data, isData := a.Message.(swarm.Data)
	m.busyUp = max(m.busyUp, r.now) + time.Duration(float64(size)/m.up*float64(time.Second))
	left := m.busyUp
	if m.role == swarm.Source {
		r.sourceSent(left, size)
	}
	if isData {
		r.at(left, func() {
			if !l.to.dead { // nobody acknowledges
				r.step(m, swarm.Drained{Peer: a.Peer, Bytes: size})
			}
		})
	}
	arrives := left + l.delay
	if r.Jitter > 0 {
		arrives += time.Duration(r.dice.Int64N(int64(r.Jitter)))
	}
	for range (size + packet - 1) / packet {
		if r.Loss > 0 && r.dice.Float64() < r.Loss {
			arrives += 2*l.delay + 10*time.Millisecond // sent again, once noticed
			break
		}
	}
	l.arrived = max(l.arrived, arrives)
	to := l.to
	r.at(l.arrived, func() {
		if l.cut {
			return
		}
		if !isData {
			r.step(to, swarm.Received{Peer: m.id, Message: a.Message})
			return
		}
		to.busyDown = max(to.busyDown, r.now) + time.Duration(float64(size)/to.down*float64(time.Second))
		r.at(to.busyDown, func() {
			if !l.cut && !to.dead {
				to.seen.received(r, data.Unit)
				r.step(to, swarm.Received{Peer: m.id, Message: a.Message})
			}
		})
	})
}

// connect dials: directly, or by way of a neighbour of both.
func (r *run) connect(m *machine, a swarm.Connect) {
	to := r.machines[a.Peer]
	works := to != nil && !to.dead
	takes := dialFails
	if works {
		d := r.delay(m.id, to.id)
		takes = 4 * d // TCP, then the handshakes
		if to.natted {
			via := r.machines[a.Via]
			works = via != nil && !via.dead && via.links[m.id] != nil && via.links[to.id] != nil && (!m.natted || r.punchable(m, to))
			if works {
				takes += r.delay(m.id, via.id) + r.delay(via.id, to.id)
			} else {
				takes = dialFails
			}
		}
	}
	r.at(r.now+takes, func() {
		if !works || m.dead || to.dead || m.links[to.id] != nil {
			r.step(m, swarm.Unreachable{Peer: a.Peer})
			return
		}
		d := r.delay(m.id, to.id)
		m.links[to.id] = &link{to: to, delay: d}
		to.links[m.id] = &link{to: m, delay: d}
		r.step(m, to.joins(2*d))
		r.step(to, m.joins(2*d))
	})
}

func (m *machine) joins(rtt time.Duration) swarm.Joined {
	return swarm.Joined{Candidate: m.candidate(), Role: m.role, Upload: m.declared, RTT: rtt}
}

// disconnect ends a link; what is under way on it is lost, and the other side
// hears of it a delay later.
func (r *run) disconnect(m *machine, peer swarm.Peer) {
	l := m.links[peer]
	if l == nil {
		return
	}
	delete(m.links, peer)
	to := l.to
	back := to.links[m.id]
	r.at(max(r.now+l.delay, l.arrived), func() {
		l.cut = true
		if back == nil || back.cut {
			return
		}
		back.cut = true
		if to.links[m.id] == back {
			delete(to.links, m.id)
			r.step(to, swarm.Left{Peer: m.id})
		}
	})
}

// track answers with some of those who are there.
func (r *run) track(m *machine) {
	r.at(r.now+trackerRTT, func() {
		var found []swarm.Candidate
		for _, i := range r.dice.Perm(len(r.order)) {
			if other := r.order[i]; other != m && !other.gone && len(found) < trackerMax {
				found = append(found, other.candidate())
			}
		}
		found = append(found, r.source.candidate())
		for _, s := range r.order {
			if s.role == swarm.Support {
				found = append(found, s.candidate())
			}
		}
		r.step(m, swarm.Discovered{Peers: found})
	})
}
