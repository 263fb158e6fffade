package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// spliceTimeout bounds the search for the place where a new source continues
// the old one. A session starts with a burst, so that the place mostly comes
// in the first second; viewers have a few seconds buffered.
const spliceTimeout = 10 * time.Second

// reopenBackoff paces the attempts to find an engine that goes on with a
// stream whose engine failed.
var reopenBackoff = backoff.Policy{Min: 500 * time.Millisecond, Max: 5 * time.Second}

// tape is the end of the relay that viewers read from: the ring, and the
// scanner that knows its random access points. It is owned by the stream's
// goroutine.
type tape struct {
	ring    *ring.Ring
	scanner *mpegts.Scanner
	marks   []ring.Mark
}

func newTape(size int) *tape {
	return &tape{ring: ring.New(size), scanner: mpegts.NewScanner()}
}

// write appends whole packets.
func (t *tape) write(packets []byte) {
	if len(packets) == 0 {
		return
	}
	t.marks = t.marks[:0]
	for _, p := range t.scanner.Scan(packets) {
		t.marks = append(t.marks, ring.Mark{Pos: p.Pos, Time: p.Time, Preface: p.Preface})
	}
	t.ring.Append(packets, t.scanner.Time(), t.marks)
}

// relay copies a live content into a ring until the stream ends. When an
// engine fails, another goes on where it stopped, and the viewers keep their
// place.
func (s *Stream) relay(c *conn) error {
	t := newTape(s.hub.cfg.Buffer)
	s.mu.Lock()
	s.ring = t.ring
	s.mu.Unlock()
	if packets, err := c.source.Next(); err == nil { // what the start waited for
		t.write(packets)
	}
	s.decide(StateLive, c)
	for {
		err := s.copy(c, t)
		if s.ctx.Err() != nil {
			s.hub.retire(c)
			return context.Cause(s.ctx)
		}
		s.lose(c, err)
		if c, err = s.replace(c, t); err != nil {
			return err
		}
	}
}

// copy relays one source until it fails or the stream ends.
func (s *Stream) copy(c *conn, t *tape) error {
	defer s.interruptible(c)()
	for {
		packets, err := c.source.Next()
		if err != nil {
			return err
		}
		t.write(packets)
	}
}

// interruptible ends a wait for c's source when the stream ends. The returned
// function undoes it.
func (s *Stream) interruptible(c *conn) (release func()) {
	stop := context.AfterFunc(s.ctx, func() { c.source.Stop(context.Cause(s.ctx)) })
	return func() { stop() }
}

// lose gives up a conn whose source failed.
func (s *Stream) lose(c *conn, err error) {
	s.log.Warn("source failed, another engine goes on", "engine", c.slot.EngineID,
		"failure", upstream.FailureOf(err), "err", err)
	s.hub.emit(Event{Kind: EventSource, Stream: s, Engine: c.slot.EngineID, Err: err})
	s.setEngine("")
	c.source.Stop(nil)
	c.slot.Report(err)
	s.hub.retire(c)
}

// replace finds an engine that goes on with the content, and joins its packets
// to those of the old one. It tries for as long as the outage that viewers are
// kept over.
func (s *Stream) replace(old *conn, t *tape) (*conn, error) {
	before := []string{old.slot.EngineID}
	giveUp, cancel := context.WithTimeoutCause(s.ctx, s.hub.cfg.Outage, errOutage)
	defer cancel()
	for failures := 0; ; failures++ {
		if err := pause(giveUp, reopenBackoff.Delay(failures)); err != nil {
			return nil, fmt.Errorf("nobody goes on with the content: %w", err)
		}
		c, err := s.reopen(giveUp, before)
		if err != nil {
			s.log.Debug("no engine goes on yet", "err", err)
			before = nil
			continue
		}
		if err := s.splice(c, t); err != nil {
			if s.ctx.Err() != nil {
				s.hub.retire(c)
				return nil, context.Cause(s.ctx)
			}
			s.lose(c, err)
			before = []string{c.slot.EngineID}
			continue
		}
		return c, nil
	}
}

// reopen opens the content within one start timeout.
func (s *Stream) reopen(ctx context.Context, before []string) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.hub.cfg.StartTimeout, errStartTimeout)
	defer cancel()
	c, err := s.open(ctx, avoid{failed: before})
	if err != nil {
		return nil, err
	}
	if c.source == nil {
		s.hub.retire(c)
		return nil, errors.New("the content is no longer live")
	}
	return c, nil
}

// splice feeds the new source through the seam until packets pass unchanged.
func (s *Stream) splice(c *conn, t *tape) error {
	defer s.interruptible(c)()
	seam := upstream.NewSeam(t.ring.Tail(nil, upstream.TailSize))
	late := time.NewTimer(spliceTimeout)
	defer late.Stop()
	for announced := false; !seam.Done(); {
		packets, err := c.source.Next()
		if err != nil {
			return err
		}
		select {
		case <-late.C:
			seam.GiveUp()
		default:
		}
		t.write(seam.Feed(packets))
		if seam.Joined() && !announced {
			announced = true
			s.switched(c, seam.Seamless())
		}
	}
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

// pause waits, or returns the cause of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
