package native

import "github.com/acequia-tv/acequia/internal/mpegts"

const (
	pcrHz     = 27_000_000 // ticks per second of a program clock reference
	maxPCRGap = 1 * pcrHz  // more between two is a break in the timeline, not time
	minSpan   = pcrHz / 2  // a bit rate needs at least this much media
)

// rateMeter learns the bit rate of a transport stream from its clock. Bytes
// that are no transport stream leave it unknown. It is for one goroutine.
type rateMeter struct {
	framer mpegts.Framer
	pid    uint16 // whose clock it is
	found  bool
	last   int64 // the clock's last value
	since  int64 // bytes since then
	ticks  int64 // measured so far
	bytes  int64 // during those ticks
}

// add takes the next bytes of the file.
func (m *rateMeter) add(p []byte) {
	packets := m.framer.Push(p)
	for ; len(packets) >= mpegts.PacketSize; packets = packets[mpegts.PacketSize:] {
		packet := mpegts.Packet(packets[:mpegts.PacketSize])
		m.since += mpegts.PacketSize
		pcr, ok := packet.PCR()
		if !ok || (m.found && packet.PID() != m.pid) {
			continue
		}
		if gap := (pcr - m.last + mpegts.PCRModulus) % mpegts.PCRModulus; m.found && gap <= maxPCRGap && !packet.Discontinuity() {
			m.ticks += gap
			m.bytes += m.since
		}
		m.found, m.pid, m.last, m.since = true, packet.PID(), pcr, 0
	}
}

// perSecond returns the rate in bytes per second; 0 while it is not known.
func (m *rateMeter) perSecond() int64 {
	if m.ticks < minSpan {
		return 0
	}
	return m.bytes * pcrHz / m.ticks
}
