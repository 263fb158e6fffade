package vod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
)

// responsiveLength is how far after its first byte, and after each seek, a
// reader gets blocks before their piece is verified. It saves the time of a
// whole piece when a viewer waits; the price is that a peer that lies can put
// up to this much wrong data before a player, once, until the piece is checked
// and the peer is banned.
const responsiveLength = 4 << 20

// reader reads one file of a swarm, as [Reader] says.
type reader struct {
	swarm     *swarm
	store     *store
	file      int
	off, size int64 // of the file in the content

	ctx    context.Context
	cancel context.CancelCauseFunc

	since   atomic.Int64 // unix nanoseconds since Read waits; 0 when it does not
	begun   atomic.Bool  // a byte was read
	pos     atomic.Int64 // where the next Read starts
	ahead   atomic.Int64 // readahead, in bytes
	ended   atomic.Bool
	current span // last told to the store; guarded by mu

	mu         sync.Mutex // held by Read; by end, once Read cannot wait any more
	lib        torrent.Reader
	at         int64 // where lib is
	responsive int64 // unverified data is wanted up to here
	eager      bool  // lib is in responsive mode
	meter      rateMeter
}

var _ Reader = (*reader)(nil)

func newReader(ctx context.Context, s *swarm, st *store, file int, off, size int64) *reader {
	r := &reader{swarm: s, store: st, file: file, off: off, size: size, responsive: responsiveLength}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

// attach gives the reader the library's. It is called once, before the reader
// is shared.
func (r *reader) attach(lib torrent.Reader) {
	r.lib = lib
	r.setAhead()
	lib.SetContext(r.ctx)
	lib.SetReadaheadFunc(func(torrent.ReadaheadContext) int64 { return r.ahead.Load() })
}

func (r *reader) setAhead() {
	r.ahead.Store(readahead(r.meter.rate, r.store.window.Load(), int(r.swarm.readers.Load())))
}

// Read implements [Reader].
func (r *reader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := context.Cause(r.ctx); err != nil {
		return 0, r.wrap(err)
	}
	pos := r.pos.Load()
	if pos >= r.size {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, nil
	}
	b = b[:min(int64(len(b)), r.size-pos)] // the library goes on into the next file
	if err := r.move(pos); err != nil {
		return 0, r.wrap(err)
	}
	r.since.Store(time.Now().UnixNano())
	r.swarm.client.someoneWaits()
	n, err := r.lib.Read(b)
	for n == 0 && errors.Is(err, errEvicted) && r.ctx.Err() == nil {
		// It went just before it was protected. The library knows by now and
		// asks for it again.
		n, err = r.lib.Read(b)
	}
	r.since.Store(0)
	if n > 0 {
		r.begun.Store(true)
		r.meter.add(time.Now(), n)
		r.at = pos + int64(n)
		r.pos.CompareAndSwap(pos, r.at)
		if err == io.EOF && r.at < r.size {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && err != io.EOF {
		err = r.wrap(err)
	}
	return n, err
}

// move takes the library's reader to pos and chooses the mode there.
func (r *reader) move(pos int64) error {
	r.setAhead()
	if pos != r.at {
		r.responsive = pos + responsiveLength
		r.meter = rateMeter{}
		r.setAhead()
	}
	// Protect first, so that what is here when the library looks stays.
	g := r.store.shape
	need := g.cover(r.off+pos, min(max(r.ahead.Load(), 1), r.size-pos))
	if need != r.current {
		r.store.need(r, need)
		r.current = need
	}
	if pos != r.at {
		if _, err := r.lib.Seek(pos, io.SeekStart); err != nil {
			return err
		}
		r.at = pos
	}
	if eager := pos < r.responsive && !r.store.isLost(need.begin); eager != r.eager {
		r.eager = eager
		if eager {
			r.lib.SetResponsive()
		} else if v, ok := r.lib.(interface{ SetNonResponsive() }); ok {
			v.SetNonResponsive()
		}
	}
	return nil
}

// wrap says which file could not be read, and why.
func (r *reader) wrap(err error) error {
	if cause := context.Cause(r.ctx); cause != nil {
		err = cause
	} else if !errors.Is(err, errEvicted) {
		// The only way the library fails otherwise is that the torrent was
		// dropped under it.
		err = fmt.Errorf("%w (%w)", ErrClosed, err)
	}
	return fmt.Errorf("read file %d of %s: %w", r.file, r.swarm.id, err)
}

// Seek implements [Reader]. The window moves with the next Read.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos.Load()
	case io.SeekEnd:
		offset += r.size
	default:
		return 0, fmt.Errorf("seek: whence %d", whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: before the start", offset)
	}
	r.pos.Store(offset)
	return offset, nil
}

// Close implements [Reader].
func (r *reader) Close() error {
	r.end(ErrClosed)
	return nil
}

// fail lets the reader's Read, now and later, fail with err.
func (r *reader) fail(err error) { r.cancel(err) }

// end closes the reader; Read fails with err from now on. It may be called
// from any goroutine, and returns when Read is out of the library.
func (r *reader) end(err error) {
	r.cancel(err)
	if r.ended.Swap(true) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.lib.Close() // it has nothing of ours to lose
	r.store.need(r, span{})
	r.swarm.closed(r)
}

// waiting tells since when a Read waits, the zero time if none does, and
// whether the reader ever got a byte.
func (r *reader) waiting() (since time.Time, started bool) {
	ns := r.since.Load()
	if ns == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, ns), r.begun.Load()
}

// wants is the piece at the reader's position.
func (r *reader) wants() int {
	return int((r.off + r.pos.Load()) / r.store.shape.pieceLength)
}
