package vod_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	c := open(t, vod.Config{StartTimeout: 300 * time.Millisecond})
	hash := seed(t, vod.Config{}, vod.ShareBytes("c", clip(30, 100<<10))).Infohash()
	start := time.Now()
	_, err := c.Add(t.Context(), vod.Source{Infohash: hash})
	if !errors.Is(err, vod.ErrNoPeers) {
		t.Errorf("add without peers: %v, want ErrNoPeers", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %s to say so", d)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the viewer is gone")
	cancel(gone)
	if _, err := c.Add(ctx, vod.Source{Infohash: hash}); !errors.Is(err, vod.ErrNoPeers) || !errors.Is(err, gone) {
		t.Errorf("add that was given up: %v", err)
	}
	if st := c.Stats(); st.Torrents != 0 || st.CacheUsed != 0 {
		t.Errorf("something was left: %+v", st)
	}
}

// The description is known, but nobody has pieces.
func TestReaderGivesUp(t *testing.T) {
	t.Parallel()
	s := seed(t, vod.Config{}, vod.ShareBytes("c", clip(31, 1<<20)))
	c := open(t, vod.Config{StartTimeout: 300 * time.Millisecond})
	tor := add(t, c, vod.Source{Metainfo: s.Metainfo()})
	r := reader(t, tor, 0)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, vod.ErrNoPeers) {
		t.Errorf("read without peers: %v, want ErrNoPeers", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, vod.ErrNoPeers) {
		t.Errorf("read again: %v, want ErrNoPeers", err)
	}
	// A connection that has nothing to give.
	empty := open(t, vod.Config{})
	add(t, empty, vod.Source{Metainfo: s.Metainfo()})
	peer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(empty.Stats().P2PPort))
	tor = add(t, c, vod.Source{Infohash: s.Infohash(), Peers: []netip.AddrPort{peer}})
	r = reader(t, tor, 0)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, vod.ErrChoked) {
		t.Errorf("read from a peer without pieces: %v, want ErrChoked", err)
	}
}

func TestReadsEnd(t *testing.T) {
	t.Parallel()
	s := seed(t, vod.Config{}, vod.ShareBytes("c", clip(32, 1<<20)))
	src := vod.Source{Metainfo: s.Metainfo()} // no peers: reads wait
	blocked := func(t *testing.T, ctx context.Context, tor vod.Torrent) (vod.Reader, <-chan error) {
		r, err := tor.Open(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		out := make(chan error, 1)
		go func() {
			_, err := r.Read(make([]byte, 1))
			out <- err
		}()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !vod.Waits(r) {
			<-tick.C
		}
		return r, out
	}
	t.Run("by closing the reader", func(t *testing.T) {
		t.Parallel()
		r, out := blocked(t, t.Context(), add(t, open(t, vod.Config{}), src))
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-out; !errors.Is(err, vod.ErrClosed) {
			t.Errorf("read: %v, want ErrClosed", err)
		}
	})
	t.Run("by the context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		r, out := blocked(t, ctx, add(t, open(t, vod.Config{}), src))
		cancel(why)
		if err := <-out; !errors.Is(err, why) {
			t.Errorf("read: %v, want the cause", err)
		}
		_ = r.Close()
	})
	t.Run("by closing the torrent", func(t *testing.T) {
		t.Parallel()
		c := open(t, vod.Config{})
		tor := add(t, c, src)
		other := add(t, c, src)
		_, out := blocked(t, t.Context(), tor)
		for range 2 { // one holder counts once
			if err := tor.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if st := other.Stats(); st.Readers != 1 {
			t.Errorf("readers = %d while somebody holds the torrent, want 1", st.Readers)
		}
		if _, err := tor.Open(t.Context(), 0); !errors.Is(err, vod.ErrClosed) {
			t.Errorf("open on a closed torrent: %v", err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-out; !errors.Is(err, vod.ErrClosed) {
			t.Errorf("read: %v, want ErrClosed", err)
		}
	})
	t.Run("by closing the client", func(t *testing.T) {
		t.Parallel()
		c := open(t, vod.Config{})
		tor := add(t, c, src)
		r, out := blocked(t, t.Context(), tor)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-out; !errors.Is(err, vod.ErrClosed) {
			t.Errorf("read: %v, want ErrClosed", err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, vod.ErrClosed) {
			t.Errorf("read after: %v, want ErrClosed", err)
		}
		if _, err := c.Add(t.Context(), src); !errors.Is(err, vod.ErrClosed) {
			t.Errorf("add after: %v, want ErrClosed", err)
		}
		_ = r.Close()
		_ = tor.Close()
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	want := clip(33, 3<<20)
	const limit = 2 << 20
	for name, cfg := range map[string]struct{ up, down vod.Config }{
		"upload":   {up: vod.Config{UploadLimit: limit}},
		"download": {down: vod.Config{DownloadLimit: limit}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := seed(t, cfg.up, vod.ShareBytes("c", want))
			tor := add(t, open(t, cfg.down), vod.Source{Magnet: s.Magnet()})
			r := reader(t, tor, 0)
			start := time.Now()
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Fatal(err)
			}
			// The burst, and what was fetched while the torrent was added,
			// came for nothing.
			least := time.Duration(len(want)-limit/2-512<<10) * time.Second / limit / 2
			if d := time.Since(start); d < least {
				t.Errorf("%d bytes in %s, faster than %d bytes per second allow", len(want), d, limit)
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]vod.Config{
		"port":    {P2PPort: 70000},
		"window":  {Window: 1},
		"limit":   {CacheLimit: 1},
		"rate":    {UploadLimit: -1},
		"timeout": {StartTimeout: -1},
		"host":    {ListenHost: "192.0.2.1"},
		"disk":    {Disk: "/dev/null/x"},
	} {
		if c, err := vod.Open(cfg, logger(t)); err == nil {
			_ = c.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBadSource(t *testing.T) {
	t.Parallel()
	c := open(t, vod.Config{})
	for name, src := range map[string]vod.Source{
		"nothing":          {},
		"two things":       {Infohash: "0123456789012345678901234567890123456789", Magnet: "magnet:?xt=urn:btih:0123456789012345678901234567890123456789"},
		"short infohash":   {Infohash: "0123"},
		"no hex":           {Infohash: "z123456789012345678901234567890123456789"},
		"not a magnet":     {Magnet: "http://example.com/"},
		"magnet of v2":     {Magnet: "magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e"},
		"empty metainfo":   {Metainfo: []byte{}},
		"no bencode":       {Metainfo: []byte("<html>")},
		"no info":          {Metainfo: []byte("d8:announce3:abce")},
		"no pieces":        {Metainfo: []byte("d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces0:ee")},
		"tiny pieces":      {Metainfo: []byte("d4:infod6:lengthi5e4:name1:a12:piece lengthi1e6:pieces20:01234567890123456789ee")},
		"negative file":    {Metainfo: []byte("d4:infod5:filesld6:lengthi-5e4:pathl1:aeee4:name1:a12:piece lengthi16384e6:pieces20:01234567890123456789ee")},
		"too few pieces":   {Metainfo: []byte("d4:infod6:lengthi50000e4:name1:a12:piece lengthi16384e6:pieces20:01234567890123456789ee")},
		"cut-off hashes":   {Metainfo: []byte("d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces19:0123456789012345678ee")},
		"no piece length":  {Metainfo: []byte("d4:infod6:lengthi5e4:name1:a6:pieces20:01234567890123456789ee")},
		"overflowing size": {Metainfo: []byte("d4:infod6:lengthi9223372036854775807e4:name1:a12:piece lengthi16384e6:pieces20:01234567890123456789ee")},
	} {
		if _, err := c.Add(t.Context(), src); !errors.Is(err, vod.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}
