package timeshift

import (
	"log/slog"
	"testing"
	"time"
)

// batch is what a keeper appends at once: a second of 8 Mbit/s.
const batch = 1 << 20

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.TempDir(), Config{Keep: time.Hour, Limit: 256 << 20}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func BenchmarkAppend(b *testing.B) {
	tp := &tape{rec: benchStore(b).Record(), rate: batch}
	p := span(0, batch)
	b.SetBytes(batch)
	b.ReportAllocs()
	for b.Loop() {
		tp.seconds++
		if err := tp.rec.Append(tp.pos, [][]byte{p[:batch/2], p[batch/2:]}, tp.seconds*second, nil, tp.date()); err != nil {
			b.Fatal(err)
		}
		tp.pos += batch
	}
}

func BenchmarkRead(b *testing.B) {
	tp := &tape{rec: benchStore(b).Record(), rate: batch}
	if err := tp.append(64); err != nil {
		b.Fatal(err)
	}
	rd := tp.rec.NewReader()
	defer rd.Close()
	buf := make([]byte, 128<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for pos := int64(0); b.Loop(); {
		n, err := rd.Read(buf, pos)
		if err != nil {
			b.Fatal(err)
		}
		if pos += int64(n); n == 0 {
			pos = 0
		}
	}
}
