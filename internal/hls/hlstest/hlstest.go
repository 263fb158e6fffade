// Package hlstest checks media playlists as strictly as RFC 8216 and its second
// edition (draft-pantos-hls-rfc8216bis) put it, one by one and as they change.
package hlstest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Playlist is a media playlist taken apart.
type Playlist struct {
	Version               int
	TargetDuration        int
	MediaSequence         int64
	DiscontinuitySequence int64
	Independent           bool // EXT-X-INDEPENDENT-SEGMENTS
	CanBlock              bool
	PartTarget            float64 // seconds; 0 without parts
	PartHoldBack          float64
	Segments              []Segment
	Open                  Segment // the parts after the last segment
	Hint                  string  // URI of the EXT-X-PRELOAD-HINT
	Ended                 bool
}

// A Segment is a media segment of a [Playlist].
type Segment struct {
	MSN           int64
	URI           string
	Duration      float64 // seconds
	Discontinuity bool
	Date          time.Time
	Parts         []Part // none where they are not listed
}

// A Part is a partial segment.
type Part struct {
	URI         string
	Duration    float64
	Independent bool
}

// Parse takes a media playlist apart. Every tag must be one of those that
// the package knows, well-formed and in a place where it may be.
func Parse(text []byte) (Playlist, error) {
	lines, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return Playlist{}, fmt.Errorf("the last line does not end")
	}
	p := parser{}
	for i, line := range strings.Split(lines, "\n") {
		if err := p.line(i, line); err != nil {
			return Playlist{}, fmt.Errorf("line %d, %q: %w", i+1, line, err)
		}
	}
	if p.timed {
		return Playlist{}, fmt.Errorf("an EXTINF without a URI")
	}
	p.list.Open = p.segment
	p.list.Open.MSN = p.list.MediaSequence + int64(len(p.list.Segments))
	for i := range p.list.Segments {
		p.list.Segments[i].MSN = p.list.MediaSequence + int64(i)
	}
	return p.list, nil
}

// A parser holds what has been read.
type parser struct {
	list    Playlist
	segment Segment // the one that the next URI ends
	timed   bool    // it has its EXTINF
	seen    map[string]bool
}

// once lists the tags that stand for the whole playlist and come at most once.
var once = map[string]bool{
	"#EXT-X-VERSION": true, "#EXT-X-TARGETDURATION": true, "#EXT-X-MEDIA-SEQUENCE": true,
	"#EXT-X-DISCONTINUITY-SEQUENCE": true, "#EXT-X-INDEPENDENT-SEGMENTS": true,
	"#EXT-X-SERVER-CONTROL": true, "#EXT-X-PART-INF": true, "#EXT-X-ENDLIST": true, "#EXT-X-PRELOAD-HINT": true,
}

// early lists those that must come before the first segment (sections 4.3.3.2 and 4.3.3.3).
var early = map[string]bool{"#EXT-X-MEDIA-SEQUENCE": true, "#EXT-X-DISCONTINUITY-SEQUENCE": true}

func (p *parser) line(i int, line string) error {
	if i == 0 {
		if line != "#EXTM3U" {
			return fmt.Errorf("not EXTM3U")
		}
		p.seen = make(map[string]bool)
		return nil
	}
	if !strings.HasPrefix(line, "#") {
		return p.uri(line)
	}
	tag, value, _ := strings.Cut(line, ":")
	if once[tag] && p.seen[tag] {
		return fmt.Errorf("a second time")
	}
	p.seen[tag] = true
	if early[tag] && (len(p.list.Segments) > 0 || p.segment.Discontinuity || len(p.segment.Parts) > 0) {
		return fmt.Errorf("behind a segment")
	}
	return p.tag(tag, value)
}

func (p *parser) uri(line string) error {
	if line == "" || !p.timed {
		return fmt.Errorf("a URI without EXTINF")
	}
	p.segment.URI = line
	p.list.Segments = append(p.list.Segments, p.segment)
	p.segment, p.timed = Segment{}, false
	return nil
}

func (p *parser) tag(tag, value string) (err error) {
	switch tag {
	case "#EXT-X-VERSION":
		p.list.Version, err = strconv.Atoi(value)
	case "#EXT-X-TARGETDURATION":
		p.list.TargetDuration, err = strconv.Atoi(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		p.list.MediaSequence, err = strconv.ParseInt(value, 10, 64)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.list.DiscontinuitySequence, err = strconv.ParseInt(value, 10, 64)
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		p.list.Independent = true
	case "#EXT-X-ENDLIST":
		p.list.Ended = true
	case "#EXT-X-DISCONTINUITY":
		p.segment.Discontinuity = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		p.segment.Date, err = time.Parse(time.RFC3339Nano, value)
	case "#EXTINF":
		seconds, _, ok := strings.Cut(value, ",")
		if !ok {
			return fmt.Errorf("no comma")
		}
		p.timed = true
		p.segment.Duration, err = strconv.ParseFloat(seconds, 64)
	default:
		return p.lowLatency(tag, attributes(value))
	}
	return err
}

func (p *parser) lowLatency(tag string, a map[string]string) (err error) {
	switch tag {
	case "#EXT-X-SERVER-CONTROL":
		p.list.CanBlock = a["CAN-BLOCK-RELOAD"] == "YES"
		p.list.PartHoldBack, err = strconv.ParseFloat(a["PART-HOLD-BACK"], 64)
	case "#EXT-X-PART-INF":
		p.list.PartTarget, err = strconv.ParseFloat(a["PART-TARGET"], 64)
	case "#EXT-X-PART":
		part := Part{URI: a["URI"], Independent: a["INDEPENDENT"] == "YES"}
		part.Duration, err = strconv.ParseFloat(a["DURATION"], 64)
		p.segment.Parts = append(p.segment.Parts, part)
		if part.URI == "" {
			return fmt.Errorf("a part without URI")
		}
	case "#EXT-X-PRELOAD-HINT":
		if p.list.Hint = a["URI"]; a["TYPE"] != "PART" || p.list.Hint == "" {
			return fmt.Errorf("not a hint of a part")
		}
	default:
		return fmt.Errorf("an unknown tag")
	}
	return err
}

// attributes reads an attribute list (section 4.2), none of whose strings has a comma.
func attributes(value string) map[string]string {
	a := make(map[string]string)
	for item := range strings.SplitSeq(value, ",") {
		name, v, _ := strings.Cut(item, "=")
		a[name] = strings.Trim(v, `"`)
	}
	return a
}
