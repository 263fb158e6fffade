package stream

import (
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
	"github.com/acequia-tv/acequia/internal/upstream"
)

const (
	// ringSlack is by how much the memory of a ring can exceed its capacity, rounded up.
	ringSlack = 64 << 10
	// usualRate and usualGap stand in for what is not known of a stream before
	// it plays: bytes per second, as of a good HD channel, and the time between
	// random access points.
	usualRate = 1 << 20
	usualGap  = 2 * time.Second
)

// leastRing is the memory without which a ring cannot do its work: a viewer joins a
// burst behind live, or up to gap more where decoders can start only so often,
// and the seam wants the tail. rate is in bytes per second.
func leastRing(rate float64, burst, gap time.Duration) int {
	return int(rate*(burst+gap).Seconds()) + upstream.TailSize + ringSlack
}

// memory shares the bytes that all rings together may hold among them. It is
// safe for concurrent use.
type memory struct {
	budget int // 0 is no bound
	most   int // for one ring
	usual  int // reserved for a stream of which nothing is known yet

	mu    sync.Mutex // guards what follows
	needs map[*Stream]*need
}

// need is the claim of one stream on memory.
type need struct {
	least int
	ring  *ring.Ring // nil until it plays
	share int        // of ring
}

func newMemory(cfg Config) *memory {
	return &memory{
		budget: cfg.Memory, most: cfg.Buffer,
		usual: min(cfg.Buffer, leastRing(usualRate, cfg.Burst, usualGap)),
		needs: make(map[*Stream]*need),
	}
}

// reserve keeps room for the ring of a stream that begins. It returns false if
// the other rings would have to be smaller than they can be. The first stream
// always has room: what there is.
func (m *memory) reserve(s *Stream) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := m.usual
	for _, n := range m.needs {
		total += n.least
	}
	if m.budget > 0 && total > m.budget && len(m.needs) > 0 {
		return false
	}
	m.needs[s] = &need{least: m.usual}
	m.share()
	return true
}

// hold gives the ring of s its capacity, from now on.
func (m *memory) hold(s *Stream, r *ring.Ring) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.needs[s].ring = r
	m.share()
}

// require says what the ring of s needs at the least, as was measured.
func (m *memory) require(s *Stream, least int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.needs[s].least = min(least, m.most)
	m.share()
}

// release gives the room of s to the others. It may be called more than once.
func (m *memory) release(s *Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.needs, s)
	m.share()
}

// shareOf returns what the ring of s may hold.
func (m *memory) shareOf(s *Stream) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.needs[s]; n != nil {
		return n.share
	}
	return m.most
}

// share sets the capacity of every ring. Those that shrink come first, so that
// the sum is within the budget at any time. The caller holds mu.
func (m *memory) share() {
	var playing []*need
	var least []int
	budget := m.budget
	for _, n := range m.needs {
		if n.ring != nil {
			playing = append(playing, n)
			least = append(least, n.least)
		} else {
			budget -= n.least
		}
	}
	if m.budget == 0 {
		budget = m.most * len(playing)
	}
	shares := fairShares(budget, m.most, least)
	for _, growing := range []bool{false, true} {
		for i, n := range playing {
			if n.share != shares[i] && shares[i] > n.share == growing {
				n.share = shares[i]
				n.ring.SetCapacity(n.share - ringSlack)
			}
		}
	}
}

// fairShares divides budget: everybody gets as much as the others and most at
// the most, but those who cannot do with that get their least. Where there is
// not even that, each gets the same part of its least. None of least is more than
// most, and the sum of the shares is at most budget.
func fairShares(budget, most int, least []int) []int {
	shares := make([]int, len(least))
	sum := 0
	for _, n := range least {
		sum += n
	}
	if sum > budget {
		for i, n := range least {
			shares[i] = int(float64(max(0, budget)) * (float64(n) / float64(sum)))
		}
		return shares
	}
	fits := func(level int) bool {
		sum := 0
		for _, n := range least {
			sum += max(n, level)
		}
		return sum <= budget
	}
	low, high := 0, most // low fits
	for low < high {
		if mid := (low + high + 1) / 2; fits(mid) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	for i, n := range least {
		shares[i] = max(n, low)
	}
	return shares
}

// gauge measures what a ring needs, from the packets that it gets. It is owned
// by the stream's goroutine.
type gauge struct {
	burst time.Duration
	tell  func(least int)
	last  int64 // media time of the newest mark; 0 before the first
	gap   int64 // the longest time between two marks
	told  int
}

// measure looks at r, to which marks were just added. What has changed little is
// not told again.
func (g *gauge) measure(r *ring.Ring, marks []ring.Mark) {
	for _, m := range marks {
		if g.last > 0 {
			g.gap = max(g.gap, m.Time-g.last)
		}
		g.last = m.Time
	}
	oldest, ok := r.Next(r.Start())
	span := r.LiveTime() - oldest.Time
	if !ok || span < mpegts.ClockRate || g.gap == 0 {
		return
	}
	rate := float64(r.End()-oldest.Pos) / (float64(span) / mpegts.ClockRate)
	gap := time.Duration(float64(g.gap) / mpegts.ClockRate * float64(time.Second))
	least := leastRing(rate, g.burst, gap)
	if change := least - g.told; change > g.told/8 || -change > g.told/8 {
		g.told = least
		g.tell(least)
	}
}
