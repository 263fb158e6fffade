package playback

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/stream"
)

// seekbackHeader tells how far behind live a viewer begins that asked for seekback, in
// seconds: less than it asked for where less is kept.
const seekbackHeader = "X-Seekback"

// mostSeekback bounds what is asked for. More than is kept is as much as is kept.
const mostSeekback = 7 * 24 * time.Hour

// errSeekback says that the value of seekback is none.
var errSeekback = errors.New("seekback is no time")

// seekback reads how far behind live a player wants to begin: seekback=600 or seekback=10m. It
// is 0 where the parameter is missing. The error is errSeekback.
func seekback(q url.Values) (time.Duration, error) {
	text := q.Get("seekback")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d < 0 || d > mostSeekback {
		return 0, errSeekback
	}
	return d, nil
}

// seekBack takes a viewer of a live stream back by what it asked for, if it did.
func seekBack(r *http.Request, header http.Header, viewer *stream.Viewer, back time.Duration) error {
	if back == 0 {
		return nil
	}
	behind, err := viewer.SeekBack(r.Context(), back)
	if err != nil {
		return err
	}
	header.Set(seekbackHeader, strconv.FormatFloat(behind.Seconds(), 'f', 1, 64))
	return nil
}
