package vod_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

// runsEnv is how often each interoperability test reads the file; 20 is the
// gate for a change of the library or of the guards around it.
const runsEnv = "VOD_INTEROP_RUNS"

// link is a network namespace for a foreign client, and a cable to it: some
// clients refuse peers of 127.0.0.0/8.
type link struct {
	name         string
	here, there  netip.Addr
	inside, near string // interface names
}

var links atomic.Int32 // made so far

// newLink makes a namespace, or skips the test where that is not allowed.
func newLink(t *testing.T) link {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces need the ip command")
	}
	// The name has the process id, so that runs side by side do not meet.
	n := int(links.Add(1))
	id := fmt.Sprintf("%d-%d", os.Getpid(), n)
	base := [4]byte{10, byte(200 + n%16), byte(os.Getpid() >> 6), byte(os.Getpid()<<2) &^ 3}
	l := link{name: "vod" + id, near: "va" + id, inside: "vb" + id}
	l.here = netip.AddrFrom4([4]byte{base[0], base[1], base[2], base[3] + 1})
	l.there = netip.AddrFrom4([4]byte{base[0], base[1], base[2], base[3] + 2})
	t.Cleanup(func() {
		// The cable goes with the namespace, or was never made.
		_ = exec.Command("ip", "link", "del", l.near).Run()
		_ = exec.Command("ip", "netns", "del", l.name).Run()
	})
	for i, args := range [][]string{
		{"netns", "add", l.name},
		{"link", "add", l.near, "type", "veth", "peer", "name", l.inside},
		{"link", "set", l.inside, "netns", l.name},
		{"addr", "add", l.here.String() + "/30", "dev", l.near},
		{"link", "set", l.near, "up"},
		{"-n", l.name, "addr", "add", l.there.String() + "/30", "dev", l.inside},
		{"-n", l.name, "link", "set", l.inside, "up"},
		{"-n", l.name, "link", "set", "lo", "up"},
		{"-n", l.name, "route", "add", "default", "via", l.here.String()},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			if i == 0 {
				t.Skipf("no network namespaces here: %v: %s", err, out)
			}
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	return l
}

// run starts a program inside and stops it when the test ends.
func (l link) run(t *testing.T, home string, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.name}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		stop := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how it ends is its own affair
		stop.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(args[0]), said.String())
		}
	})
}

// foreign is another BitTorrent client. arguments makes it seed, or fetch,
// the content of file into data, on the given port.
type foreign struct {
	program string
	// quick clients fetch within seconds; the others do it only when runsEnv
	// asks for thoroughness.
	quick     bool
	arguments func(t *testing.T, home, data, file string, port int) []string
}

var foreigners = map[string]foreign{
	"transmission": {"transmission-daemon", false, func(t *testing.T, home, data, file string, port int) []string {
		watch := filepath.Join(home, "watch")
		if err := os.MkdirAll(watch, 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(watch, "c.torrent"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{
			"-f", "-g", home, "-w", data, "-c", watch, "-P", strconv.Itoa(port),
			"--no-portmap", "--no-dht", "--no-lpd", "--no-utp", "--no-auth", "--no-incomplete-dir",
		}
	}},
	"aria2": {"aria2c", true, func(_ *testing.T, _, data, file string, port int) []string {
		return []string{
			"--dir=" + data, "--listen-port=" + strconv.Itoa(port), "--check-integrity=true", "--seed-ratio=0.0",
			"--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
			"--allow-overwrite=true", "--file-allocation=none", "--disable-ipv6=true", file,
		}
	}},
	"qbittorrent": {"qbittorrent-nox", false, func(t *testing.T, home, data, file string, port int) []string {
		dir := filepath.Join(home, "qBittorrent", "config")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		conf := "[LegalNotice]\nAccepted=true\n[BitTorrent]\nSession\\Port=" + strconv.Itoa(port) +
			"\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\nSession\\DefaultSavePath=" + data +
			"\n[Network]\nPortForwardingEnabled=false\n[Preferences]\nConnection\\UPnP=false\nWebUI\\Enabled=true\nWebUI\\Port=18080\n"
		if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(conf), 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{"--profile=" + home, "--save-path=" + data, "--skip-dialog=true", file}
	}},
}

const foreignPort = 51413

func interopRuns(t *testing.T) int {
	s := os.Getenv(runsEnv)
	if s == "" {
		return 1
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", runsEnv, err)
	}
	return n
}

// TestReadFromForeignSeeders reads a file from other clients, all of it and
// parts of it, bit for bit.
func TestReadFromForeignSeeders(t *testing.T) {
	t.Parallel()
	for name, f := range foreigners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(f.program)
			if err != nil {
				t.Skipf("%s is not installed", f.program)
			}
			want := clip(40, 24<<20+4321)
			hash, torrent := describeClip(t, want, "")
			for i := range interopRuns(t) {
				// Each run has its own seeder: Transmission takes an address
				// that once had everything for a seed, and chokes it ever after.
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					l := newLink(t)
					home, data := t.TempDir(), t.TempDir()
					if err := os.WriteFile(filepath.Join(data, "clip.ts"), want, 0o644); err != nil {
						t.Fatal(err)
					}
					l.run(t, home, append([]string{program}, f.arguments(t, home, data, torrent, foreignPort)...)...)
					readForeign(t, l, hash, want)
				})
			}
		})
	}
}

func readForeign(t *testing.T, l link, hash string, want []byte) {
	start := time.Now()
	c := open(t, vod.Config{
		ListenHost: l.here.String(), StartTimeout: 45 * time.Second,
		Peers: []netip.AddrPort{netip.AddrPortFrom(l.there, foreignPort)},
	})
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tor, err := c.Add(ctx, vod.Source{Infohash: hash})
	if err != nil {
		t.Fatal(err)
	}
	described := time.Now()
	r, err := tor.Open(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Parts first: nothing but what they need is there then.
	same(t, r, want, 0, 1)
	first := time.Now()
	same(t, r, want, len(want)/2+7, 300<<10)
	same(t, r, want, len(want)-1000, 1000)
	same(t, r, want, 0, len(want))
	t.Logf("description after %s, first byte %s later, the rest in %s",
		described.Sub(start).Round(time.Millisecond), first.Sub(described).Round(time.Millisecond), time.Since(first).Round(time.Millisecond))
}

// describeClip writes the .torrent file of a clip.
func describeClip(t *testing.T, b []byte, tracker string) (hash, file string) {
	t.Helper()
	share := vod.ShareBytes("clip.ts", b)
	share.PieceLength = 256 << 10
	if tracker != "" {
		share.Trackers = []string{tracker}
	}
	s, err := vod.Seed(vod.Config{}, share, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	file = filepath.Join(t.TempDir(), "clip.torrent")
	if err := os.WriteFile(file, s.Metainfo(), 0o644); err != nil {
		t.Fatal(err)
	}
	return s.Infohash(), file
}

// tracker answers every announce with one peer, once there is one.
func tracker(t *testing.T, host string, seeder *atomic.Pointer[vod.Seeder]) (announce string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := seeder.Load()
		if s == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p := s.Addr()
		a := p.Addr().As4()
		body := append([]byte("d8:intervali2e12:min intervali2e5:peers6:"), a[:]...)
		body = append(body, byte(p.Port()>>8), byte(p.Port()), 'e')
		_, _ = w.Write(body)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return "http://" + l.Addr().String() + "/announce"
}

// TestForeignersReadFromSeeder lets other clients fetch a file from our
// seeder, which they find by a tracker.
func TestForeignersReadFromSeeder(t *testing.T) {
	t.Parallel()
	for name, f := range foreigners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(f.program)
			if err != nil {
				t.Skipf("%s is not installed", f.program)
			}
			if !f.quick && os.Getenv(runsEnv) == "" {
				t.Skipf("%s is slow to start; %s=1 includes it", f.program, runsEnv)
			}
			l := newLink(t)
			want := clip(41, 8<<20+99)
			var known atomic.Pointer[vod.Seeder]
			announce := tracker(t, l.here.String(), &known)
			_, torrent := describeClip(t, want, announce)
			share := vod.ShareBytes("clip.ts", want)
			share.PieceLength = 256 << 10
			s := seed(t, vod.Config{ListenHost: l.here.String()}, share)
			known.Store(s)
			home, data := t.TempDir(), t.TempDir()
			l.run(t, home, append([]string{program}, f.arguments(t, home, data, torrent, foreignPort)...)...)
			waitForFile(t, filepath.Join(data, "clip.ts"), want, s)
		})
	}
}

// waitForFile returns when another program has written all of want.
func waitForFile(t *testing.T, file string, want []byte, s *vod.Seeder) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(50 * time.Second)
	for {
		select {
		case <-deadline:
			t.Fatalf("the file is not there; %d of %d bytes were sent", s.Uploaded(), len(want))
		case <-tick.C:
		}
		if s.Uploaded() < int64(len(want)) {
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) {
			return
		}
	}
}
