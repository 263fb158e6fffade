package vod_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

// clip is n bytes that look like nothing else, the same for one seed.
func clip(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func seed(t testing.TB, cfg vod.Config, share vod.Share) *vod.Seeder {
	t.Helper()
	s, err := vod.Seed(cfg, share, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func open(t testing.TB, cfg vod.Config) *vod.Client {
	t.Helper()
	c, err := vod.Open(cfg, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func add(t testing.TB, c *vod.Client, src vod.Source) vod.Torrent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tor, err := c.Add(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tor.Close() })
	return tor
}

func reader(t testing.TB, tor vod.Torrent, file int) vod.Reader {
	t.Helper()
	r, err := tor.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// same fails unless r has the bytes of want from off on, n of them.
func same(t testing.TB, r io.ReadSeeker, want []byte, off, n int) {
	t.Helper()
	if _, err := r.Seek(int64(off), io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	if m, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("read [%d, %d): got %d bytes: %v", off, off+n, m, err)
	}
	if !bytes.Equal(got, want[off:off+n]) {
		t.Fatalf("bytes [%d, %d) differ", off, off+n)
	}
}

// alike is how many bytes a and b have in common from the start.
func alike(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestWholeFile(t *testing.T) {
	t.Parallel()
	want := clip(1, 40<<20+12345)
	s := seed(t, vod.Config{}, vod.ShareBytes("clip.ts", want))
	c := open(t, vod.Config{})
	tor := add(t, c, vod.Source{Magnet: s.Magnet()})
	info := tor.Info()
	if info.Infohash != s.Infohash() || info.Name != "clip.ts" || len(info.Files) != 1 || info.Files[0].Size != int64(len(want)) {
		t.Fatalf("info = %+v", info)
	}
	got, err := io.ReadAll(reader(t, tor, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("the file that was read is another one")
	}
	if st := tor.Stats(); st.Peers != 1 || st.Downloaded != int64(len(want)) || st.BytesCompleted != int64(len(want)) || st.Readers != 1 {
		t.Errorf("stats = %+v", st)
	}
}

func TestRangesInParallel(t *testing.T) {
	t.Parallel()
	want := clip(2, 24<<20)
	s := seed(t, vod.Config{}, vod.Share{Name: "c", PieceLength: 256 << 10, Files: []vod.ShareFile{
		{Size: int64(len(want)), Data: bytes.NewReader(want)},
	}})
	c := open(t, vod.Config{})
	tor := add(t, c, vod.Source{Metainfo: s.Metainfo(), Peers: []netip.AddrPort{s.Addr()}})
	var wg sync.WaitGroup
	for _, off := range []int{0, 1, 5<<20 + 17, 12 << 20, 20<<20 - 3, len(want) - 1<<20} {
		r := reader(t, tor, 0)
		wg.Go(func() {
			got := make([]byte, 1<<20)
			if _, err := r.Seek(int64(off), io.SeekStart); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want[off:off+len(got)]) {
				t.Errorf("range at %d: wrong bytes or %v", off, err)
			}
		})
	}
	wg.Wait()
	r := reader(t, tor, 0)
	for _, off := range []int{3 << 20, 23 << 20, 0, 11<<20 + 1} {
		same(t, r, want, off, 100<<10)
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("seek before the start succeeded")
	}
	if end, err := r.Seek(0, io.SeekEnd); err != nil || end != int64(len(want)) {
		t.Errorf("seek to the end = %d, %v", end, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read at the end = %d, %v", n, err)
	}
}

func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	a, b, empty := clip(3, 3<<20+1), clip(4, 2<<20+77), []byte{}
	s := seed(t, vod.Config{}, vod.Share{Name: "season", PieceLength: 64 << 10, Files: []vod.ShareFile{
		{Path: "one/a.ts", Size: int64(len(a)), Data: bytes.NewReader(a)},
		{Path: "none.ts", Data: bytes.NewReader(empty)},
		{Path: "b.ts", Size: int64(len(b)), Data: bytes.NewReader(b)},
	}})
	c := open(t, vod.Config{})
	tor := add(t, c, vod.Source{Magnet: s.Magnet()})
	info := tor.Info()
	var paths []string
	for i, f := range info.Files {
		if f.Index != i {
			t.Errorf("file %d has index %d", i, f.Index)
		}
		paths = append(paths, f.Path)
	}
	if got := strings.Join(paths, " "); got != "one/a.ts none.ts b.ts" {
		t.Fatalf("files = %s", got)
	}
	for i, want := range [][]byte{a, empty, b} {
		got, err := io.ReadAll(reader(t, tor, i))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("file %d: wrong bytes (%d of %d, alike up to %d) or %v", i, len(got), len(want), alike(got, want), err)
		}
	}
	for _, i := range []int{-1, 3} {
		if _, err := tor.Open(t.Context(), i); !errors.Is(err, vod.ErrNoFile) {
			t.Errorf("open file %d: %v, want ErrNoFile", i, err)
		}
	}
}

// A window that is far smaller than the file is enough to read it, forwards
// and back again, and is not exceeded.
func TestWindowSmallerThanFile(t *testing.T) {
	t.Parallel()
	for _, disk := range []bool{false, true} {
		name := "memory"
		if disk {
			name = "disk"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := clip(5, 32<<20)
			s := seed(t, vod.Config{}, vod.ShareBytes("c", want))
			const window, limit = 16 << 20, 24 << 20
			cfg := vod.Config{Window: window, CacheLimit: limit}
			if disk {
				cfg.Disk = t.TempDir()
			}
			c := open(t, cfg)
			tor := add(t, c, vod.Source{Magnet: s.Magnet()})
			r := reader(t, tor, 0)
			buf := make([]byte, 64<<10)
			for pass := range 2 {
				if _, err := r.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				for off := 0; off < len(want); {
					n, err := r.Read(buf)
					if !bytes.Equal(buf[:n], want[off:off+n]) {
						t.Fatalf("pass %d: bytes at %d differ", pass, off)
					}
					if off += n; err != nil && off < len(want) {
						t.Fatalf("pass %d: read at %d: %v", pass, off, err)
					}
					if st := c.Stats(); st.CacheUsed > limit {
						t.Fatalf("cache holds %d bytes, the limit is %d", st.CacheUsed, limit)
					}
				}
			}
			for _, off := range []int{28 << 20, 1 << 20, 20 << 20, 2 << 20} {
				same(t, r, want, off, 3<<20)
			}
		})
	}
}

// What plays stays, what was used last stays longest, and the limit holds.
func TestCacheLimit(t *testing.T) {
	t.Parallel()
	const size, limit = 24 << 20, 64 << 20
	c := open(t, vod.Config{Window: 32 << 20, CacheLimit: limit})
	var magnets []string
	var want [][]byte
	for i := range 4 {
		b := clip(uint64(10+i), size)
		want = append(want, b)
		magnets = append(magnets, seed(t, vod.Config{}, vod.ShareBytes("c", b)).Magnet())
	}
	playing := add(t, c, vod.Source{Magnet: magnets[0]})
	first := reader(t, playing, 0)
	same(t, first, want[0], 0, size)
	for i := 1; i < 4; i++ {
		tor := add(t, c, vod.Source{Magnet: magnets[i]})
		r := reader(t, tor, 0)
		same(t, r, want[i], 0, size)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := tor.Close(); err != nil {
			t.Fatal(err)
		}
		if st := c.Stats(); st.CacheUsed > limit || st.CacheLimit != limit {
			t.Fatalf("after %d torrents: %+v", i+1, st)
		}
	}
	before := playing.Stats()
	if before.BytesCompleted != size {
		t.Errorf("the torrent in use kept %d of %d bytes", before.BytesCompleted, size)
	}
	same(t, first, want[0], 0, size)
	if after := playing.Stats(); after.Downloaded != before.Downloaded {
		t.Errorf("%d bytes of what plays were fetched again", after.Downloaded-before.Downloaded)
	}
	// The last one that was used is still here, and needs nobody.
	again := add(t, c, vod.Source{Infohash: infohash(t, magnets[3])})
	same(t, reader(t, again, 0), want[3], 1<<20, 1<<20)
	if st := again.Stats(); st.Downloaded != 0 {
		t.Errorf("%d bytes of the last torrent were fetched again", st.Downloaded)
	}
}

func infohash(t testing.TB, magnet string) string {
	_, rest, ok := strings.Cut(magnet, "urn:btih:")
	if !ok || len(rest) < 40 {
		t.Fatalf("magnet link %s", magnet)
	}
	return rest[:40]
}

// A cache that is full with torrents in use refuses another, at once.
func TestCacheFull(t *testing.T) {
	t.Parallel()
	c := open(t, vod.Config{Window: 16 << 20, CacheLimit: 20 << 20})
	a := seed(t, vod.Config{}, vod.ShareBytes("a", clip(20, 18<<20)))
	b := seed(t, vod.Config{}, vod.ShareBytes("b", clip(21, 18<<20)))
	held := add(t, c, vod.Source{Magnet: a.Magnet()})
	if _, err := c.Add(t.Context(), vod.Source{Magnet: b.Magnet()}); !errors.Is(err, vod.ErrCacheFull) {
		t.Fatalf("add: %v, want ErrCacheFull", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	add(t, c, vod.Source{Magnet: b.Magnet()})
}

// freePort is a port of loopback that was free a moment ago.
func freePort(t testing.TB) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// A peer that is not there when it is first dialled is dialled again.
func TestSeederStartsLate(t *testing.T) {
	t.Parallel()
	want := clip(6, 2<<20)
	addr := freePort(t)
	probe := seed(t, vod.Config{}, vod.ShareBytes("c", want))
	hash := probe.Infohash()
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	c := open(t, vod.Config{Peers: []netip.AddrPort{addr}})
	done := make(chan error, 1)
	go func() {
		tor, err := c.Add(t.Context(), vod.Source{Infohash: hash})
		if err == nil {
			var got []byte
			r, oerr := tor.Open(t.Context(), 0)
			if got, err = nil, oerr; err == nil {
				got, err = io.ReadAll(r)
			}
			if err == nil && !bytes.Equal(got, want) {
				err = errors.New("wrong bytes")
			}
		}
		done <- err
	}()
	// The first dial fails at once on loopback; the next is due in seconds.
	select {
	case err := <-done:
		t.Fatalf("without a seeder: %v", err)
	case <-time.After(time.Second):
	}
	seed(t, vod.Config{P2PPort: int(addr.Port())}, vod.ShareBytes("c", want))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A seeder goes away in the middle of a read, and another one goes on.
func TestSeederDies(t *testing.T) {
	t.Parallel()
	want := clip(7, 32<<20)
	limited := vod.Config{UploadLimit: 8 << 20}
	a := seed(t, limited, vod.ShareBytes("c", want))
	b := seed(t, limited, vod.ShareBytes("c", want))
	c := open(t, vod.Config{})
	tor := add(t, c, vod.Source{Magnet: a.Magnet(), Peers: []netip.AddrPort{b.Addr()}})
	r := reader(t, tor, 0)
	same(t, r, want, 0, 1<<20)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, r, want, 1<<20, len(want)-1<<20)
	if b.Uploaded() == 0 {
		t.Error("the other seeder sent nothing")
	}
}

// The pieces of one leecher feed another that knows no seeder.
func TestLeecherFeedsLeecher(t *testing.T) {
	t.Parallel()
	want := clip(8, 8<<20)
	s := seed(t, vod.Config{}, vod.ShareBytes("c", want))
	a := open(t, vod.Config{})
	ta := add(t, a, vod.Source{Magnet: s.Magnet()})
	same(t, reader(t, ta, 0), want, 0, len(want))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := open(t, vod.Config{})
	peer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(a.Stats().P2PPort))
	tb := add(t, b, vod.Source{Infohash: s.Infohash(), Peers: []netip.AddrPort{peer}})
	same(t, reader(t, tb, 0), want, 0, len(want))
}
