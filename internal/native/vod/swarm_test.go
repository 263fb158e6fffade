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

var _ = errors.Is
var _ net.Addr
var _ netip.Addr
var _ sync.Mutex
