package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
)

func (c *contract) play(t *testing.T) {
	s := c.session(t, c.Selector)
	p := c.playback(t, s, engine.PlayOptions{})
	if p.Status != http.StatusOK {
		t.Errorf("status %d", p.Status)
	}
	c.checkBeginning(t, p)
}

// checkBeginning reads the first bytes and checks that they are of the content.
func (c *contract) checkBeginning(t *testing.T, p *engine.Playback) {
	t.Helper()
	if c.Live {
		if err := findSync(p.Body); err != nil {
			t.Error(err)
		}
		return
	}
	want := c.Data[:min(len(c.Data), 1000)]
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.Body, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the first %d bytes differ: %v", len(want), err)
	}
}

// findSync reads until it has seen five packets of MPEG-TS in a row.
func findSync(r io.Reader) error {
	const want = 5
	buf := make([]byte, 50*PacketSize)
	if _, err := io.ReadFull(r, buf); err != nil {
		return fmt.Errorf("read %d packets: %w", len(buf)/PacketSize, err)
	}
	for from := range PacketSize {
		n := 0
		for at := from; at < len(buf) && buf[at] == 0x47 && n < want; at += PacketSize {
			n++
		}
		if n == want {
			return nil
		}
	}
	return errors.New("no MPEG-TS packets in the first bytes")
}

// head: nothing is documented about HEAD, but it must neither hang nor take the
// reader's place.
func (c *contract) head(t *testing.T) {
	raw := c.rawSession(t)
	u, err := url.Parse(raw["playback_url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if r := c.raw(t, http.MethodHead, u.RequestURI()); len(r.body) > 0 {
		t.Errorf("answer to HEAD has a body of %d bytes", len(r.body))
	}
	s := c.session(t, c.Selector)
	c.checkBeginning(t, c.playback(t, s, engine.PlayOptions{}))
}

func (c *contract) stat(t *testing.T) {
	s := c.session(t, c.Selector)
	p := c.playback(t, s, engine.PlayOptions{})
	c.checkBeginning(t, p)
	var st engine.Stat
	// An engine's first statistics of a session may be empty.
	for range 2 {
		var err error
		if st, err = c.client.Stat(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if st.Status == "" || st.Infohash != c.Infohash || st.SessionID != s.ID || st.Downloaded <= 0 {
		t.Errorf("%+v, want a status, infohash %s, session %s, bytes downloaded", st, c.Infohash, s.ID)
	}
	if !c.Live {
		return
	}
	if pos := st.LivePos; pos == nil || pos.Last.IsZero() || pos.LiveFirst.After(pos.LiveLast) {
		t.Errorf("live position %+v", pos)
	}
}

// stop ends the reader, the session, and does no harm the second time.
func (c *contract) stop(t *testing.T) {
	s := c.session(t, c.Selector)
	p := c.playback(t, s, engine.PlayOptions{})
	c.checkBeginning(t, p)
	for i := range 2 {
		if err := c.client.Stop(t.Context(), s); err != nil {
			t.Fatalf("stop %d: %v", i+1, err)
		}
	}
	if _, err := c.client.Stat(t.Context(), s); engine.ClassOf(err) != engine.SessionLost {
		t.Errorf("statistics after stop: %v", err)
	}
	if c.Live {
		timer := time.AfterFunc(c.StartWithin, func() { p.Body.Close() })
		_, err := io.Copy(io.Discard, p.Body)
		if !timer.Stop() {
			t.Error("playback goes on after stop")
		} else if err != nil && engine.ClassOf(err) != engine.SessionLost {
			t.Errorf("playback ends with %v", err)
		}
	}
}

// concurrentOpens: many open one content in the same moment.
func (c *contract) concurrentOpens(t *testing.T) {
	const players = 8
	names := c.names()
	sessions := make([]*engine.Session, players)
	g, ctx := errgroup.WithContext(t.Context())
	for i := range sessions {
		g.Go(func() error {
			var err error
			sessions[i], err = c.client.Open(ctx, names[i%len(names)], engine.OpenOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, s := range sessions {
			if err := c.client.Stop(context.WithoutCancel(t.Context()), s); err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	}()
	for _, s := range sessions {
		if s.Infohash != c.Infohash {
			t.Errorf("infohash %s", s.Infohash)
		}
	}
	if err := c.client.Stop(t.Context(), sessions[0]); err != nil {
		t.Fatal(err)
	}
	for i, s := range sessions[1:] {
		_, err := c.client.Stat(t.Context(), s)
		switch {
		case c.Isolated && err != nil:
			t.Errorf("session %d does not outlive another: %v", i+1, err)
		case !c.Isolated && engine.ClassOf(err) != engine.SessionLost:
			t.Errorf("session %d is independent of another of the same content: %v", i+1, err)
		}
	}
}

// oneReader: the client keeps a second reader away from engines that would
// answer it with garbage, and lets a file be asked for again.
func (c *contract) oneReader(t *testing.T) {
	if c.MultiReader {
		t.Skip("the engine takes any number")
	}
	s := c.session(t, c.Selector)
	p := c.playback(t, s, engine.PlayOptions{})
	if _, err := c.client.Play(t.Context(), s, engine.PlayOptions{}); engine.ClassOf(err) != engine.Busy {
		t.Errorf("second reader: %v", err)
	}
	c.checkBeginning(t, p)
	p.Body.Close()
	if c.Live {
		if _, err := c.client.Play(t.Context(), s, engine.PlayOptions{}); engine.ClassOf(err) != engine.Busy {
			t.Errorf("second playback: %v", err)
		}
		return
	}
	c.checkBeginning(t, c.playback(t, s, engine.PlayOptions{}))
}

func (c *contract) wholeFile(t *testing.T) {
	s := c.session(t, c.Selector)
	p := c.playback(t, s, engine.PlayOptions{})
	if n, ok := p.Size(); !ok || n != int64(len(c.Data)) {
		t.Errorf("size %d, %v, want %d", n, ok, len(c.Data))
	}
	if got := p.Header.Get("Accept-Ranges"); got != "bytes" {
		t.Errorf("Accept-Ranges is %q", got)
	}
	got, err := io.ReadAll(p.Body)
	if err != nil || !bytes.Equal(got, c.Data) {
		t.Errorf("read %d bytes that differ from the file's %d: %v", len(got), len(c.Data), err)
	}
}

func (c *contract) ranges(t *testing.T) {
	s := c.session(t, c.Selector)
	size := len(c.Data)
	if size < 100 {
		t.Fatalf("a file of %d bytes is too short for this test", size)
	}
	mid := size / 2
	for _, tt := range []struct {
		ask      string
		from, to int
	}{
		{"bytes=0-0", 0, 1},
		{"bytes=0-", 0, size},
		{fmt.Sprintf("bytes=%d-%d", mid, mid+49), mid, mid + 50},
		{fmt.Sprintf("bytes=%d-", mid), mid, size},
		{"bytes=-10", size - 10, size},
		{fmt.Sprintf("bytes=%d-%d", size-10, size+1000), size - 10, size},
	} {
		p := c.playback(t, s, engine.PlayOptions{Range: tt.ask})
		got, err := io.ReadAll(p.Body)
		p.Body.Close()
		if err != nil || p.Status != http.StatusPartialContent || !bytes.Equal(got, c.Data[tt.from:tt.to]) {
			t.Errorf("%s: status %d, %d bytes, %v; want bytes %d to %d", tt.ask, p.Status, len(got), err, tt.from, tt.to)
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", tt.from, tt.to-1, size); p.Header.Get("Content-Range") != want {
			t.Errorf("%s: Content-Range %q, want %q", tt.ask, p.Header.Get("Content-Range"), want)
		}
		if n, ok := p.Size(); !ok || n != int64(size) {
			t.Errorf("%s: size %d, %v", tt.ask, n, ok)
		}
	}
	p := c.playback(t, s, engine.PlayOptions{Range: fmt.Sprintf("bytes=%d-", size)})
	p.Body.Close()
	if n, ok := p.Size(); p.Status != http.StatusRequestedRangeNotSatisfiable || !ok || n != int64(size) {
		t.Errorf("past the end: status %d, size %d, %v", p.Status, n, ok)
	}
}

// fileIndex: there is no file so far back.
func (c *contract) fileIndex(t *testing.T) {
	sel := c.Selector
	sel.File = 1 << 20
	ctx, cancel := context.WithTimeout(t.Context(), c.UnknownWithin)
	defer cancel()
	s, err := c.client.Open(ctx, sel, engine.OpenOptions{})
	if err == nil {
		_ = c.client.Stop(ctx, s) // the error is that there is a session
	}
	if engine.ClassOf(err) != engine.NotFound {
		t.Errorf("file %d: %v", sel.File, err)
	}
}

// severalReaders read the file from different places at the same time.
func (c *contract) severalReaders(t *testing.T) {
	s := c.session(t, c.Selector)
	const readers = 4
	step := len(c.Data) / readers
	bodies := make([]io.Reader, readers)
	for i := range bodies {
		bodies[i] = c.playback(t, s, engine.PlayOptions{Range: fmt.Sprintf("bytes=%d-", i*step)}).Body
	}
	piece := max(1, step/10)
	got := make([][]byte, readers)
	for range 10 {
		for i, b := range bodies {
			p := make([]byte, piece)
			n, err := io.ReadFull(b, p)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("reader %d: %v", i, err)
			}
			got[i] = append(got[i], p[:n]...)
		}
	}
	for i := range got {
		if want := c.Data[i*step:][:len(got[i])]; !bytes.Equal(got[i], want) {
			t.Errorf("reader %d read bytes of another place", i)
		}
	}
}

// Infohash returns the selector of an infohash, and panics if it is none.
func Infohash(hex string) content.Selector { return selector(content.Infohash, hex) }

// ContentID returns the selector of a content id, and panics if it is none.
func ContentID(hex string) content.Selector { return selector(content.ContentID, hex) }

func selector(kind content.Kind, value string) content.Selector {
	s, err := content.New(kind, value)
	if err != nil {
		panic(fmt.Sprintf("enginetest: %s %q: %v", kind, value, err))
	}
	return s
}
