package hls

import (
	"strconv"
)

// dateFormat is that of EXT-X-PROGRAM-DATE-TIME, with milliseconds.
const dateFormat = "2006-01-02T15:04:05.000Z07:00"

// The versions of the protocol that the playlists need: durations with fractions,
// and what low latency builds on.
const (
	plainVersion      = 3
	lowLatencyVersion = 6
)

// Text returns the playlist, with parts or without. The slice is shared and must not be changed.
// The URIs in it are relative to that of the playlist: see [Name].
func (p *Playlist) Text(parts bool) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freeze()
	text := p.made[parts]
	if text == nil {
		text = p.render(parts)
		p.made[parts] = text
	}
	return text
}

// Multivariant returns a playlist with one variant, whose media playlist is at uri.
func (p *Playlist) Multivariant(uri string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=")
	b = strconv.AppendInt(b, max(p.fastest, 1), 10)
	b = append(b, ",AVERAGE-BANDWIDTH="...)
	b = strconv.AppendInt(b, max(p.total.bits(), 1), 10)
	b = append(b, '\n')
	b = append(b, uri...)
	return append(b, '\n')
}

// render writes the media playlist. The caller holds mu.
func (p *Playlist) render(parts bool) []byte {
	b := p.renderHead(parts, p.segments)
	behind := p.listed() // of the segments from the one at hand on
	for _, s := range p.segments {
		if !s.closed && (!parts || len(s.parts) == 0) {
			continue
		}
		if s.discontinuity {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		b = s.renderDate(b)
		if s.closed {
			behind -= s.duration
		}
		if parts && behind < leastTargets*p.target {
			b = s.renderParts(b)
		}
		if s.closed {
			b = s.renderURI(b)
		}
	}
	switch {
	case p.ended:
		b = append(b, "#EXT-X-ENDLIST\n"...)
	case parts:
		b = append(b, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`...)
		b = p.hint().append(b)
		b = append(b, "\"\n"...)
	}
	return b
}

// renderDate tells when the segment was sent.
func (s *segment) renderDate(b []byte) []byte {
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = s.date.UTC().AppendFormat(b, dateFormat)
	return append(b, '\n')
}

// renderURI tells how long the segment is, and its address.
func (s *segment) renderURI(b []byte) []byte {
	b = append(b, "#EXTINF:"...)
	b = appendSeconds(b, s.duration)
	b = append(b, ",\n"...)
	b = Name{MSN: s.msn, Part: -1}.append(b)
	return append(b, '\n')
}

// renderHead writes the tags that stand for a whole playlist of segments. The caller holds mu.
func (p *Playlist) renderHead(parts bool, segments []*segment) []byte {
	b := []byte("#EXTM3U\n")
	number := func(tag string, n int64) {
		b = append(b, tag...)
		b = strconv.AppendInt(b, n, 10)
		b = append(b, '\n')
	}
	if parts {
		number("#EXT-X-VERSION:", lowLatencyVersion)
	} else {
		number("#EXT-X-VERSION:", plainVersion)
	}
	number("#EXT-X-TARGETDURATION:", p.target/rate)
	if independent(segments) {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	if parts {
		b = append(b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK="...)
		b = appendSeconds(b, max(3*p.partTarget, ticks(p.cfg.HoldBack)))
		b = append(b, "\n#EXT-X-PART-INF:PART-TARGET="...)
		b = appendSeconds(b, p.partTarget)
		b = append(b, '\n')
	}
	msn, breaks := p.next, p.breaks
	if len(segments) > 0 {
		msn, breaks = segments[0].msn, segments[0].breaks
	}
	number("#EXT-X-MEDIA-SEQUENCE:", msn)
	number("#EXT-X-DISCONTINUITY-SEQUENCE:", breaks)
	return b
}

// independent tells whether a decoder can start with each segment.
func independent(segments []*segment) bool {
	for _, s := range segments {
		if !s.independent {
			return false
		}
	}
	return true
}

// renderParts writes the parts of a segment. Only the first one is said to be independent: others may
// hold a random access point, but a client that starts there has no program tables.
func (s *segment) renderParts(b []byte) []byte {
	for i, part := range s.parts {
		b = append(b, "#EXT-X-PART:DURATION="...)
		b = appendSeconds(b, part.duration)
		b = append(b, `,URI="`...)
		b = Name{MSN: s.msn, Part: i}.append(b)
		b = append(b, '"')
		if i == 0 && s.independent {
			b = append(b, ",INDEPENDENT=YES"...)
		}
		b = append(b, '\n')
	}
	return b
}

// appendSeconds writes a duration in seconds, as exactly as its ticks are.
func appendSeconds(b []byte, t int64) []byte {
	return strconv.AppendFloat(b, seconds(t), 'f', 5, 64)
}
