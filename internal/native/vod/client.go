package vod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"

	"github.com/acequia-tv/acequia/internal/native/disco"
)

// Client is a [Backend] on a BitTorrent library. It is safe for concurrent
// use.
//
// The library is good at the protocol and made for downloading to disk.
// Playing from a bounded memory needs guards around it: request queues that no
// peer loses the end of, a readahead that hides its stop-and-wait batches,
// addresses that are dialled again, connections that are closed when they hold
// up a reader, a storage that forgets pieces without anybody being blamed, and
// a filter for messages it cannot stand.
type Client struct {
	cfg   Config
	log   *slog.Logger
	lib   *torrent.Client
	conns *conns
	cache *cache
	spill *spill     // nil without a disk
	lsd   *disco.LSD // nil when switched off or not possible
	port  int

	waits chan struct{} // has room for one: a reader began to wait

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // what runs until ctx ends

	mu     sync.Mutex
	swarms map[metainfo.Hash]*swarm // guarded by mu
	closed bool                     // guarded by mu
}

var _ Backend = (*Client)(nil)

// Open starts a client: it binds the peer-to-peer port and joins no swarm.
func Open(cfg Config, log *slog.Logger) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open BitTorrent client: %w", err)
	}
	c := &Client{cfg: cfg, log: log, waits: make(chan struct{}, 1), swarms: make(map[metainfo.Hash]*swarm)}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("open BitTorrent client: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

func (c *Client) start() (err error) {
	if c.cfg.Disk != "" {
		if c.spill, err = newSpill(c.cfg.Disk, c.log); err != nil {
			return err
		}
		c.work.Go(func() { _ = c.spill.run(c.ctx) })
	}
	c.cache = newCache(c.cfg.CacheLimit, c.cfg.Window, c.spill)
	c.conns = newConns()
	lc := libraryConfig(c.cfg, c.log)
	c.conns.install(&lc.Callbacks)
	if c.lib, err = torrent.NewClient(lc); err != nil {
		return fmt.Errorf("listen on %s: %w", net.JoinHostPort(c.cfg.listenHost(), fmt.Sprint(c.cfg.P2PPort)), err)
	}
	c.port = c.lib.LocalPort()
	if c.cfg.LSD {
		c.startLSD()
	}
	c.work.Go(c.tend)
	c.work.Go(c.watch)
	return nil
}

// startLSD takes part in local discovery. Without a network it goes without.
func (c *Client) startLSD() {
	lsd, err := disco.ListenLSD(disco.Config{Host: c.cfg.listenHost(), Port: c.port, Heard: c.heard})
	if err != nil {
		c.log.Warn("no local discovery", "err", err)
		return
	}
	c.lsd = lsd
	c.work.Go(func() { _ = lsd.Run(c.ctx) })
}

// Add implements [Backend].
func (c *Client) Add(ctx context.Context, src Source) (Torrent, error) {
	t, err := src.read()
	if err != nil {
		return nil, err
	}
	s, err := c.join(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("join swarm %s: %w", t.hash.HexString(), err)
	}
	if err := s.wait(ctx); err != nil {
		c.release(s)
		return nil, fmt.Errorf("join swarm %s: %w", s.id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &handle{swarm: s, info: s.info}, nil
}

// join holds the swarm of t, which it may have to enter first.
func (c *Client) join(ctx context.Context, t target) (*swarm, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		s := c.swarms[t.hash]
		if s != nil && s.leaving {
			c.mu.Unlock()
			select {
			case <-s.left:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		if s == nil {
			s = c.enterLocked(t)
		} else if t.info != nil {
			// What is known already is left as it is.
			_ = s.t.SetInfoBytes(t.info)
		}
		s.refs++
		c.mu.Unlock()
		s.merge(t)
		return s, nil
	}
}

// enterLocked makes the library join a swarm. What was known of the torrent
// when it was last left is known at once.
func (c *Client) enterLocked(t target) *swarm {
	s := newSwarm(c, t.hash)
	info := t.info
	if info == nil {
		info = c.cache.info(s.id)
	}
	s.t, _ = c.lib.AddTorrentOpt(torrent.AddTorrentOpts{
		InfoHash:  t.hash,
		InfoBytes: info,
		Storage:   swarmStorage{s},
	})
	if t.name != "" {
		s.t.SetDisplayName(t.name)
	}
	s.t.SetOnWriteChunkError(func(err error) {
		// Memory could not be had; the block is asked for again.
		c.log.Warn("block could not be stored", "content", s.id, "err", err)
	})
	c.swarms[t.hash] = s
	return s
}

// release gives back one hold of s; with the last, the swarm is left.
func (c *Client) release(s *swarm) {
	c.mu.Lock()
	s.refs--
	last := s.refs == 0 && !s.leaving
	if last {
		s.leaving = true
	}
	c.mu.Unlock()
	if last {
		c.leave(s)
	}
}

func (c *Client) leave(s *swarm) {
	s.drop()
	c.mu.Lock()
	delete(c.swarms, s.hash)
	c.mu.Unlock()
	close(s.left)
}

func (c *Client) list() []*swarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*swarm, 0, len(c.swarms))
	for _, s := range c.swarms {
		if !s.leaving {
			out = append(out, s)
		}
	}
	return out
}

func (c *Client) find(hash metainfo.Hash) *swarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.swarms[hash]; s != nil && !s.leaving {
		return s
	}
	return nil
}

// heard is called when the local network names a peer.
func (c *Client) heard(hash [20]byte, peer netip.AddrPort) {
	if s := c.find(hash); s != nil {
		s.meet(peer)
	}
}

func (c *Client) tend() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case now := <-ticker.C:
			for _, s := range c.list() {
				s.tend(now)
			}
		}
	}
}

// someoneWaits is called by each Read, before it may wait.
func (c *Client) someoneWaits() {
	select {
	case c.waits <- struct{}{}:
	default:
	}
}

// watch wakes the connections of torrents whose readers wait.
func (c *Client) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.waits:
		}
		for waiting := true; waiting; {
			timer.Reset(wakeAfter)
			select {
			case <-c.ctx.Done():
				return
			case now := <-timer.C:
				waiting = false
				for _, s := range c.list() {
					waiting = s.rouse(now) || waiting
				}
			}
		}
	}
}

// Stats implements [Backend].
func (c *Client) Stats() BackendStats {
	used, inUse, torrents := c.cache.usage()
	for _, s := range c.list() {
		s.mu.Lock()
		if s.store == nil {
			torrents++ // its description is not known yet
		}
		s.mu.Unlock()
	}
	return BackendStats{
		Torrents:   torrents,
		Peers:      c.conns.total(),
		CacheUsed:  used,
		CacheInUse: inUse,
		CacheLimit: c.cfg.CacheLimit,
		P2PPort:    c.port,
	}
}

// Close implements [Backend].
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	var mine, theirs []*swarm
	for _, s := range c.swarms {
		if s.leaving {
			theirs = append(theirs, s)
			continue
		}
		s.leaving = true
		mine = append(mine, s)
	}
	c.mu.Unlock()
	for _, s := range mine {
		c.leave(s)
	}
	for _, s := range theirs {
		<-s.left
	}
	c.cancel(ErrClosed)
	var errs []error
	if c.lsd != nil {
		errs = append(errs, c.lsd.Close())
	}
	c.work.Wait()
	if c.lib != nil {
		errs = append(errs, c.lib.Close()...)
	}
	if c.cache != nil {
		c.cache.close()
	}
	if c.spill != nil {
		errs = append(errs, c.spill.close(c.cache))
	}
	return errors.Join(errs...)
}
