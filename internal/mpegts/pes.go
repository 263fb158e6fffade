package mpegts

// ptsModulus is the value at which PTS and DTS begin again at 0: they have 33 bits.
const ptsModulus = 1 << 33

// PESTime returns the time stamps of the PES packet that begins with p (2.4.3.7), in
// ticks of 90 kHz modulo 2^33. dts equals pts where the packet carries no DTS of its own.
// ok is false if no PES packet begins here, if it carries no time, or if its header is
// scrambled or goes on in the next packet.
func (p Packet) PESTime() (pts, dts int64, ok bool) {
	switch stamps := p.stamps(); len(stamps) {
	case stampSize:
		pts = timeStamp(stamps)
		return pts, pts, true
	case 2 * stampSize:
		return timeStamp(stamps), timeStamp(stamps[stampSize:]), true
	}
	return 0, 0, false
}

// timeStamp reads the 33 bits of a PTS or DTS from its first five bytes.
func timeStamp(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// StampStep returns how far the time stamp to is ahead of from, from 0 to below 2^33 ticks of 90 kHz:
// a stamp that lies behind shows as one far ahead.
func StampStep(from, to int64) int64 { return (to - from + ptsModulus) % ptsModulus }
