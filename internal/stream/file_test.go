package stream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// read fetches a range of the file as a player at host does.
func (r *rig) read(ctx context.Context, host, span string) (status int, body []byte, err error) {
	v, err := r.hub.Join(ctx, theFile, Client{Addr: host + ":1"})
	if err != nil {
		return 0, nil, err
	}
	defer v.Leave()
	if v.Live() {
		return 0, nil, fmt.Errorf("a file is relayed as if it were live")
	}
	p, err := v.Fetch(ctx, FileRequest{Host: host, Range: span})
	if err != nil {
		return 0, nil, err
	}
	defer p.Body.Close()
	body, err = io.ReadAll(p.Body)
	return p.Status, body, err
}

func TestFileRanges(t *testing.T) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1, testConfig(), enginetest.Config{MultiReader: native})
			size := len(movie)
			for _, tt := range []struct {
				span   string
				status int
				want   []byte
			}{
				{"", 200, movie},
				{"bytes=0-", 206, movie},
				{"bytes=0-0", 206, movie[:1]},
				{"bytes=1000000-1999999", 206, movie[1000000:2000000]},
				{"bytes=-500", 206, movie[size-500:]},
				{fmt.Sprintf("bytes=%d-", size-1), 206, movie[size-1:]},
				{fmt.Sprintf("bytes=%d-", size), 416, nil},
			} {
				status, body, err := r.read(t.Context(), "192.0.2.1", tt.span)
				if err != nil || status != tt.status || (tt.status != 416 && !bytes.Equal(body, tt.want)) {
					t.Errorf("%q: %d, %d bytes, %v; want %d, %d bytes", tt.span, status, len(body), err, tt.status, len(tt.want))
				}
			}
			if c := r.counters(); c.Opens != 1 {
				t.Errorf("%d sessions for one file", c.Opens)
			}
			time.Sleep(testConfig().Linger + time.Second)
			synctest.Wait()
			if c := r.counters(); c.Active != 0 {
				t.Errorf("%+v after the linger", c)
			}
			r.checkNothingLeft()
		})
	}
}

// An engine dies in the middle of a file: the next one sends the rest.
func TestFileGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]int64{"at once": 0, "after a megabyte": 1 << 20, "in the last byte": int64(len(movie)) - 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []enginetest.FaultKind{enginetest.ResetAfter, enginetest.EOFAfter} {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, 2, testConfig(), enginetest.Config{})
					r.fakes[0].Set(enginetest.Fault{Kind: kind, After: after})
					status, body, err := r.read(t.Context(), "192.0.2.1", "bytes=5-")
					if err != nil || status != 206 || !bytes.Equal(body, movie[5:]) {
						t.Errorf("%s: %d, %d bytes, %v", kind, status, len(body), err)
					}
					r.checkNothingLeft()
				})
			}
		})
	}
}

func TestFileWhoseEnginesAllFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{})
		for _, f := range r.fakes {
			f.Set(enginetest.Fault{Kind: enginetest.HeadersHang})
		}
		began := time.Now()
		_, _, err := r.read(t.Context(), "192.0.2.1", "")
		if asError(err).Code != CodeNoData {
			t.Errorf("told %v", err)
		}
		if took := time.Since(began); took > testConfig().StartTimeout {
			t.Errorf("told after %v", took)
		}
		r.settle()
		r.checkNothingLeft()
	})
}

// Engines of the official kind serve a file to one reader: a player that seeks
// takes its own place, another player gets an engine of its own.
func TestFileOnEnginesWithOneReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, testConfig(), enginetest.Config{})
		open := func(host string) io.ReadCloser {
			v, err := r.hub.Join(t.Context(), theFile, Client{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := v.Fetch(t.Context(), FileRequest{Host: host, Range: "bytes=0-"})
			v.Leave()
			if err != nil {
				t.Fatalf("%s: %v", host, err)
			}
			return p.Body
		}
		first, other := open("192.0.2.1"), open("192.0.2.2")
		seek := open("192.0.2.1") // before the first request is closed, as players do
		for name, body := range map[string]io.ReadCloser{"other": other, "seek": seek} {
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, movie) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			body.Close()
		}
		first.Close()
		if c := r.counters(); c.Opens != 2 || c.Corrupt != 0 {
			t.Errorf("%+v; want a session on each engine", c)
		}
		v, err := r.hub.Join(t.Context(), theFile, Client{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Leave()
		held := []io.ReadCloser{open("192.0.2.3"), open("192.0.2.4")}
		if _, err := v.Fetch(t.Context(), FileRequest{Host: "192.0.2.5"}); asError(err).Code != CodeBusy {
			t.Errorf("third player at once: %v", err)
		}
		for _, b := range held {
			b.Close()
		}
		v.Leave()
		r.checkNothingLeft()
	})
}

func TestManyRangesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{Native: true, MultiReader: true})
		random := rand.New(rand.NewPCG(1, 2))
		var all sync.WaitGroup
		for range 20 {
			from := random.IntN(len(movie) - 1)
			to := from + random.IntN(len(movie)-from)
			all.Go(func() {
				_, body, err := r.read(t.Context(), "192.0.2.1", fmt.Sprintf("bytes=%d-%d", from, to))
				if err != nil || !bytes.Equal(body, movie[from:to+1]) {
					t.Errorf("%d-%d: %d bytes, %v", from, to, len(body), err)
				}
			})
		}
		all.Wait()
		if c := r.counters(); c.Opens != 1 {
			t.Errorf("%d sessions", c.Opens)
		}
		r.checkNothingLeft()
	})
}
