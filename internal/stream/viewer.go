package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
)

// Client is who watches, as far as the connection tells.
type Client struct {
	Addr  string // network address of the player, host:port; behind a proxy without the port
	App   string // short name of the player; "" where it is not known
	Agent string // its User-Agent, as it came
	Form  Form
}

// Form is how a viewer gets the content.
type Form string

// The forms.
const (
	FormTS   Form = "ts"   // one answer without an end
	FormFile Form = "file" // ranges of a finite content, whatever was asked for
	FormHLS  Form = "hls"  // segments; the viewer is a session
)

// Sink is where a viewer's bytes go: an HTTP response with its controller.
type Sink interface {
	// Write takes p, which does not change until it has been sent, and may wait
	// for Flush to send it.
	Write(p []byte) (int, error)
	// Flush sends what was written.
	Flush() error
	SetWriteDeadline(t time.Time) error
}

const (
	// writeSize is the most that one write gives to a viewer, in whole packets,
	// so that a viewer can skip ahead after any of them. Progress is judged per
	// write: a viewer that takes less than this within the write timeout is
	// gone. It is well above [wakeSize], so that what comes with one wake-up
	// goes out with one write.
	writeSize = 2 * wakeSize
	// joinPatience is how long a viewer waits for a place where a decoder can
	// start before it gets what there is. Broadcasters send one every second
	// or two.
	joinPatience = 5 * time.Second
)

// Viewer is one player's place in a stream. Relay and Fetch are for the
// goroutine that joined; the rest is safe for concurrent use.
type Viewer struct {
	stream *Stream
	id     uint64
	client Client
	asked  time.Time // when its request came
	since  time.Time // when it got its place

	ctx    context.Context // ends when the viewer is disconnected
	cancel context.CancelCauseFunc

	left  sync.Once
	first atomic.Int64 // nanoseconds from asked to its first byte; 0 before that
	sent  meter        // bytes
	pos   atomic.Int64 // ring position reached
	skips atomic.Int64

	shift *shift // nil unless SeekBack was called; set under the stream's mu, before all else but Leave
}

// Live tells whether the content is relayed live, or is finite and has ranges.
func (v *Viewer) Live() bool {
	v.stream.mu.Lock()
	defer v.stream.mu.Unlock()
	return v.stream.ring != nil
}

// ErrGone says that the player takes no more: its connection is closed, or it was
// given up.
var ErrGone = errors.New("viewer gone")

// Disconnected tells whether somebody ended the viewer's connection.
func (v *Viewer) Disconnected() bool { return v.ctx.Err() != nil }

// Leave gives the place back. It may be called more than once.
func (v *Viewer) Leave() {
	v.left.Do(func() {
		v.stream.leave(v)
		v.stream.mu.Lock()
		sh := v.shift
		v.stream.mu.Unlock()
		sh.end()
		v.stream.hub.emit(Event{Kind: EventLeft, Stream: v.stream, Viewer: v.id})
	})
}

// Relay copies the stream to sink, from a random access point a burst behind
// live on, or from where SeekBack found one, until ctx ends, the stream ends or the viewer takes nothing for the
// write timeout. A viewer that is too slow for the ring skips ahead to another
// random access point. While there is nothing to send it gets null packets. The
// error says which of these it was; it is never nil.
func (v *Viewer) Relay(ctx context.Context, sink Sink) error {
	r := v.stream.ring
	ctx, release := v.bind(ctx, sink)
	defer release()
	defer v.shift.close()
	start, err := v.begin(ctx, r)
	if err != nil {
		return err
	}
	out := outlet{viewer: v, sink: sink, ctx: ctx, patience: v.stream.hub.cfg.WriteTimeout}
	if v.shift == nil {
		out.herd = v.stream.herd()
	}
	defer out.close()
	if err := out.write(start.Preface); err != nil {
		return err
	}
	pos := start.Pos
	bufs := make([][]byte, 0, 4)
	for ctx.Err() == nil {
		var n int
		bufs, n, err = v.read(bufs[:0], r, pos)
		switch {
		case errors.Is(err, ring.ErrBehind):
			if start, err = v.skip(ctx, r, pos); err != nil {
				return err
			}
			if err := out.write(start.Preface); err != nil {
				return err
			}
			pos = start.Pos
		case err != nil:
			return fmt.Errorf("stream ended: %w", err)
		case n == 0:
			if pos, err = out.wait(ctx, r, pos); err != nil {
				return err
			}
		default:
			if err := out.send(bufs); err != nil {
				return err
			}
			pos += int64(n)
			v.pos.Store(pos)
		}
	}
	return context.Cause(ctx)
}

// deadlineSlack is how much longer than the write timeout a write may take, so
// that not every write needs a deadline of its own.
const deadlineSlack = time.Second

// outlet gives a viewer its bytes, whatever is between two calls of flush
// within its patience. It is owned by one goroutine.
type outlet struct {
	viewer   *Viewer
	sink     Sink
	ctx      context.Context // of the connection, as bind returned it
	patience time.Duration   // how long the player may take nothing
	began    bool            // something was written since the last flush
	set      time.Time       // when the deadline was set last
	size     int64           // bytes written since the last flush
	quiet    *time.Timer     // of await
	herd     *herd           // nil where the viewer goes by itself
	place    *place          // in the herd; nil before the first time
}

func (o *outlet) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !o.began {
		if err := o.extend(); err != nil {
			return err
		}
		o.began = true
	}
	n, err := o.sink.Write(p)
	o.size += int64(n)
	if err != nil {
		return o.gone(err)
	}
	return nil
}

// send writes bufs, and flushes.
func (o *outlet) send(bufs [][]byte) error {
	for _, b := range bufs {
		if err := o.write(b); err != nil {
			return err
		}
	}
	return o.flush()
}

// gone tells why the player takes no more.
func (o *outlet) gone(err error) error {
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	return fmt.Errorf("%w: %w", ErrGone, err)
}

// extend moves the deadline if what is left of it is too short.
func (o *outlet) extend() error {
	now := time.Now()
	if now.Sub(o.set) <= deadlineSlack && !o.set.IsZero() {
		return nil
	}
	o.set = now
	if err := o.sink.SetWriteDeadline(now.Add(o.patience + deadlineSlack)); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	// Who was disconnected meanwhile has a deadline again; now it is known.
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	return nil
}

func (o *outlet) flush() error {
	if err := o.sink.Flush(); err != nil {
		return o.gone(err)
	}
	if o.size > 0 {
		o.viewer.sent.add(o.size, time.Now())
	}
	if o.size > 0 && o.viewer.first.Load() == 0 {
		o.viewer.served()
	}
	o.began, o.size = false, 0
	return nil
}

// join waits for a random access point and returns the one to start at so as
// to be behind live, in media time.
func join(ctx context.Context, r *ring.Ring, behind int64) (ring.Mark, error) {
	patience := time.NewTimer(joinPatience)
	defer patience.Stop()
	for {
		if m, ok := r.Join(behind); ok {
			return m, nil
		}
		end := r.End()
		select {
		case <-r.Wait(end):
			if err := r.Err(); err != nil {
				return ring.Mark{}, fmt.Errorf("stream ended: %w", err)
			}
		case <-patience.C:
			return ring.Mark{Pos: r.Start()}, nil
		case <-ctx.Done():
			return ring.Mark{}, context.Cause(ctx)
		}
	}
}

// skip moves a viewer that fell out of the ring to a place from which it can
// go on: a burst behind live, but in the newer half of a short ring, where it
// would soon fall out again. One that is behind live on purpose stays as far behind as it can.
func (v *Viewer) skip(ctx context.Context, r *ring.Ring, from int64) (ring.Mark, error) {
	m, ok := v.shift.next(r, from)
	if !ok {
		behind := ticks(v.stream.hub.cfg.Burst)
		if oldest, ok := r.Next(r.Start()); ok {
			behind = min(behind, (r.LiveTime()-oldest.Time)/2)
		}
		var err error
		if m, err = join(ctx, r, behind); err != nil {
			return m, err
		}
	}
	v.skips.Add(1)
	v.stream.log.Debug("viewer too slow, skipped ahead", "viewer", v.id, "bytes", m.Pos-from)
	v.stream.hub.emit(Event{Kind: EventSkipped, Stream: v.stream, Viewer: v.id})
	return m, nil
}

// seconds converts from the unit of media time.
func seconds(ticks int64) time.Duration {
	return time.Duration(float64(ticks) / mpegts.ClockRate * float64(time.Second))
}

// ticks converts to the unit of media time.
func ticks(d time.Duration) int64 {
	return int64(d.Seconds() * mpegts.ClockRate)
}
