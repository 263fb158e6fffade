package hls

import "github.com/acequia-tv/acequia/internal/mpegts"

const (
	// maxStep is how far one picture may be after the one before it on a time
	// line. What is further off, or goes back, is another time line.
	maxStep = 2 * rate
	// usualStep stands in for the duration of a picture while none is known.
	usualStep = rate / 25
)

// A timeline makes one time of the decoding time stamps of a stream: it does not
// wrap or go back, and goes on over a break by the duration of a picture. Pictures
// without a stamp are placed by the media time that the clock references tell.
type timeline struct {
	at    int64 // of the last picture
	step  int64 // the last duration of a picture; 0 while unknown
	media int64 // media time of the last picture, in ticks of 27 MHz

	stamped bool  // the two below are known
	stamp   int64 // of the last picture that had one
	stampAt int64 // its time
}

// next returns the time of a picture. broken says that it does not follow the one
// before: it is then not taken, and restart must come first. Its step is over the
// most that is allowed, or its stamp goes back.
func (t *timeline) next(dts int64, stamped bool, media, most int64) (at int64, broken bool) {
	at = t.at + max(media-t.media, 0)*rate/mpegts.ClockRate
	if stamped && t.stamped {
		step := mpegts.StampStep(t.stamp, dts)
		if step > maxStep {
			return 0, true
		}
		// A picture without a stamp in between may have been put too late.
		at = max(t.stampAt+step, t.at)
	}
	if at-t.at > most {
		return 0, true
	}
	if at > t.at {
		t.step = at - t.at
	}
	t.place(at, dts, stamped, media)
	return at, false
}

// begin places the first picture after the start or after a break.
func (t *timeline) begin(dts int64, stamped bool, media int64) (at int64) {
	t.stamped = false
	t.place(t.at, dts, stamped, media)
	return t.at
}

func (t *timeline) place(at, dts int64, stamped bool, media int64) {
	t.at, t.media = at, media
	if stamped {
		t.stamped, t.stamp, t.stampAt = true, dts, at
	}
}

// end returns where the last picture ends, by the duration of the one before it.
func (t *timeline) end() int64 {
	if t.step == 0 {
		return t.at + usualStep
	}
	return t.at + t.step
}

// finish moves to the end of the last picture.
func (t *timeline) finish() { t.at = t.end() }
