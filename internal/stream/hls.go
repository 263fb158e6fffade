package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
)

// packReadSize is how much of the ring is cut at once.
const packReadSize = 1 << 20

// packager cuts a stream into segments for all viewers that watch it so. It
// reads the ring like a viewer does, and the segments are the ring's own bytes.
type packager struct {
	list  *hls.Playlist
	users map[*Viewer]struct{} // guarded by the stream's mu
	stop  context.CancelFunc
}

// Playlist returns the live content as HLS. The first viewer to ask has
// it cut from what the stream has in store on; all who ask until the last of them has
// left share it. It ends with the stream.
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
		s.packager = s.pack()
	}
	s.packager.users[v] = struct{}{}
	return s.packager.list
}

// pack starts a packager. The caller holds mu.
func (s *Stream) pack() *packager {
	ctx, cancel := context.WithCancel(s.ctx)
	cfg := s.hub.cfg.HLS
	cfg.Memory = min(cfg.Memory, s.hub.memory.shareOf(s))
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
		err := s.cut(ctx, t, seg, p.list)
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
	if len(p.users) == 0 {
		p.stop()
		s.packager = nil
	}
}

// cut feeds the ring to seg until ctx or the stream ends. It begins so
// far back that the playlist is full at once, if the ring has that much. Where a source did
// not overlap the one before, seg is told that the stream breaks: the clocks go on, but
// pictures are missing, their dates jump, and the encoding may be another (RFC 8216,
// 4.3.2.3). The error is never nil.
func (s *Stream) cut(ctx context.Context, t *tape, seg *hls.Segmenter, list *hls.Playlist) error {
	cfg, r := s.hub.cfg.HLS, t.ring
	start, err := join(ctx, r, ticks(time.Duration(cfg.Window+1)*cfg.Segment))
	if err != nil {
		return err
	}
	behind := time.Duration(float64(r.LiveTime()-start.Time) / mpegts.ClockRate * float64(time.Second))
	date := time.Now().Add(-behind)
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
		}
	}
	return context.Cause(ctx)
}

// Send sends a segment, or a part, to the viewer. Each write of it must end within
// the write timeout.
func (v *Viewer) Send(ctx context.Context, sink Sink, m hls.Media) error {
	ctx, release := v.bind(ctx, sink)
	defer release()
	out := outlet{viewer: v, sink: sink, ctx: ctx, patience: v.stream.hub.cfg.WriteTimeout}
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
