package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// viewer is a player that checks what it gets. Its counters may be read from
// any goroutine.
type viewer struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when the connection is over, whoever ended it

	mu       sync.Mutex // guards what follows
	verifier *enginetest.Verifier
	err      error         // that ended it
	last     time.Time     // when media came last
	gap      time.Duration // longest time without media since measuring began
}

// client gives each viewer a connection of its own.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
}

// watch begins to watch a content. pace bounds the bytes per second that the
// viewer takes; 0 is as they come, and below 0 it takes none after its first.
func watch(ctx context.Context, base string, content, pace int) *viewer {
	ctx, cancel := context.WithCancel(ctx)
	v := &viewer{cancel: cancel, ended: make(chan struct{}), verifier: enginetest.NewVerifier(infohash(content))}
	go func() {
		defer close(v.ended)
		defer cancel()
		err := v.run(ctx, base+"/ace/getstream?infohash="+infohash(content), pace)
		v.mu.Lock()
		v.err = err
		v.mu.Unlock()
	}()
	return v
}

func (v *viewer) run(ctx context.Context, url string, pace int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // what there is of it
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	buf := make([]byte, 32<<10)
	if pace > 0 {
		buf = buf[:pace/10] // every 100 ms
	}
	for {
		n, err := res.Body.Read(buf)
		v.take(buf[:n], time.Now())
		if err != nil {
			return err
		}
		switch {
		case pace > 0:
			err = rest(ctx, 100*time.Millisecond)
		case pace < 0:
			<-ctx.Done()
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// rest is what a slow player does between two reads.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *viewer) take(p []byte, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.verifier.Report().Packets
	_, _ = v.verifier.Write(p) // never fails
	if v.verifier.Report().Packets == before {
		return // no media: what keeps a connection alive is no picture
	}
	if !v.last.IsZero() {
		v.gap = max(v.gap, now.Sub(v.last))
	}
	v.last = now
}

// seen returns what the viewer saw, and the longest time without media.
func (v *viewer) seen() (enginetest.Report, time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	gap := v.gap
	if !v.last.IsZero() {
		gap = max(gap, time.Since(v.last))
	}
	return v.verifier.Report(), gap
}

// measure forgets the gaps so far.
func (v *viewer) measure() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gap = 0
}

// alive tells whether the connection is still there.
func (v *viewer) alive() bool {
	select {
	case <-v.ended:
		return false
	default:
		return true
	}
}

// leave ends the viewer and waits for that.
func (v *viewer) leave() {
	v.cancel()
	<-v.ended
}

// audience is viewers of one content.
type audience []*viewer

// gather has n viewers join and waits until each has a picture.
func gather(t *testing.T, base string, content, n int) audience {
	t.Helper()
	var all audience
	for range n {
		all = append(all, watch(t.Context(), base, content, 0))
	}
	t.Cleanup(func() {
		for _, v := range all {
			v.leave()
		}
	})
	all.await(t, "a picture", func(r enginetest.Report) bool { return r.Packets > 0 })
	return all
}

// await waits until each viewer has seen what it should, or fails the test.
func (a audience) await(t *testing.T, what string, condition func(enginetest.Report) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, v := range a {
		err := until(ctx, fmt.Sprintf("viewer %d waits for %s", i, what), func() bool {
			r, _ := v.seen()
			return condition(r) || !v.alive()
		})
		if err == nil && !v.alive() {
			err = fmt.Errorf("viewer %d was let down while waiting for %s: %w", i, what, v.err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// goOn waits until each viewer has got so much more media, counted in time.
func (a audience) goOn(t *testing.T, d time.Duration) {
	t.Helper()
	var most int64
	for _, v := range a {
		r, _ := v.seen()
		most = max(most, r.Last)
	}
	more := int64(d.Seconds() * rate / enginetest.PacketSize)
	a.await(t, fmt.Sprintf("%v more", d), func(r enginetest.Report) bool { return r.Last > most+more })
}

// check fails the test unless every viewer is there and saw every packet once.
// It returns the longest time that one was without media.
func (a audience) check(t *testing.T) (gap time.Duration) {
	t.Helper()
	for i, v := range a {
		r, g := v.seen()
		gap = max(gap, g)
		if err := r.Err(); err != nil {
			t.Errorf("viewer %d: %v", i, err)
		}
		if !v.alive() {
			t.Errorf("viewer %d lost its connection: %v", i, v.err)
		}
		if !r.TablesFirst || !r.RandomAccess {
			t.Errorf("viewer %d began with tables: %v, at a random access point: %v", i, r.TablesFirst, r.RandomAccess)
		}
	}
	return gap
}

func (a audience) measure() {
	for _, v := range a {
		v.measure()
	}
}
