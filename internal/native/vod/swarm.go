package vod

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
)

// swarm is one torrent while somebody holds it. It is safe for concurrent use.
//
// Order of locks: Client.mu, libMu, the library's, then mu or cache.mu. The
// library is never called with mu or cache.mu held.
type swarm struct {
	client *Client
	hash   metainfo.Hash
	id     string // hash in hex
	refs   int    // guarded by Client.mu
	// left is closed when the library has forgotten the torrent; from the
	// moment leaving is set, nobody joins.
	leaving bool // guarded by Client.mu
	left    chan struct{}

	t       *torrent.Torrent // set once, before the swarm is shared
	refused chan struct{}    // closed when the description was refused
	private atomic.Bool      // BEP 27
	readers atomic.Int32

	libMu   sync.RWMutex
	dropped bool // the library has forgotten t; guarded by libMu

	mu      sync.Mutex
	refusal error  // why refused was closed
	store   *store // once the description is known
	info    Info   // likewise
	at      []int  // place of each file of info in the library's list
	open    map[*reader]struct{}
	pins    map[int][]span // by file
	book    book
	met     bool // somebody was ever connected
	rates   rates
	nextDHT time.Time
	nextLSD time.Time
	// nextWake is when idle connections may be woken again.
	nextWake time.Time
}

func newSwarm(c *Client, hash metainfo.Hash) *swarm {
	return &swarm{
		client:  c,
		hash:    hash,
		id:      hash.HexString(),
		left:    make(chan struct{}),
		refused: make(chan struct{}),
		open:    make(map[*reader]struct{}),
		pins:    make(map[int][]span),
	}
}

// accept is told the description by the library, which is locked.
func (s *swarm) accept(info *metainfo.Info) (*store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return nil, s.refusal
	}
	err := checkInfo(info)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var st *store
	if err == nil {
		st, err = s.client.cache.open(s.id, shapeOf(info))
	}
	if err != nil {
		s.refusal = err
		close(s.refused)
		return nil, err
	}
	st.onEvicted(s.onEvicted)
	s.store = st
	s.private.Store(info.Private != nil && *info.Private)
	s.client.conns.setPrivate(s.hash, s.private.Load())
	s.info, s.at = describe(s.hash, info)
	return st, nil
}

// merge adds to the swarm what another source says of it.
func (s *swarm) merge(t target) {
	s.mu.Lock()
	for _, a := range s.client.cfg.Peers {
		s.book.add(a, true)
	}
	for _, a := range t.peers {
		s.book.add(a, true)
	}
	s.mu.Unlock()
	s.with(func(lib *torrent.Torrent) {
		if allowed := s.client.cfg.trackers(t.trackers); len(allowed) > 0 {
			lib.AddTrackers([][]string{allowed})
		}
		if s.client.cfg.Webseeds && len(t.webseeds) > 0 {
			lib.AddWebSeeds(t.webseeds)
		}
	})
	s.dial(time.Now())
}

// with calls f unless the library has forgotten the torrent.
func (s *swarm) with(f func(lib *torrent.Torrent)) bool {
	s.libMu.RLock()
	defer s.libMu.RUnlock()
	if s.dropped {
		return false
	}
	f(s.t)
	return true
}

// wait until the description is known.
func (s *swarm) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.client.cfg.StartTimeout,
		fmt.Errorf("no answer within %s", s.client.cfg.StartTimeout))
	defer cancel()
	if s.client.cfg.NoMetadata && s.t.Info() == nil {
		return fmt.Errorf("%w: asking peers for it is switched off, so give the .torrent file", ErrNoMetadata)
	}
	select {
	case <-s.t.GotInfo():
		s.prefetchOnly()
		return nil
	case <-s.refused:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.refusal
	case <-s.t.Closed():
		return ErrClosed
	case <-ctx.Done():
	}
	s.mu.Lock()
	met := s.met
	s.mu.Unlock()
	why := ErrNoPeers
	if met || s.client.conns.count(s.hash) > 0 {
		why = ErrNoMetadata
	}
	return fmt.Errorf("%w: %w", why, context.Cause(ctx))
}

// onEvicted tells the library and the peers that a piece is gone.
func (s *swarm) onEvicted(index int) {
	s.with(func(lib *torrent.Torrent) {
		lib.Piece(index).UpdateCompletion()
		for _, k := range s.client.conns.of(s.hash) {
			k.tellGone(index)
		}
	})
}

// prefetchOnly fetches the ends of the file if there is but one: nobody will
// open another.
func (s *swarm) prefetchOnly() {
	s.mu.Lock()
	single := len(s.info.Files) == 1
	s.mu.Unlock()
	if single {
		s.prefetch(0)
	}
}

// prefetch asks for the head and the tail of a file and keeps them.
func (s *swarm) prefetch(file int) {
	s.mu.Lock()
	if s.pins[file] != nil || s.info.Files[file].Size == 0 {
		s.mu.Unlock()
		return
	}
	off, size := s.extentLocked(file)
	spans := s.store.shape.ends(off, size, s.store.window.Load())
	var given []span
	for len(spans) > 0 && !s.store.pin(spans) {
		old, ok := s.unpinLocked()
		if !ok {
			spans = nil
		}
		given = append(given, old...)
	}
	if spans != nil {
		s.pins[file] = spans
	}
	s.mu.Unlock()
	s.with(func(lib *torrent.Torrent) {
		for _, sp := range given {
			lib.CancelPieces(sp.begin, sp.end)
		}
		for _, sp := range spans {
			lib.DownloadPieces(sp.begin, sp.end)
		}
	})
}

// unpinLocked gives up the ends of a file that nobody reads.
func (s *swarm) unpinLocked() ([]span, bool) {
	read := make(map[int]bool)
	for r := range s.open {
		read[r.file] = true
	}
	for file, spans := range s.pins {
		if !read[file] {
			delete(s.pins, file)
			s.store.unpin(spans)
			return spans, true
		}
	}
	return nil, false
}

// extentLocked is where a file lies in the content.
func (s *swarm) extentLocked(file int) (off, size int64) {
	f := s.t.Files()[s.at[file]]
	return f.Offset(), f.Length()
}

// openReader opens a reader of one file.
func (s *swarm) openReader(ctx context.Context, file int) (*reader, error) {
	s.mu.Lock()
	if file < 0 || file >= len(s.info.Files) {
		n := len(s.info.Files)
		s.mu.Unlock()
		return nil, fmt.Errorf("open file %d of %d: %w", file, n, ErrNoFile)
	}
	off, size := s.extentLocked(file)
	lib := s.t.Files()[s.at[file]]
	st := s.store
	s.mu.Unlock()
	r := newReader(ctx, s, st, file, off, size)
	if !s.with(func(*torrent.Torrent) {
		r.attach(lib.NewReader())
		s.mu.Lock()
		s.open[r] = struct{}{}
		s.mu.Unlock()
		s.readers.Add(1)
	}) {
		return nil, ErrClosed
	}
	s.prefetch(file)
	return r, nil
}

func (s *swarm) closed(r *reader) {
	s.mu.Lock()
	_, was := s.open[r]
	delete(s.open, r)
	s.mu.Unlock()
	if was {
		s.readers.Add(-1)
	}
}

func (s *swarm) openReaders() (out []*reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.open {
		out = append(out, r)
	}
	return out
}

// drop leaves the swarm. Readers that are open fail with ErrClosed.
func (s *swarm) drop() {
	s.libMu.Lock()
	s.dropped = true // nobody opens a reader from now on
	s.libMu.Unlock()
	for _, r := range s.openReaders() {
		r.end(ErrClosed)
	}
	info := s.t.Metainfo().InfoBytes
	s.t.Drop()
	s.client.conns.setPrivate(s.hash, false)
	s.mu.Lock()
	st := s.store
	s.mu.Unlock()
	if st != nil {
		s.client.cache.leave(st, info)
	}
}

// dial asks the library to connect to every known address that is due.
func (s *swarm) dial(now time.Time) {
	connected := make(map[netip.AddrPort]bool)
	for _, k := range s.client.conns.of(s.hash) {
		connected[k.dialAddr()] = true
	}
	s.mu.Lock()
	due := s.book.due(now, connected)
	s.mu.Unlock()
	if len(due) == 0 {
		return
	}
	peers := make([]torrent.PeerInfo, 0, len(due))
	for _, a := range due {
		peers = append(peers, torrent.PeerInfo{Addr: net.TCPAddrFromAddrPort(a), Source: torrent.PeerSourceDirect})
	}
	s.with(func(lib *torrent.Torrent) { lib.AddPeers(peers) })
}

// stats are the figures of now.
func (s *swarm) stats() Stats {
	var out Stats
	s.with(func(lib *torrent.Torrent) {
		st := lib.Stats()
		out.Downloaded = st.BytesReadUsefulData.Int64()
		out.Uploaded = st.BytesWrittenData.Int64()
	})
	out.Peers = s.client.conns.count(s.hash)
	out.Readers = int(s.readers.Load())
	s.mu.Lock()
	out.DownloadRate, out.UploadRate = s.rates.now()
	st := s.store
	s.mu.Unlock()
	if st != nil {
		out.BytesCompleted = st.held()
	}
	return out
}

// handle is one holder of a swarm, the Torrent that Add returned.
type handle struct {
	swarm *swarm
	info  Info
	done  atomic.Bool
}

var _ Torrent = (*handle)(nil)

func (h *handle) Info() Info { return h.info }

func (h *handle) Open(ctx context.Context, file int) (Reader, error) {
	if h.done.Load() {
		return nil, ErrClosed
	}
	r, err := h.swarm.openReader(ctx, file)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (h *handle) Stats() Stats { return h.swarm.stats() }

func (h *handle) Close() error {
	if h.done.Swap(true) {
		return nil
	}
	h.swarm.client.release(h.swarm)
	return nil
}
