package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/ring"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

// ErrNotKept says that bytes of the stream are neither in memory nor on disk any more.
var ErrNotKept = errors.New("no longer kept")

// shift is the place of a viewer that is behind live on purpose, and may be further
// behind than memory reaches.
type shift struct {
	start ring.Mark
	rec   *timeshift.Recording // held until the viewer leaves; nil without time shift
	in    *timeshift.Reader    // owned by Relay, as what follows; nil while nothing was read
	buf   []byte               // what was read from disk last
}

// SeekBack makes the viewer begin that far behind live, in media time, or as far as the stream
// is kept, and returns how far that is. From there it follows at its own pace. It keeps its
// place for as long as that is on disk, or in memory without time shift. SeekBack comes before
// Relay or Playlist, once, and waits for the first random access point. The error is that of Relay.
func (v *Viewer) SeekBack(ctx context.Context, back time.Duration) (time.Duration, error) {
	s := v.stream
	s.mu.Lock()
	r, rec := s.ring, s.kept
	s.mu.Unlock()
	behind := ticks(max(back, s.hub.cfg.Burst))
	start, err := join(ctx, r, behind)
	if err != nil {
		return 0, err
	}
	sh := &shift{start: start}
	if rec != nil && rec.Hold() {
		sh.rec = rec
	}
	if start.Time > r.LiveTime()-behind {
		sh.start = sh.furthest(r, start, behind)
	}
	s.mu.Lock()
	_, in := s.viewers[v]
	if in {
		v.shift = sh
	}
	s.mu.Unlock()
	if !in { // disconnected meanwhile
		sh.end()
		return 0, ErrGone
	}
	v.pos.Store(sh.start.Pos)
	return seconds(r.LiveTime() - sh.start.Time), nil
}

// furthest returns where to begin when memory does not reach back as far as wanted: oldest
// is its first mark.
func (sh *shift) furthest(r *ring.Ring, oldest ring.Mark, behind int64) ring.Mark {
	if sh.rec != nil {
		if m, ok := sh.rec.Join(behind); ok && m.Pos <= oldest.Pos {
			return m.Mark
		}
	}
	return inside(r, oldest)
}

// inside returns the mark to begin at instead of the oldest one of a ring, which is
// gone soon, if the ring is full.
func inside(r *ring.Ring, oldest ring.Mark) ring.Mark {
	if r.Start() > 0 {
		if m, ok := r.Join((r.LiveTime() - oldest.Time) * 7 / 8); ok {
			return m
		}
	}
	return oldest
}

// Late returns the playlist as it is for a viewer that is behind live on purpose, nil for another.
func (v *Viewer) Late(list *hls.Playlist) *hls.Late {
	if v.shift == nil {
		return nil
	}
	return list.Late(v.shift.start.Pos)
}

// back returns how far behind live a viewer is to begin, in ticks, 0 where it is not to be on purpose.
func (sh *shift) back(r *ring.Ring) int64 {
	if sh == nil {
		return 0
	}
	return r.LiveTime() - sh.start.Time
}

// end lets go of what was kept for the viewer. Relay may still be reading: it is told then that its
// place is gone.
func (sh *shift) end() {
	if sh != nil && sh.rec != nil {
		sh.rec.Release()
	}
}

// close gives up the file that Relay had open.
func (sh *shift) close() {
	if sh != nil && sh.in != nil {
		sh.in.Close()
	}
}

// begin returns where the viewer begins.
func (v *Viewer) begin(ctx context.Context, r *ring.Ring) (ring.Mark, error) {
	if v.shift != nil {
		return v.shift.start, nil
	}
	return join(ctx, r, ticks(v.stream.hub.cfg.Burst))
}

// read is [ring.Ring.Read] of one write's worth, and goes on to the disk where memory has
// the bytes no more. What comes from there is valid until the next call.
func (v *Viewer) read(dst [][]byte, r *ring.Ring, pos int64) (bufs [][]byte, n int, err error) {
	bufs, n, err = r.Read(dst, pos, writeSize)
	if v.shift == nil || v.shift.rec == nil || !errors.Is(err, ring.ErrBehind) {
		return bufs, n, err
	}
	select {
	case <-v.stream.hub.closing: // what is left on disk could last for hours
		return dst, 0, errClosing
	default:
	}
	sh := v.shift
	if sh.in == nil {
		sh.in, sh.buf = sh.rec.NewReader(), make([]byte, writeSize)
	}
	n, err = sh.in.Read(sh.buf, pos)
	switch {
	case errors.Is(err, timeshift.ErrGone), err == nil && n == 0:
		return dst, 0, ring.ErrBehind
	case err != nil:
		v.stream.log.Warn("time shift cannot be read", "err", err)
		return dst, 0, ring.ErrBehind
	}
	return append(dst, sh.buf[:n]), n, nil
}

// next returns where a viewer that is behind live on purpose goes on when its place is
// no longer kept. ok is false if it is as well to go where others go.
func (sh *shift) next(r *ring.Ring, from int64) (m ring.Mark, ok bool) {
	if sh == nil {
		return ring.Mark{}, false
	}
	if sh.rec != nil {
		if m, ok := sh.rec.After(); ok && m.Pos > from {
			return m.Mark, true
		}
	}
	if m, ok := r.Next(r.Start()); ok {
		return inside(r, m), true
	}
	return ring.Mark{}, false
}

// sendKept sends a segment that is not held in memory. It is safe for concurrent use. The
// error is [ErrNotKept] if nothing was sent.
func (v *Viewer) sendKept(out *outlet, m hls.Media) error {
	r := v.stream.ring
	var in *timeshift.Reader
	if v.shift != nil && v.shift.rec != nil {
		in = v.shift.rec.NewReader()
		defer in.Close()
	}
	var disk []byte
	bufs := make([][]byte, 0, 4)
	for pos := m.From; pos < m.End; {
		most := int(min(writeSize, m.End-pos))
		var n int
		var err error
		bufs, n, err = r.Read(bufs[:0], pos, most)
		if err != nil && in != nil {
			if disk == nil {
				disk = make([]byte, writeSize)
			}
			n, err = in.Read(disk[:most], pos)
			bufs = append(bufs[:0], disk[:n])
		}
		if err != nil || n == 0 {
			return fmt.Errorf("segment at %d of %d to %d: %w", pos, m.From, m.End, errors.Join(ErrNotKept, err))
		}
		if pos == m.From {
			bufs = append([][]byte{m.Preface}, bufs...)
		}
		if err := out.send(bufs); err != nil {
			return err
		}
		pos += int64(n)
	}
	v.pos.Store(m.End)
	return nil
}

// behind returns how far behind live the byte at pos is, in media time. On disk that is known as
// closely as the random access points there tell. The caller holds mu.
func (s *Stream) behind(pos int64) time.Duration {
	if s.ring == nil {
		return 0
	}
	if s.kept != nil && pos < s.ring.Start() {
		if m, ok := s.kept.At(pos); ok {
			return max(0, seconds(s.ring.LiveTime()-m.Time))
		}
	}
	return seconds(s.ring.Behind(pos))
}
