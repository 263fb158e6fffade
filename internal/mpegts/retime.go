package mpegts

// A Retimer makes the packets of a source go on where those of another stopped, as if
// both were one stream: it moves all clocks by one offset, counts on where the other's
// continuity counters stopped, and gives program tables that differ a version that
// differs. Nothing else of a packet changes, and what a Retimer did it can undo.
//
// Moved are the program clock reference and the original one (2.4.3.5), and the
// presentation and decoding time stamps (2.4.3.7); all by the same multiple of a 90 kHz
// tick, so that their differences stay what they were. What cannot be read is not
// touched: the payload of scrambled packets, packets with a transport error, a PES header
// that goes on in the next packet.
//
// The zero Retimer changes nothing. It does not allocate, and it is not safe for
// concurrent use.
type Retimer struct {
	active   bool
	shift    int64                // what is added to time stamps, from 0 to below 2^33
	counters [pidCount]retimedPID // what is added to continuity counters
	pat, pmt retimedTable
}

// A retimedPID is what is added to the continuity counter of a PID, or, while the flag
// pending is set, the counter that its first packet follows.
type retimedPID uint8

const pending retimedPID = 0x80

// A retimedTable is what is added to the version of the tables on one PID.
type retimedTable struct {
	pid   uint16
	id    uint8 // table_id
	delta uint8
}

// Apply changes the next packets, whole ones, in place.
func (r *Retimer) Apply(packets []byte) {
	if !r.active {
		return
	}
	for ; len(packets) >= PacketSize; packets = packets[PacketSize:] {
		p := Packet(packets[:PacketSize:PacketSize])
		if pid := p.PID(); pid != NullPID && !p.Errored() {
			r.attach(p, pid)
			r.change(p, pid, 1)
		}
	}
}

// Undo makes of packets that Apply changed, since the last call of Continue, what
// they were.
func (r *Retimer) Undo(packets []byte) {
	if !r.active {
		return
	}
	for ; len(packets) >= PacketSize; packets = packets[PacketSize:] {
		p := Packet(packets[:PacketSize:PacketSize])
		if pid := p.PID(); pid != NullPID && !p.Errored() && r.counters[pid]&pending == 0 {
			r.change(p, pid, -1)
		}
	}
}

// attach makes the first packet of a PID count on. A packet without payload has the
// counter of the one before it (2.4.3.3).
func (r *Retimer) attach(p Packet, pid uint16) {
	c := &r.counters[pid]
	if *c&pending == 0 {
		return
	}
	next := uint8(*c)
	if p.HasPayload() {
		next++
	}
	*c = retimedPID(next-p.CC()) & 0x0f
}

// change adds what there is to add to a packet, or subtracts it if sign is -1.
func (r *Retimer) change(p Packet, pid uint16, sign int64) {
	p.SetCC(p.CC() + uint8(sign)*uint8(r.counters[pid]))
	if r.pat.delta != 0 && pid == r.pat.pid {
		r.pat.change(p, sign)
	}
	if r.pmt.delta != 0 && pid == r.pmt.pid {
		r.pmt.change(p, sign)
	}
	if r.shift == 0 || p.Scrambled() {
		return
	}
	shift := (sign*r.shift + ptsModulus) % ptsModulus
	p.shiftReferences(shift)
	p.shiftStamps(shift)
}

// shiftReferences adds shift, in ticks of 90 kHz, to the clock references of the
// adaptation field.
func (p Packet) shiftReferences(shift int64) {
	const size, hasPCR, hasOPCR = 6, 0x10, 0x08
	flags := p.flags()
	if flags&(hasPCR|hasOPCR) == 0 || int(p[4]) > PacketSize-5 {
		return
	}
	field := p[6 : 5+int(p[4])]
	for _, has := range [...]byte{hasPCR, hasOPCR} {
		if flags&has == 0 {
			continue
		}
		if len(field) < size {
			return
		}
		base := int64(field[0])<<25 | int64(field[1])<<17 | int64(field[2])<<9 | int64(field[3])<<1 | int64(field[4])>>7
		base = (base + shift) % ptsModulus
		field[0], field[1], field[2], field[3] = byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1)
		field[4] = field[4]&0x7f | byte(base&1)<<7
		field = field[size:]
	}
}

// shiftStamps adds shift to the time stamps of the PES packet that begins with p.
func (p Packet) shiftStamps(shift int64) {
	stamps := p.stamps()
	for ; len(stamps) >= stampSize; stamps = stamps[stampSize:] {
		setTimeStamp(stamps, (timeStamp(stamps)+shift)%ptsModulus)
	}
}

// stampSize is the size of a PTS or DTS with its marker bits.
const stampSize = 5

// stamps returns where the PES packet that begins with p has its PTS and, if it has
// one, its DTS; empty if no PES packet begins here, or it has no stamps to be read.
func (p Packet) stamps() []byte {
	const fixed, hasPTS, hasDTS = 9, 0x80, 0x40
	pes := p.Payload()
	if !p.UnitStart() || p.Scrambled() || len(pes) < fixed ||
		pes[0] != 0 || pes[1] != 0 || pes[2] != 1 || pes[6]&0xc0 != 0x80 || !hasPESHeader(pes[3]) {
		return nil
	}
	size := 0
	switch pes[7] & (hasPTS | hasDTS) {
	case hasPTS:
		size = stampSize
	case hasPTS | hasDTS:
		size = 2 * stampSize
	}
	if int(pes[8]) < size || len(pes) < fixed+size {
		return nil
	}
	return pes[fixed : fixed+size]
}

// hasPESHeader tells whether PES packets of a stream_id have more than the length before
// their data (2.4.3.7, and table 2-22 for the values).
func hasPESHeader(id byte) bool {
	switch id {
	case 0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff:
		return false
	}
	return true
}

// setTimeStamp writes the 33 bits of a PTS or DTS, and leaves the bits between them alone.
func setTimeStamp(b []byte, v int64) {
	b[0] = b[0]&0xf1 | byte(v>>29)&0x0e
	b[1] = byte(v >> 22)
	b[2] = b[2]&0x01 | byte(v>>14)&0xfe
	b[3] = byte(v >> 7)
	b[4] = b[4]&0x01 | byte(v<<1)
}

// change adds to the version of the section that begins with p, if it is one of the
// table and ends in the same packet. A section that is longer keeps its version: a
// player that goes by the version alone may then miss a change.
func (t retimedTable) change(p Packet, sign int64) {
	body := p.Payload()
	if !p.UnitStart() || len(body) == 0 || 1+int(body[0]) > len(body) {
		return
	}
	section := body[1+int(body[0]):]
	size, known := sectionSize(section)
	if !known || size > len(section) || size < sectionHeader+crcSize || section[0] != t.id {
		return
	}
	section = section[:size]
	if crc32(section) != 0 {
		return
	}
	version := section[5]>>1 + uint8(sign)*t.delta
	section[5] = section[5]&0xc1 | version<<1&0x3e
	c := crc32(section[:size-crcSize])
	section[size-4], section[size-3], section[size-2], section[size-1] = byte(c>>24), byte(c>>16), byte(c>>8), byte(c)
}
