package mpegts

const (
	// maxSection is the largest section of a program table: a section_length of
	// 1021 and the three bytes up to it (2.4.4.5, 2.4.4.9).
	maxSection = 1024
	// maxSectionPackets bounds the packets that one section may come in. Six
	// hold any that is not spread out by adaptation fields.
	maxSectionPackets = 16
	// sectionHeader is the part of a section before its contents.
	sectionHeader = 8
	crcSize       = 4
	stuffing      = 0xff // in place of a table_id: no more sections in this packet
)

// An assembler puts together the sections carried by one PID (2.4.4), and keeps
// the packets each came in. It does not care about packets that are missing: what
// remains of a section fails its CRC.
type assembler struct {
	open    bool // data is the beginning of a section
	data    []byte
	packets []byte // packets that data came in, at most maxSectionPackets
	packet  Packet // packet being taken apart
	fresh   []byte // what of its payload has not been looked at
}

// feed takes the next packet of the PID. It must have a payload. All its sections
// are to be taken with next, before the packet changes.
func (a *assembler) feed(p Packet) {
	a.packet, a.fresh = p, nil
	body := p.Payload()
	if p.UnitStart() {
		if len(body) == 0 || 1+int(body[0]) > len(body) {
			a.open = false
			return
		}
		pointer := int(body[0])
		body, a.fresh = body[1:1+pointer], body[1+pointer:]
	}
	if a.open {
		a.data = append(a.data, body...)
		a.packets = append(a.packets, p...)
	}
}

// next returns the next section completed by the packet fed, and the packets it
// came in. Both are valid until the next call to feed or next.
func (a *assembler) next() (section, packets []byte, ok bool) {
	if a.open {
		size, known := sectionSize(a.data)
		switch {
		case known && size <= len(a.data):
			a.open = false
			return a.data[:size], a.packets, true
		case a.fresh == nil && len(a.packets) < maxSectionPackets*PacketSize:
			return nil, nil, false
		}
		a.open = false
	}
	if len(a.fresh) == 0 || a.fresh[0] == stuffing {
		return nil, nil, false
	}
	a.packets = append(a.packets[:0], a.packet...)
	size, known := sectionSize(a.fresh)
	if known && size <= len(a.fresh) {
		section, a.fresh = a.fresh[:size], a.fresh[size:]
		return section, a.packets, true
	}
	a.data, a.open = append(a.data[:0], a.fresh...), true
	a.fresh = nil
	return nil, nil, false
}

// sectionSize returns the size of the section that begins with b. known is
// false, and size 0, if b is too short to tell.
func sectionSize(b []byte) (size int, known bool) {
	if len(b) < 3 {
		return 0, false
	}
	return 3 + int(b[1]&0x0f)<<8 + int(b[2]), true
}

// A table is what the header of a long section says (2.4.4.5).
type table struct {
	id        uint8  // table_id
	extension uint16 // transport_stream_id of a PAT, program_number of a PMT
	version   uint8
	last      uint8  // last_section_number
	body      []byte // what follows the header, without the CRC
}

// parseSection checks a section and takes its header apart. ok is false if it is
// damaged, of the short form, or not yet applicable.
func parseSection(b []byte) (t table, ok bool) {
	const syntax, current = 0x80, 0x01
	if len(b) < sectionHeader+crcSize || len(b) > maxSection || b[1]&syntax == 0 || b[5]&current == 0 || crc32(b) != 0 {
		return table{}, false
	}
	return table{
		id:        b[0],
		extension: uint16(b[3])<<8 | uint16(b[4]),
		version:   b[5] >> 1 & 0x1f,
		last:      b[7],
		body:      b[sectionHeader : len(b)-crcSize],
	}, true
}

// crcTable is for the polynomial 0x04C11DB7, most significant bit first (Annex A).
// The standard library knows only the reflected form.
var crcTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// crc32 returns the CRC of b: 0 for a section that ends with its own.
func crc32(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c = c<<8 ^ crcTable[byte(c>>24)^x]
	}
	return c
}
