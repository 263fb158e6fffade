package mpegts

import "testing"

// benchStream is a second or two of about 5 Mbit/s: 25 pictures per second, a key frame every
// 25, tables every 100 ms.
func benchStream() []byte {
	m := newMux()
	for i := range 50 {
		if i%3 == 0 {
			m.tables(0x1b)
		}
		unit := avcInter
		if i%25 == 0 {
			unit = avcKey
		}
		pcr := int64(i) * ClockRate / 25
		m.pes(testVideoPID, &adaptation{pcr: pcr}, pcr/300, append(append([]byte(nil), unit...), fill(23_000)...))
		m.pes(testAudioPID, nil, pcr/300, fill(1000))
	}
	return m.out
}

// loop returns the stream with continuity counters that go on when it is repeated.
func loop(stream []byte) []byte {
	var out []byte
	var cc [pidCount]uint8
	for range 16 {
		for b := stream; len(b) > 0; b = b[PacketSize:] {
			out = append(out, b[:PacketSize]...)
			p := Packet(out[len(out)-PacketSize:])
			if p.HasPayload() {
				p.SetCC(cc[p.PID()])
				cc[p.PID()]++
			}
		}
	}
	return out
}

// benchmark passes the stream to f in chunks, the first of which begins lead bytes into a packet.
func benchmark(b *testing.B, lead int, f func(chunk []byte)) {
	stream := loop(benchStream())
	b.SetBytes(int64(len(stream)))
	stream = append(stream, stream[:lead]...)[lead:]
	const chunk = 348 * PacketSize
	pass := func() {
		for rest := stream; len(rest) > 0; {
			n := min(chunk, len(rest))
			f(rest[:n])
			rest = rest[n:]
		}
	}
	pass()
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
}

func BenchmarkFramer(b *testing.B) {
	for _, c := range []struct {
		name string
		lead int
	}{{"aligned", 0}, {"unaligned", 100}} {
		b.Run(c.name, func(b *testing.B) {
			var f Framer
			benchmark(b, c.lead, func(chunk []byte) { f.Push(chunk) })
		})
	}
}

func BenchmarkScanner(b *testing.B) {
	s := NewScanner()
	benchmark(b, 0, func(chunk []byte) { s.Scan(chunk) })
}

func BenchmarkFramerScanner(b *testing.B) {
	var f Framer
	s := NewScanner()
	benchmark(b, 100, func(chunk []byte) { s.Scan(f.Push(chunk)) })
}
