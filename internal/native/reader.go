package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Reader reads the file of a session. It takes part in the session, and in the
// swarm, from its first Read on: looking at the size or seeking costs nothing.
// It is for one goroutine; its context may be watched from others.
type Reader struct {
	session *Session
	ctx     context.Context //nolint:containedctx // an io.Reader takes none; ends with the session, the request, or when the reader gives way
	cancel  context.CancelCauseFunc
	unlink  func() bool

	source io.ReadCloser // nil until the first Read
	at     int64         // where source is
	offset int64         // where the next Read reads

	lastRead atomic.Int64 // when data last came, Unix nanoseconds
	waiting  atomic.Bool  // a Read is waiting for data
}

// NewReader returns a reader at the beginning of the file that lives until ctx
// or the session ends, or it is closed.
func (s *Session) NewReader(ctx context.Context) *Reader {
	r := &Reader{session: s}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.unlink = context.AfterFunc(s.life, func() { r.cancel(context.Cause(s.life)) }) //nolint:contextcheck // the session's life is a second one
	return r
}

// Context ends when the reader can read no more; its cause says why. A blocked
// writer of what was read watches it.
func (r *Reader) Context() context.Context { return r.ctx }

// Seek sets where the next Read reads. It does not block. A live content
// cannot be sought.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	if r.session.info.Live {
		return 0, errors.New("seek in live content")
	}
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.session.file.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	r.offset = offset
	return offset, nil
}

// Read waits until data at the position is here. The first one waits for the
// start timeout at most, and with internal buffering until the buffer is
// full; later ones until the content is given up as lost. Its errors, but for
// io.EOF, are of type [*Error].
func (r *Reader) Read(p []byte) (int, error) {
	if !r.session.info.Live && r.offset >= r.session.file.Size {
		return 0, io.EOF
	}
	n, err := r.read(p)
	if n > 0 {
		if r.offset == 0 {
			r.session.learnType(p[:n])
		}
		r.offset += int64(n)
		r.at += int64(n)
		r.lastRead.Store(time.Now().UnixNano())
		r.session.delivered.Add(int64(n))
		r.session.engine.counters.served.Add(int64(n))
		return n, nil // an error comes again with the next Read
	}
	switch {
	case err == nil:
		return 0, nil
	case errors.Is(err, io.EOF) && r.session.info.Live:
		return 0, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF // the file is longer
	}
	return 0, r.session.fail(withCause(r.ctx, err))
}

func (r *Reader) read(p []byte) (int, error) {
	r.waiting.Store(true)
	defer r.waiting.Store(false)
	if r.source == nil {
		return r.readFirst(p)
	}
	if err := r.align(); err != nil {
		return 0, err
	}
	return r.source.Read(p)
}

// readFirst opens the source and waits for the first byte, both within the
// start timeout.
func (r *Reader) readFirst(p []byte) (int, error) {
	if err := r.session.attach(r); err != nil {
		return 0, err
	}
	timeout := r.session.engine.cfg.StartTimeout
	budget := time.AfterFunc(timeout, func() { r.cancel(errStartTimeout) })
	defer budget.Stop()
	source, err := r.session.playable.Open(r.ctx, r.session.file.Index)
	if err != nil {
		return 0, fmt.Errorf("open file %d: %w", r.session.file.Index, err)
	}
	r.source = source
	if err := r.align(); err != nil {
		return 0, err
	}
	if r.session.beginBuffering() {
		budget.Stop() // the buffer has its own
		if err := r.fillBuffer(timeout); err != nil {
			return 0, err
		}
		budget.Reset(timeout)
	}
	return r.source.Read(p)
}

// align moves the source to the reader's position.
func (r *Reader) align() error {
	if r.at == r.offset {
		return nil
	}
	seeker, ok := r.source.(io.Seeker)
	if !ok {
		return errors.New("this content cannot be sought")
	}
	if _, err := seeker.Seek(r.offset, io.SeekStart); err != nil {
		return fmt.Errorf("seek to %d: %w", r.offset, err)
	}
	r.at = r.offset
	return nil
}

// Close ends the reader.
func (r *Reader) Close() error {
	r.unlink()
	r.cancel(errSessionEnded)
	var err error
	if r.source != nil {
		err = r.source.Close()
	}
	r.session.detach(r)
	return err
}

const (
	// giveWayAfter is how long a reader must have got nothing before a new one
	// may take its place. Players read ahead in bursts some seconds apart; one
	// that took nothing for longer is paused or stuck.
	giveWayAfter = 10 * time.Second
	// placeWait is how long a new reader waits for a place: a player that seeks
	// closes its old connection, and it takes a moment until the engine notices.
	placeWait = time.Second
)

// attach counts r as a reader of the session. When there are as many as there
// may be, the one that got nothing for the longest time gives way.
func (s *Session) attach(r *Reader) error {
	deadline := time.Now().Add(placeWait)
	for {
		now := time.Now()
		freed, again, err := s.tryAttach(r, now)
		if freed == nil {
			return err
		}
		if !now.Before(deadline) {
			return &Error{Reason: Busy, Detail: fmt.Sprintf("this session has %d readers already", s.engine.cfg.MaxReaders)}
		}
		if again.After(deadline) {
			again = deadline
		}
		wait := time.NewTimer(again.Sub(now))
		select {
		case <-freed:
		case <-wait.C:
		case <-r.ctx.Done():
			err = context.Cause(r.ctx)
		}
		wait.Stop()
		if err != nil {
			return err
		}
	}
}

// tryAttach attaches r if there is a place. Else freed is closed with the next
// reader that leaves, and at again the longest idle one may give way.
func (s *Session) tryAttach(r *Reader, now time.Time) (freed <-chan struct{}, again time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, time.Time{}, ErrUnknownSession
	}
	var idle *Reader
	alive := 0
	for other := range s.readers {
		if other.ctx.Err() != nil {
			continue // it is leaving
		}
		alive++
		if idle == nil || other.lastRead.Load() < idle.lastRead.Load() {
			idle = other
		}
	}
	if alive >= s.engine.cfg.MaxReaders {
		if at := time.Unix(0, idle.lastRead.Load()).Add(giveWayAfter); at.After(now) {
			return s.freed, at, nil
		}
		idle.cancel(errReaderGivesWay)
	}
	r.lastRead.Store(now.UnixNano())
	s.readers[r] = struct{}{}
	s.failure = nil
	return nil, time.Time{}, nil
}

// detach ends what attach began, if it did.
func (s *Session) detach(r *Reader) {
	s.mu.Lock()
	if _, ok := s.readers[r]; !ok {
		s.mu.Unlock()
		return
	}
	delete(s.readers, r)
	s.lastActive = time.Now()
	close(s.freed)
	s.freed = make(chan struct{})
	release := s.releaseLocked()
	s.mu.Unlock()
	if release {
		s.release()
	}
	s.engine.lookAgain()
}

// fail records why a reader failed and tells whoever waits for events, unless
// it was ended on purpose.
func (s *Session) fail(err error) *Error {
	stats := s.playable.Stats()
	failure := explain(err, &stats)
	if failure.Reason == Stopped || failure.Reason == Busy {
		return failure
	}
	s.mu.Lock()
	s.failure = failure
	s.mu.Unlock()
	s.engine.log.Warn("playback failed", "session", s.key, "content", s.info.Infohash, "reason", string(failure.Reason), "err", err)
	s.emit(Event{Name: "download_stopped", Params: map[string]string{"reason": string(failure.Reason)}})
	return failure
}
