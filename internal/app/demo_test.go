package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/demo"
)

// runDemo runs the demo until the test ends, and returns the address that it
// prints and what it printed before.
func runDemo(t *testing.T, flags ...config.Setting) (url, said string, stop func() error) {
	t.Helper()
	out, in := io.Pipe()
	inv := invocation(t, flags...)
	inv.Stdout = in
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := Demo(ctx, inv)
		in.CloseWithError(io.EOF)
		ended <- err
	}()
	done := false
	stop = func() error {
		if done {
			return nil
		}
		done = true
		cancel(errors.New("test is over"))
		go io.Copy(io.Discard, out)
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("demo ended with: %v", err)
		}
	})
	address := regexp.MustCompile(`^ +(http://\S+)$`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, out)
			return m[1], said, stop
		}
		said += lines.Text() + "\n"
	}
	t.Fatalf("the demo printed no address, only:\n%s", said)
	return "", "", nil
}

// The whole way: seeder, BitTorrent, engines in processes of their own, pool,
// proxy, player.
func TestDemoPlays(t *testing.T) {
	before := leftBehind(t)
	url, _, stop := runDemo(t, config.Setting{Name: "listen", Text: "127.0.0.1:0"})

	res, body := get(t, url)
	if res.StatusCode != http.StatusOK || !bytes.Equal(body, demo.Clip()) {
		t.Errorf("%s: %d, %d bytes; want the %d of the clip", url, res.StatusCode, len(body), len(demo.Clip()))
	}
	res, body = get(t, url, "Range", "bytes=100000-199999")
	if res.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demo.Clip()[100000:200000]) {
		t.Errorf("range: %d, %d bytes", res.StatusCode, len(body))
	}
	if res, body := get(t, url, "Range", "bytes=99999999-"); res.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("range past the end: %d %.80q", res.StatusCode, body)
	}

	t.Run("ffprobe", func(t *testing.T) {
		ffprobe, err := exec.LookPath("ffprobe")
		if err != nil {
			t.Skip("ffprobe is not installed")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, ffprobe, "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url).Output()
		if err != nil || !strings.Contains(string(out), "h264") || !strings.Contains(string(out), "aac") {
			t.Errorf("ffprobe: %q, %v; want h264 and aac", out, err)
		}
	})

	t.Run("AceStream id", func(t *testing.T) {
		began := time.Now()
		address, _, _ := strings.Cut(url, "?")
		res, body := get(t, address+"?id=8ca07071b39185431f8e940ec98d1add9e561639", "Accept-Language", "es")
		if res.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "motor AceStream oficial") {
			t.Errorf("%d %q; want 404 and why, in Spanish", res.StatusCode, body)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("told after %v", took)
		}
	})

	if err := stop(); err != nil {
		t.Errorf("demo ended with: %v", err)
	}
	if after := leftBehind(t); after > before {
		t.Errorf("%d files and directories left behind", after-before)
	}
}

// leftBehind counts what the demo may leave: its directory, and files in the
// working directory that nobody asked for.
func leftBehind(t *testing.T) int {
	t.Helper()
	n := 0
	for _, pattern := range []string{filepath.Join(os.TempDir(), "acequia-demo-*"), ".torrent*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		n += len(found)
	}
	return n
}

// The usual port may be taken, by an engine of the user's own for example.
func TestDemoTakesAnotherPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1"+defaultListen)
	if err == nil {
		defer l.Close()
	} // otherwise somebody has it already, which does as well
	url, said, _ := runDemo(t)
	if strings.Contains(url, defaultListen) || !strings.Contains(said, "6878 is taken") {
		t.Errorf("address %s, said %q", url, said)
	}
	if res, body := get(t, url); res.StatusCode != http.StatusOK || !bytes.Equal(body, demo.Clip()) {
		t.Errorf("%d, %d bytes", res.StatusCode, len(body))
	}
}

// A port that was asked for by name is not exchanged for another.
func TestDemoKeepsThePortItWasGiven(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = Demo(t.Context(), invocation(t, config.Setting{Name: "listen", Text: l.Addr().String()}))
	if err == nil || !strings.Contains(err.Error(), "taken by another program") || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("error %v; want one that says what to do", err)
	}
}
