package enginetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// hlsWindow is the most segments a playlist of 3.2.3 was seen to list, and
	// hlsLead about what it lists in the beginning.
	hlsWindow = 17
	hlsLead   = 15 * time.Second
)

// segmentStart returns where a segment begins: three last 15 s.
func segmentStart(n int) time.Duration {
	return time.Duration(n/3)*15*time.Second + [...]time.Duration{0, 4, 10}[n%3]*time.Second
}

// segments returns where the infohash's segment 0 began and which of them the
// playlist lists now. They belong to the content: all its readers see the same.
func (f *Fake) segments(c *Content) (origin time.Duration, from, to int) {
	f.mu.Lock()
	since := f.since[c.Infohash]
	f.mu.Unlock()
	origin = since.Add(-hlsLead).Sub(f.cfg.Epoch).Truncate(time.Second)
	have := f.mediaTime(c).Sub(f.cfg.Epoch) - origin
	for segmentStart(to+1) <= have {
		to++
	}
	return origin, max(0, to-hlsWindow), to
}

// playlist answers once the first segments are there.
func (f *Fake) playlist(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimSuffix(r.PathValue("key"), ".m3u8")
	s, status := f.enter(r.PathValue("infohash"), func(s *session) bool { return s.key == key && s.hls })
	if s == nil {
		refusePlayback(w, status)
		return
	}
	defer f.leave(s)
	if f.fault(Playback404, s.content.names()...) != nil {
		refusePlayback(w, http.StatusNotFound)
		return
	}
	ctx, cancel := eitherContext(r.Context(), s.ctx)
	defer cancel()
	if !f.prebuffer(ctx, s) {
		panic(http.ErrAbortHandler)
	}
	if !s.content.Live {
		// The fake has no playlists of files: it would have to know their format.
		refusePlayback(w, http.StatusInternalServerError)
		return
	}
	_, from, to := f.segments(s.content)
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:7\n#EXT-X-MEDIA-SEQUENCE:%d\n", from)
	for n := from; n < to; n++ {
		length := segmentStart(n+1) - segmentStart(n)
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n%s/ace/c/%s/%d.ts\n", length.Seconds(), f.base(r), s.content.Infohash, n)
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write([]byte(b.String())) // the client may have gone
}

// segment sends one segment, to any number of readers.
func (f *Fake) segment(w http.ResponseWriter, r *http.Request) {
	s, _ := f.enter(r.PathValue("infohash"), func(s *session) bool { return s.hls && s.state == active })
	if s == nil {
		writeText(w, http.StatusNotFound, "download not found")
		return
	}
	defer f.leave(s)
	origin, from, to := f.segments(s.content)
	n, err := strconv.Atoi(strings.TrimSuffix(r.PathValue("segment"), ".ts"))
	if err != nil || n < from || n >= to {
		refusePlayback(w, http.StatusNotFound)
		return
	}
	b := f.broadcasts[s.content.Infohash]
	start := b.Offset(origin + segmentStart(n))
	p := make([]byte, b.Offset(origin+segmentStart(n+1))-start)
	f.readLive(s.content, b, p, start)
	w.Header().Set("Content-Type", "video/mp2t")
	w.Header().Set("Content-Length", strconv.Itoa(len(p)))
	if _, err := w.Write(p); err == nil {
		f.count(func(c *Counters) { c.Bytes += int64(len(p)) })
	}
}
