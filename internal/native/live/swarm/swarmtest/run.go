package swarmtest

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/native/live/swarm"
)

// header is what a unit has besides its payload on the wire: frame, header,
// signature.
const header = 7 + 32 + 64

// leastUpload is what viewers with none to speak of have, in streams: with
// less, the acknowledgements of a stream would not fit.
const leastUpload = 0.05

// run is one run of a scenario.
type run struct {
	Scenario
	agenda
	dice     *rand.Rand
	machines map[swarm.Peer]*machine
	order    []*machine // in the order in which they joined
	source   *machine
	made     []time.Duration // of unit i+1
	keys     []bool
	second   map[int]int // bytes the source sent in each second
	down     bool
	lastID   swarm.Peer
	faults   []string
}

// Run runs a scenario to its end.
func Run(s Scenario) Report {
	r := &run{
		Scenario: s, dice: rand.New(rand.NewPCG(s.Seed, 0x5eed)),
		machines: make(map[swarm.Peer]*machine), second: make(map[int]int),
	}
	r.source = r.add(swarm.Source, s.SourceUpload, false)
	for range s.Support {
		r.add(swarm.Support, s.SupportUpload, false)
	}
	for i := range s.Viewers {
		r.at(s.JoinOver*time.Duration(i)/time.Duration(s.Viewers), r.arrive)
	}
	for range s.LateJoiner {
		r.at(s.LateAt+time.Duration(r.dice.Int64N(int64(5*time.Second))), func() { r.arrive(); r.order[len(r.order)-1].seen.late = true })
	}
	if s.KillShare > 0 {
		r.at(s.KillAt, r.kill)
	}
	if s.SourceDownFor > 0 {
		r.at(s.SourceDownAt, func() { r.down = true; r.die(r.source, false) })
		r.at(s.SourceDownAt+s.SourceDownFor, r.restart)
	}
	r.at(0, r.produce)
	r.run(s.Duration)
	return r.sum()
}

func (r *run) rate() float64 {
	return float64(r.Bitrate) / 8 * float64(r.UnitBytes+header) / float64(r.UnitBytes)
}

// add brings a machine with its upload in streams.
func (r *run) add(role swarm.Role, upload float64, natted bool) *machine {
	r.lastID++
	m := &machine{
		id: r.lastID, role: role, natted: natted, links: make(map[swarm.Peer]*link),
		up: max(upload, leastUpload) * r.rate(), down: 100 * r.rate(),
	}
	m.declared = int(m.up)
	if role == swarm.Viewer {
		m.down = r.Download * r.rate()
		m.declared = int(m.up * (1 + r.Misjudged*(2*r.dice.Float64()-1)))
		m.closed = natted && r.dice.Float64() < r.Symmetric
	}
	m.seen = &record{joined: r.now, first: -1, buffered: -1}
	r.boot(m)
	r.machines[m.id] = m
	r.order = append(r.order, m)
	r.step(m, swarm.Tick{})
	return m
}

func (r *run) boot(m *machine) {
	cfg := swarm.Default(m.id, m.role, r.Seed<<32^uint64(m.id))
	cfg.Upload = m.declared
	m.node = swarm.New(cfg)
	m.wake = 0
}

// arrive brings a viewer. Uploads are drawn between half and one and a half
// times the mean of those who have any.
func (r *run) arrive() {
	upload := 0.0
	if r.dice.Float64() >= r.NoUpload {
		upload = r.Upload / (1 - r.NoUpload) * (0.5 + r.dice.Float64())
	}
	m := r.add(swarm.Viewer, upload, r.dice.Float64() < r.NAT)
	if r.Session > 0 {
		r.at(r.now+time.Duration(r.dice.ExpFloat64()*float64(r.Session)), func() {
			if !m.dead {
				r.die(m, false)
				r.arrive()
			}
		})
	}
}

// die takes a machine away. Silently: its links look alive for a while.
func (r *run) die(m *machine, silently bool) {
	m.dead, m.seen.left = true, r.now
	notice := time.Duration(0)
	if silently {
		notice = silence
	}
	peers := make([]swarm.Peer, 0, len(m.links))
	for p := range m.links {
		peers = append(peers, p)
	}
	slices.Sort(peers)
	for _, p := range peers {
		if silently {
			m.links[p].cut = true
		}
	}
	r.at(r.now+notice, func() {
		m.gone = true
		for _, p := range peers {
			r.disconnect(m, p)
		}
	})
}

func (r *run) kill() {
	for _, i := range r.dice.Perm(len(r.order))[:int(float64(len(r.order))*r.KillShare)] {
		if m := r.order[i]; m.role == swarm.Viewer && !m.dead {
			r.die(m, r.KillSilent)
		}
	}
}

// restart brings the source back with no memory but the last number.
func (r *run) restart() {
	r.down = false
	m := r.source
	m.dead, m.gone, m.links, m.busyUp = false, false, make(map[swarm.Peer]*link), r.now
	r.boot(m)
	r.step(m, swarm.Tick{})
}

// produce makes one unit and the next.
func (r *run) produce() {
	every := time.Duration(float64(r.UnitBytes*8) / float64(r.Bitrate) * float64(time.Second))
	if !r.down {
		key := len(r.made) == 0 || r.now/r.KeyEvery != r.made[len(r.made)-1]/r.KeyEvery
		r.made, r.keys = append(r.made, r.now), append(r.keys, key)
		seq := swarm.Seq(len(r.made))
		r.step(r.source, swarm.Produced{Unit: swarm.Unit{
			Seq: seq, At: time.Hour + r.now, Key: key, Size: r.UnitBytes + header, Body: r.body(seq),
		}})
	}
	r.at(r.now+every, r.produce)
}

// body is the payload of a unit, shortened: nothing in it can be guessed from
// another unit.
func (r *run) body(seq swarm.Seq) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(seq)*0x9e3779b97f4a7c15^r.Seed)
}

func (r *run) sourceSent(at time.Duration, size int) { r.second[int(at/time.Second)] += size }
