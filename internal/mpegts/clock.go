package mpegts

const (
	// ClockRate is the unit of media time: ticks per second of the system clock (2.4.2.1).
	ClockRate = 27_000_000
	// PCRModulus is the value at which a program clock reference begins again at 0: its
	// base has 33 bits and counts every 300 ticks.
	PCRModulus = 300 << 33
)

const (
	// maxStep is how far a clock reference may be ahead of the one before without a
	// jump of the clock being presumed. They are at most 0.1 s apart (2.7.2), but
	// what lies between may have been lost.
	maxStep = 10 * ClockRate
	// maxSignalledStep is the same where a discontinuity is announced, which need not
	// be one of the clock.
	maxSignalledStep = ClockRate / 2
	// maxJumpStep bounds what media time advances over a jump.
	maxJumpStep = ClockRate
	// nominalRate stands in for an unknown rate, in bytes per second.
	nominalRate = 500_000
	// rateWindow is the media time over which one sample of the rate is taken,
	// and firstRateWindow the same for a preliminary one.
	rateWindow      = 2 * ClockRate
	firstRateWindow = ClockRate / 5
	// maxCoast is the media time after which a clock without references is
	// taken forward by the rate.
	maxCoast = 2 * ClockRate
)

// A Jump is a break in the clock of a program: a clock reference that does
// not follow from the one before.
type Jump struct {
	// Pos is the position of the packet that carries the new reference.
	Pos int64
	// From and To are the references before and after, in ticks of 27 MHz
	// modulo PCRModulus. A To in the recent past may be a source that repeats itself.
	From, To int64
	// Signalled reports whether a discontinuity_indicator announced it.
	Signalled bool
}

// A mediaClock makes media time of clock references: it does not wrap, does not
// go back, and advances over jumps by about what the bytes in between are worth.
type mediaClock struct {
	now     int64 // media time
	pos     int64 // position that now belongs to
	raw     int64 // last reference, if ticking
	ticking bool  // raw and pos are of the last reference

	rate       int64 // bytes per second; 0 while unknown
	settled    bool  // rate is of a full window
	windowPos  int64
	windowTime int64

	jumps int64
	last  Jump
}

// tick takes the reference raw of the packet at pos.
func (c *mediaClock) tick(raw, pos int64, signalled bool) {
	if !c.ticking {
		c.now += c.worth(pos - c.pos)
		c.restart(raw, pos)
		return
	}
	step := (raw - c.raw + PCRModulus) % PCRModulus
	if step > maxStep || signalled && step > maxSignalledStep {
		c.jumps++
		c.last = Jump{Pos: pos, From: c.raw, To: raw, Signalled: signalled}
		c.now += min(c.worth(pos-c.pos), maxJumpStep)
		c.restart(raw, pos)
		return
	}
	c.now += step
	c.raw, c.pos = raw, pos
	c.measure()
}

// restart goes on from the reference raw at pos, whatever came before.
func (c *mediaClock) restart(raw, pos int64) {
	c.raw, c.pos, c.ticking = raw, pos, true
	c.windowPos, c.windowTime = pos, c.now
}

// stop forgets the last reference: the next one is of another clock.
func (c *mediaClock) stop() { c.ticking = false }

// coast takes a clock that has no references forward to pos.
func (c *mediaClock) coast(pos int64) {
	if w := c.worth(pos - c.pos); !c.ticking || w > maxCoast {
		c.now += w
		c.pos, c.ticking = pos, false
	}
}

// worth returns the media time that size bytes usually take.
func (c *mediaClock) worth(size int64) int64 {
	rate := c.rate
	if rate == 0 {
		rate = nominalRate
	}
	return int64(float64(size) / float64(rate) * ClockRate)
}

// measure updates the rate at a reference.
func (c *mediaClock) measure() {
	size, time := c.pos-c.windowPos, c.now-c.windowTime
	if size <= 0 || time < firstRateWindow || time < rateWindow && c.settled {
		return
	}
	sample := max(int64(float64(size)*ClockRate/float64(time)), 1)
	if !c.settled {
		c.rate, c.settled = sample, time >= rateWindow
	} else {
		c.rate += (sample - c.rate) / 4
	}
	if time >= rateWindow {
		c.windowPos, c.windowTime = c.pos, c.now
	}
}
