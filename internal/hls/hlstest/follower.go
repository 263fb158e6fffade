package hlstest

import (
	"fmt"
	"math"
	"time"
)

// A Follower checks the versions of one media playlist in the order in which they
// were served. The zero Follower is ready. It is for one goroutine.
type Follower struct {
	last     Playlist
	any      bool
	segments map[int64]Segment // every one seen
	uris     map[string]string // what each URI was used for
	long     bool              // the playlist has once been three target durations long
}

// slack is what rounding may take from the sum of a few durations, in seconds.
const slack = 0.001

// Check takes the next version. The error names the rule that is broken.
func (f *Follower) Check(text []byte) (Playlist, error) {
	p, err := Parse(text)
	if err == nil {
		err = f.alone(p)
	}
	if err == nil && f.any {
		err = f.change(p)
	}
	if err == nil {
		err = f.record(p)
	}
	if err != nil {
		return p, fmt.Errorf("%w\n%s", err, text)
	}
	f.last, f.any = p, true
	return p, nil
}

// alone checks what holds for each version by itself.
func (f *Follower) alone(p Playlist) error {
	switch {
	case p.TargetDuration <= 0:
		return fmt.Errorf("no EXT-X-TARGETDURATION")
	case p.Version < 3:
		return fmt.Errorf("EXT-X-VERSION %d has no fractional durations", p.Version)
	case len(p.Segments) == 0 && !p.Ended:
		return fmt.Errorf("no segments")
	}
	length := 0.0
	for i, s := range p.Segments {
		length += s.Duration
		if s.Duration <= 0 || math.Round(s.Duration) > float64(p.TargetDuration) {
			return fmt.Errorf("segment %d of %gs, the target duration is %d", s.MSN, s.Duration, p.TargetDuration)
		}
		if i > 0 {
			if err := follows(p.Segments[i-1], s); err != nil {
				return err
			}
		}
		if err := parts(p, s, true); err != nil {
			return err
		}
	}
	if f.long && length < float64(3*p.TargetDuration) {
		return fmt.Errorf("only %gs are left of a playlist that was longer than three target durations", length)
	}
	f.long = f.long || length >= float64(3*p.TargetDuration)
	return lowLatency(p)
}

// follows checks the dates of two segments.
func follows(a, b Segment) error {
	due := a.Date.Add(time.Duration(a.Duration * float64(time.Second)))
	off := b.Date.Sub(due)
	if a.Date.IsZero() || b.Date.IsZero() || off < -2*time.Millisecond || !b.Discontinuity && off > 2*time.Millisecond {
		return fmt.Errorf("segment %d is of %v, %v after the end of the one before", b.MSN, b.Date, off)
	}
	return nil
}

// parts checks the parts of a segment.
func parts(p Playlist, s Segment, whole bool) error {
	sum := 0.0
	for i, part := range s.Parts {
		sum += part.Duration
		last := whole && i == len(s.Parts)-1
		if part.Duration <= 0 || part.Duration > p.PartTarget+1e-9 {
			return fmt.Errorf("part %s of %gs, the target is %gs", part.URI, part.Duration, p.PartTarget)
		}
		if part.Duration < 0.85*p.PartTarget && !last && !part.Independent {
			return fmt.Errorf("part %s of %gs is shorter than 85%% of %gs", part.URI, part.Duration, p.PartTarget)
		}
	}
	if whole && len(s.Parts) > 0 && math.Abs(sum-s.Duration) > slack {
		return fmt.Errorf("the parts of segment %d add up to %gs, it has %gs", s.MSN, sum, s.Duration)
	}
	return nil
}

// lowLatency checks the tags of low latency against each other.
func lowLatency(p Playlist) error {
	hasParts := len(p.Open.Parts) > 0
	for _, s := range p.Segments {
		hasParts = hasParts || len(s.Parts) > 0
	}
	switch {
	case p.PartTarget == 0 && (hasParts || p.Hint != "" || p.PartHoldBack > 0):
		return fmt.Errorf("parts without EXT-X-PART-INF")
	case p.PartTarget == 0:
		return nil
	case p.Version < 6:
		return fmt.Errorf("EXT-X-VERSION %d of a playlist with parts", p.Version)
	case !p.CanBlock || p.PartHoldBack < 3*p.PartTarget:
		return fmt.Errorf("EXT-X-SERVER-CONTROL with a PART-HOLD-BACK of %gs, PART-TARGET is %gs", p.PartHoldBack, p.PartTarget)
	case (p.Hint != "") == p.Ended:
		return fmt.Errorf("hint %q, ended %v", p.Hint, p.Ended)
	}
	behind := 0.0
	for i := len(p.Segments) - 1; i >= 0 && behind < float64(3*p.TargetDuration)-1; i-- {
		if len(p.Segments[i].Parts) == 0 {
			return fmt.Errorf("segment %d lists no parts, %gs from the end", p.Segments[i].MSN, behind)
		}
		behind += p.Segments[i].Duration
	}
	return parts(p, p.Open, false)
}

// change checks what must not change from one version to the next (section 6.2.1).
func (f *Follower) change(p Playlist) error {
	was := f.last
	gone := p.MediaSequence - was.MediaSequence
	switch {
	case p.TargetDuration != was.TargetDuration || p.PartTarget != was.PartTarget || p.PartHoldBack != was.PartHoldBack:
		return fmt.Errorf("target durations %d and %g became %d and %g", was.TargetDuration, was.PartTarget, p.TargetDuration, p.PartTarget)
	case gone < 0:
		return fmt.Errorf("EXT-X-MEDIA-SEQUENCE went back from %d to %d", was.MediaSequence, p.MediaSequence)
	case p.Open.MSN < was.Open.MSN:
		return fmt.Errorf("the end went back from segment %d to %d", was.Open.MSN, p.Open.MSN)
	case was.Ended && (!p.Ended || p.Open.MSN != was.Open.MSN):
		return fmt.Errorf("it went on after EXT-X-ENDLIST")
	}
	breaks := was.DiscontinuitySequence
	for msn := was.MediaSequence; msn < p.MediaSequence; msn++ {
		s, ok := f.segments[msn]
		if !ok { // it came and went between two versions: the sequence cannot be told
			return f.unseen(p)
		}
		if s.Discontinuity {
			breaks++
		}
	}
	if breaks != p.DiscontinuitySequence {
		return fmt.Errorf("EXT-X-DISCONTINUITY-SEQUENCE is %d, should be %d", p.DiscontinuitySequence, breaks)
	}
	// What was a growing segment is the same one when it is complete.
	if i := was.Open.MSN - p.MediaSequence; len(was.Open.Parts) > 0 && i >= 0 {
		now := p.Open
		if i < int64(len(p.Segments)) {
			now = p.Segments[i]
		}
		if now.Discontinuity != was.Open.Discontinuity || !now.Date.Equal(was.Open.Date) {
			return fmt.Errorf("growing segment %d changed", was.Open.MSN)
		}
		for k, part := range was.Open.Parts {
			if len(now.Parts) > 0 && (k >= len(now.Parts) || now.Parts[k] != part) {
				return fmt.Errorf("part %s of growing segment %d changed", part.URI, was.Open.MSN)
			}
		}
	}
	return nil
}

// unseen checks the little that is certain after segments were missed.
func (f *Follower) unseen(p Playlist) error {
	if p.DiscontinuitySequence < f.last.DiscontinuitySequence {
		return fmt.Errorf("EXT-X-DISCONTINUITY-SEQUENCE went back to %d", p.DiscontinuitySequence)
	}
	return nil
}

// record checks segments against what was said of them before, and notes them.
func (f *Follower) record(p Playlist) error {
	if f.segments == nil {
		f.segments, f.uris = make(map[int64]Segment), make(map[string]string)
	}
	use := func(uri, what string) error {
		if before, ok := f.uris[uri]; ok && before != what {
			return fmt.Errorf("%s is used for %s and for %s", uri, before, what)
		}
		f.uris[uri] = what
		return nil
	}
	for _, s := range append(p.Segments[:len(p.Segments):len(p.Segments)], p.Open) {
		for k, part := range s.Parts {
			if err := use(part.URI, fmt.Sprintf("part %d of segment %d", k, s.MSN)); err != nil {
				return err
			}
		}
		if s.URI == "" {
			continue
		}
		if err := use(s.URI, fmt.Sprintf("segment %d", s.MSN)); err != nil {
			return err
		}
		was, ok := f.segments[s.MSN]
		if ok && (was.URI != s.URI || was.Duration != s.Duration || was.Discontinuity != s.Discontinuity || !was.Date.Equal(s.Date)) {
			return fmt.Errorf("segment %d was %+v and is %+v", s.MSN, was, s)
		}
		f.segments[s.MSN] = s
	}
	return nil
}
