package swarmtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/native/live/swarm"
)

// playedLate is how late a unit may come and still be played.
const playedLate = 3 * time.Second

// Report is what a run came to.
type Report struct {
	Scenario     Scenario
	Viewers      int // that were there for more than 5 s
	NeverStarted int
	Spread       Spread        // of units, from the source to viewers
	Missing      float64       // part of the units that were not there 3 s after they were made
	MissingWorst float64       // of the worst viewer
	Skipped      int           // units that players did not get
	Join         Spread        // from joining to the first unit at the player
	Late         Spread        // the same of late joiners
	Buffered     Spread        // from joining to a second of media at the player
	Stall        time.Duration // the longest that a started player got nothing
	Resume       time.Duration // from the return of the source to its units at the last player
	SourceMean   float64       // streams, once all have joined
	SourcePeak   float64       // streams, in any second
	Control      float64       // part of the bytes sent
	Duplicates   float64       // part of the units received
	Pulled       float64       // part of the units received
	Rehooks      int
	Faults       []string // what must never happen
}

// Spread is a distribution of times.
type Spread struct {
	Count                   int
	P50, P90, P95, P99, Max time.Duration
}

func spread(ts []time.Duration) Spread {
	if len(ts) == 0 {
		return Spread{}
	}
	slices.Sort(ts)
	at := func(part int) time.Duration { return ts[min(len(ts)*part/100, len(ts)-1)] }
	return Spread{len(ts), at(50), at(90), at(95), at(99), ts[len(ts)-1]}
}

// record is what one viewer saw.
type record struct {
	joined, left    time.Duration
	first, buffered time.Duration // at the player; below 0: not yet
	late            bool
	start, next     swarm.Seq
	lastAt          time.Duration
	stall           time.Duration
	resumed         time.Duration
	came            []time.Duration // arrival of unit i+1; 0: none
	checked         int
}

const maxFaults = 10

func (r *run) fault(format string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

// received notes the arrival of a unit at a node.
func (v *record) received(r *run, u swarm.Unit) {
	if u.Seq == 0 || int(u.Seq) > len(r.made) {
		r.fault("unit %d arrived before it was made", u.Seq)
		return
	}
	for len(v.came) < int(u.Seq) {
		v.came = append(v.came, 0)
	}
	if v.came[u.Seq-1] == 0 {
		v.came[u.Seq-1] = r.now
	}
}

// delivered checks a unit that the player gets: the next one, the very bytes,
// not before it was made.
func (v *record) delivered(r *run, d swarm.Deliver) {
	seq := d.Unit.Seq
	switch {
	case seq == 0 || int(seq) > len(r.made):
		r.fault("player got unit %d, which does not exist yet", seq)
		return
	case !bytes.Equal(d.Unit.Body, r.body(seq)):
		r.fault("player got other bytes for unit %d", seq)
	case v.first < 0:
		v.first, v.start = r.now, seq
		if !d.Unit.Key {
			r.fault("player begins at unit %d, where no decoder can", seq)
		}
	case seq != v.next+swarm.Seq(d.Lost):
		r.fault("player got unit %d after %d, %d said to be lost", seq, v.next-1, d.Lost)
	default:
		v.stall = max(v.stall, r.now-v.lastAt)
	}
	v.checked++
	v.next, v.lastAt = seq+1, r.now
	if v.buffered < 0 && r.made[seq-1]-r.made[v.start-1] >= time.Second {
		v.buffered = r.now
	}
	if back := r.SourceDownAt + r.SourceDownFor; r.SourceDownFor > 0 && v.resumed == 0 && r.made[seq-1] >= back {
		v.resumed = r.now - back
	}
}

// sum makes the report.
func (r *run) sum() Report {
	rep := Report{Scenario: r.Scenario, Faults: r.faults}
	var lags, joins, lates, buffered []time.Duration
	var total, missing int
	var units, duplicates, pulled, control, data int
	for _, m := range r.order {
		st := m.node.Stats()
		control, data = control+st.ControlBytes, data+st.UnitBytes
		units, duplicates, pulled = units+st.Received, duplicates+st.Duplicates, pulled+st.Pulled
		rep.Rehooks += st.Rehooks
		if m.role != swarm.Viewer {
			continue
		}
		v := m.seen
		end := r.Duration
		if m.dead {
			end = v.left
		}
		if end-v.joined < 5*time.Second {
			continue
		}
		rep.Viewers++
		if v.first < 0 {
			rep.NeverStarted++
			continue
		}
		if v.late {
			lates = append(lates, v.first-v.joined)
		} else {
			joins = append(joins, v.first-v.joined)
		}
		if v.buffered >= 0 {
			buffered = append(buffered, v.buffered-v.joined)
		}
		mine, lost := r.arrivals(v, end, &lags)
		total, missing = total+mine, missing+lost
		if mine > 0 {
			rep.MissingWorst = max(rep.MissingWorst, float64(lost)/float64(mine))
		}
		if m.dead {
			continue
		}
		rep.Skipped += st.Skipped
		rep.Stall = max(rep.Stall, v.stall, end-v.lastAt)
		rep.Resume = max(rep.Resume, v.resumed)
		if r.SourceDownFor > 0 && v.resumed == 0 {
			rep.Faults = append(rep.Faults, fmt.Sprintf("viewer %d never resumed", m.id))
		}
	}
	rep.Spread, rep.Join, rep.Late, rep.Buffered = spread(lags), spread(joins), spread(lates), spread(buffered)
	rep.Missing = part(missing, total)
	rep.Control, rep.Duplicates, rep.Pulled = part(control, control+data), part(duplicates, units+duplicates), part(pulled, units)
	r.sumSource(&rep)
	return rep
}

// arrivals goes over the units made while a viewer was playing.
func (r *run) arrivals(v *record, end time.Duration, lags *[]time.Duration) (units, missing int) {
	for i, made := range r.made {
		if made < v.first || made > end-playedLate {
			continue
		}
		units++
		if i >= len(v.came) || v.came[i] == 0 {
			missing++
			continue
		}
		lag := v.came[i] - made
		*lags = append(*lags, lag)
		if lag > playedLate {
			missing++
		}
	}
	return units, missing
}

func (r *run) sumSource(rep *Report) {
	last := int(r.Duration/time.Second) - 1
	settled, seconds := 0, 0
	for s := range last {
		rep.SourcePeak = max(rep.SourcePeak, float64(r.second[s])/r.rate())
		if s > int(r.JoinOver/time.Second) {
			settled += r.second[s]
			seconds++
		}
	}
	rep.SourceMean = float64(settled) / float64(max(seconds, 1)) / r.rate()
}

func part(a, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(a) / float64(of)
}

// Short returns what fell short of a goal.
func (rep Report) Short(g Goal) []string {
	var short []string
	under := func(what string, got, most time.Duration) {
		if most > 0 && got > most {
			short = append(short, fmt.Sprintf("%s %v, at most %v wanted", what, got.Round(time.Millisecond), most))
		}
	}
	within := func(what string, got, most float64) {
		if most > 0 && got > most {
			short = append(short, fmt.Sprintf("%s %.5f, at most %.5f wanted", what, got, most))
		}
	}
	under("spread p50", rep.Spread.P50, g.SpreadP50)
	under("spread p99", rep.Spread.P99, g.SpreadP99)
	within("missing at 3 s", rep.Missing, g.Missing)
	under("first unit p50", rep.Join.P50, g.JoinP50)
	under("first unit p95", rep.Join.P95, g.JoinP95)
	under("first unit of late joiners p50", rep.Late.P50, g.LateP50)
	under("first unit of late joiners p95", rep.Late.P95, g.LateP95)
	under("one second buffered p90", rep.Buffered.P90, g.BufferedP90)
	within("control", rep.Control, g.Control)
	within("duplicates", rep.Duplicates, g.Duplicates)
	within("source, streams in a second", rep.SourcePeak, g.SourceStreams)
	under("resumed after", rep.Resume, g.Resume)
	under("longest stall", rep.Stall, g.Stall)
	if rep.NeverStarted > g.NeverStarted {
		short = append(short, fmt.Sprintf("%d viewers never started", rep.NeverStarted))
	}
	return short
}

// String is one line of a table.
func (rep Report) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	return strings.Join([]string{
		rep.Scenario.Name,
		fmt.Sprintf("%d", rep.Viewers),
		ms(rep.Spread.P50) + " / " + ms(rep.Spread.P90) + " / " + ms(rep.Spread.P99) + " / " + ms(rep.Spread.Max),
		fmt.Sprintf("%.4f %% (worst %.2f %%)", 100*rep.Missing, 100*rep.MissingWorst),
		ms(rep.Join.P50) + " / " + ms(rep.Join.P95),
		ms(rep.Late.P50) + " / " + ms(rep.Late.P95),
		ms(rep.Buffered.P90),
		ms(rep.Stall),
		fmt.Sprintf("%.2f / %.2f", rep.SourceMean, rep.SourcePeak),
		fmt.Sprintf("%.2f %%", 100*rep.Control),
		fmt.Sprintf("%.2f %%", 100*rep.Duplicates),
		fmt.Sprintf("%.1f %%", 100*rep.Pulled),
		fmt.Sprintf("never %d, skipped %d, rehooks %d, resume %s", rep.NeverStarted, rep.Skipped, rep.Rehooks, ms(rep.Resume)),
	}, " | ")
}
