// Package upstream is the engine side of a stream: it plays a session, finds
// the transport packets in what the engine sends, notices when that fails, and
// joins the packets of the next source to those of the last.
package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/mpegts"
)

const (
	// readSize is the most that one read takes from an engine. Engines send
	// multiples of 16 KiB, their chunk; reading more at once costs memory and
	// saves nothing measurable.
	readSize = 64 << 10
	// garbageLimit is how many bytes without the sync pattern of a transport
	// stream are searched before the source is given up as garbage.
	garbageLimit = 256 << 10
	// tornLimit is the same once packets came: a connection loses no bytes, so
	// that what is no packet stands where packets should, and each of them is
	// one that viewers miss. Another engine has them.
	tornLimit = 8 << 10
)

// Source is one session being played: the packets of a live content as one
// engine sends them. Next is called from one goroutine; Stop may be called
// from any.
type Source struct {
	client  *engine.Client
	session *engine.Session
	body    io.ReadCloser
	stall   time.Duration

	life     context.Context
	cancel   context.CancelCauseFunc
	watchdog *time.Timer

	began time.Time
	heard atomic.Int64 // when the last bytes came, as a duration since began

	framer mpegts.Framer
	synced bool // packets came
	buf    []byte
	ahead  []byte // packets read already, handed out by the first Next

	closeOnce sync.Once
}

// Start plays session and waits for its first packets. Engines answer a
// playback URL only once they have buffered, which takes seconds to a minute:
// ctx bounds the wait, and bounds nothing afterwards. From then on the source
// fails with [ErrStalled] when no byte comes for stall.
//
// Start does not stop the session when it fails: that is the caller's, who
// opened it.
func Start(ctx context.Context, client *engine.Client, session *engine.Session, stall time.Duration) (*Source, error) {
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	s := &Source{
		client: client, session: session, stall: stall,
		life: life, cancel: cancel,
		buf: make([]byte, readSize),
	}
	err := s.begin()
	if !release() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.Stop(err)
		if cause := context.Cause(life); cause != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return nil, fmt.Errorf("play on %s: %w", client.Base(), err)
	}
	return s, nil
}

func (s *Source) begin() error {
	playback, err := s.client.Play(s.life, s.session, engine.PlayOptions{})
	if err != nil {
		return err
	}
	s.body = playback.Body
	packets, err := s.read()
	if err != nil {
		return err
	}
	s.ahead = packets
	s.began = time.Now()
	s.watchdog = time.AfterFunc(s.stall, func() { s.cancel(ErrStalled) })
	return nil
}

// Session returns the session that the source plays.
func (s *Source) Session() *engine.Session { return s.session }

// Silence returns how long no byte has come. It may be called from any
// goroutine.
func (s *Source) Silence() time.Duration {
	return time.Since(s.began) - time.Duration(s.heard.Load())
}

// Next waits for more packets and returns them, whole and aligned. The slice
// is the caller's to change until the next call. The error says why the source ended; see
// [FailureOf].
func (s *Source) Next() ([]byte, error) {
	if s.ahead != nil {
		packets := s.ahead
		s.ahead = nil
		return packets, nil
	}
	return s.read()
}

// Continues reads ahead until it is certain whether the source goes on where
// another stopped whose last packets are tail, at most [TailSize] bytes, and
// beyond that for at least by of media time. [Joined] says that it does. [Missed] says that
// it is beyond, and has not what is between. It is [Searching], which is
// uncertain, once [heldMost] was read, ctx is done, or the source fails. What
// was read, Next hands out.
//
// It is called from the goroutine that calls Next, and before Next.
func (s *Source) Continues(ctx context.Context, tail []byte, by time.Duration) Verdict {
	splicer := NewSplicer(tail)
	s.ahead = bytes.Clone(s.ahead)
	_, v := splicer.Feed(s.ahead)
	ahead := splicer.ahead(s.ahead)
	for (v == Searching || ahead < by) && len(s.ahead) < heldMost && ctx.Err() == nil {
		packets, err := s.read()
		if err != nil {
			break // and Next will fail too
		}
		s.ahead = append(s.ahead, packets...)
		_, v = splicer.Feed(packets)
		ahead = max(ahead, splicer.ahead(packets))
	}
	if ahead < by {
		return Searching
	}
	return v
}

// read reads until at least one whole packet has come.
func (s *Source) read() ([]byte, error) {
	for {
		n, err := s.body.Read(s.buf)
		if n > 0 {
			if s.watchdog != nil {
				s.watchdog.Reset(s.stall)
				s.heard.Store(int64(time.Since(s.began)))
			}
			packets := s.framer.Push(s.buf[:n])
			if len(packets) > 0 {
				s.synced = true
				return packets, nil
			}
			if s.framer.Searched() > s.garbage() {
				return nil, ErrGarbage
			}
		}
		if err != nil {
			return nil, s.failure(err)
		}
	}
}

// garbage returns how many bytes that are no packets end the source.
func (s *Source) garbage() int64 {
	if s.synced {
		return tornLimit
	}
	return garbageLimit
}

// failure prefers the reason for which our side cancelled the connection over
// the error that the cancelled read returns.
func (s *Source) failure(err error) error {
	if cause := context.Cause(s.life); cause != nil {
		return cause
	}
	if s.framer.Skipped() > 0 && !s.framer.Synced() {
		return fmt.Errorf("%w: %w after %d bytes", ErrGarbage, err, s.framer.Skipped())
	}
	return err
}

// Stop ends the source: Next returns cause, or [ErrStopped] where cause is
// nil. The connection to the engine is closed, the session on it lives on.
// Stop may be called more than once.
func (s *Source) Stop(cause error) {
	if cause == nil {
		cause = ErrStopped
	}
	s.cancel(cause)
	s.closeOnce.Do(func() {
		if s.watchdog != nil {
			s.watchdog.Stop()
		}
		if s.body != nil {
			s.body.Close()
		}
	})
}
