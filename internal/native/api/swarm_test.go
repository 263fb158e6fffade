package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/listen"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

// startNode runs a whole engine on loopback until the test ends, put together
// as the program does it, and returns its address. It must leave no session.
func startNode(t *testing.T, cfg vod.Config) string {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	backend, err := vod.Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	engine := native.New(native.Config{StartTimeout: cfg.StartTimeout}, native.Deps{
		Backend: backend, Fetcher: fetch.New(true), Logger: log,
	})
	ports, err := listen.Open(t.Context(), listen.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return engine.Run(ctx) })
	group.Go(func() error {
		return ports.Serve(ctx, api.New(engine, api.Options{Version: "0.1.0", Logger: log}), 10*time.Second)
	})
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(group.Wait(), backend.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return ports.URL()
}

func seed(t *testing.T, name string, data []byte) *vod.Seeder {
	t.Helper()
	s, err := vod.Seed(vod.Config{}, vod.ShareBytes(name, data), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSwarmMeetsContract(t *testing.T) {
	t.Parallel()
	data := vodtest.Bytes(1, 6<<20+123)
	seeder := seed(t, "film.ts", data)
	base := startNode(t, vod.Config{Peers: []netip.AddrPort{seeder.Addr()}})
	enginetest.Test(t, enginetest.Harness{
		Base:     base,
		Selector: enginetest.Infohash(seeder.Infohash()),
		Alias:    content.Selector{Kind: content.Magnet, Value: seeder.Magnet()},
		Infohash: seeder.Infohash(), Data: data,
		Unknown: enginetest.ContentID(contentID), UnknownClass: engine.NotNative, UnknownWithin: time.Second,
		StartWithin: 20 * time.Second,
		MultiReader: true, Isolated: true,
	})
}

func TestSwarmThroughHTTP(t *testing.T) {
	t.Parallel()
	data := vodtest.Bytes(2, 20<<20+7)
	seeder := seed(t, "film.mkv", data)
	base := startNode(t, vod.Config{})
	files := http.NewServeMux()
	files.HandleFunc("/film.torrent", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(seeder.Metainfo()) })
	files.HandleFunc("/film", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", seeder.Magnet())
		w.WriteHeader(http.StatusFound)
	})
	site := startSite(t, files)

	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		resp := request(t, base+"/ace/getstream?magnet="+url.QueryEscape(seeder.Magnet()))
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, data) {
			t.Errorf("status %d, %d of %d bytes, %v", resp.StatusCode, len(got), len(data), err)
		}
		if got := resp.Header.Get("Content-Type"); got != "video/x-matroska" {
			t.Errorf("type %q", got)
		}
	})
	t.Run("ranges in parallel", func(t *testing.T) {
		t.Parallel()
		resp := request(t, base+"/ace/getstream?url="+url.QueryEscape(site+"/film"), "Range", "bytes=0-0")
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		playback := resp.Request.URL.String()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 5 {
					from := (i*5 + n) * (1 << 20)
					to := from + 300_000
					resp := request(t, playback, "Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
					got, err := io.ReadAll(resp.Body)
					if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, data[from:to]) {
						t.Errorf("bytes %d to %d: status %d, %d bytes, %v", from, to, resp.StatusCode, len(got), err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// startSite serves h on loopback until the test ends.
func startSite(t *testing.T, h http.Handler) string {
	t.Helper()
	ports, err := listen.Open(t.Context(), listen.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ports.Serve(ctx, h, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("site: %v", err)
		}
	})
	return ports.URL()
}

func TestSeederDiesMidway(t *testing.T) {
	t.Parallel()
	data := vodtest.Bytes(3, 24<<20)
	seeder := seed(t, "film.ts", data)
	// The limit keeps most of the file with the seeder until it dies.
	base := startNode(t, vod.Config{DownloadLimit: 2 << 20, StartTimeout: 2 * time.Second, StallTimeout: 500 * time.Millisecond})
	resp := request(t, base+"/ace/getstream?magnet="+url.QueryEscape(seeder.Magnet()))
	first := make([]byte, 1<<20)
	if _, err := io.ReadFull(resp.Body, first); err != nil || !bytes.Equal(first, data[:1<<20]) {
		t.Fatalf("the beginning: %v", err)
	}
	if err := seeder.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after the seeder died the player was told: %v", err)
	}
	if !bytes.Equal(rest, data[1<<20:][:len(rest)]) {
		t.Error("what came before the end differs from the file")
	}
	again := request(t, resp.Request.URL.String(), "Range", fmt.Sprintf("bytes=%d-", 2*len(data)/3)) // the ends of a file are fetched first
	text, err := io.ReadAll(again.Body)
	if err != nil || again.StatusCode != http.StatusGatewayTimeout || !strings.HasPrefix(string(text), "failed to start: ") {
		t.Errorf("a range that nobody has: status %d, %q, %v", again.StatusCode, text, err)
	}
}

func TestSwarmWithNobody(t *testing.T) {
	t.Parallel()
	base := startNode(t, vod.Config{StartTimeout: 300 * time.Millisecond})
	resp := request(t, base+"/ace/getstream?infohash="+clip.Infohash())
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(text), "no peer") {
		t.Errorf("status %d, %q, %v", resp.StatusCode, text, err)
	}
}
