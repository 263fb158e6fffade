// Package ring holds the newest bytes of one stream in bounded memory, for one
// writer and many readers.
//
// Bytes have absolute positions: the first byte ever appended is at 0, and a
// position names the same byte for as long as the ring lives. Readers keep
// their own position, share the bytes without copying them, and never hold the
// writer up: one that is too slow finds that its bytes are gone.
//
// Some positions are marked: a decoder can start there. A mark carries a media
// time, in any unit that the writer likes (27 MHz ticks where the bytes are an
// MPEG transport stream), so that a reader can begin a given time behind live.
// The times must be of one clock that never goes back; where the clock of the
// content jumps, the writer evens the jump out before it marks.
package ring

import (
	"errors"
	"io"
	"sync"
)

// blockSize is the unit in which memory is taken and given back. It is a whole
// number of 188-byte transport packets, so that the slices handed to readers
// begin and end at packet borders if the writer's chunks do, and it wastes next
// to nothing of the 64 KiB that the allocator sets aside for it.
const blockSize = 348 * 188

// ErrBehind says that the bytes asked for have been dropped: the reader was too
// slow. It can go on at a mark that [Ring.Join] returns.
var ErrBehind = errors.New("ring: position no longer held")

// ErrAhead says that the position asked for has not been reached by the writer.
var ErrAhead = errors.New("ring: position not yet written")

// A Ring is a bounded window on the end of a stream of bytes. It is safe for
// concurrent use by any number of readers and one writer: Append, Add and Close
// must not be called concurrently with each other.
//
// A ring needs no release: dropping the last reference is enough.
type Ring struct {
	tail *block // last block, filled by the writer; owned by the writer

	waking sync.Mutex      // held through a wake-up, before mu
	ready  []chan struct{} // scratch of the wake-up; guarded by waking

	mu       sync.Mutex
	capacity int
	blocks   []*block // oldest first; the last one is tail
	start    int64    // position of the first byte of blocks[0]
	shown    int64    // position behind the last byte that readers may see
	end      int64    // position behind the last byte appended or added
	live     int64    // newest media time
	marks    marks
	waits    []wait // by position, each position once
	err      error  // why the ring ended; nil while it is open
}

// A block is a piece of the stream. Bytes are only ever added to it, behind
// those that readers may see, and it is not reused: slices of it stay valid
// for as long as somebody holds them.
type block struct {
	buf [blockSize]byte
	n   int // bytes filled; owned by the writer
}

// New returns an empty ring that holds about capacity bytes: it drops its oldest
// block as soon as the others add up to the capacity. So the memory that it
// holds, as [Ring.Size] tells, stays below the capacity plus one block of 64 KiB,
// and never goes below one block.
func New(capacity int) *Ring {
	return &Ring{capacity: capacity}
}

// Append copies p to the end of the ring and wakes the readers that wait for it.
// It never waits for a reader.
//
// live is the media time reached by the last byte of p. A live time below one
// given before is ignored. Each of marks must lie before the end of p; it may lie
// in bytes appended before, as whether a decoder can start at a position may
// be known only some bytes later. Marks in bytes already dropped are ignored,
// and a mark replaces another one at the same position. The ring keeps the
// prefaces, which must not change any more, and neither p nor marks.
//
// Append after Close panics.
func (r *Ring) Append(p []byte, live int64, marks []Mark) {
	r.Add(p, live, marks)
	r.Wake()
}

// Add is Append, but for that readers neither see the bytes nor are woken until the next
// [Ring.Wake], Append or Close: a thousand readers that each write a few packets cost more
// than the packets do.
func (r *Ring) Add(p []byte, live int64, marks []Mark) {
	for {
		n, grown := r.fill(p)
		p = p[n:]
		if len(p) == 0 {
			r.publish(n, grown, live, marks)
			return
		}
		r.publish(n, grown, live, nil)
	}
}

// fill copies the start of p into the free space of the last block, or of a new
// one, without holding the lock: readers do not see these bytes yet.
func (r *Ring) fill(p []byte) (n int, grown bool) {
	if len(p) == 0 {
		return 0, false
	}
	if r.tail == nil || r.tail.n == blockSize {
		r.tail, grown = new(block), true
	}
	n = copy(r.tail.buf[r.tail.n:], p)
	r.tail.n += n
	return n, grown
}

// publish makes n more bytes part of the ring.
func (r *Ring) publish(n int, grown bool, live int64, marks []Mark) {
	r.mu.Lock()
	if r.err != nil {
		r.mu.Unlock()
		panic("ring: append after close")
	}
	if grown {
		r.blocks = append(r.blocks, r.tail)
	}
	r.end += int64(n)
	r.live = max(r.live, live)
	for _, m := range marks {
		if m.Pos >= r.start && m.Pos < r.end {
			r.marks.insert(m)
		}
	}
	r.trim()
	r.mu.Unlock()
}

// trim drops the oldest blocks that the capacity has no room for. Guarded by mu.
func (r *Ring) trim() {
	k := 0
	for len(r.blocks)-k > 1 && (len(r.blocks)-k-1)*blockSize+r.marks.size >= r.capacity {
		k++
		r.start += blockSize
		r.marks.drop(r.start)
	}
	if k > 0 {
		rest := copy(r.blocks, r.blocks[k:])
		clear(r.blocks[rest:])
		r.blocks = r.blocks[:rest]
	}
}

// Close ends the stream. Readers get the bytes that are left and then err, or
// [io.EOF] if err is nil. Only the first call counts.
func (r *Ring) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	r.mu.Lock()
	if r.err == nil {
		r.err, r.shown = err, r.end
	}
	r.mu.Unlock()
	r.Wake()
}

// Err returns why the ring was closed, or nil while it is open.
func (r *Ring) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Read appends slices of the bytes from pos on to dst, max bytes at most, and
// returns the longer dst and how many bytes it added. It never waits: at the end of
// the ring it adds nothing and returns a nil error, or the reason once the ring is
// closed. The error is [ErrBehind] if the byte at pos is no longer held, and [ErrAhead] if
// pos is behind the end.
//
// The slices are shared: they must not be written to. They stay valid and
// unchanged after the ring has dropped the bytes, and keep up to a block of memory
// each alive until the caller lets go of them.
func (r *Ring) Read(dst [][]byte, pos int64, max int) (bufs [][]byte, n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case pos < r.start:
		return dst, 0, ErrBehind
	case pos > r.end:
		return dst, 0, ErrAhead
	case pos >= r.shown:
		if pos == r.end {
			err = r.err
		}
		return dst, 0, err
	}
	dst, n = r.slices(dst, pos, min(int64(max), r.shown-pos))
	return dst, n, nil
}

// slices appends size bytes from pos on to dst. All of them are held. Guarded by mu.
func (r *Ring) slices(dst [][]byte, pos, size int64) (bufs [][]byte, n int) {
	off := pos - r.start
	for size > 0 {
		b := r.blocks[off/blockSize]
		from := off % blockSize
		to := min(from+size, blockSize)
		// The capacity ends with the slice, so that no append of a reader can
		// reach the bytes that the writer is about to fill.
		dst = append(dst, b.buf[from:to:to])
		n += int(to - from)
		size -= to - from
		off += to - from
	}
	return dst, n
}

// Tail appends a copy of the newest n bytes to dst, or of all bytes held if there
// are fewer, and returns the longer dst.
func (r *Ring) Tail(dst []byte, n int) []byte {
	r.mu.Lock()
	size := min(int64(n), r.end-r.start)
	bufs, _ := r.slices(nil, r.end-size, size)
	r.mu.Unlock()
	for _, b := range bufs {
		dst = append(dst, b...)
	}
	return dst
}

// Start returns the position of the oldest byte held. It equals End if there is none.
func (r *Ring) Start() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.start
}

// End returns the position of the next byte to be appended: how many bytes have
// been appended since the beginning.
func (r *Ring) End() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end
}

// LiveTime returns the newest media time appended, 0 at the beginning.
func (r *Ring) LiveTime() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live
}

// Size returns the memory that the ring holds, in bytes. What readers keep alive
// of blocks already dropped is not part of it.
func (r *Ring) Size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.blocks)*blockSize + r.marks.size
}

// SetCapacity changes the capacity, and drops at once what it has no more room for.
func (r *Ring) SetCapacity(capacity int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.capacity = capacity
	r.trim()
}
