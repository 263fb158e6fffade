package stream

import (
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
)

const (
	// wakePause is the least time between two wake-ups for less than wakeSize
	// bytes. It is the most that sharing the cost of a write among packets
	// delays any of them; a player buffers ten times as much.
	wakePause = 100 * time.Millisecond
	// wakeSize is how many bytes are worth a wake-up at any time: with larger
	// writes a system call costs hardly less for a byte.
	wakeSize = 348 * mpegts.PacketSize
)

// waker wakes the viewers of a ring, in time but seldom. Engines send some
// kilobytes at a time; to wake every viewer for each of them would cost more
// than to send the bytes. Bytes that come after a pause go out at once. It is
// safe for concurrent use.
type waker struct {
	ring *ring.Ring
	herd *herd

	mu     sync.Mutex // guards what follows
	unseen int        // bytes added since the last wake-up
	last   time.Time  // when that was
	late   *time.Timer
	over   bool
}

func newWaker(r *ring.Ring, h *herd) *waker { return &waker{ring: r, herd: h} }

// added says that n bytes were added to the ring. Urgent ones wake the viewers
// at once.
func (w *waker) added(n int, urgent bool) {
	w.mu.Lock()
	first := w.unseen == 0
	w.unseen += n
	wait := wakePause - time.Since(w.last)
	due := urgent || wait <= 0 || w.unseen >= wakeSize
	switch {
	case due:
		w.woken()
	case first:
		w.wakeIn(wait)
	}
	w.mu.Unlock()
	if due {
		w.wake()
	}
}

// woken notes that the viewers are about to be woken. The caller holds mu.
func (w *waker) woken() {
	w.unseen, w.last = 0, time.Now()
	if w.late != nil {
		w.late.Stop()
	}
}

// wakeIn has the timer wake the viewers unless more comes before. The caller
// holds mu.
func (w *waker) wakeIn(d time.Duration) {
	switch {
	case w.over:
	case w.late == nil:
		w.late = time.AfterFunc(d, w.overdue)
	default:
		w.late.Reset(d)
	}
}

func (w *waker) overdue() {
	w.mu.Lock()
	w.woken()
	w.mu.Unlock()
	w.wake()
}

// wake shows the bytes to those who wait for them, and to the herd.
func (w *waker) wake() {
	w.ring.Wake()
	w.herd.poke()
}

// stop ends the timer. What was added and not yet seen is for the ring's end
// to show.
func (w *waker) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.late != nil {
		w.late.Stop()
	}
}
