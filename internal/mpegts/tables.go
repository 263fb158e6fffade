package mpegts

import (
	"bytes"
	"slices"
)

// tables are the program tables of a stream (2.4.4) as far as they are known.
type tables struct {
	psi      []*psi     // the PIDs that carry tables, that of the PAT first
	programs []*program // in the order of the PAT
	current  *program   // the one being looked at; nil while there is none

	pat        []byte // the section last taken
	patVersion uint8
	patPackets []byte // the packets that it came in

	made   []byte   // the preface last made; nil if packets have come since
	madeOf counters // the counters in it
}

// A psi is one PID that carries tables.
type psi struct {
	pid       uint16
	assembler assembler
}

// counters are the last continuity counters of the PIDs of a preface.
type counters struct{ pat, pmt uint8 }

// find returns the PID's state, nil if it carries no table that matters.
func (t *tables) find(pid uint16) *psi {
	for _, c := range t.psi {
		if c.pid == pid {
			return c
		}
	}
	return nil
}

// take takes a section and the packets that it came in. changed reports that
// the programs, or what is known of the current one, are others now.
func (t *tables) take(pid uint16, section, packets []byte) (changed bool) {
	const pat, pmt = 0x00, 0x02
	switch {
	case pid == PATPID && section[0] == pat:
		return t.takePAT(section, packets)
	case section[0] == pmt:
		return t.takePMT(pid, section, packets)
	}
	return false
}

func (t *tables) takePAT(section, packets []byte) (changed bool) {
	if bytes.Equal(section, t.pat) {
		t.keep(&t.patPackets, packets)
		return false
	}
	sec, ok := parseSection(section)
	if !ok {
		return false
	}
	var programs []*program
	if sec.last > 0 && sec.version == t.patVersion {
		programs = slices.Clone(t.programs) // one section of several
	}
	for _, p := range parsePAT(nil, sec.body) {
		if !slices.ContainsFunc(programs, p.same) && len(programs) < maxPrograms {
			if i := slices.IndexFunc(t.programs, p.same); i >= 0 {
				p = t.programs[i]
			}
			programs = append(programs, p)
		}
	}
	t.pat, t.patVersion = append(t.pat[:0], section...), sec.version
	t.programs = programs
	t.keep(&t.patPackets, packets)
	t.attend()
	return true
}

// attend makes psi the PIDs of the PAT and the programs.
func (t *tables) attend() {
	old := tables{psi: t.psi}
	t.psi = nil
	want := func(pid uint16) {
		if t.find(pid) != nil {
			return
		}
		c := old.find(pid)
		if c == nil {
			c = &psi{pid: pid}
		}
		t.psi = append(t.psi, c)
	}
	want(PATPID)
	for _, p := range t.programs {
		want(p.pid)
	}
}

func (t *tables) takePMT(pid uint16, section, packets []byte) (changed bool) {
	if len(section) < sectionHeader {
		return false
	}
	number := uint16(section[3])<<8 | uint16(section[4])
	i := slices.IndexFunc(t.programs, func(p *program) bool { return p.number == number && p.pid == pid })
	if i < 0 {
		return false
	}
	p := t.programs[i]
	if bytes.Equal(section, p.section) {
		t.keep(&p.packets, packets)
		return false
	}
	sec, ok := parseSection(section)
	if !ok {
		return false
	}
	info, ok := parsePMT(number, pid, sec.body)
	if !ok {
		return false
	}
	p.info = info
	p.section = append(p.section[:0], section...)
	t.keep(&p.packets, packets)
	return true
}

// keep stores packets in dst.
func (t *tables) keep(dst *[]byte, packets []byte) {
	*dst = append((*dst)[:0], packets...)
	t.made = nil
}

// choose selects the program to look at.
func (t *tables) choose() *program {
	for _, kind := range []Kind{Video, Audio} {
		for _, p := range t.programs {
			if _, ok := p.info.First(kind); ok {
				return p
			}
		}
	}
	return nil
}

// preface returns the packets of the tables, with continuity counters that lead up to c.
func (t *tables) preface(c counters) []byte {
	if t.current == nil {
		return nil
	}
	if t.made == nil || t.madeOf != c {
		made := make([]byte, 0, len(t.patPackets)+len(t.current.packets))
		made = appendCounted(made, t.patPackets, c.pat)
		t.made, t.madeOf = appendCounted(made, t.current.packets, c.pmt), c
	}
	return t.made
}

// appendCounted appends packets of one PID to dst and counts them so that the last one has
// the counter cc.
func appendCounted(dst, packets []byte, cc uint8) []byte {
	cc -= uint8(len(packets)/PacketSize - 1)
	for ; len(packets) > 0; packets = packets[PacketSize:] {
		dst = append(dst, packets[:PacketSize]...)
		Packet(dst[len(dst)-PacketSize:]).SetCC(cc)
		cc++
	}
	return dst
}
