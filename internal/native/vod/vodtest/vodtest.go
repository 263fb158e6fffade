// Package vodtest has what tests of BitTorrent content need without a network:
// a backend in memory that can fail on demand, real metainfo, and the contract
// that every [vod.Backend] passes.
package vodtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

// Backend is a [vod.Backend] in memory. It plays what was shared with
// [Backend.Share]. It is safe for concurrent use. Made inside a
// testing/synctest bubble, it blocks durably.
type Backend struct {
	mu     sync.Mutex
	closed bool
	swarms map[string]*Swarm // by infohash
}

// New returns a backend whose network is empty.
func New() *Backend {
	return &Backend{swarms: make(map[string]*Swarm)}
}

// Swarm is a content shared in a backend's network, and the place to break it.
// It is safe for concurrent use.
type Swarm struct {
	content Content
	info    vod.Info

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced with every change
	addErr     error
	limit      int64 // of every file this many bytes can be had; -1 all
	readErr    error // instead of waiting beyond limit
	holds      int   // Adds without Close
	adds       int
	open       int
	opened     int
	peers      int
	downloaded int64
	ended      bool
}

// Share puts a content into the network.
func (b *Backend) Share(c Content) *Swarm {
	s := &Swarm{content: c, info: c.Info(), changed: make(chan struct{}), limit: -1, peers: 1}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.swarms[s.info.Infohash] = s
	return s
}

func (s *Swarm) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// FailAdd makes Add fail with err; nil mends it. As in a real swarm,
// vod.ErrNoMetadata and vod.ErrNoPeers take until the end of Add's context, and
// do not keep anybody out who brings the metainfo.
func (s *Swarm) FailAdd(err error) { s.change(func() { s.addErr = err }) }

// Limit lets readers have the first n bytes of every file; -1 lets them have
// all. Beyond it they wait.
func (s *Swarm) Limit(n int64) { s.change(func() { s.limit, s.readErr = n, nil }) }

// Fail makes reads beyond the first n bytes of every file fail with err.
func (s *Swarm) Fail(n int64, err error) { s.change(func() { s.limit, s.readErr = n, err }) }

// SetPeers sets how many peers are connected.
func (s *Swarm) SetPeers(n int) { s.change(func() { s.peers = n }) }

// Use tells how the swarm is used now, and was.
type Use struct {
	Holds   int // Adds that were not closed
	Adds    int // that succeeded, since the start
	Readers int // open
	Opened  int // readers, since the start
}

// Use tells how the swarm is used.
func (s *Swarm) Use() Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Use{Holds: s.holds, Adds: s.adds, Readers: s.open, Opened: s.opened}
}

// Await waits until the swarm's use is as wanted, or ctx ends.
func (s *Swarm) Await(ctx context.Context, wanted func(Use) bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if wanted(s.Use()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("swarm use is %+v: %w", s.Use(), context.Cause(ctx))
		}
	}
}

// Add implements [vod.Backend].
func (b *Backend) Add(ctx context.Context, src vod.Source) (vod.Torrent, error) {
	infohash, err := b.infohash(src)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	closed, swarm := b.closed, b.swarms[infohash]
	b.mu.Unlock()
	if closed {
		return nil, vod.ErrClosed
	}
	if swarm == nil {
		<-ctx.Done()
		return nil, fmt.Errorf("add %s: %w: %w", infohash, vod.ErrNoPeers, context.Cause(ctx))
	}
	swarm.mu.Lock()
	err = swarm.addErr
	swarm.mu.Unlock()
	switch missing := errors.Is(err, vod.ErrNoMetadata) || errors.Is(err, vod.ErrNoPeers); {
	case missing && src.Metainfo == nil:
		<-ctx.Done()
		return nil, fmt.Errorf("add %s: %w: %w", infohash, err, context.Cause(ctx))
	case err != nil && !missing:
		return nil, err
	}
	swarm.change(func() { swarm.holds++; swarm.adds++ })
	return &torrent{swarm: swarm}, nil
}

func (b *Backend) infohash(src vod.Source) (string, error) {
	switch {
	case src.Infohash != "":
		return src.Infohash, nil
	case src.Magnet != "":
		sel, err := content.New(content.Magnet, src.Magnet)
		if err != nil {
			return "", fmt.Errorf("%w: %w", vod.ErrInvalid, err)
		}
		infohash, _ := sel.Infohash()
		return infohash, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for infohash, s := range b.swarms {
		if bytes.Equal(s.content.Metainfo(), src.Metainfo) {
			return infohash, nil
		}
	}
	return "", vod.ErrInvalid
}

// Stats implements [vod.Backend].
func (b *Backend) Stats() vod.BackendStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := vod.BackendStats{CacheLimit: 1 << 30}
	for _, s := range b.swarms {
		s.mu.Lock()
		if s.adds > 0 {
			st.Torrents++
		}
		if s.holds > 0 {
			st.Peers += s.peers
			st.CacheInUse += s.downloaded
		}
		st.CacheUsed += s.downloaded
		s.mu.Unlock()
	}
	return st
}

// Close implements [vod.Backend].
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	swarms := make([]*Swarm, 0, len(b.swarms))
	for _, s := range b.swarms {
		swarms = append(swarms, s)
	}
	b.mu.Unlock()
	for _, s := range swarms {
		s.change(func() { s.ended = true })
	}
	return nil
}

// torrent is one Add of a swarm.
type torrent struct {
	swarm *Swarm
	once  sync.Once
}

func (t *torrent) Info() vod.Info { return t.swarm.info }

func (t *torrent) Open(ctx context.Context, file int) (vod.Reader, error) {
	if file < 0 || file >= len(t.swarm.content.Files) {
		return nil, fmt.Errorf("file %d: %w", file, vod.ErrNoFile)
	}
	t.swarm.mu.Lock()
	ended := t.swarm.ended
	t.swarm.mu.Unlock()
	if ended {
		return nil, vod.ErrClosed
	}
	t.swarm.change(func() { t.swarm.open++; t.swarm.opened++ })
	r := &reader{swarm: t.swarm, data: t.swarm.content.Files[file].Data}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r, nil
}

func (t *torrent) Stats() vod.Stats {
	s := t.swarm
	s.mu.Lock()
	defer s.mu.Unlock()
	return vod.Stats{
		Peers: s.peers, Downloaded: s.downloaded, BytesCompleted: s.downloaded, Readers: s.open,
	}
}

func (t *torrent) Close() error {
	t.once.Do(func() { t.swarm.change(func() { t.swarm.holds-- }) })
	return nil
}

// reader reads one file.
type reader struct {
	swarm  *Swarm
	data   []byte
	offset int64
	ctx    context.Context //nolint:containedctx // of Open, as vod.Torrent has it
	cancel context.CancelCauseFunc
	once   sync.Once
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		r.swarm.mu.Lock()
		changed, limit, failure, ended := r.swarm.changed, r.swarm.limit, r.swarm.readErr, r.swarm.ended
		r.swarm.mu.Unlock()
		if limit < 0 || limit > int64(len(r.data)) {
			limit = int64(len(r.data))
		}
		switch {
		case ended:
			return 0, vod.ErrClosed
		case r.ctx.Err() != nil:
			return 0, context.Cause(r.ctx)
		case r.offset >= int64(len(r.data)):
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		case r.offset < limit:
			n := copy(p, r.data[r.offset:limit])
			r.offset += int64(n)
			r.swarm.change(func() { r.swarm.downloaded = max(r.swarm.downloaded, r.offset) })
			return n, nil
		case failure != nil:
			return 0, failure
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
		}
	}
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += int64(len(r.data))
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.offset = offset
	return offset, nil
}

func (r *reader) Close() error {
	r.once.Do(func() {
		r.cancel(vod.ErrClosed)
		r.swarm.change(func() { r.swarm.open-- })
	})
	return nil
}

// Bytes returns n bytes that differ from place to place, the same for a seed.
func Bytes(seed, n int) []byte {
	data := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}
