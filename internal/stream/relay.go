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
	herd    *herd
	waker   *waker
	scanner *mpegts.Scanner
	marks   []ring.Mark
	marked  bool // there was a mark
	gauge   gauge
	guard   *upstream.Guard
	seam    *upstream.Joint // the seam to the present source; nil once it is passed
	late    time.Time       // when an overlap is no longer waited for
	wrote   time.Time       // when something was appended last

	mu      sync.Mutex
	retimer mpegts.Retimer // guarded by mu
	joints  []int64        // positions held of splices without overlap, oldest first; guarded by mu
	last    int64          // the last of them, held or not; guarded by mu
}

func newTape(g gauge) *tape {
	r := ring.New(0)
	h := newHerd(r)
	return &tape{ring: r, herd: h, waker: newWaker(r, h), scanner: mpegts.NewScanner(), gauge: g, guard: upstream.NewGuard()}
}

// write appends whole packets of the source, and may change them. Where there is
// nothing but padding the source stands still: viewers get padding of their own.
func (t *tape) write(packets []byte) {
	if onlyPadding(packets) {
		return
	}
	t.wrote = time.Now()
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

// herd returns the herd of the viewers at live.
func (s *Stream) herd() *herd {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tape.herd
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

// onlyPadding tells whether there is nothing in packets for a receiver.
func onlyPadding(packets []byte) bool {
	for at := 0; at < len(packets); at += mpegts.PacketSize {
		if mpegts.Packet(packets[at:at+mpegts.PacketSize]).PID() != mpegts.NullPID {
			return false
		}
	}
	return true
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
	herding, end := context.WithCancel(s.ctx)
	defer end()
	s.hub.work.Go(func() { t.herd.run(herding) })
	s.mu.Lock()
	s.ring, s.tape = t.ring, t
	s.mu.Unlock()
	t.guard.Turn(time.Now())
	if packets, err := c.source.Next(); err == nil { // what the start waited for
		s.take(c, t, packets)
	}
	s.keep()
	c.joined.Store(true)
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
		t.guard.Turn(time.Now())
		t.seam = upstream.NewJoint(s.tail())
		t.late = time.Now().Add(spliceTimeout)
	}
	for {
		packets, err := c.source.Next()
		if err != nil {
			return err
		}
		s.take(c, t, packets)
	}
}

// take gives viewers what is new of the packets that a source sent: through
// the seam where there is one.
func (s *Stream) take(c *conn, t *tape, packets []byte) {
	now := time.Now()
	for len(packets) > 0 {
		var pass, again []byte
		pass, again, packets = t.guard.Feed(packets, now)
		s.splice(c, t, pass, now)
		if len(again) > 0 {
			s.repeat(c, t, again, now)
		}
	}
	c.repeats.Store(t.guard.Repeating())
	c.progress.Store(t.guard.Progress().UnixNano())
}

// splice passes packets through the seam, if there is one.
func (s *Stream) splice(c *conn, t *tape, packets []byte, now time.Time) {
	if t.seam == nil || len(packets) == 0 {
		t.write(packets)
		return
	}
	if now.After(t.late) {
		t.seam.GiveUp()
	}
	through := t.seam.Joined()
	packets = t.seam.Feed(packets)
	if t.seam.Joined() && !through {
		if !t.seam.Seamless() {
			t.join(packets)
		}
		if !c.joined.Load() {
			s.switched(c, t.seam.Seamless(), now.Sub(t.wrote))
			c.joined.Store(true)
		}
	}
	t.write(packets)
	if t.seam.Done() {
		t.seam = nil
	}
}

// repeat keeps from viewers what they have had, until the source goes on from
// there. Where every engine repeats itself, it begins anew at once, at a random
// access point.
func (s *Stream) repeat(c *conn, t *tape, packets []byte, now time.Time) {
	if t.seam == nil || t.seam.Joined() {
		s.setUnsure(t.guard.Unsure())
		t.seam = upstream.NewJoint(s.tail())
		t.late = now.Add(spliceTimeout)
		s.log.Debug("the source repeats itself", "engine", c.slot.EngineID)
	}
	if s.bears(reasonLoop, c.slot.EngineID) {
		t.seam.GiveUp()
	}
	s.splice(c, t, packets, now)
	if t.seam == nil || t.seam.Joined() {
		s.setUnsure(0)
		t.guard.Resume(now)
	}
}

// left is the engine that a stream was left without, and why.
type left struct {
	engine string
	why    Reason
}

// lose gives up a conn whose source failed or was replaced.
func (s *Stream) lose(c *conn, err error) {
	s.setEngine("")
	s.losses = append(s.losses, time.Now())
	why := reasonOf(err)
	s.left = left{engine: c.slot.EngineID, why: why}
	if why != ReasonLeaving && why != ReasonAsked {
		s.log.Warn("source failed, another engine goes on", "engine", c.slot.EngineID, "failure", why, "err", err)
		s.hub.emit(Event{Kind: EventSource, Stream: s, Engine: c.slot.EngineID, Err: err})
	}
	if handlings[why].blame {
		c.slot.Report(err)
	}
	s.note(why, c.slot.EngineID)
	s.hub.retire(c)
}

// tail returns the last packets that were relayed, as the engine sent them, and how many of the
// last bytes may be a repetition.
func (s *Stream) tail() (packets []byte, unsure int) {
	s.mu.Lock()
	t, unsure := s.tape, s.unsure
	s.mu.Unlock()
	packets = t.tail()
	return packets, min(unsure, len(packets))
}

func (s *Stream) setUnsure(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsure = n
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

// switched notes that the stream plays from another engine, after a gap.
func (s *Stream) switched(c *conn, seamless bool, gap time.Duration) {
	change := Switch{
		At: time.Now(), From: s.left.engine, To: c.slot.EngineID, Reason: s.left.why,
		Gap: gap, Seamless: seamless,
	}
	s.mu.Lock()
	s.engine, s.vitals = change.To, nil
	s.changes++
	s.unsure = 0
	s.switches = append(s.switches, change)
	if len(s.switches) > switchesMost {
		s.switches = slices.Clone(s.switches[1:])
	}
	s.mu.Unlock()
	s.log.Info("stream goes on from another engine", "engine", change.To, "reason", change.Reason, "seamless", seamless, "gap", gap)
	s.hub.emit(Event{Kind: EventSwitched, Stream: s, Engine: change.To, Reason: change.Reason, Gap: gap, Seamless: seamless})
}
