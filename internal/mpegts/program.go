package mpegts

import "bytes"

// maxPrograms bounds the programs of a stream that are looked at.
const maxPrograms = 64

// MediaInfo is what the program map table says of the program being relayed.
type MediaInfo struct {
	Program uint16 // program_number
	PMTPID  uint16
	PCRPID  uint16             // NullPID if the program has no clock
	Streams []ElementaryStream // in the order of the table; shared, not to be changed
}

// An ElementaryStream is one stream of a program, as its program map table describes it.
type ElementaryStream struct {
	PID      uint16
	Type     uint8 // stream_type
	Kind     Kind
	Codec    Codec
	Language string // ISO 639-2 code of the first language named; empty if none is
}

// First returns the first stream of the given kind.
func (m MediaInfo) First(k Kind) (es ElementaryStream, ok bool) {
	for _, es := range m.Streams {
		if es.Kind == k {
			return es, true
		}
	}
	return ElementaryStream{}, false
}

// A program is one that the program association table lists.
type program struct {
	number  uint16
	pid     uint16 // of its program map table
	section []byte // the table; empty while it has not been seen
	packets []byte // the packets it came in
	info    MediaInfo
}

// same reports whether o has the number and the PID of p.
func (p *program) same(o *program) bool { return p.number == o.number && p.pid == o.pid }

// parsePAT appends the programs that the body of a PAT section lists (2.4.4.4).
func parsePAT(programs []*program, body []byte) []*program {
	for ; len(body) >= 4 && len(programs) < maxPrograms; body = body[4:] {
		number := uint16(body[0])<<8 | uint16(body[1])
		if number == 0 { // network information
			continue
		}
		programs = append(programs, &program{number: number, pid: uint16(body[2]&0x1f)<<8 | uint16(body[3])})
	}
	return programs
}

// parsePMT takes apart the body of a PMT section (2.4.4.9).
func parsePMT(number, pid uint16, body []byte) (m MediaInfo, ok bool) {
	if len(body) < 4 {
		return MediaInfo{}, false
	}
	m = MediaInfo{Program: number, PMTPID: pid, PCRPID: uint16(body[0]&0x1f)<<8 | uint16(body[1])}
	infoSize := int(body[2]&0x0f)<<8 | int(body[3])
	if body = body[4:]; infoSize > len(body) {
		return MediaInfo{}, false
	}
	for body = body[infoSize:]; len(body) >= 5; {
		es := ElementaryStream{Type: body[0], PID: uint16(body[1]&0x1f)<<8 | uint16(body[2])}
		size := int(body[3]&0x0f)<<8 | int(body[4])
		if body = body[5:]; size > len(body) {
			return MediaInfo{}, false
		}
		es.describe(body[:size])
		m.Streams = append(m.Streams, es)
		body = body[size:]
	}
	return m, true
}

// describe fills in what the type and the descriptors of a stream say.
func (es *ElementaryStream) describe(descriptors []byte) {
	c := codings[es.Type]
	for len(descriptors) >= 2 {
		tag, size := descriptors[0], int(descriptors[1])
		if size > len(descriptors)-2 {
			break
		}
		d := descriptors[2 : 2+size]
		descriptors = descriptors[2+size:]
		if c == (coding{}) {
			c = es.describedAs(tag, d)
		}
		if es.Language == "" {
			es.Language = language(tag, d)
		}
	}
	es.Kind, es.Codec = c.kind, c.codec
}

// describedAs returns what a descriptor says of a stream whose type says nothing.
func (es *ElementaryStream) describedAs(tag uint8, d []byte) coding {
	const registration, extension = 0x05, 0x7f
	switch {
	case tag == registration && len(d) >= 4:
		return registrations[string(d[:4])]
	case es.Type != privatePES:
		return coding{}
	case tag == extension && len(d) >= 1:
		return extendedCodings[d[0]]
	}
	return privateCodings[tag]
}

// language returns the first language code in a descriptor that has one in front:
// ISO 639 language (2.6.18), and of EN 300 468 teletext and subtitling.
func language(tag uint8, d []byte) string {
	const iso639, teletext, subtitling = 0x0a, 0x56, 0x59
	if tag != iso639 && tag != teletext && tag != subtitling || len(d) < 3 {
		return ""
	}
	for _, c := range d[:3] {
		if c < 'a' && c < 'A' || c > 'z' || c > 'Z' && c < 'a' {
			return ""
		}
	}
	return string(bytes.ToLower(d[:3]))
}
