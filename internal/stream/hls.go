package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/ring"
)

// packReadSize is how much of the ring is cut at once, in whole packets.
const packReadSize = 16 * wakeSize

// packager cuts a stream into segments for all viewers that watch it so. It
// reads the ring like a viewer does, and the segments are the ring's own bytes.
type packager struct {
	list  *hls.Playlist
	users map[*Viewer]struct{} // guarded by the stream's mu
	stop  context.CancelFunc
}

// Playlist returns the live content as HLS. The first viewer to ask has
// it cut from what the stream has in memory on, as far back as that viewer or a full playlist
// needs; all who ask until the last of them has left share it. With time shift it is cut
// all along. It ends with the stream.
func (v *Viewer) Playlist() *hls.Playlist {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, in := s.viewers[v]; !in { // disconnected
		list := hls.NewPlaylist(s.hub.cfg.HLS)
		hls.NewSegmenter(list).Close()
		return list
	}
	if s.packager == nil {
		s.packager = s.pack(v.shift.back(s.ring))
	}
	s.packager.users[v] = struct{}{}
	return s.packager.list
}

// pack starts a packager, which begins at least behind, in ticks, behind live. The caller holds mu.
func (s *Stream) pack(behind int64) *packager {
	ctx, cancel := context.WithCancel(s.ctx)
	cfg := s.hub.cfg.HLS
	cfg.Memory = min(cfg.Memory, s.hub.memory.shareOf(s))
	behind = max(behind, ticks(time.Duration(cfg.Window+1)*cfg.Segment))
	p := &packager{list: hls.NewPlaylist(cfg), users: make(map[*Viewer]struct{}), stop: cancel}
	seg := hls.NewSegmenter(p.list)
	if s.state == StateEnding { // nothing comes any more
		cancel()
		seg.Close()
		return p
	}
	t := s.tape
	s.hub.work.Go(func() {
		defer cancel()
		defer seg.Close()
		err := s.cut(ctx, t, seg, p.list, behind)
		s.log.Debug("segments end", "err", err)
	})
	return p
}

// unpack ends the packager when its last viewer leaves. The caller holds mu.
func (s *Stream) unpack(v *Viewer) {
	p := s.packager
	if p == nil {
		return
	}
	delete(p.users, v)
	if len(p.users) == 0 && s.kept == nil {
		p.stop()
		s.packager = nil
	}
}

// cut feeds the ring to seg until ctx or the stream ends. It begins so
// far back as it is told, if the ring has that much. Where a source did
// not overlap the one before, seg is told that the stream breaks: the clocks go on, but
// pictures are missing, their dates jump, and the encoding may be another (RFC 8216,
// 4.3.2.3). The error is never nil.
func (s *Stream) cut(ctx context.Context, t *tape, seg *hls.Segmenter, list *hls.Playlist, behind int64) error {
	r := t.ring
	start, err := join(ctx, r, behind)
	if err != nil {
		return err
	}
	date := time.Now().Add(-seconds(r.LiveTime() - start.Time))
	seg.Start(start.Pos, start.Preface, date)
	pos, shown := start.Pos, false
	whole := pos // breaks up to there are known
	bufs := make([][]byte, 0, packReadSize>>15)
	for ctx.Err() == nil {
		var n int
		bufs, n, err = r.Read(bufs[:0], pos, packReadSize)
		if joint, ok := t.joint(whole, pos+int64(n)); ok {
			if joint > pos {
				bufs, n, err = r.Read(bufs[:0], pos, int(joint-pos))
			} else {
				seg.Start(pos, nil, time.Now())
				whole = pos
			}
		}
		switch {
		case errors.Is(err, ring.ErrBehind):
			if start, err = join(ctx, r, ticks(s.hub.cfg.Burst)); err != nil {
				return err
			}
			s.log.Warn("segments fell behind the stream, and go on further ahead", "bytes", start.Pos-pos)
			pos, whole = start.Pos, start.Pos
			seg.Start(pos, start.Preface, time.Now())
		case err != nil:
			return fmt.Errorf("stream ended: %w", err)
		case n == 0:
			if !shown {
				list.Show()
				shown = true
			}
			select {
			case <-r.Wait(pos):
			case <-ctx.Done():
			}
		default:
			if shown {
				date = time.Now()
			}
			for _, b := range bufs {
				seg.Feed(date, b)
			}
			pos += int64(n)
			list.Forget(s.keptFrom(r))
		}
	}
	return context.Cause(ctx)
}

// Send sends a segment, or a part, to the viewer. Each write of it must end within
// the write timeout. The error is [ErrNotKept] if it could be had neither from memory nor from disk; most
// likely nothing of it was sent then.
func (v *Viewer) Send(ctx context.Context, sink Sink, m hls.Media) error {
	ctx, release := v.bind(ctx, sink)
	defer release()
	out := outlet{viewer: v, sink: sink, ctx: ctx, patience: v.stream.hub.cfg.WriteTimeout}
	if m.Bufs == nil {
		return v.sendKept(&out, m)
	}
	for _, b := range m.Bufs {
		if err := out.write(b); err != nil {
			return err
		}
		if out.size >= writeSize {
			if err := out.flush(); err != nil {
				return err
			}
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	v.pos.Store(m.End)
	return nil
}

// Err tells why the stream is over for the viewer, nil while it goes on. The
// error is an *[Error].
func (v *Viewer) Err() error {
	if told, ok := errors.AsType[*Error](context.Cause(v.ctx)); ok {
		return told
	}
	if _, err := v.stream.outcome(); err != nil {
		return asError(err)
	}
	return nil
}
