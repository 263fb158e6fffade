package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

const (
	channelID = "8ca07071b39185431f8e940ec98d1add9e561639"
	channelIH = "0a4848271c91ce2d8965ce416267c25047dc8141"
	otherID   = "1111111111111111111111111111111111111111"
	otherIH   = "2222222222222222222222222222222222222222"
	fileIH    = "3333333333333333333333333333333333333333"
	unknownIH = "4444444444444444444444444444444444444444"
)

var (
	byID       = content.Selector{Kind: content.ContentID, Value: channelID}
	byInfohash = content.Selector{Kind: content.Infohash, Value: channelIH}
	otherByID  = content.Selector{Kind: content.ContentID, Value: otherID}
	theFile    = content.Selector{Kind: content.Infohash, Value: fileIH}
	nobodyHas  = content.Selector{Kind: content.Infohash, Value: unknownIH}
)

// movie is the content of the file: every byte tells where it is.
var movie = func() []byte {
	b := make([]byte, 3<<20)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}()

func catalogue() []enginetest.Content {
	return []enginetest.Content{
		{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true},
		{Infohash: otherIH, ContentID: otherID, Name: "other", Live: true},
		{Infohash: fileIH, Name: "movie", Files: []enginetest.File{{Name: "movie.mp4", MIME: "video/mp4", Data: movie}}},
	}
}

func testConfig() Config {
	return Config{
		Linger: 15 * time.Second, StartTimeout: 30 * time.Second, StallTimeout: 5 * time.Second,
		Burst: 3 * time.Second, Hedge: 10 * time.Second, WriteTimeout: time.Minute,
		Outage: time.Minute, Buffer: 8 << 20,
	}
}

// rig is a hub over fake engines in memory. It is for synctest bubbles.
type rig struct {
	t     *testing.T
	net   *enginetest.Net
	fakes []*enginetest.Fake
	pool  *pool
	hub   *Hub
	end   func() // ends the hub and waits for it

	lastStatus Status // of what audience watched

	mu     sync.Mutex
	events []Event // guarded by mu
}

// newRig starts a hub over n engines like cfg.
func newRig(t *testing.T, n int, hub Config, cfg enginetest.Config) *rig {
	t.Helper()
	r := &rig{t: t, net: &enginetest.Net{}, pool: &pool{perEngine: 2}}
	if cfg.Contents == nil {
		cfg.Contents = catalogue()
	}
	for i := range n {
		f := enginetest.New(cfg).StartIn(t, r.net, fmt.Sprintf("engine%d:6878", i))
		r.fakes = append(r.fakes, f)
		r.pool.members = append(r.pool.members, &member{id: fmt.Sprintf("engine%d", i), client: f.Client(t), native: cfg.Native, leaving: make(chan struct{})})
	}
	r.hub = NewHub(hub, r.pool, telemetrytest.Logger(t), func(e Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.hub.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	r.end = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(r.end)
	return r
}

// happened counts events of a kind.
func (r *rig) happened(kind EventKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// counters adds up those of all engines.
func (r *rig) counters() (sum enginetest.Counters) {
	for _, f := range r.fakes {
		c := f.Counters()
		sum.Opens += c.Opens
		sum.Reopens += c.Reopens
		sum.Stopped += c.Stopped
		sum.Superseded += c.Superseded
		sum.Expired += c.Expired
		sum.Active += c.Active
		sum.Readers += c.Readers
		sum.Corrupt += c.Corrupt
		sum.MaxPerInfohash = max(sum.MaxPerInfohash, c.MaxPerInfohash)
	}
	return sum
}

// checkNothingLeft ends the hub and fails the test if an engine still has a
// session, or a slot is taken.
func (r *rig) checkNothingLeft() {
	r.t.Helper()
	r.end()
	synctest.Wait() // the engines notice that their readers are gone
	c := r.counters()
	if c.Active != 0 || c.Readers != 0 || c.Expired != 0 {
		r.t.Errorf("left behind on engines: %+v", c)
	}
	if c.Corrupt != 0 {
		r.t.Errorf("%d second readers of a playback address", c.Corrupt)
	}
	if used := r.pool.used(); used != 0 {
		r.t.Errorf("%d slots are still taken", used)
	}
	if streams := r.hub.Snapshot(); len(streams) != 0 {
		r.t.Errorf("streams left: %+v", streams)
	}
}

// pool gives out slots as the real one does, without waiting: the engine with
// the fewest, none beyond perEngine.
type pool struct {
	perEngine int

	mu      sync.Mutex
	members []*member // guarded by mu, and their counts
	reports []error
}

type member struct {
	id      string
	client  *engine.Client
	native  bool
	used    int
	leaving chan struct{} // closed to drain it
}

// drain makes the pool give out no more slots on an engine, and ask for those
// it gave.
func (p *pool) drain(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, m := range p.members {
		if m.id == id {
			close(m.leaving)
			p.members = slices.Delete(p.members, i, i+1)
			return
		}
	}
}

func (p *pool) Acquire(_ context.Context, want Want) (*Slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *member
	var left, suitable int
	for _, m := range p.members {
		if slices.Contains(want.Exclude, m.id) || want.Only != "" && want.Only != m.id {
			continue
		}
		left++
		if want.Official && m.native {
			continue
		}
		suitable++
		if m.used < p.perEngine && (best == nil || m.used < best.used) {
			best = m
		}
	}
	switch {
	case len(p.members) == 0:
		return nil, &Error{Code: CodeNoEngine, RetryAfter: time.Second}
	case want.Official && suitable == 0:
		return nil, &Error{Code: CodeNotNative}
	case left == 0:
		return nil, &Error{Code: CodeExhausted}
	case best == nil:
		return nil, &Error{Code: CodeFull, RetryAfter: time.Second}
	}
	best.used++
	return &Slot{
		EngineID: best.id, Client: best.client,
		Leaving: best.leaving,
		Opened:  func(*engine.Session) {},
		Report: func(err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.reports = append(p.reports, err)
		},
		Release: sync.OnceFunc(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			best.used--
		}),
	}, nil
}

func (p *pool) used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.members {
		n += m.used
	}
	return n
}

// screen is a viewer that checks every packet it gets.
type screen struct {
	verifier *enginetest.Verifier
	first    time.Time     // when the first byte came
	rate     int           // bytes per second that it takes; 0 for all at once
	longest  time.Duration // the longest time without a packet of the stream
	last     time.Time
	silence  time.Duration // the longest time between two writes, padding included
	heard    time.Time
	stop     func(n int64) bool // whether to leave after n bytes
	tee      func(p []byte)     // gets what the viewer gets, if set
	got      int64
	deadline atomic.Pointer[time.Time] // set by who disconnects it, too
	leave    context.CancelCauseFunc
}

var errSeenEnough = fmt.Errorf("seen enough")

func newScreen(infohash string) *screen {
	return &screen{verifier: enginetest.NewVerifier(infohash)}
}

func (s *screen) Write(p []byte) (int, error) {
	now := time.Now()
	if !s.heard.IsZero() {
		s.silence = max(s.silence, now.Sub(s.heard))
	}
	s.heard = now
	if s.tee != nil {
		s.tee(p)
	}
	if bytes.Equal(p, padding) {
		if s.first.IsZero() {
			return 0, errors.New("padding before the stream")
		}
		return s.verifier.Write(p)
	}
	if s.first.IsZero() {
		s.first = now
	} else {
		s.longest = max(s.longest, now.Sub(s.last))
	}
	if s.rate > 0 {
		takes := time.Duration(len(p)) * time.Second / time.Duration(s.rate)
		if left := time.Until(*s.deadline.Load()); takes > left {
			time.Sleep(left)
			return 0, os.ErrDeadlineExceeded
		}
		time.Sleep(takes)
	}
	s.last = time.Now()
	s.got += int64(len(p))
	s.verifier.Write(p)
	if s.stop != nil && s.stop(s.got) {
		s.leave(errSeenEnough)
	}
	return len(p), nil
}

func (s *screen) Flush() error                       { return nil }
func (s *screen) SetWriteDeadline(t time.Time) error { s.deadline.Store(&t); return nil }

// watch joins and relays until the screen has seen for, or an error comes
// first.
func (r *rig) watch(want content.Selector, s *screen, lasting time.Duration) error {
	ctx, cancel := context.WithCancelCause(r.t.Context())
	defer cancel(nil)
	v, err := r.hub.Join(ctx, want, Client{Addr: "192.0.2.1:1", App: "test"})
	if err != nil {
		return err
	}
	defer v.Leave()
	s.leave = cancel
	timer := time.AfterFunc(lasting, func() { cancel(errSeenEnough) })
	defer timer.Stop()
	return v.Relay(ctx, s)
}

var _ Sink = (*screen)(nil)
