package app

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// Both forms begin in ffmpeg where they were asked to, and decode from their first picture on
// without a complaint.
func TestSeekBackInFFmpeg(t *testing.T) {
	t.Parallel()
	ffprobe, ffmpeg := needs(t, "ffprobe"), needs(t, "ffmpeg")
	s := shiftServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	watch(ctx, t, s.base+"/ace/getstream?id="+channelID)
	first := firstPicture(ctx, t, ffprobe, s.base+"/ace/getstream?id="+channelID)
	began := time.Now()
	select {
	case <-time.After(32 * time.Second):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	for _, form := range []string{"getstream", "manifest.m3u8"} {
		url := s.base + "/ace/" + form + "?id=" + channelID + "&seekback=25"
		live := first + time.Since(began).Seconds()
		if behind := live - firstPicture(ctx, t, ffprobe, url); behind < 12 || behind > 30 {
			t.Errorf("%s begins %gs behind live", form, behind)
		}
		out, err := exec.CommandContext(ctx, ffmpeg, "-v", "warning", "-i", url, "-t", "8", "-c:v", "rawvideo", "-f", "null", "-").CombinedOutput()
		if text := strings.TrimSpace(string(out)); err != nil || text != "" {
			t.Errorf("%s: %v\n%s", form, err, text)
		}
	}
}

// shiftServer serves a channel that is kept on disk, and next to none of it in memory.
func shiftServer(t *testing.T) *serving {
	t.Helper()
	fakes := []*enginetest.Fake{enginetest.New(channel()).Start(t)}
	return staticServer(t, true, fakes, config.Setting{Name: "playback.linger", Text: "300ms"},
		config.Setting{Name: "playback.timeshift", Text: "10m"}, config.Setting{Name: "playback.buffer", Text: "1MiB"})
}

// hls.js plays from far back as it plays live.
func TestSeekBackInChromium(t *testing.T) {
	t.Parallel()
	needsBrowser(t)
	s := shiftServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	watch(ctx, t, s.base+"/ace/getstream?id="+channelID)
	select {
	case <-time.After(45 * time.Second):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	last, from := browse(ctx, t, s.base+"/ace/manifest.m3u8?id="+channelID+"&seekback=40", "{}", func() {})
	if last.Time-from < 15 || last.Width != 128 || last.Height != 96 {
		t.Errorf("%+v, from %gs on", last, from)
	}
}

// watch keeps a viewer on a stream until ctx ends.
func watch(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, res.Body)
	}()
	t.Cleanup(func() { res.Body.Close(); <-done })
}

// firstPicture returns the time stamp of the first picture, in seconds.
func firstPicture(ctx context.Context, t *testing.T, ffprobe, url string) float64 {
	t.Helper()
	out, err := exec.CommandContext(ctx, ffprobe, "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time",
		"-read_intervals", "%+#1", "-of", "csv=p=0", url).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	at, err := strconv.ParseFloat(strings.TrimRight(strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0]), ","), 64)
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	return at
}
