package native

import (
	"context"
	"errors"
	"io"
	"time"
)

// assumedRate is taken for the bit rate of a file that does not tell: 1 MiB a
// second, what a high-definition film takes.
const assumedRate = 1 << 20

// beginBuffering reports whether the caller is to fill the buffer: the first
// reader of the session, where internal buffering is on and the content is a
// file. (A live content has its own buffer.) Later readers are of a player that
// looks for an index or seeks.
func (s *Session) beginBuffering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.engine.cfg.InternalBuffering || s.info.Live || s.buffering {
		return false
	}
	s.buffering = true
	return true
}

func (s *Session) setProgress(percent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = percent
}

// fillBuffer waits until the content of the configured playing time from the
// reader's position on is at hand. A second reader goes ahead and drops what
// it reads: the pieces stay in the window, which the first one's position
// holds in place, so that the buffer costs no memory of its own. When the time
// is over it goes on with what there is, if there is anything.
func (r *Reader) fillBuffer(timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(r.ctx, timeout, errStartTimeout)
	defer cancel()
	ahead, err := r.session.playable.Open(ctx, r.session.file.Index)
	if err != nil {
		return withCause(ctx, err)
	}
	defer ahead.Close()
	if seeker, ok := ahead.(io.Seeker); ok {
		if _, err := seeker.Seek(r.offset, io.SeekStart); err != nil {
			return err
		}
	}
	var rate rateMeter
	left := r.session.file.Size - r.offset
	buf := make([]byte, 64<<10)
	for got := int64(0); ; {
		need := min(r.session.engine.bufferBytes(rate.perSecond()), left)
		if got >= need {
			return nil
		}
		r.session.setProgress(int(100 * got / need))
		n, err := ahead.Read(buf[:min(int64(len(buf)), need-got)])
		rate.add(buf[:n])
		got += int64(n)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case got > 0 && r.ctx.Err() == nil:
			return nil // play what is there; the reader tells when there is no more
		default:
			return withCause(ctx, err)
		}
	}
}

// bufferBytes is the content of the configured playing time, in bytes.
func (e *Engine) bufferBytes(perSecond int64) int64 {
	if perSecond <= 0 {
		perSecond = assumedRate
	}
	return max(1, min(int64(e.cfg.Buffer.Seconds()*float64(perSecond)), e.cfg.Window/2))
}
