package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// needs skips a test where a program is not installed, and returns its path.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

// hlsServer serves a channel from two engines.
func hlsServer(t *testing.T) (*serving, []*enginetest.Fake) {
	t.Helper()
	fakes := []*enginetest.Fake{enginetest.New(channel()).Start(t), enginetest.New(channel()).Start(t)}
	return staticServer(t, true, fakes, config.Setting{Name: "playback.linger", Text: "300ms"}), fakes
}

// killPlaying ends the engine that has the session.
func killPlaying(t *testing.T, fakes []*enginetest.Fake) {
	t.Helper()
	for _, f := range fakes {
		if f.Counters().Active > 0 {
			f.Kill()
			return
		}
	}
	t.Error("no engine plays")
}

// outage ends all engines and brings them back after a time.
func outage(t *testing.T, fakes []*enginetest.Fake, lasting time.Duration) {
	t.Helper()
	for _, f := range fakes {
		f.Kill()
	}
	time.AfterFunc(lasting, func() {
		for _, f := range fakes {
			if err := f.Revive(); err != nil {
				t.Error(err)
			}
		}
	})
}

// ffprobe names the streams, and ffmpeg decodes on while the engine is killed, in
// both forms of the playlist.
func TestHLSInFFmpeg(t *testing.T) {
	t.Parallel()
	ffprobe, ffmpeg := needs(t, "ffprobe"), needs(t, "ffmpeg")
	for _, form := range []string{"", "&low_latency=1"} {
		t.Run("form"+form, func(t *testing.T) {
			t.Parallel()
			s, fakes := hlsServer(t)
			url := s.base + "/ace/manifest.m3u8?id=" + channelID + form
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			out, err := exec.CommandContext(ctx, ffprobe, "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "h264") || !strings.Contains(string(out), "mp2") {
				t.Fatalf("ffprobe: %v\n%s", err, out)
			}
			cmd := exec.CommandContext(ctx, ffmpeg, "-v", "warning", "-stats", "-stats_period", "0.2", "-progress", "pipe:1",
				"-i", url, "-t", "16", "-c:v", "rawvideo", "-f", "null", "-")
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			progress, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			killed, frames := false, ""
			for lines := bufio.NewScanner(progress); lines.Scan(); {
				key, value, _ := strings.Cut(lines.Text(), "=")
				if key == "frame" {
					frames = value
				}
				if key == "out_time_ms" && len(value) >= len("6000000") && !killed { // microseconds, whatever it is called
					killPlaying(t, fakes)
					killed = true
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ffmpeg: %v", err)
			}
			if frames != "400" || !killed {
				t.Errorf("%s frames in 16 s of 25 each, engine killed: %v", frames, killed)
			}
			for line := range strings.Lines(complaints.String()) {
				if strings.Contains(line, "frame=") || strings.TrimSpace(line) == "" {
					continue
				}
				t.Errorf("ffmpeg: %s", line)
			}
		})
	}
}

// seen is what the page of test/browser tells.
type seen struct {
	Time, Latency, Target                                            float64
	Width, Height, Frames, Parts, Fragments, Discontinuities, Stalls int
	Errors                                                           []struct {
		Details, Reason string
		Fatal           bool
	}
}

// hls.js plays in Chromium, and goes on when the engine is killed. It
// runs where "make browser-test" has installed what it takes.
func TestHLSInChromium(t *testing.T) {
	t.Parallel()
	needsBrowser(t)
	for _, c := range []struct {
		name, form, settings string
		breaks               int // discontinuities to come
	}{
		{name: "plain", settings: `{}`},
		{name: "low latency", form: "&low_latency=1", settings: `{"lowLatencyMode":true,"withoutAudio":true}`},
		{name: "with a break", settings: `{}`, breaks: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, fakes := hlsServer(t)
			kill := func() { killPlaying(t, fakes) }
			if c.breaks > 0 {
				kill = func() { outage(t, fakes, 5*time.Second) } // longer than what engines send again reaches back
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			last, killedAt := browse(ctx, t, s.base+"/ace/manifest.m3u8?id="+channelID+c.form, c.settings, kill)
			if last.Time-killedAt < 15 || last.Width != 128 || last.Height != 96 {
				t.Errorf("%dx%d, at %gs, killed at %gs", last.Width, last.Height, last.Time, killedAt)
			}
			if last.Discontinuities != c.breaks {
				t.Errorf("%d discontinuities, want %d", last.Discontinuities, c.breaks)
			}
			if low := c.form != ""; low != (last.Parts > 0) || low && last.Latency > 8 {
				t.Errorf("%d parts, %gs behind live", last.Parts, last.Latency)
			}
		})
	}
}

// browserDir has the page that plays.
var browserDir = filepath.Join("..", "..", "test", "browser")

// needsBrowser skips a test where browse has nothing to work with.
func needsBrowser(t *testing.T) {
	t.Helper()
	needs(t, "node")
	needs(t, "chromium")
	if _, err := os.Stat(filepath.Join(browserDir, "node_modules", "hls.js")); err != nil {
		t.Skip("make browser-test installs what this takes")
	}
}

// browse plays an address with hls.js in Chromium for some seconds (see follow), and returns what
// the page tells in the end, and the time at which kill was called.
func browse(ctx context.Context, t *testing.T, url, settings string, kill func()) (last seen, killedAt float64) {
	t.Helper()
	cmd := exec.CommandContext(ctx, needs(t, "node"), "play.mjs", url, needs(t, "chromium"), settings)
	cmd.Dir = browserDir
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, killedAt = follow(t, stdout, kill)
	stdin.Close()
	io.Copy(io.Discard, stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("chromium: %v", err)
	}
	for _, e := range last.Errors {
		t.Errorf("hls.js: %+v", e)
	}
	t.Logf("%+v", last)
	return last, killedAt
}

// follow reads what the page tells: once it plays, kill is called, and then it is
// to play on for some seconds.
func follow(t *testing.T, stdout io.Reader, kill func()) (last seen, killedAt float64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		last = seen{}
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if killedAt == 0 && last.Time > 0 && last.Frames > 100 {
			kill()
			killedAt = last.Time
		}
		if killedAt > 0 && last.Time > killedAt+20 || time.Now().After(deadline) {
			return last, killedAt
		}
	}
	t.Error("the page tells nothing more")
	return last, killedAt
}
