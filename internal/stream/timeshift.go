package stream

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/ring"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

const (
	// keepSize is how much is written to disk at once, and keepEvery how long it may take to
	// come together.
	keepSize  = 1 << 20
	keepEvery = time.Second
	// keepTrial is how long a disk must have done well for its failures to be forgotten.
	keepTrial = 10 * time.Minute
)

// keepBackoff paces the attempts to begin anew on a disk that is full, failed or
// too slow.
var keepBackoff = backoff.Policy{Min: 30 * time.Second, Max: 10 * time.Minute}

// errSlowDisk says that the disk was slower than the stream for longer than memory
// reaches back.
var errSlowDisk = errors.New("the disk is slower than the stream")

// keeper copies a stream to disk. It reads the ring like a viewer does, so that it holds
// nothing up: what it does not get to in time is lost to time shift alone.
type keeper struct {
	stream *Stream
	ring   *ring.Ring
	rec    *timeshift.Recording
	pos    int64 // what was appended last ends there
	marked int64 // position behind the last mark appended
	marks  []timeshift.Mark
}

// keep starts to keep the stream on disk, if that is wanted, and to cut it into segments, which
// viewers may ask for later.
func (s *Stream) keep() {
	if s.hub.cfg.Timeshift == nil {
		return
	}
	rec := s.hub.cfg.Timeshift.Record()
	s.mu.Lock()
	s.kept = rec
	s.packager = s.pack(0)
	k := &keeper{stream: s, ring: s.ring, rec: rec}
	s.mu.Unlock()
	s.hub.work.Go(k.run)
}

// run keeps the stream until its ring is closed.
func (k *keeper) run() {
	defer k.rec.Release()
	defer k.rec.Finish()
	for failures := 0; k.begin(); {
		began := time.Now()
		err := k.follow()
		if err == nil {
			return
		}
		k.lost(err)
		if k.ring.Err() != nil { // it ended meanwhile, and there is nothing to wait for
			return
		}
		if time.Since(began) > keepTrial {
			failures = 0
		}
		failures++
		k.pause(math.MaxInt64, keepBackoff.Delay(failures))
	}
}

// begin goes to the first random access point of the ring. It returns false if the
// stream ended before there was one.
func (k *keeper) begin() bool {
	m, err := join(context.Background(), k.ring, math.MaxInt64)
	k.pos, k.marked = m.Pos, m.Pos
	return err == nil
}

// follow appends what comes until the ring is closed, and then returns nil; or
// until the bytes that are next are lost.
func (k *keeper) follow() error {
	batch := min(keepSize, k.stream.hub.cfg.Buffer/4)
	bufs := make([][]byte, 0, keepSize>>15)
	for {
		var n int
		var err error
		bufs, n, err = k.ring.Read(bufs[:0], k.pos, keepSize)
		switch {
		case errors.Is(err, ring.ErrBehind):
			return errSlowDisk
		case err != nil:
			return nil //nolint:nilerr // the stream ended, and all of it is kept
		case n == 0:
			k.pause(k.pos+int64(batch)-1, keepEvery)
			continue
		}
		if err := k.append(bufs, n); err != nil {
			return err
		}
	}
}

// pause waits for the byte at pos, the end of the ring, or for a time.
func (k *keeper) pause(pos int64, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-k.ring.Wait(pos):
	case <-timer.C:
	}
}

// append writes n bytes, and the marks up to there.
func (k *keeper) append(bufs [][]byte, n int) error {
	now, live := time.Now(), k.ring.LiveTime()
	end := k.pos + int64(n)
	k.marks = k.marks[:0]
	for {
		m, ok := k.ring.Next(k.marked)
		if !ok || m.Pos >= end {
			break
		}
		k.marks = append(k.marks, timeshift.Mark{Mark: m, Date: now.Add(-seconds(live - m.Time))})
		k.marked = m.Pos + 1
	}
	if err := k.rec.Append(k.pos, bufs, live, k.marks, now); err != nil {
		return err
	}
	k.pos = end
	k.stream.setKept(nil)
	return nil
}

// lost tells that what was kept is no longer there.
func (k *keeper) lost(err error) {
	s := k.stream
	if s.setKept(err) {
		s.log.Warn("time shift lost what it kept of the stream, and begins anew", "err", err)
		s.hub.emit(Event{Kind: EventUnkept, Stream: s, Err: err})
	}
}

// setKept notes why nothing is kept, nil if something is, and tells whether that is
// new.
func (s *Stream) setKept(err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = (s.keptErr == nil) != (err == nil)
	s.keptErr = err
	return changed
}

// keptStatus tells what is kept. The caller holds mu.
func (s *Stream) keptStatus() Kept {
	if s.kept == nil {
		return Kept{}
	}
	k := Kept{Err: s.keptErr}
	k.Length, k.Size = s.kept.Kept()
	if from, end := s.kept.Span(); end > from && end < s.ring.Start() && s.ring.Err() == nil {
		k.Err = errSlowDisk // a write hangs
	}
	return k
}

// keptFrom returns the position from which every byte of the stream can still be had.
func (s *Stream) keptFrom(r *ring.Ring) int64 {
	from := r.Start()
	if s.kept == nil {
		return from
	}
	if first, end := s.kept.Span(); end > first && end >= from {
		from = min(from, first)
	}
	return from
}
