package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/acequia-tv/acequia/internal/engine"
)

// file is the engine side of a finite content: its sessions, and who reads
// them. One session serves everybody where the engine allows several readers;
// where it does not, each player has a session on an engine of its own.
type file struct {
	stream  *Stream
	opening singleflight.Group // one more session at a time

	mu     sync.Mutex // guards what follows; never held across I/O
	conns  []*fileConn
	failed []string // engines that failed this file, each once
	closed bool
}

// fileConn is a session of a file. Its fields but conn are guarded by the
// file's mu.
type fileConn struct {
	conn   *conn
	reader *fileBody // the one reader, where the engine allows one
	host   string    // whose it is, or was last
	broken bool
}

const (
	// fileChunk is what is copied at once between an engine and a player.
	fileChunk = 128 << 10
	// filePatience is how many write timeouts a player of a file may take nothing.
	filePatience = 10
)

// FileRequest is what a player asks of a file.
type FileRequest struct {
	Host    string // the player's address without a port
	Range   string // Range header as it came, or ""
	IfRange string
}

// serveFile keeps the sessions of a finite content until the stream ends.
func (s *Stream) serveFile(first *conn) error {
	s.hub.memory.release(s)
	f := &file{stream: s, conns: []*fileConn{{conn: first}}}
	s.mu.Lock()
	s.file = f
	s.mu.Unlock()
	s.decide(StateFile, first)
	<-s.ctx.Done()
	f.close()
	return context.Cause(s.ctx)
}

func (f *file) close() {
	f.mu.Lock()
	f.closed = true
	conns := f.conns
	f.conns = nil
	f.mu.Unlock()
	for _, fc := range conns {
		f.stream.hub.retire(fc.conn)
	}
}

// Fetch asks an engine for a range of a finite content. An engine that fails
// is replaced, also in the middle of the body, where the next one is asked for
// the rest. ctx governs the body too; the wait for its first byte is bounded
// by the start timeout. The caller closes the body.
func (v *Viewer) Fetch(ctx context.Context, req FileRequest) (*engine.Playback, error) {
	ctx, release := v.bind(ctx, nil)
	f := v.stream.file
	started := time.Now()
	deadline := started.Add(v.stream.hub.cfg.StartTimeout)
	p, err := f.fetch(ctx, req, deadline)
	if err != nil {
		release()
		return nil, err
	}
	p.Body = newResumed(ctx, release, f, req, p)
	return p, nil
}

// Copy sends a body that Fetch returned to sink, until it ends, the viewer is
// disconnected, or takes nothing for ten times the write timeout: players of films
// are paused, do not read meanwhile, and come back. The error wraps
// [ErrGone] when it was the player that went.
func (v *Viewer) Copy(ctx context.Context, sink Sink, body io.Reader) error {
	ctx, release := v.bind(ctx, sink)
	defer release()
	out := outlet{viewer: v, sink: sink, ctx: ctx, patience: filePatience * v.stream.hub.cfg.WriteTimeout}
	buf := make([]byte, fileChunk)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if err := out.write(buf[:n]); err != nil {
				return err
			}
			if err := out.flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// fetch is one answer from some engine, before the deadline.
func (f *file) fetch(ctx context.Context, req FileRequest, deadline time.Time) (*engine.Playback, error) {
	var failures []error
	for range maxAttempts {
		fc, err := f.pick(ctx, req.Host, deadline)
		if err != nil {
			return nil, worst(append(failures, err))
		}
		p, err := f.ask(ctx, fc, req, deadline)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failures = append(failures, err)
		if engine.ClassOf(err) == engine.Busy {
			continue
		}
		f.drop(fc, err)
		if !time.Now().Before(deadline) {
			break
		}
	}
	return nil, worst(failures)
}

// ask plays a range on one session.
func (f *file) ask(ctx context.Context, fc *fileConn, req FileRequest, deadline time.Time) (*engine.Playback, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(time.Until(deadline), func() { cancel(errStartTimeout) })
	p, err := fc.conn.slot.Client.Play(ctx, fc.conn.session, engine.PlayOptions{Range: req.Range, IfRange: req.IfRange})
	if !late.Stop() && err == nil {
		p.Body.Close()
		err = errStartTimeout
	}
	if err != nil {
		err = causeOf(ctx, err)
		cancel(nil)
		f.mu.Lock()
		fc.reader = nil
		f.mu.Unlock()
		return nil, err
	}
	body := &fileBody{ReadCloser: p.Body, file: f, conn: fc, cancel: cancel}
	p.Body = body
	f.mu.Lock()
	defer f.mu.Unlock()
	fc.reader = body
	return p, nil
}

// fileBody is the body of one answer; closing it frees its reader's place.
type fileBody struct {
	io.ReadCloser
	file   *file
	conn   *fileConn
	cancel context.CancelCauseFunc
}

func (b *fileBody) Close() error {
	b.cancel(nil)
	err := b.ReadCloser.Close()
	b.file.mu.Lock()
	defer b.file.mu.Unlock()
	if b.conn.reader == b {
		b.conn.reader = nil
	}
	return err
}

// pick returns a session that host may read, opened if need be. A player that
// seeks opens the new place before it closes the old: on an engine with one
// reader its former request is ended for it.
func (f *file) pick(ctx context.Context, host string, deadline time.Time) (*fileConn, error) {
	for {
		f.mu.Lock()
		fc, former := f.suitable(host)
		not := avoid{failed: slices.Clone(f.failed), busy: f.engines()}
		closed := f.closed
		f.mu.Unlock()
		switch {
		case closed:
			return nil, &Error{Code: CodeClosing, Err: context.Cause(f.stream.ctx)}
		case former != nil:
			_ = former.Close() // what it was reading does not matter any more
			continue
		case fc != nil:
			return fc, nil
		}
		opened := f.opening.DoChan("", func() (any, error) { return nil, f.add(not, deadline) })
		select {
		case r := <-opened:
			if err := r.Err; err != nil {
				if asError(err).Code == CodeExhausted && len(not.busy) > 0 {
					return nil, &Error{Code: CodeBusy, RetryAfter: retrySoon, Err: err}
				}
				return nil, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// suitable returns a session for host, or the body to close first. It claims
// the reader's place where there is one only. The caller holds mu.
func (f *file) suitable(host string) (fc *fileConn, former *fileBody) {
	for _, fc := range f.conns {
		if fc.conn.session.MultiReader {
			return fc, nil
		}
	}
	for _, fc := range f.conns {
		if fc.host == host && fc.reader != nil {
			return nil, fc.reader
		}
	}
	i := slices.IndexFunc(f.conns, func(fc *fileConn) bool { return fc.reader == nil && fc.host == host })
	if i < 0 {
		i = slices.IndexFunc(f.conns, func(fc *fileConn) bool { return fc.reader == nil })
	}
	if i < 0 {
		return nil, nil
	}
	f.conns[i].host = host
	return f.conns[i], nil
}

// engines lists the engines that have a session of the file. The caller holds
// mu.
func (f *file) engines() []string {
	var ids []string
	for _, fc := range f.conns {
		ids = append(ids, fc.conn.slot.EngineID)
	}
	return ids
}

// add opens one more session, on an engine that has none.
func (f *file) add(not avoid, deadline time.Time) error {
	ctx, cancel := context.WithDeadlineCause(f.stream.ctx, deadline, errStartTimeout)
	defer cancel()
	c, err := f.stream.open(ctx, not)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || c.session.Live {
		f.stream.hub.retire(c)
		return &Error{Code: CodeEngine, Err: errors.New("the content changed its nature")}
	}
	f.conns = append(f.conns, &fileConn{conn: c})
	return nil
}

// drop takes a session out of use and stops it.
func (f *file) drop(fc *fileConn, why error) {
	f.mu.Lock()
	gone := fc.broken
	fc.broken = true
	if id := fc.conn.slot.EngineID; !slices.Contains(f.failed, id) {
		f.failed = append(f.failed, id)
	}
	f.conns = slices.DeleteFunc(f.conns, func(o *fileConn) bool { return o == fc })
	f.mu.Unlock()
	if gone {
		return
	}
	f.stream.log.Warn("engine failed, file goes on elsewhere", "engine", fc.conn.slot.EngineID, "err", why)
	f.stream.hub.emit(Event{Kind: EventSource, Stream: f.stream, Engine: fc.conn.slot.EngineID, Err: why})
	fc.conn.slot.Report(fmt.Errorf("file: %w", why))
	f.stream.hub.retire(fc.conn)
}
