package timeshift

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/ring"
)

// A Mark is a position at which a decoder can start, with the time of day at
// which it came.
type Mark struct {
	ring.Mark
	Date time.Time
}

const (
	// markStep is the least media time between two marks that are kept. It bounds the
	// index: an hour takes less than half a megabyte.
	markStep = 500 * time.Millisecond
	// maxPrefaces bounds the different prefaces that marks share. They differ in their continuity
	// counters, mostly, of which there are 16.
	maxPrefaces = 64
)

// A Recording is what is kept of one stream. It is safe for concurrent use, but
// Append is for one goroutine.
//
// Its holders share it: it is removed when the last of them has let go of it.
type Recording struct {
	store *Store

	// Owned by the goroutine of Append.
	out      File // of the last file; nil while there is none
	prefaces map[string][]byte

	// Guarded by the store's mu.
	holders int
	files   []*file // oldest first, each beginning where the one before ends; the last one grows
	live    int64   // newest media time
	cut     bool    // older bytes had to go for want of room
}

// A file holds a span of the stream.
type file struct {
	name  string
	from  int64     // position of the first byte
	began time.Time // when that came

	// Guarded by the store's mu.
	size  int64  // bytes
	last  int64  // newest media time
	marks []Mark // by position
}

func (f *file) end() int64 { return f.from + f.size }

// Hold adds a holder. It returns false if the recording is removed already.
func (r *Recording) Hold() bool {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if r.holders == 0 {
		return false
	}
	r.holders++
	return true
}

// Release takes a holder away; with the last one the recording is removed.
func (r *Recording) Release() {
	s := r.store
	s.mu.Lock()
	r.holders--
	var gone []*file
	if r.holders == 0 {
		gone = r.clear()
		delete(s.recordings, r)
	}
	s.mu.Unlock()
	s.remove(gone)
}

// Finish tells that nothing will be appended any more. It is for the goroutine of Append.
func (r *Recording) Finish() { r.closeFile() }

// clear takes all files out of the recording. The caller holds the store's mu, and
// removes them.
func (r *Recording) clear() []*file {
	gone := r.files
	r.drop(len(gone))
	r.live, r.cut = 0, false
	return gone
}

// drop takes the first n files out. The caller holds the store's mu, and removes them.
func (r *Recording) drop(n int) {
	for _, f := range r.files[:n] {
		r.store.size -= f.size
	}
	r.files = r.files[n:]
	if len(r.files) == 0 {
		r.files = nil
	}
}

// Append adds the bytes at position pos, which came at now; marks are those that were
// found since the last call, in order, and live is the media time reached. Where pos does
// not follow what was appended before, what was kept is removed and the
// recording begins anew: it has no gaps. So it does after an error, which is
// [ErrNoRoom] or comes from the file system.
func (r *Recording) Append(pos int64, bufs [][]byte, live int64, marks []Mark, now time.Time) error {
	if _, end := r.Span(); pos != end {
		r.restart()
	}
	n := int64(0)
	for _, b := range bufs {
		n += int64(len(b))
	}
	if err := r.store.reserve(n); err != nil {
		r.restart()
		return err
	}
	for _, b := range bufs {
		err := r.write(pos, b, now)
		if err != nil {
			r.store.release(n)
			r.restart()
			return err
		}
		n -= int64(len(b))
		pos += int64(len(b))
	}
	r.note(live, marks)
	return nil
}

// restart removes what is kept.
func (r *Recording) restart() {
	r.closeFile()
	r.store.mu.Lock()
	gone := r.clear()
	r.store.mu.Unlock()
	r.store.remove(gone)
}

// write adds b, for which there is a reservation, to the last file, or to a new one.
func (r *Recording) write(pos int64, b []byte, now time.Time) error {
	f := r.last()
	if f == nil || r.out == nil || f.size >= r.store.fileSize {
		var err error
		if f, err = r.begin(pos, now); err != nil {
			return err
		}
	}
	for {
		_, err := r.out.WriteAt(b, f.size)
		if err == nil {
			break
		}
		// Others fill the disk faster than it is measured, or there is a quota.
		if !isFull(err) || r.store.evict() == 0 {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	f.size += int64(len(b))
	return nil
}

// last returns the last file, which only the goroutine of Append makes grow.
func (r *Recording) last() *file {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if len(r.files) == 0 {
		return nil
	}
	return r.files[len(r.files)-1]
}

// begin makes the next file.
func (r *Recording) begin(pos int64, now time.Time) (*file, error) {
	r.closeFile()
	s := r.store
	s.mu.Lock()
	s.serial++
	f := &file{name: strconv.FormatInt(s.serial, 10) + suffix, from: pos, began: now, last: r.live}
	s.mu.Unlock()
	out, err := s.fs.Create(f.name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", f.name, err)
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		r.files = append(r.files, f)
	}
	s.mu.Unlock()
	if closed {
		s.remove([]*file{f})
		return nil, errors.Join(errClosed, out.Close())
	}
	r.out = out
	return f, nil
}

func (r *Recording) closeFile() {
	if r.out == nil {
		return
	}
	if err := r.out.Close(); err != nil {
		r.store.log.Warn("file of time shift cannot be closed", "err", err)
	}
	r.out = nil
}

// note adds what is known of the bytes appended, and removes what is older than what
// is to be kept.
func (r *Recording) note(live int64, marks []Mark) {
	for i := range marks {
		marks[i].Preface = r.shared(marks[i].Preface)
	}
	s := r.store
	s.mu.Lock()
	r.live = max(r.live, live)
	if len(r.files) > 0 {
		r.files[len(r.files)-1].last = r.live
	}
	for _, m := range marks {
		r.mark(m)
	}
	k := 0
	for k < len(r.files)-1 && r.files[k].last < r.live-s.keep() {
		k++
	}
	gone := r.files[:k:k]
	r.drop(k)
	s.mu.Unlock()
	s.remove(gone)
}

// mark adds a mark to the file that has its byte, unless it is close to the one before. The caller
// holds the store's mu.
func (r *Recording) mark(m Mark) {
	i := fileAt(r.files, m.Pos)
	if i < 0 || m.Pos >= r.files[i].end() {
		return
	}
	for k := i; k >= 0; k-- {
		if n := len(r.files[k].marks); n > 0 {
			if before := r.files[k].marks[n-1]; m.Pos <= before.Pos || m.Time-before.Time < ticks(markStep) {
				return
			}
			break
		}
	}
	r.files[i].marks = append(r.files[i].marks, m)
}

// shared returns a preface of the same bytes that other marks have, too.
func (r *Recording) shared(preface []byte) []byte {
	if known, ok := r.prefaces[string(preface)]; ok {
		return known
	}
	if len(r.prefaces) >= maxPrefaces {
		clear(r.prefaces)
	}
	r.prefaces[string(preface)] = preface
	return preface
}

// Span returns the positions between which every byte is kept; they are equal if
// none is.
func (r *Recording) Span() (from, to int64) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if len(r.files) == 0 {
		return 0, 0
	}
	return r.files[0].from, r.files[len(r.files)-1].end()
}

// Kept returns how much is kept: in media time, and in bytes.
func (r *Recording) Kept() (length time.Duration, size int64) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, f := range r.files {
		size += f.size
	}
	first, ok := r.first()
	if !ok {
		return 0, size
	}
	return duration(r.live - first.Time), size
}

// Join returns where a reader should start to be at least behind, in ticks of media
// time, behind live: the newest mark that is old enough, or the oldest one
// if none is; but none that is about to be removed. ok is false if there is no
// mark.
func (r *Recording) Join(behind int64) (m Mark, ok bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	oldest, ok := r.first()
	if !ok {
		return Mark{}, false
	}
	at := r.live - min(behind, ticks(r.store.cfg.Keep))
	if r.cut {
		at = max(at, oldest.Time+margin(r.live-oldest.Time))
	}
	for i := len(r.files) - 1; i >= 0; i-- {
		marks := r.files[i].marks
		k, _ := slices.BinarySearchFunc(marks, at, func(m Mark, at int64) int {
			if m.Time <= at {
				return -1
			}
			return 1
		})
		if k > 0 {
			return marks[k-1], true
		}
	}
	return oldest, true
}

// margin is the distance to keep from the oldest byte of a recording of a length.
func margin(length int64) int64 { return min(ticks(slack), length/4) }

// After returns where a reader should go on whose place is no longer kept: at the oldest mark
// that is not about to be removed, too.
func (r *Recording) After() (m Mark, ok bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	oldest, ok := r.first()
	if !ok {
		return Mark{}, false
	}
	at := oldest.Time + margin(r.live-oldest.Time)
	for _, f := range r.files {
		for _, m := range f.marks {
			if m.Time >= at {
				return m, true
			}
		}
	}
	return oldest, true
}

// At returns the newest mark that is not behind pos.
func (r *Recording) At(pos int64) (m Mark, ok bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for i := fileAt(r.files, pos); i >= 0; i-- {
		marks := r.files[i].marks
		k, found := slices.BinarySearchFunc(marks, pos, func(m Mark, pos int64) int { return cmp.Compare(m.Pos, pos) })
		if found {
			return marks[k], true
		}
		if k > 0 {
			return marks[k-1], true
		}
	}
	return Mark{}, false
}

// first returns the first mark. The caller holds the store's mu.
func (r *Recording) first() (m Mark, ok bool) {
	for _, f := range r.files {
		if len(f.marks) > 0 {
			return f.marks[0], true
		}
	}
	return Mark{}, false
}
