package vod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// pieceBytes is what piece index of a torrent holds in these tests.
func pieceBytes(id string, index, length int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%s/%d.", id, index)), length/4)[:length]
}

// fill writes a piece block by block and verifies it.
func fill(tb rapid.TB, s *store, index int) {
	b := pieceBytes(s.id, index, s.shape.length(index))
	for off := 0; off < len(b); off += blockSize {
		end := min(off+blockSize, len(b))
		if n, err := s.writeAt(index, b[off:end], int64(off)); err != nil || n != end-off {
			tb.Fatalf("write piece %d at %d: %d, %v", index, off, n, err)
		}
	}
	var sum bytes.Buffer
	if _, err := s.writeTo(index, &sum); err != nil || !bytes.Equal(sum.Bytes(), b) {
		tb.Fatalf("piece %d as it is checked: wrong bytes or %v", index, err)
	}
	s.verify(index, true)
}

func checkPiece(tb rapid.TB, s *store, index int) (here bool) {
	want := pieceBytes(s.id, index, s.shape.length(index))
	got := make([]byte, len(want))
	n, err := s.readAt(index, got, 0)
	switch {
	case errors.Is(err, errEvicted):
		return false
	case err != nil || n != len(want) || !bytes.Equal(got, want):
		tb.Fatalf("piece %d: wrong bytes, or %d of %d, %v", index, n, len(want), err)
	}
	return true
}

// Whatever is done in whatever order: the limit and the windows hold, pieces
// hold what was written, the library hears of every verified piece that goes,
// and what readers need stays.
func TestCacheInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const pieceLength = 1 << 20
		const limit = 40 << 20
		c := newCache(limit, 24<<20, nil)
		defer c.close()
		g := geometry{pieceLength: pieceLength, total: 40*pieceLength - 12345}
		known := map[string]map[int]bool{} // what the library believes complete
		stores := map[string]*store{}
		needs := map[string]span{}
		rdr := &reader{}
		ids := []string{"a", "b", "c"}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				if stores[id] != nil {
					t.Skip("open already")
				}
				s, err := c.open(id, g)
				if errors.Is(err, ErrCacheFull) {
					if len(stores) < 2 {
						t.Fatalf("full with %d torrents in use", len(stores))
					}
					t.Skip("full")
				}
				if err != nil {
					t.Fatal(err)
				}
				known[id] = map[int]bool{}
				for i := range g.pieces() {
					known[id][i] = s.complete(i)
				}
				s.onEvicted(func(i int) {
					if !known[id][i] || s.complete(i) {
						t.Fatalf("told that piece %d is gone: known %v", i, known[id][i])
					}
					known[id][i] = false
				})
				stores[id] = s
			},
			"leave": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				if stores[id] == nil {
					t.Skip("not open")
				}
				c.leave(stores[id], []byte("info"))
				delete(stores, id)
				delete(needs, id)
			},
			"need": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				s := stores[id]
				if s == nil {
					t.Skip("not open")
				}
				begin := rapid.IntRange(0, g.pieces()-1).Draw(t, "begin")
				sp := span{begin, min(begin+1+int(readahead(0, s.window.Load(), 1)/pieceLength), g.pieces())}
				s.need(rdr, sp)
				needs[id] = sp
			},
			"fill": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				s := stores[id]
				if s == nil {
					t.Skip("not open")
				}
				i := rapid.IntRange(0, g.pieces()-1).Draw(t, "piece")
				if sp, ok := needs[id]; ok && rapid.Bool().Draw(t, "ahead") {
					i = sp.begin + i%(sp.end-sp.begin)
				}
				held := map[int]bool{}
				for p := range needs[id].end {
					held[p] = needs[id].contains(p) && s.complete(p)
				}
				if !s.complete(i) {
					fill(t, s, i)
					known[id][i] = true
				}
				if !checkPiece(t, s, i) {
					t.Fatalf("piece %d went at once", i)
				}
				for p, was := range held {
					if was && !s.complete(p) {
						t.Fatalf("piece %d, which a reader needs, went for piece %d", p, i)
					}
				}
			},
			"part": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				s := stores[id]
				if s == nil {
					t.Skip("not open")
				}
				i := rapid.IntRange(0, g.pieces()-1).Draw(t, "piece")
				b := pieceBytes(id, i, g.length(i))
				if _, err := s.writeAt(i, b[blockSize:2*blockSize], blockSize); err != nil {
					t.Fatal(err)
				}
				if known[id][i] {
					return
				}
				if _, err := s.readAt(i, make([]byte, 1), 0); !s.complete(i) && err == nil {
					// The first block may have been written by another part.
					if got := make([]byte, 4); true {
						if n, err := s.readAt(i, got, 0); n != 4 || err != nil || !bytes.Equal(got, b[:4]) {
							t.Fatalf("a block that was never written was read: %q, %v", got[:n], err)
						}
					}
				}
			},
			"fail": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				s := stores[id]
				if s == nil {
					t.Skip("not open")
				}
				i := rapid.IntRange(0, g.pieces()-1).Draw(t, "piece")
				if s.complete(i) {
					t.Skip("verified")
				}
				s.verify(i, false)
				if s.isLost(i) || checkPiece(t, s, i) {
					t.Fatalf("piece %d is still there after it failed", i)
				}
			},
			"": func(t *rapid.T) {
				used, inUse, _ := c.usage()
				var sum int64
				for id, s := range stores {
					c.mu.Lock()
					memory, window, n := s.memory, s.window.Load(), s.heldLocked()
					c.mu.Unlock()
					sum += n
					if memory > window {
						t.Fatalf("torrent %s has %d bytes in memory, its window is %d", id, memory, window)
					}
					for i := range g.pieces() {
						if known[id][i] != s.complete(i) {
							t.Fatalf("torrent %s piece %d: library believes %v", id, i, known[id][i])
						}
					}
				}
				if used > limit || inUse != sum || inUse > used {
					t.Fatalf("used %d, in use %d, counted %d, limit %d", used, inUse, sum, limit)
				}
			},
		})
	})
}

// What a reader needs and what is pinned stays, however much else passes
// through the window, until it is given up.
func TestNeededStays(t *testing.T) {
	t.Parallel()
	c := newCache(64<<20, 16<<20, nil)
	defer c.close()
	s, err := c.open("a", geometry{pieceLength: 1 << 20, total: 100 << 20})
	if err != nil {
		t.Fatal(err)
	}
	rdr := &reader{}
	s.need(rdr, span{0, 8})
	if !s.pin([]span{{90, 92}}) {
		t.Fatal("an eighth of the window cannot be pinned")
	}
	if s.pin([]span{{80, 83}}) {
		t.Fatal("more than a quarter of the window was pinned")
	}
	pass := func() {
		for i := 20; i < 60; i++ {
			fill(t, s, i)
		}
	}
	kept := append([]int{90, 91}, 0, 1, 2, 3, 4, 5, 6, 7)
	for _, i := range kept {
		fill(t, s, i)
	}
	pass()
	for _, i := range kept {
		if !s.complete(i) {
			t.Errorf("piece %d went", i)
		}
	}
	s.need(rdr, span{})
	s.unpin([]span{{90, 92}})
	pass()
	for _, i := range kept {
		if s.complete(i) {
			t.Errorf("piece %d, which nobody needs, stayed", i)
		}
	}
}

// A piece that is dropped in part cannot be checked, so that no peer is blamed
// for it, and is marked until the library has found out.
func TestLostInPart(t *testing.T) {
	t.Parallel()
	c := newCache(16<<20, 16<<20, nil)
	defer c.close()
	s, err := c.open("a", geometry{pieceLength: 1 << 20, total: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := pieceBytes("a", 0, 1<<20)
	if _, err := s.writeAt(0, b[:blockSize], 0); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 16; i++ {
		fill(t, s, i)
	}
	if !s.isLost(0) {
		t.Fatal("nobody knows that a block was lost")
	}
	for off := blockSize; off < len(b); off += blockSize { // all but the first
		if _, err := s.writeAt(0, b[off:off+blockSize], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.writeTo(0, &bytes.Buffer{}); !errors.Is(err, errEvicted) {
		t.Fatalf("check of a piece with a hole: %v, want errEvicted", err)
	}
	s.verify(0, false)
	fill(t, s, 0)
	if s.isLost(0) || !checkPiece(t, s, 0) {
		t.Error("the piece is not whole again")
	}
}

// startSpill returns a spill that works until stop is called, or the test ends.
func startSpill(t *testing.T, dir string) (sp *spill, stop func()) {
	sp, err := newSpill(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sp.run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return sp, stop
}

// settled waits until the disk has done all it was asked to.
func settled(t *testing.T, sp *spill, s *store) {
	for {
		sp.mu.Lock()
		busy := sp.queued > 0 || len(sp.jobs) > 0
		sp.mu.Unlock()
		if !busy {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("the disk does not settle")
		}
		s.held() // let the others have the processor
	}
}

func TestSpill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, spillDir, "x")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	sp, stop := startSpill(t, dir)
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("what an earlier run left is still there: %v", err)
	}
	const limit = 24 << 20
	c := newCache(limit, 16<<20, sp)
	g := geometry{pieceLength: 1 << 20, total: 64 << 20}
	s, err := c.open("a", g)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		fill(t, s, i)
		settled(t, sp, s)
	}
	for i := range 20 {
		if !checkPiece(t, s, i) {
			t.Errorf("piece %d is neither in memory nor on disk", i)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, spillDir, "*", "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("files: %v, %v; want 4", files, err)
	}
	// A file that somebody took away is a piece that is gone, no more.
	gone := -1
	s.onEvicted(func(i int) { gone = i })
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	var missing []int
	for i := range 20 {
		if !checkPiece(t, s, i) {
			missing = append(missing, i)
		}
	}
	if len(missing) != 1 || gone != missing[0] {
		t.Errorf("missing %v, told %d", missing, gone)
	}
	// The limit counts the disk too.
	s.onEvicted(nil)
	for i := range 30 {
		fill(t, s, 20+i)
		if used, _, _ := c.usage(); used > limit {
			t.Fatalf("%d bytes with a limit of %d", used, limit)
		}
		settled(t, sp, s)
	}
	c.leave(s, nil)
	c.close()
	stop()
	if err := sp.close(c); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left on disk: %v", left)
	}
}

// A disk that cannot be written costs the pieces that leave memory, and
// nothing else.
func TestSpillFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sp, _ := startSpill(t, dir)
	// A file where the torrent's directory should be: no write can succeed.
	if err := os.WriteFile(filepath.Join(dir, spillDir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c := newCache(64<<20, 16<<20, sp)
	defer c.close()
	s, err := c.open("a", geometry{pieceLength: 1 << 20, total: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		fill(t, s, i)
		settled(t, sp, s)
		if !checkPiece(t, s, i) {
			t.Fatalf("piece %d is gone", i)
		}
	}
	if used, _, _ := c.usage(); used > 16<<20 {
		t.Errorf("%d bytes are held, of which the disk can have none", used)
	}
}
