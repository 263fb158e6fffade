package hls

import "time"

// A segment is one media segment, closed or still growing.
type segment struct {
	msn           int64  // media sequence number
	from          int64  // position in the stream of its first byte
	at            int64  // time at which it begins
	breaks        int64  // discontinuities before it
	preface       []byte // what goes before the bytes of the stream
	discontinuity bool   // it does not continue the one before
	independent   bool   // a decoder can start with it
	date          time.Time
	duration      int64  // ticks of the parts so far
	size          int    // bytes of the parts so far
	end           int64  // position in the stream behind its last byte
	parts         []part // none once it is archived
	closed        bool
}

// A part is a partial segment: a span of whole pictures.
type part struct {
	duration int64 // ticks
	size     int   // bytes
	end      int64 // position in the stream behind its last byte
	bufs     [][]byte
}

// add appends a part.
func (s *segment) add(p part) {
	s.parts = append(s.parts, p)
	s.duration += p.duration
	s.size += p.size
	s.end = p.end
}

// media returns the bytes of all parts.
func (s *segment) media() Media {
	m := Media{Size: s.size, Preface: s.preface, From: s.from, End: s.end}
	for _, p := range s.parts {
		m.Bufs = append(m.Bufs, p.bufs...)
	}
	return m
}

// Media is the body of a segment or a part. The bytes are shared and never
// change.
type Media struct {
	// Bufs are the bytes, nil if the playlist holds them no more: they are then those of Preface, and
	// those of the stream at the positions from From to End.
	Bufs [][]byte
	Size int // bytes
	// Preface and From are known of whole segments only.
	Preface []byte
	From    int64
	End     int64 // position in the stream behind the last byte
}

// backlog is what a [Segmenter] was fed and has not cut yet.
type backlog struct {
	from int64 // position of the first byte
	bufs [][]byte
}

// add appends b, which directly follows.
func (q *backlog) add(b []byte) {
	if len(b) > 0 {
		q.bufs = append(q.bufs, b)
	}
}

// take removes the bytes before position to and appends them to dst.
func (q *backlog) take(dst [][]byte, to int64) [][]byte {
	for len(q.bufs) > 0 && q.from < to {
		b := q.bufs[0]
		n := min(int64(len(b)), to-q.from)
		dst = append(dst, b[:n:n])
		q.from += n
		if q.bufs[0] = b[n:]; len(q.bufs[0]) == 0 {
			q.bufs = q.bufs[1:]
		}
	}
	if len(q.bufs) == 0 {
		q.bufs = nil // let go of the array, which taken heads pin
	}
	return dst
}

// restart forgets everything and goes on at pos.
func (q *backlog) restart(pos int64) { *q = backlog{from: pos} }
