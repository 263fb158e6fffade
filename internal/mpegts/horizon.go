package mpegts

import "bytes"

const (
	// maxLead bounds by how much one clock of a source may say that it has to be moved
	// further than another one says: multiplexers send up to a second ahead (2.4.2.3).
	maxLead = 10 * stampRate
	// usualStep stands in for the distance of time stamps where there is only one.
	usualStep = stampRate / 25
	// maxStampStep bounds that distance: what is further apart is a gap, or another clock.
	maxStampStep = stampRate
	// maxClockStep bounds how far the clock is taken to have run on since its last
	// reference: references are at most 0.1 s apart (2.7.2).
	maxClockStep = stampRate / 10
	// stampRate is the unit of time stamps: ticks per second.
	stampRate = 90_000
)

// Continue makes packets applied from now on go on where other packets stopped: old are
// the last of those, as sent, and sent has scanned all of them; next are the first
// packets to come, from a random access point on, with the program tables before it.
//
// The clocks are moved by as much as it takes for none of them to go back: the clock
// reference goes on, and so do the pictures, and the sound, one duration after the last
// of old. Where next has no clock to go by, or is scrambled, so that its time stamps
// cannot be moved along, the clocks stay.
func (r *Retimer) Continue(sent *Scanner, old, next []byte) {
	*r = Retimer{active: true, pat: retimedTable{pid: PATPID}, pmt: retimedTable{id: 2}}
	for pid, state := range sent.pids {
		if state&counted != 0 {
			r.counters[pid] = pending | retimedPID(state&lastCC)
		}
	}
	to := NewScanner()
	to.Scan(next)
	from, into := sent.tables.current, to.tables.current
	if from == nil || into == nil {
		return
	}
	r.shift = shiftBetween(from.info.horizonAfter(old), into.info.horizonBefore(next))
	r.pat.delta = versionDelta(sent.tables.pat, to.tables.pat)
	if from.pid == into.pid {
		r.pmt.pid, r.pmt.delta = into.pid, versionDelta(from.section, into.section)
	}
}

// versionDelta returns what to add to the version of a section so that it is that of
// old if the two say the same, and the one after it if not.
func versionDelta(old, next []byte) uint8 {
	const version = 5
	if len(old) < sectionHeader+crcSize || len(next) < sectionHeader+crcSize {
		return 0
	}
	want := old[version] >> 1
	if !bytes.Equal(old[:version], next[:version]) || !bytes.Equal(old[version+1:len(old)-crcSize], next[version+1:len(next)-crcSize]) {
		want++
	}
	return (want - next[version]>>1) & 0x1f
}

// The clocks of a source that have to go on.
const (
	referenceClock = iota
	pictureClock
	soundClock
	clockKinds
)

// A horizon is what each clock of a source says at one end of a run of packets, in
// ticks of 90 kHz.
type horizon struct {
	at    [clockKinds]int64
	known [clockKinds]bool
}

// shiftBetween returns what to add to time stamps from begin on so that they go on from
// end; 0 if there is nothing to go by.
func shiftBetween(end, begin horizon) (shift int64) {
	found := false
	for _, k := range [...]int{pictureClock, soundClock, referenceClock} {
		if !end.known[k] || !begin.known[k] {
			continue
		}
		step := StampStep(begin.at[k], end.at[k])
		if !found || StampStep(shift, step) < maxLead {
			shift, found = step, true
		}
	}
	return shift
}

// horizonAfter returns where each clock stands after packets: one step after its last
// value.
func (m MediaInfo) horizonAfter(packets []byte) (h horizon) {
	var step [clockKinds]int64
	since := 0 // packets since the last clock reference
	apart := 0 // packets between the last two
	for ; len(packets) >= PacketSize; packets = packets[PacketSize:] {
		p := Packet(packets[:PacketSize:PacketSize])
		since++
		if p.Errored() {
			continue
		}
		if pcr, ok := p.PCR(); ok && p.PID() == m.PCRPID {
			step[referenceClock], apart, since = h.reach(referenceClock, pcr/300), since, 0
		}
		if k, dts, ok := m.stamped(p); ok {
			if s := h.reach(k, dts); s > 0 {
				step[k] = s
			}
		}
	}
	for k := range h.at {
		if !h.known[k] {
			continue
		}
		d := int64(usualStep)
		if step[k] > 0 {
			d = step[k]
		}
		if k == referenceClock {
			if d = min(d, maxClockStep); apart > 0 {
				d = min(d*int64(since)/int64(apart), maxClockStep)
			}
		}
		h.at[k] = (h.at[k] + d) % ptsModulus
	}
	return h
}

// reach takes the next value of a clock and returns how far it is ahead of the one
// before, 0 if that cannot be said.
func (h *horizon) reach(k int, at int64) (step int64) {
	if h.known[k] {
		step = StampStep(h.at[k], at)
		if step > maxStampStep && ptsModulus-step < maxStampStep {
			return 0 // slightly behind: of another stream of the same kind
		}
	}
	h.at[k], h.known[k] = at, true
	if step > maxStampStep {
		step = 0
	}
	return step
}

// horizonBefore returns the first value of each clock in packets. None is known if they
// are scrambled.
func (m MediaInfo) horizonBefore(packets []byte) (h horizon) {
	for ; len(packets) >= PacketSize; packets = packets[PacketSize:] {
		p := Packet(packets[:PacketSize:PacketSize])
		if p.Errored() {
			continue
		}
		if p.Scrambled() {
			return horizon{}
		}
		if pcr, ok := p.PCR(); ok && p.PID() == m.PCRPID && !h.known[referenceClock] {
			h.at[referenceClock], h.known[referenceClock] = pcr/300, true
		}
		if k, dts, ok := m.stamped(p); ok && !h.known[k] {
			h.at[k], h.known[k] = dts, true
		}
	}
	return h
}

// stamped returns the decoding time of the PES packet that begins with p, and the clock
// that it belongs to. ok is false for what is neither picture nor sound.
func (m MediaInfo) stamped(p Packet) (kind int, dts int64, ok bool) {
	_, dts, ok = p.PESTime()
	if !ok {
		return 0, 0, false
	}
	for _, es := range m.Streams {
		switch {
		case es.PID != p.PID():
		case es.Kind == Video:
			return pictureClock, dts, true
		case es.Kind == Audio:
			return soundClock, dts, true
		}
	}
	return 0, 0, false
}
