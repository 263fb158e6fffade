package vod

import "time"

// geometry is the shape of a torrent's content. It is not changed once made.
type geometry struct {
	pieceLength int64
	total       int64 // bytes, with the gaps between files of a hybrid torrent
	// short has the pieces that end with a file of a hybrid torrent and are
	// not filled up; nil for an ordinary torrent.
	short map[int]int
}

func (g geometry) pieces() int {
	return int((g.total + g.pieceLength - 1) / g.pieceLength)
}

// length of piece i.
func (g geometry) length(i int) int {
	if n, ok := g.short[i]; ok {
		return n
	}
	return int(min(g.pieceLength, g.total-int64(i)*g.pieceLength))
}

// span is a range of pieces, [begin, end).
type span struct{ begin, end int }

func (s span) contains(i int) bool { return s.begin <= i && i < s.end }

func (s span) bytes(g geometry) int64 { return int64(s.end-s.begin) * g.pieceLength }

// cover is the pieces that hold [off, off+n), clipped to the content.
func (g geometry) cover(off, n int64) span {
	end := min(off+n, g.total)
	if off < 0 || off >= end {
		return span{}
	}
	return span{int(off / g.pieceLength), int((end + g.pieceLength - 1) / g.pieceLength)}
}

// endLength is how much of the head and of the tail of a file is fetched
// early and kept while the torrent is in use: players look there for the
// container's index before they play, and again when they seek.
const endLength = 4 << 20

// ends are the pieces with the head and the tail of the file at
// [off, off+size), or nothing if they would take more than a quarter of the
// window.
func (g geometry) ends(off, size, window int64) []span {
	head := g.cover(off, min(size, endLength))
	tail := g.cover(off+max(0, size-endLength), min(size, endLength))
	if tail.begin < head.end {
		head.end = max(head.end, tail.end)
		tail = span{}
	}
	if head.bytes(g)+tail.bytes(g) > window/4 {
		return nil
	}
	out := []span{head}
	if tail.end > tail.begin {
		out = append(out, tail)
	}
	return out
}

const (
	// minReadahead keeps a connection busy at 100 ms round-trip time: the
	// library asks for a new batch of blocks only when the last one is all
	// here.
	minReadahead = 16 << 20
	// readaheadTime is how much playing time is kept ahead of a reader.
	readaheadTime = 8 * time.Second
	// bulkRate is more than any content plays at (128 Mbit/s). Who reads
	// faster is copying: it needs full connections, and no playing time. The
	// library's work for each piece read grows with the readahead.
	bulkRate      = 16 << 20
	bulkReadahead = 2 * minReadahead
)

// readahead is how many bytes ahead of a reader are fetched: readaheadTime at
// rate bytes per second, at least minReadahead, and never more than the
// reader's part of half the window. What is pinned has its own room in the
// other half.
func readahead(rate, window int64, readers int) int64 {
	want := max(minReadahead, rate*int64(readaheadTime)/int64(time.Second))
	if rate > bulkRate {
		want = bulkReadahead
	}
	return min(want, window/2/int64(max(readers, 1)))
}

// floor is the least memory a torrent needs to play: a piece that is read, one
// that is checked, and room to fetch the next ones.
func (g geometry) floor() int64 {
	whole := int64(g.pieces()) * g.pieceLength
	return min(max(minWindow, 4*g.pieceLength), whole)
}

// shares divides limit among torrents in use, given their floors: each gets
// its floor and an equal part of the rest, at most the larger of its floor and
// window. It reports false if the floors alone do not fit.
func shares(limit, window int64, floors []int64) (out []int64, ok bool) {
	var sum int64
	for _, f := range floors {
		sum += f
	}
	if sum > limit {
		return nil, false
	}
	out = make([]int64, len(floors))
	for i, f := range floors {
		out[i] = max(f, min(window, f+(limit-sum)/int64(len(floors))))
	}
	return out, true
}

// rateMeter estimates how fast a reader consumes, from what it read and when.
// It is owned by the reader.
type rateMeter struct {
	since time.Time
	bytes int64
	rate  int64 // bytes per second; 0 until the first interval has passed
}

// meterInterval is how long the meter counts before it believes the count.
const meterInterval = 500 * time.Millisecond

func (m *rateMeter) add(now time.Time, n int) {
	if m.since.IsZero() {
		m.since = now
	}
	m.bytes += int64(n)
	d := now.Sub(m.since)
	if d < meterInterval {
		return
	}
	r := int64(float64(m.bytes) / d.Seconds())
	if m.rate == 0 {
		m.rate = r
	} else {
		m.rate = (m.rate + r) / 2
	}
	m.since, m.bytes = now, 0
}
