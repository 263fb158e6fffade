package enginetest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"sort"
	"time"
)

// PacketSize is the length of an MPEG-TS packet in bytes.
const PacketSize = 188

// The programme of a [Broadcast].
const (
	PMTPID   = 0x1000
	VideoPID = 0x100 // carries the PCR
	AudioPID = 0x101
)

// MinBitrate is the lowest rate of a [Broadcast] in bytes per second. Below it
// the tables and the sound leave no room for the picture.
const MinBitrate = 25_000

const (
	framesPerSecond = 25
	// periodSeconds is after how long the layout of packets repeats: the least
	// number of seconds that holds a whole number of 24 ms audio frames.
	periodSeconds = 3
	audioFrame    = 24 * time.Millisecond
	// presentation is how far the PTS is ahead of the PCR, in 90 kHz ticks.
	presentation = 63_000
)

// Each packet carries a mark in the private data of its adaptation field, which
// decoders skip: magic, tag of the content, number of the packet among the
// media packets, CRC-32C of the payload. The tables' packets carry the number
// of the media packet that follows.
const (
	markMagic  = 0xAC9A
	markLength = 2 + 4 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Broadcast is an endless MPEG-TS of constant rate whose every byte is a
// function of the content and of the byte's position, so that all who send it
// send the same, and a [Verifier] knows what must come. It has a PAT and a PMT
// twice a second, H.264 with a random access point each second (128x96, grey,
// decodable), MPEG audio (silence), PCR, PTS and continuity counters.
// Immutable, safe for concurrent use.
type Broadcast struct {
	tag       uint32
	perSecond int64 // packets
	slots     []slot
	frames    []frame // video frames of a period
	media     int64   // media packets in a period
	counts    [kinds]int64
}

type kind uint8

const (
	patPacket kind = iota
	pmtPacket
	videoPacket
	audioPacket
	kinds
)

// slot is what one packet of the period carries.
type slot struct {
	kind  kind
	frame int32 // of video or audio, in the period
	part  int32 // of the video frame
	rank  int32 // among the packets of its kind, in the period
	media int32 // media packets before it in the period
}

// NewBroadcast returns the broadcast of a content, named by its infohash, at
// about rate bytes per second, the tables included.
func NewBroadcast(infohash string, rate int) (*Broadcast, error) {
	if rate < MinBitrate {
		return nil, fmt.Errorf("rate of %d bytes per second is below %d", rate, MinBitrate)
	}
	b := &Broadcast{tag: tagOf(infohash), perSecond: int64(rate+PacketSize/2) / PacketSize}
	b.lay()
	return b, nil
}

// tagOf returns the mark of a content's packets.
func tagOf(infohash string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(infohash))
	return h.Sum32()
}

// lay fills the slots of a period: to each video frame its equal span of
// packets, in which the tables come first, then the picture, then the sound
// that is due.
func (b *Broadcast) lay() {
	const frames = periodSeconds * framesPerSecond
	const frameTime = time.Second / framesPerSecond
	total := b.perSecond * periodSeconds
	audio := int32(0)
	add := func(s slot) {
		s.rank = int32(b.counts[s.kind])
		b.counts[s.kind]++
		s.media = int32(b.media)
		if s.kind == videoPacket || s.kind == audioPacket {
			b.media++
		}
		b.slots = append(b.slots, s)
	}
	for f := range int64(frames) {
		room := (f+1)*total/frames - f*total/frames
		if inSecond := f % framesPerSecond; inSecond == 0 || inSecond == framesPerSecond/2 {
			add(slot{kind: patPacket})
			add(slot{kind: pmtPacket})
			room -= 2
		}
		due := int32(0)
		for time.Duration(audio+due)*audioFrame < time.Duration(f+1)*frameTime {
			due++
		}
		parts := room - int64(due)
		for p := range parts {
			add(slot{kind: videoPacket, frame: int32(f), part: int32(p)})
		}
		b.frames = append(b.frames, newFrame(int(f%framesPerSecond), int(parts)))
		for range due {
			add(slot{kind: audioPacket, frame: audio})
			audio++
		}
	}
}

// Rate returns the exact rate in bytes per second.
func (b *Broadcast) Rate() int64 { return b.perSecond * PacketSize }

// Offset returns how many bytes were sent once the broadcast ran for elapsed.
func (b *Broadcast) Offset(elapsed time.Duration) int64 {
	s, frac := int64(elapsed/time.Second), int64(elapsed%time.Second)
	return s*b.Rate() + frac*b.Rate()/int64(time.Second)
}

// Time returns when the media packet of the given number, as a [Report] tells
// it, was sent: the time since the broadcast's beginning.
func (b *Broadcast) Time(media int64) time.Duration {
	period, rest := media/b.media, int32(media%b.media)
	i := sort.Search(len(b.slots), func(i int) bool {
		s := b.slots[i]
		return s.media > rest || s.media == rest && (s.kind == videoPacket || s.kind == audioPacket)
	})
	return time.Duration(period)*periodSeconds*time.Second + time.Duration(i)*time.Second/time.Duration(b.perSecond)
}

// ReadAt fills p with the bytes from off on. It never fails for off >= 0.
func (b *Broadcast) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("offset %d is before the broadcast", off)
	}
	var packet [PacketSize]byte
	for done := 0; done < len(p); {
		at := off + int64(done)
		skip := int(at % PacketSize)
		if rest := p[done:]; skip == 0 && len(rest) >= PacketSize {
			b.packet(at/PacketSize, (*[PacketSize]byte)(rest))
			done += PacketSize
			continue
		}
		b.packet(at/PacketSize, &packet)
		done += copy(p[done:], packet[skip:])
	}
	return len(p), nil
}

// packet renders the packet of the given number.
func (b *Broadcast) packet(index int64, dst *[PacketSize]byte) {
	perPeriod := int64(len(b.slots))
	period := index / perPeriod
	s := b.slots[index%perPeriod]
	w := packetWriter{dst: dst, cc: byte(period*b.counts[s.kind]+int64(s.rank)) & 0x0f}
	number := period*b.media + int64(s.media)
	switch s.kind {
	case patPacket:
		w.begin(0x0000, true, false, -1, len(patSection)+1)
		w.payload(append([]byte{0}, patSection...))
	case pmtPacket:
		w.begin(PMTPID, true, false, -1, len(pmtSection)+1)
		w.payload(append([]byte{0}, pmtSection...))
	case audioPacket:
		pts := period*periodSeconds*90_000 + int64(s.frame)*int64(audioFrame/time.Millisecond)*90 + presentation
		w.begin(AudioPID, true, false, -1, pesHeaderLength+len(silence))
		w.payload(pesHeader(audioStream, len(silence), pts))
		w.payload(silence[:])
	case videoPacket:
		fr := &b.frames[s.frame]
		pcr := int64(-1)
		if s.part == 0 {
			second, within := index/b.perSecond, index%b.perSecond
			pcr = second*27_000_000 + within*27_000_000/b.perSecond
		}
		w.begin(VideoPID, s.part == 0, s.part == 0 && fr.key, pcr, fr.capacity(int(s.part)))
		pts := period*periodSeconds*90_000 + int64(s.frame)*90_000/framesPerSecond + presentation
		fr.render(dst[w.at:], int(s.part), pts, number)
	}
	w.mark(b.tag, number)
}

// packetWriter puts one packet together.
type packetWriter struct {
	dst    *[PacketSize]byte
	cc     byte
	at     int // where the payload goes on
	start  int // where the payload begins
	markAt int
}

// begin writes the header and the adaptation field, which fills what payload
// bytes leave free. pcr in 27 MHz ticks is left out if negative.
func (w *packetWriter) begin(pid uint16, unitStart, randomAccess bool, pcr int64, payload int) {
	d := w.dst
	d[0] = 0x47
	d[1] = byte(pid >> 8)
	if unitStart {
		d[1] |= 0x40
	}
	d[2] = byte(pid)
	d[3] = 0x30 | w.cc // adaptation field and payload
	d[4] = byte(PacketSize - 5 - payload)
	d[5] = 0x02 // private data
	if randomAccess {
		d[5] |= 0x40
	}
	w.at = 6
	if pcr >= 0 {
		d[5] |= 0x10
		base, ext := (pcr/300)&(1<<33-1), pcr%300
		binary.BigEndian.PutUint32(d[6:], uint32(base>>1))
		binary.BigEndian.PutUint16(d[10:], uint16(base&1)<<15|0x7e00|uint16(ext))
		w.at = 12
	}
	d[w.at] = markLength
	w.markAt = w.at + 1
	w.at = w.markAt + markLength
	w.start = PacketSize - payload
	for w.at < w.start {
		d[w.at] = 0xff
		w.at++
	}
}

// payload appends p, which begin made room for.
func (w *packetWriter) payload(p []byte) { w.at += copy(w.dst[w.at:], p) }

// mark writes the mark, once the payload is there.
func (w *packetWriter) mark(tag uint32, number int64) {
	m := w.dst[w.markAt:]
	binary.BigEndian.PutUint16(m, markMagic)
	binary.BigEndian.PutUint32(m[2:], tag)
	binary.BigEndian.PutUint64(m[6:], uint64(number))
	binary.BigEndian.PutUint32(m[14:], crcOf(w.dst[w.start:]))
}

// crcOf is the checksum in a packet's mark. It leaves a time stamp out, as relays
// may move the clocks.
func crcOf(payload []byte) uint32 {
	const stamp, end = pesHeaderLength - 5, pesHeaderLength
	if len(payload) < end || payload[0] != 0 || payload[1] != 0 || payload[2] != 1 {
		return crc32.Checksum(payload, castagnoli)
	}
	return crc32.Update(crc32.Checksum(payload[:stamp], castagnoli), castagnoli, payload[end:])
}
