// Package playbacktest lends tests viewers who check every packet that they get,
// and the live contents that they watch. Engines of one clock send the same
// bytes of a content at the same time, so that a viewer knows what comes next,
// whichever engine it is from.
package playbacktest

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

// Rate is the bytes per second of each content.
const Rate = 125_000

// Patience bounds every wait: for what should happen in seconds, on a machine
// that is busy with other tests.
const Patience = time.Minute

// Infohash names the content of that number.
func Infohash(content int) string { return fmt.Sprintf("%040x", content+1) }

// Contents are the first n live contents, for an [enginetest.Fake].
func Contents(n int) []enginetest.Content {
	contents := make([]enginetest.Content, n)
	for i := range contents {
		contents[i] = enginetest.Content{Infohash: Infohash(i), Name: "live", Live: true, Bitrate: Rate}
	}
	return contents
}

// Address is where a server at base plays a content.
func Address(base string, content int) string {
	return base + "/ace/getstream?infohash=" + Infohash(content)
}

// Viewer is a player that checks what it gets. Its counters may be read from
// any goroutine.
type Viewer struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when the connection is over, whoever ended it

	mu       sync.Mutex // guards what follows
	verifier *enginetest.Verifier
	err      error         // that ended it
	last     time.Time     // when media came last
	gap      time.Duration // longest time without media since measuring began
}

// Client gives each viewer a connection of its own.
func Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
}

// Watch begins to watch a content. pace bounds the bytes per second that the
// viewer takes; 0 is as they come, and below 0 it takes none after its first.
func Watch(ctx context.Context, base string, content, pace int) *Viewer {
	ctx, cancel := context.WithCancel(ctx)
	v := &Viewer{cancel: cancel, ended: make(chan struct{}), verifier: enginetest.NewVerifier(Infohash(content))}
	go func() {
		defer close(v.ended)
		defer cancel()
		err := v.run(ctx, Address(base, content), pace)
		v.mu.Lock()
		v.err = err
		v.mu.Unlock()
	}()
	return v
}

func (v *Viewer) run(ctx context.Context, url string, pace int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := Client().Do(req)
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
			err = Rest(ctx, 100*time.Millisecond)
		case pace < 0:
			<-ctx.Done()
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// Rest is what a slow player does between two reads.
func Rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Viewer) take(p []byte, now time.Time) {
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

// Seen returns what the viewer saw, and the longest time without media.
func (v *Viewer) Seen() (enginetest.Report, time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	gap := v.gap
	if !v.last.IsZero() {
		gap = max(gap, time.Since(v.last))
	}
	return v.verifier.Report(), gap
}

// Measure forgets the gaps so far.
func (v *Viewer) Measure() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gap = 0
}

// Alive tells whether the connection is still there.
func (v *Viewer) Alive() bool {
	select {
	case <-v.ended:
		return false
	default:
		return true
	}
}

// Err returns what ended the viewer's connection; nil while it is there.
func (v *Viewer) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Leave ends the viewer and waits for that.
func (v *Viewer) Leave() {
	v.cancel()
	<-v.ended
}

// Audience is viewers of one content.
type Audience []*Viewer

// Gather has n viewers join and waits until each has a picture.
func Gather(t testing.TB, base string, content, n int) Audience {
	t.Helper()
	var all Audience
	for range n {
		all = append(all, Watch(t.Context(), base, content, 0))
	}
	t.Cleanup(func() {
		for _, v := range all {
			v.Leave()
		}
	})
	all.Await(t, "a picture", func(r enginetest.Report) bool { return r.Packets > 0 })
	return all
}

// Await waits until each viewer has seen what it should, or fails the test.
func (a Audience) Await(t testing.TB, what string, condition func(enginetest.Report) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	for i, v := range a {
		err := Until(ctx, fmt.Sprintf("viewer %d waits for %s", i, what), func() bool {
			r, _ := v.Seen()
			return condition(r) || !v.Alive()
		})
		if err == nil && !v.Alive() {
			err = fmt.Errorf("viewer %d was let down while waiting for %s: %w", i, what, v.Err())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// GoOn waits until each viewer has got so much more media, counted in time.
func (a Audience) GoOn(t testing.TB, d time.Duration) {
	t.Helper()
	var most int64
	for _, v := range a {
		r, _ := v.Seen()
		most = max(most, r.Last)
	}
	more := int64(d.Seconds() * Rate / enginetest.PacketSize)
	a.Await(t, fmt.Sprintf("%v more", d), func(r enginetest.Report) bool { return r.Last > most+more })
}

// Check fails the test unless every viewer is there and saw every packet once.
// It returns the longest time that one was without media.
func (a Audience) Check(t testing.TB) (gap time.Duration) {
	t.Helper()
	for i, v := range a {
		r, g := v.Seen()
		gap = max(gap, g)
		if err := r.Err(); err != nil {
			t.Errorf("viewer %d: %v", i, err)
		}
		if !v.Alive() {
			t.Errorf("viewer %d lost its connection: %v", i, v.Err())
		}
		if !r.TablesFirst || !r.RandomAccess {
			t.Errorf("viewer %d began with tables: %v, at a random access point: %v", i, r.TablesFirst, r.RandomAccess)
		}
	}
	return gap
}

// Measure forgets the gaps so far of all.
func (a Audience) Measure() {
	for _, v := range a {
		v.Measure()
	}
}

// Until waits for a condition, which is looked at every 20 ms.
func Until(ctx context.Context, what string, condition func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
	return nil
}
