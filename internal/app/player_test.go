package app

import (
	"bufio"
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A player with a read timeout of five seconds, as many set it, is still there after all
// engines were gone for ten.
func TestImpatientPlayerOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	ffmpeg := needs(t, "ffmpeg")
	s, fakes := hlsServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	const frames, before = 400, 100 // before the outage: less than what may be sent until it begins
	cmd := exec.CommandContext(ctx, ffmpeg, "-v", "warning", "-rw_timeout", "5000000", "-i", s.base+"/ace/getstream?id="+channelID,
		"-map", "0:v", "-c", "copy", "-frames:v", strconv.Itoa(frames), "-progress", "pipe:1", "-stats_period", "0.2", "-f", "null", "-")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	progress, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, out := 0, false
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), "frame=")
		if !ok {
			continue
		}
		last, err = strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			t.Fatal(err)
		}
		if last >= before && !out {
			outage(t, fakes, 10*time.Second)
			out = true
		}
	}
	if err := cmd.Wait(); err != nil || last != frames {
		t.Errorf("ffmpeg ended after %d frames: %v\n%s", last, err, complaints.String())
	}
}
