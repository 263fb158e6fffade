package hls

import (
	"testing"
	"time"
)

// BenchmarkFeed cuts a stream of 6 Mbit/s, a tenth of a second at a time.
func BenchmarkFeed(b *testing.B) {
	m := newMux()
	for range 10 {
		m.tables()
		for i := range 50 {
			m.write(shot{key: i == 0, lasts: 3600, packets: 160})
		}
	}
	stream := m.take()
	chunk := len(stream) / 200 / 188 * 188
	list := NewPlaylist(testConfig)
	list.Show()
	seg := NewSegmenter(list)
	seg.Start(0, nil, noon)
	now, at := noon, 0
	b.SetBytes(int64(chunk))
	b.ReportAllocs()
	for b.Loop() {
		if at+chunk > len(stream) {
			at = 0
		}
		now = now.Add(100 * time.Millisecond)
		seg.Feed(now, stream[at:at+chunk])
		at += chunk
	}
}

// BenchmarkText renders the playlist with parts, as after each new part.
func BenchmarkText(b *testing.B) {
	r, m := newRig(b, testConfig), newMux()
	for range 12 {
		m.group(75)
		r.feed(m.take(), 3*time.Second)
	}
	b.ReportAllocs()
	for b.Loop() {
		clear(r.list.made)
		r.list.Text(true)
	}
}
