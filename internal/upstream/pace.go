package upstream

import "time"

const (
	// paceWindow is the time over which a [Pace] looks back. A source that is a
	// twentieth too slow loses the three seconds that players have buffered in
	// that time.
	paceWindow = time.Minute
	// paceEvery is the least time between two samples.
	paceEvery = 500 * time.Millisecond
)

// Pace compares how media time advances with how time does. It is owned by one
// goroutine; time is an input.
type Pace struct {
	leads []lead // decreasing, oldest first: each is the most since it
	last  time.Time
}

// lead is how far media was ahead of time, from an arbitrary beginning.
type lead struct {
	at    time.Time
	ahead time.Duration
}

// Note takes the media time reached at a time, both from arbitrary beginnings.
func (p *Pace) Note(now time.Time, media time.Duration) {
	if !p.last.IsZero() && now.Sub(p.last) < paceEvery {
		return
	}
	p.last = now
	// Only ahead minus ahead is ever used.
	l := lead{at: now, ahead: media - time.Duration(now.UnixNano())}
	n := len(p.leads)
	for n > 0 && p.leads[n-1].ahead <= l.ahead {
		n--
	}
	p.leads = append(p.leads[:n], l)
	for now.Sub(p.leads[0].at) > paceWindow {
		p.leads = p.leads[1:]
	}
}

// Behind returns how much media time was lost against time in the last
// minute: what players have taken out of their buffers and not got back.
func (p *Pace) Behind() time.Duration {
	if len(p.leads) == 0 {
		return 0
	}
	return p.leads[0].ahead - p.leads[len(p.leads)-1].ahead
}
