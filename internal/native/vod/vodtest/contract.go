package vodtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

// Harness is a backend under test and what it can reach.
type Harness struct {
	// Open returns a new backend, which the suite closes.
	Open func(t *testing.T) vod.Backend
	// Content is shared by somebody whom the backend reaches. It has several
	// files, one of them of several pieces.
	Content Content
	// Magnet is a link to it; Content.Magnet if empty.
	Magnet string
	// Orphan is a content that nobody shares.
	Orphan Content
}

// patience bounds what must work, and cut what must not.
const (
	patience = 30 * time.Second
	cut      = 50 * time.Millisecond
)

// Test checks that a backend keeps the promises of [vod.Backend].
func Test(t *testing.T, h Harness) {
	if h.Magnet == "" {
		h.Magnet = h.Content.Magnet()
	}
	t.Run("Add", h.add)
	t.Run("AddFails", h.addFails)
	t.Run("Read", h.read)
	t.Run("Seek", h.seek)
	t.Run("ReadersAtOnce", h.readersAtOnce)
	t.Run("ReaderEnds", h.readerEnds)
	t.Run("HeldTwice", h.heldTwice)
	t.Run("Close", h.close)
}

func (h Harness) backend(t *testing.T) vod.Backend {
	t.Helper()
	b := h.Open(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the backend: %v", err)
		}
	})
	return b
}

func (h Harness) torrent(t *testing.T, b vod.Backend, src vod.Source) vod.Torrent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tor, err := b.Add(ctx, src)
	if err != nil {
		t.Fatalf("add: %v", err)
	}
	t.Cleanup(func() {
		if err := tor.Close(); err != nil && !errors.Is(err, vod.ErrClosed) {
			t.Errorf("close the torrent: %v", err)
		}
	})
	return tor
}

func open(t *testing.T, tor vod.Torrent, file int) vod.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	r, err := tor.Open(ctx, file)
	if err != nil {
		t.Fatalf("open file %d: %v", file, err)
	}
	t.Cleanup(func() {
		_ = r.Close() // a test may have closed it
		cancel()
	})
	return r
}

func (h Harness) add(t *testing.T) {
	b := h.backend(t)
	for name, src := range map[string]vod.Source{
		"infohash": {Infohash: h.Content.Infohash()},
		"magnet":   {Magnet: h.Magnet},
		"metainfo": {Metainfo: h.Content.Metainfo()},
	} {
		got, want := h.torrent(t, b, src).Info(), h.Content.Info()
		if got.Infohash != want.Infohash || got.Name != want.Name || got.PieceLength != want.PieceLength || len(got.Files) != len(want.Files) {
			t.Fatalf("by %s: info %+v, want %+v", name, got, want)
		}
		for i := range want.Files {
			if got.Files[i] != want.Files[i] {
				t.Errorf("by %s: file %+v, want %+v", name, got.Files[i], want.Files[i])
			}
		}
	}
}

func (h Harness) addFails(t *testing.T) {
	b := h.backend(t)
	for name, src := range map[string]vod.Source{
		"garbage": {Metainfo: []byte("garbage")}, "no info": {Metainfo: []byte("d8:announce0:e")}, "no link": {Magnet: "magnet:?dn=x"},
	} {
		if _, err := b.Add(t.Context(), src); !errors.Is(err, vod.ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", name, err)
		}
	}
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), cut, enough)
	defer cancel()
	_, err := b.Add(ctx, vod.Source{Infohash: h.Orphan.Infohash()})
	if !errors.Is(err, enough) || !errors.Is(err, vod.ErrNoMetadata) && !errors.Is(err, vod.ErrNoPeers) {
		t.Errorf("a torrent that nobody has: error %v, want the cause and ErrNoMetadata or ErrNoPeers", err)
	}
}

func (h Harness) read(t *testing.T) {
	tor := h.torrent(t, h.backend(t), vod.Source{Magnet: h.Magnet})
	for i, f := range h.Content.Files {
		got, err := io.ReadAll(open(t, tor, i))
		if err != nil || !bytes.Equal(got, f.Data) {
			t.Errorf("%s: %d bytes that differ from the file's %d: %v", f.Path, len(got), len(f.Data), err)
		}
	}
	if st := tor.Stats(); st.Downloaded == 0 || st.BytesCompleted == 0 || st.Readers != len(h.Content.Files) {
		t.Errorf("stats %+v after reading all", st)
	}
	for _, file := range []int{-1, len(h.Content.Files)} {
		if _, err := tor.Open(t.Context(), file); !errors.Is(err, vod.ErrNoFile) {
			t.Errorf("file %d: error %v, want ErrNoFile", file, err)
		}
	}
}

// longest is the index of the content's longest file.
func (h Harness) longest() int {
	at := 0
	for i, f := range h.Content.Files {
		if len(f.Data) > len(h.Content.Files[at].Data) {
			at = i
		}
	}
	return at
}

func (h Harness) seek(t *testing.T) {
	tor := h.torrent(t, h.backend(t), vod.Source{Magnet: h.Magnet})
	file := h.longest()
	data := h.Content.Files[file].Data
	r := open(t, tor, file)
	for _, at := range []int64{int64(len(data)) - 5, 0, int64(len(data)) / 2, 3} {
		if got, err := r.Seek(at, io.SeekStart); got != at || err != nil {
			t.Fatalf("seek to %d: %d, %v", at, got, err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, data[at:at+5]) {
			t.Errorf("at %d: %v, %v, want %v", at, got, err, data[at:at+5])
		}
	}
	if got, err := r.Seek(-3, io.SeekCurrent); got != 5 || err != nil {
		t.Errorf("seek back: %d, %v", got, err)
	}
	if got, err := r.Seek(0, io.SeekEnd); got != int64(len(data)) || err != nil {
		t.Errorf("seek to the end: %d, %v", got, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("seek before the beginning worked")
	}
}

func (h Harness) readersAtOnce(t *testing.T) {
	tor := h.torrent(t, h.backend(t), vod.Source{Magnet: h.Magnet})
	file := h.longest()
	data := h.Content.Files[file].Data
	const readers = 4
	var wg sync.WaitGroup
	for i := range readers {
		r := open(t, tor, file)
		from := int64(len(data) / readers * i)
		wg.Go(func() {
			if _, err := r.Seek(from, io.SeekStart); err != nil {
				t.Error(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data[from:]) {
				t.Errorf("reader from %d: %d bytes, %v", from, len(got), err)
			}
		})
	}
	wg.Wait()
}

// readerEnds: what ends a reader that waits for data.
func (h Harness) readerEnds(t *testing.T) {
	tor := h.torrent(t, h.backend(t), vod.Source{Metainfo: h.Orphan.Metainfo()})
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), cut, enough)
	defer cancel()
	r, err := tor.Open(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, enough) {
		t.Errorf("the context ended: %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	blocked := open(t, tor, 0)
	time.AfterFunc(cut, func() { _ = blocked.Close() })
	if n, err := blocked.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the reader was closed: %d, %v", n, err)
	}
}

// heldTwice: the torrent lives until the last hold is given back.
func (h Harness) heldTwice(t *testing.T) {
	b := h.backend(t)
	first, second := h.torrent(t, b, vod.Source{Magnet: h.Magnet}), h.torrent(t, b, vod.Source{Magnet: h.Magnet})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(open(t, second, 0))
	if err != nil || !bytes.Equal(got, h.Content.Files[0].Data) {
		t.Errorf("after the first hold was given back: %d bytes, %v", len(got), err)
	}
	if st := b.Stats(); st.Torrents != 1 || st.CacheUsed == 0 || st.CacheUsed > st.CacheLimit {
		t.Errorf("stats %+v", st)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if st := b.Stats(); st.CacheInUse != 0 {
		t.Errorf("%d bytes in use, and nobody holds the torrent", st.CacheInUse)
	}
	again := h.torrent(t, b, vod.Source{Infohash: strings.ToLower(h.Content.Infohash())})
	if got, err := io.ReadAll(open(t, again, 0)); err != nil || !bytes.Equal(got, h.Content.Files[0].Data) {
		t.Errorf("added again: %d bytes, %v", len(got), err)
	}
}

func (h Harness) close(t *testing.T) {
	b := h.backend(t)
	tor := h.torrent(t, b, vod.Source{Metainfo: h.Orphan.Metainfo()})
	r := open(t, tor, 0)
	time.AfterFunc(cut, func() { _ = b.Close() })
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, vod.ErrClosed) {
		t.Errorf("a waiting reader: error %v, want ErrClosed", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := b.Add(t.Context(), vod.Source{Magnet: h.Magnet}); !errors.Is(err, vod.ErrClosed) {
		t.Errorf("add: error %v, want ErrClosed", err)
	}
	if _, err := tor.Open(t.Context(), 0); !errors.Is(err, vod.ErrClosed) {
		t.Errorf("open: error %v, want ErrClosed", err)
	}
}
