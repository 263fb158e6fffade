package enginetest

import (
	"encoding/binary"
	"fmt"
)

// Report is what a [Verifier] saw. Media packets are those of picture and
// sound, numbered from the beginning of the broadcast; the tables' packets are
// not among them, since a relay may repeat or insert tables.
type Report struct {
	Bytes      int64
	Packets    int64 // media packets of the content, repeats included
	Tables     int64 // packets of PAT and PMT
	First      int64 // number of the first media packet; -1 if there was none
	Last       int64 // highest number of a media packet; -1 if there was none
	Gaps       int64 // places where media packets are missing
	CleanGaps  int64 // those of Gaps after which the stream resumes at a random access point
	Lost       int64 // media packets missing in Gaps
	Repeats    int64 // media packets that came before
	Null       int64 // null packets, which are no fault: a receiver throws them away
	Foreign    int64 // other packets that are not of the content
	Corrupt    int64 // packets of the content whose payload is damaged, time stamps aside
	Continuity int64 // media packets whose continuity counter does not follow
	Skipped    int64 // bytes passed over in search of packets
	// TablesFirst tells that a PAT and a PMT came before the first media packet.
	TablesFirst bool
	// RandomAccess tells that the first video packet was a random access point.
	RandomAccess bool
}

// Err returns an error that tells what is wrong with what was seen, or nil if
// it is one gapless run of the content's packets. Bytes passed over before the
// first packet are no fault: a stream may begin inside a packet.
func (r Report) Err() error {
	switch {
	case r.Packets == 0:
		return fmt.Errorf("no packet of the content in %d bytes", r.Bytes)
	case r.Gaps+r.Repeats+r.Foreign+r.Corrupt+r.Continuity > 0 || r.Skipped >= PacketSize:
		return fmt.Errorf("%d gaps (%d packets), %d repeats, %d foreign, %d corrupt, %d continuity errors, %d bytes skipped in %d packets",
			r.Gaps, r.Lost, r.Repeats, r.Foreign, r.Corrupt, r.Continuity, r.Skipped, r.Packets)
	}
	return nil
}

// Verifier checks that what it is fed is the [Broadcast] of one content, no
// packet lost, repeated, damaged or of another. It is an io.Writer that never
// fails and does not allocate. It is owned by one goroutine.
type Verifier struct {
	tag      uint32
	report   Report
	next     int64
	partial  [PacketSize]byte
	have     int // bytes in partial
	locked   bool
	pat, pmt bool
	video    bool    // a video packet was seen
	counters [2]int8 // last continuity counter of video and audio; -1 before the first
}

// NewVerifier returns a verifier for the content of the given infohash.
func NewVerifier(infohash string) *Verifier {
	return &Verifier{tag: tagOf(infohash), report: Report{First: -1, Last: -1}, counters: [2]int8{-1, -1}}
}

// Report returns what was seen so far.
func (v *Verifier) Report() Report { return v.report }

// Write feeds the verifier.
func (v *Verifier) Write(p []byte) (int, error) {
	n := len(p)
	v.report.Bytes += int64(n)
	for len(p) > 0 {
		if v.have == 0 && len(p) >= PacketSize && p[0] == 0x47 && v.plausible(p) {
			v.packet((*[PacketSize]byte)(p))
			p = p[PacketSize:]
			continue
		}
		if v.have == 0 && p[0] != 0x47 {
			v.skip(1)
			p = p[1:]
			continue
		}
		k := copy(v.partial[v.have:], p)
		v.have += k
		p = p[k:]
		if v.have == PacketSize {
			v.flush()
		}
	}
	return n, nil
}

// flush takes a packet out of partial, or moves on to the next byte that may
// begin one.
func (v *Verifier) flush() {
	if v.plausible(v.partial[:]) {
		v.packet(&v.partial)
		v.have = 0
		return
	}
	i := 1
	for i < PacketSize && v.partial[i] != 0x47 {
		i++
	}
	v.skip(i)
	v.have = copy(v.partial[:], v.partial[i:])
}

func (v *Verifier) skip(n int) {
	v.locked = false
	v.report.Skipped += int64(n)
}

// plausible tells whether p begins with a packet. In sync a sync byte will do,
// so that a foreign packet is seen as one; out of sync it takes a mark.
func (v *Verifier) plausible(p []byte) bool {
	return v.locked || markOf((*[PacketSize]byte)(p)) != nil
}

// markOf returns a packet's mark, or nil if it has none.
func markOf(p *[PacketSize]byte) []byte {
	if p[0] != 0x47 || p[3]&0x20 == 0 || p[5]&0x02 == 0 {
		return nil
	}
	at := 6
	if p[5]&0x10 != 0 {
		at += 6
	}
	if p[5]&0x0c != 0 || p[at] != markLength || binary.BigEndian.Uint16(p[at+1:]) != markMagic {
		return nil
	}
	return p[at+1 : at+1+markLength]
}

const nullPID = 0x1fff

// packet checks one packet.
func (v *Verifier) packet(p *[PacketSize]byte) {
	v.locked = true
	if pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff; pid == nullPID {
		v.report.Null++
		return
	}
	m := markOf(p)
	if m == nil || binary.BigEndian.Uint32(m[2:]) != v.tag {
		v.report.Foreign++
		return
	}
	if start := 5 + int(p[4]); start > PacketSize || crcOf(p[start:]) != binary.BigEndian.Uint32(m[14:]) {
		v.report.Corrupt++
		return
	}
	pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
	switch pid {
	case 0:
		v.report.Tables++
		v.pat = true
		return
	case PMTPID:
		v.report.Tables++
		v.pmt = true
		return
	}
	v.media(p, pid, int64(binary.BigEndian.Uint64(m[6:])))
}

// media checks a media packet's place.
func (v *Verifier) media(p *[PacketSize]byte, pid uint16, number int64) {
	r := &v.report
	r.Packets++
	randomAccess := p[5]&0x40 != 0
	if r.First < 0 {
		r.First, v.next = number, number
		r.TablesFirst = v.pat && v.pmt
	}
	if pid == VideoPID && !v.video {
		v.video = true
		r.RandomAccess = randomAccess
	}
	switch {
	case number > v.next:
		r.Gaps++
		r.Lost += number - v.next
		if randomAccess {
			r.CleanGaps++
		}
	case number < v.next:
		r.Repeats++
	}
	if number >= v.next {
		v.next = number + 1
		r.Last = number
	}
	which := pid & 1
	cc := int8(p[3] & 0x0f)
	if last := v.counters[which]; last >= 0 && cc != (last+1)&0x0f && p[5]&0x80 == 0 {
		r.Continuity++
	}
	v.counters[which] = cc
}
