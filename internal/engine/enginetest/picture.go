package enginetest

import "encoding/binary"

// The room for payload in a packet of video: with a PCR in the first packet of
// a frame, without in the others.
const (
	firstCapacity = PacketSize - 4 - 2 - 6 - 1 - markLength
	otherCapacity = PacketSize - 4 - 2 - 1 - markLength
)

const (
	pesHeaderLength = 14
	videoStream     = 0xe0
	audioStream     = 0xc0
)

// silence is one frame of MPEG-1 layer II audio, 48 kHz mono at 32 kbit/s, in
// which no subband has bits allocated (ISO/IEC 11172-3, 2.4.1.3).
var silence = [96]byte{0xff, 0xfd, 0x14, 0xc0}

// patSection and pmtSection are the tables (ISO/IEC 13818-1, 2.4.4).
var (
	patSection = withCRC([]byte{
		0x00, 0xb0, 13, // table id, length
		0x00, 0x01, 0xc1, 0x00, 0x00, // transport stream id, version, section numbers
		0x00, 0x01, 0xe0 | PMTPID>>8, PMTPID & 0xff,
	})
	pmtSection = withCRC([]byte{
		0x02, 0xb0, 23,
		0x00, 0x01, 0xc1, 0x00, 0x00,
		0xe0 | VideoPID>>8, VideoPID & 0xff, 0xf0, 0x00,
		0x1b, 0xe0 | VideoPID>>8, VideoPID & 0xff, 0xf0, 0x00, // H.264
		0x03, 0xe0 | AudioPID>>8, AudioPID & 0xff, 0xf0, 0x00, // MPEG-1 audio
	})
)

// withCRC appends the CRC-32 of MPEG-2, the common polynomial without
// reflection.
func withCRC(section []byte) []byte {
	crc := ^uint32(0)
	for _, b := range section {
		crc ^= uint32(b) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return binary.BigEndian.AppendUint32(section, crc)
}

// pesHeader returns a PES header with a PTS for size bytes; size 0 leaves the
// length open, as video may.
func pesHeader(stream byte, size int, pts int64) []byte {
	length := 0
	if size > 0 {
		length = size + pesHeaderLength - 6
	}
	return []byte{
		0, 0, 1, stream, byte(length >> 8), byte(length),
		0x84, 0x80, 5,
		0x21 | byte(pts>>29)&0x0e, byte(pts >> 22), byte(pts>>14) | 1, byte(pts >> 7), byte(pts<<1) | 1,
	}
}

// frame is one picture, laid out over a number of packets: the head (access
// unit delimiter, parameter sets, beginning of an SEI), the SEI's body, which
// takes up the room so that the rate is constant, and the tail with the slice.
type frame struct {
	key  bool
	size int // PES header and all
	head []byte
	tail []byte
}

// newFrame lays the picture of the given number in its group over parts packets.
func newFrame(number, parts int) frame {
	f := frame{key: number == 0, size: firstCapacity + (parts-1)*otherCapacity}
	f.head = append(f.head, 0, 0, 0, 1, 0x09, 0xf0)
	var slice []byte
	if f.key {
		f.head = append(f.head, nal(0x67, sequenceParameters())...)
		f.head = append(f.head, nal(0x68, pictureParameters())...)
		slice = nal(0x65, keySlice())
	} else {
		slice = nal(0x41, skipSlice(number))
	}
	f.tail = append([]byte{0x80}, slice...) // 0x80 ends the SEI

	// An SEI of user data: start code, NAL header, payload type 5, the payload's
	// size as a run of 255s and a rest. One that cannot be expressed in the room
	// left gets the shorter start code.
	room := f.size - pesHeaderLength - len(f.head) - len(f.tail)
	lead := []byte{0, 0, 0, 1, 0x06, 5}
	payload := seiSize(room - len(lead))
	if payload < 0 {
		lead = lead[1:]
		payload = seiSize(room - len(lead))
	}
	f.head = append(f.head, lead...)
	for range payload / 255 {
		f.head = append(f.head, 255)
	}
	f.head = append(f.head, byte(payload%255))
	return f
}

// seiSize returns the payload size that takes room bytes together with its own
// expression, or a negative number if there is none.
func seiSize(room int) int {
	size := room - 1 - (room-1)/256
	if size+size/255+1 != room {
		return -1
	}
	return size
}

// capacity returns the payload bytes in the given packet of the frame.
func (f *frame) capacity(part int) int {
	if part == 0 {
		return firstCapacity
	}
	return otherCapacity
}

// render writes the payload of the frame's given packet. The SEI's body is of
// the packet's number, so that no two packets are alike, and free of zeros, so
// that it holds no start code.
func (f *frame) render(dst []byte, part int, pts, number int64) {
	var fill [8]byte
	binary.BigEndian.PutUint64(fill[:], uint64(number)*0x9e3779b97f4a7c15|0x0101010101010101)
	for i := 0; i < len(dst); i += copy(dst[i:], fill[:]) {
	}
	from := 0
	if part > 0 {
		from = firstCapacity + (part-1)*otherCapacity
	}
	overlay(dst, from, pesHeader(videoStream, 0, pts), 0)
	overlay(dst, from, f.head, pesHeaderLength)
	overlay(dst, from, f.tail, f.size-len(f.tail))
}

// overlay copies to dst, which is the window of the frame that begins at from,
// what falls into it of src, which is at position at of the frame.
func overlay(dst []byte, from int, src []byte, at int) {
	if shift := at - from; shift >= 0 {
		if shift < len(dst) {
			copy(dst[shift:], src)
		}
	} else if -shift < len(src) {
		copy(dst, src[-shift:])
	}
}

// bits writes the syntax elements of ITU-T H.264, 7.2 and 9.1.
type bits struct {
	out []byte
	n   int // bits used
}

func (b *bits) u(width int, v uint32) {
	for i := width - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.out = append(b.out, 0)
		}
		b.out[b.n/8] |= byte(v>>i&1) << (7 - b.n%8)
		b.n++
	}
}

// ue writes an unsigned Exp-Golomb code.
func (b *bits) ue(v uint32) {
	width := 0
	for (v+1)>>width > 1 {
		width++
	}
	b.u(width, 0)
	b.u(width+1, v+1)
}

// done appends the trailing bits.
func (b *bits) done() []byte {
	b.u(1, 1)
	return b.out
}

// nal wraps a raw byte sequence into a NAL unit of the byte stream format. None
// of those below has two zero bytes in a row, so that none needs escaping.
func nal(header byte, raw []byte) []byte {
	return append([]byte{0, 0, 0, 1, header}, raw...)
}

const (
	widthMacroblocks  = 8
	heightMacroblocks = 6
	frameNumBits      = 5 // holds the 25 pictures of a group
)

// sequenceParameters: baseline profile, level 1, output in coding order, one
// reference picture.
func sequenceParameters() []byte {
	var b bits
	b.u(8, 66)
	b.u(8, 0xc0)
	b.u(8, 10)
	b.ue(0)
	b.ue(frameNumBits - 4)
	b.ue(2) // picture order count type
	b.ue(1)
	b.u(1, 0)
	b.ue(widthMacroblocks - 1)
	b.ue(heightMacroblocks - 1)
	b.u(1, 1) // frames only
	b.u(1, 1)
	b.u(1, 0)
	b.u(1, 0)
	return b.done()
}

// pictureParameters: everything at its default.
func pictureParameters() []byte {
	var b bits
	b.ue(0)
	b.ue(0)
	b.u(2, 0)
	b.ue(0)
	b.ue(0)
	b.ue(0)
	b.u(3, 0)
	b.ue(0)
	b.ue(0)
	b.ue(0)
	b.u(3, 0)
	return b.done()
}

// keySlice is an IDR picture, all grey: macroblocks predicted from the mean of
// their neighbours with nothing added.
func keySlice() []byte {
	var b bits
	b.ue(0)
	b.ue(7) // I, the whole picture
	b.ue(0)
	b.u(frameNumBits, 0)
	b.ue(0)
	b.u(2, 0)
	b.ue(0)
	for range widthMacroblocks * heightMacroblocks {
		b.ue(3) // Intra_16x16, DC prediction, no coefficients
		b.ue(0)
		b.ue(0)
		b.u(1, 1) // no DC coefficients either
	}
	return b.done()
}

// skipSlice is a picture equal to the one before it.
func skipSlice(number int) []byte {
	var b bits
	b.ue(0)
	b.ue(5) // P, the whole picture
	b.ue(0)
	b.u(frameNumBits, uint32(number))
	b.u(3, 0)
	b.ue(0)
	b.ue(widthMacroblocks * heightMacroblocks)
	return b.done()
}
