package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// spliceTimeout bounds the search for the place where a new source continues
// the old one. A session starts with a burst, so that the place mostly comes
// in the first second; viewers have a few seconds buffered.
const spliceTimeout = 10 * time.Second

// tape is the end of the relay that viewers read from: the ring, and the
// scanner that knows its random access points. What is not said to be guarded
// is owned by the stream's goroutine.
type tape struct {
	ring    *ring.Ring
	waker   *waker
	scanner *mpegts.Scanner
	marks   []ring.Mark
	marked  bool // there was a mark
	gauge   gauge

	mu      sync.Mutex
	retimer mpegts.Retimer // guarded by mu
	joints  []int64        // positions held of splices without overlap, oldest first; guarded by mu
	last    int64          // the last of them, held or not; guarded by mu
}

func newTape(g gauge) *tape {
	r := ring.New(0)
	return &tape{ring: r, waker: newWaker(r), scanner: mpegts.NewScanner(), gauge: g}
}

// write appends whole packets of the source, and may change them.
func (t *tape) write(packets []byte) {
	if len(packets) == 0 {
		return
	}
	t.mu.Lock()
	t.retimer.Apply(packets)
	t.marks = t.marks[:0]
	for _, p := range t.scanner.Scan(packets) {
		t.marks = append(t.marks, ring.Mark{Pos: p.Pos, Time: p.Time, Preface: p.Preface})
	}
	t.ring.Add(packets, t.scanner.Time(), t.marks)
	t.mu.Unlock()
	// The first viewers wait for a random access point to begin at.
	first := !t.marked && len(t.marks) > 0
	t.marked = t.marked || first
	t.waker.added(len(packets), first)
	if len(t.marks) > 0 {
		t.gauge.measure(t.ring, t.marks)
	}
}

// join makes the clocks of a source that does not overlap the one before go on
// from those of that one. packets are its first; write takes them, and all that
// follow.
func (t *tape) join(packets []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retimer.Continue(t.scanner, t.ring.Tail(nil, upstream.TailSize), packets)
	t.last = t.ring.End()
	start := t.ring.Start()
	t.joints = append(slices.DeleteFunc(t.joints, func(pos int64) bool { return pos < start }), t.last)
}

// joint returns the first splice without overlap behind from and before to. It
// may be called from any goroutine.
func (t *tape) joint(from, to int64) (pos int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, pos := range t.joints {
		if pos > from && pos < to {
			return pos, true
		}
	}
	return 0, false
}

// tail returns the last packets as the engine sent them, back to the last
// splice without overlap. It may be called from any goroutine.
func (t *tape) tail() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	packets := t.ring.Tail(nil, int(min(upstream.TailSize, t.ring.End()-t.last)))
	t.retimer.Undo(packets)
	return packets
}

// relay copies a live content into a ring until the stream ends. When an
// engine fails, or is about to leave, its heir goes on where it stopped, and
// the viewers keep their place.
func (s *Stream) relay(c *conn) error {
	t := newTape(gauge{
		burst: s.hub.cfg.Burst,
		tell:  func(least int) { s.hub.memory.require(s, least) },
	})
	s.hub.memory.hold(s, t.ring)
	defer t.waker.stop()
	s.mu.Lock()
	s.ring, s.tape = t.ring, t
	s.mu.Unlock()
	if packets, err := c.source.Next(); err == nil { // what the start waited for
		t.write(packets)
	}
	s.decide(StateLive, c)
	for first := true; ; first = false {
		h := s.appointHeir(c)
		err := s.play(c, t, first)
		if s.ctx.Err() != nil {
			h.dismiss()
			s.hub.retire(c)
			return context.Cause(s.ctx)
		}
		s.lose(c, err)
		next, err := h.succeed()
		if err != nil {
			return fmt.Errorf("nobody goes on with the content: %w", err)
		}
		c = next
	}
}

// play relays one source until it fails, is replaced or the stream ends. Any
// but the first goes through the seam.
func (s *Stream) play(c *conn, t *tape, first bool) error {
	stop := context.AfterFunc(s.ctx, func() { c.source.Stop(context.Cause(s.ctx)) })
	defer stop()
	if !first {
		if err := s.splice(c, t); err != nil {
			return err
		}
	}
	for {
		packets, err := c.source.Next()
		if err != nil {
			return err
		}
		t.write(packets)
	}
}

// lose gives up a conn whose source failed or was replaced.
func (s *Stream) lose(c *conn, err error) {
	s.setEngine("")
	s.losses = append(s.losses, time.Now())
	if !errors.Is(err, errReplaced) {
		s.log.Warn("source failed, another engine goes on", "engine", c.slot.EngineID,
			"failure", upstream.FailureOf(err), "err", err)
		s.hub.emit(Event{Kind: EventSource, Stream: s, Engine: c.slot.EngineID, Err: err})
		c.slot.Report(err)
	}
	s.hub.retire(c)
}

// tail returns the last packets that were relayed, as the engine sent them.
func (s *Stream) tail() []byte {
	s.mu.Lock()
	t := s.tape
	s.mu.Unlock()
	return t.tail()
}

// reopen opens the content within one start timeout.
func (s *Stream) reopen(ctx context.Context, not avoid) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.hub.cfg.StartTimeout, errStartTimeout)
	defer cancel()
	c, err := s.open(ctx, not)
	if err != nil {
		return nil, err
	}
	if c.source == nil {
		s.hub.retire(c)
		return nil, errors.New("the content is no longer live")
	}
	return c, nil
}

// splice feeds the new source through the seam until packets come through.
func (s *Stream) splice(c *conn, t *tape) error {
	seam := upstream.NewSeam(t.tail())
	late := time.NewTimer(spliceTimeout)
	defer late.Stop()
	for !seam.Joined() {
		packets, err := c.source.Next()
		if err != nil {
			return err
		}
		select {
		case <-late.C:
			seam.GiveUp()
		default:
		}
		packets = seam.Feed(packets)
		if seam.Joined() && !seam.Seamless() {
			t.join(packets)
		}
		t.write(packets)
	}
	s.switched(c, seam.Seamless())
	return nil
}

// switched notes that the stream plays from another engine.
func (s *Stream) switched(c *conn, seamless bool) {
	s.mu.Lock()
	s.engine = c.slot.EngineID
	s.changes++
	s.mu.Unlock()
	s.log.Info("stream goes on from another engine", "engine", c.slot.EngineID, "seamless", seamless)
	s.hub.emit(Event{Kind: EventSwitched, Stream: s, Engine: c.slot.EngineID, Seamless: seamless})
}
