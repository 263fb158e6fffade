package vod

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/anacrolix/torrent"
)

// tend does what a swarm needs from time to time. The client calls it every
// tickEvery, from one goroutine.
func (s *swarm) tend(now time.Time) {
	s.sample(now)
	conns := s.client.conns.of(s.hash)
	s.mu.Lock()
	for _, k := range conns {
		s.book.add(k.dialAddr(), false)
	}
	s.met = s.met || len(conns) > 0
	s.mu.Unlock()
	s.expire(now, len(conns))
	s.unstick(now, conns)
	short := len(conns) < min(enoughPeers, s.client.cfg.MaxConnections)
	if short {
		s.dial(now)
	}
	s.announce(now, short)
}

// expire ends the readers that have waited too long.
func (s *swarm) expire(now time.Time, conns int) {
	for _, r := range s.openReaders() {
		since, started := r.waiting()
		if since.IsZero() {
			continue
		}
		limit := s.client.cfg.StartTimeout
		if started {
			limit = s.client.cfg.StallTimeout
		}
		if now.Sub(since) <= limit {
			continue
		}
		why := ErrChoked
		if conns == 0 {
			why = ErrNoPeers
		}
		r.fail(fmt.Errorf("%w: no data within %s", why, limit))
	}
}

// unstick closes connections that keep a reader waiting. The library has no
// timeout for a request, and asks a connection for more only when it owes
// nothing.
func (s *swarm) unstick(now time.Time, conns []*conn) {
	index, waiting := s.stalled(now)
	if !waiting {
		return
	}
	moving := false
	for _, k := range conns {
		moving = moving || (k.asked.Load() && now.Sub(time.Unix(0, k.progress.Load())) <= stuckAfter)
	}
	for _, k := range conns {
		if !k.stuck(now) {
			continue
		}
		// Without requests it may just have nothing to do, unless nobody
		// moves and it could.
		if k.outstanding.Load() == 0 && (moving || !k.peer.PeerPieces().ContainsInt(index)) {
			continue
		}
		s.client.log.Debug("closing a connection that is stuck", "content", s.id, "peer", k.remote)
		_ = k.peer.Close() // never fails
		s.mu.Lock()
		s.book.retry(k.dialAddr(), now)
		s.mu.Unlock()
	}
}

// rouse wakes idle connections if a reader waits, and tells whether one does.
func (s *swarm) rouse(now time.Time) bool {
	var longest time.Duration
	for _, r := range s.openReaders() {
		if since, _ := r.waiting(); !since.IsZero() {
			longest = max(longest, now.Sub(since), 1)
		}
	}
	if longest < wakeAfter {
		return longest > 0
	}
	s.mu.Lock()
	due := !now.Before(s.nextWake)
	if due {
		// Ever more seldom: a swarm that has nothing more to give need not
		// be asked all the time.
		s.nextWake = now.Add(max(wakeAfter, longest/4))
	}
	s.mu.Unlock()
	if due {
		for _, k := range s.client.conns.of(s.hash) {
			if k.idle() {
				k.wake()
			}
		}
	}
	return true
}

// stalled is the piece that some reader has waited for.
func (s *swarm) stalled(now time.Time) (index int, ok bool) {
	for _, r := range s.openReaders() {
		if since, _ := r.waiting(); !since.IsZero() && now.Sub(since) > stallAfter {
			return r.wants(), true
		}
	}
	return 0, false
}

// announce asks the DHT and the local network for peers, often while there are
// few.
func (s *swarm) announce(now time.Time, short bool) {
	if s.private.Load() {
		return
	}
	s.mu.Lock()
	dht, lsd := !now.Before(s.nextDHT), !now.Before(s.nextLSD)
	if dht {
		s.nextDHT = now.Add(pick(short, dhtShort, dhtEvery))
	}
	if lsd {
		s.nextLSD = now.Add(pick(short, lsdShort, lsdEvery))
	}
	s.mu.Unlock()
	if dht {
		s.client.announceDHT(s)
	}
	if lsd {
		s.client.announceLSD(s)
	}
}

func pick(short bool, a, b time.Duration) time.Duration {
	if short {
		return a
	}
	return b
}

// meet dials an address that the local network named.
func (s *swarm) meet(a netip.AddrPort) {
	if s.private.Load() {
		return
	}
	s.mu.Lock()
	added := s.book.add(a, true)
	s.mu.Unlock()
	if added {
		s.dial(time.Now())
	}
}

// announceDHT starts an announce on every DHT server, which ends by itself.
func (c *Client) announceDHT(s *swarm) {
	for _, server := range c.lib.DhtServers() {
		c.work.Go(func() {
			var done <-chan struct{}
			var stop func()
			err := ErrClosed
			s.with(func(lib *torrent.Torrent) { done, stop, err = lib.AnnounceToDht(server) })
			if err != nil {
				c.log.Debug("announce to the DHT", "content", s.id, "err", err)
				return
			}
			defer stop()
			ctx, cancel := context.WithTimeout(c.ctx, dhtEvery)
			defer cancel()
			select {
			case <-done:
			case <-ctx.Done():
			case <-s.left:
			case <-s.t.Closed():
			}
		})
	}
}

func (c *Client) announceLSD(s *swarm) {
	if c.lsd == nil {
		return
	}
	if err := c.lsd.Announce(s.hash); err != nil {
		c.log.Debug("announce to the local network", "content", s.id, "err", err)
	}
}

// rates keeps what was transferred over the last seconds. It is guarded by the
// mutex of its swarm.
type rates struct {
	samples []sample
}

type sample struct {
	at       time.Time
	down, up int64
}

func (s *swarm) sample(now time.Time) {
	var down, up int64
	if !s.with(func(lib *torrent.Torrent) {
		st := lib.Stats()
		down, up = st.BytesReadUsefulData.Int64(), st.BytesWrittenData.Int64()
	}) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rates.add(sample{now, down, up})
}

func (r *rates) add(s sample) {
	r.samples = append(r.samples, s)
	for len(r.samples) > 2 && s.at.Sub(r.samples[0].at) > rateWindow {
		r.samples = r.samples[1:]
	}
}

// now is bytes per second over the window.
func (r *rates) now() (down, up int64) {
	if len(r.samples) < 2 {
		return 0, 0
	}
	a, b := r.samples[0], r.samples[len(r.samples)-1]
	d := b.at.Sub(a.at).Seconds()
	if d <= 0 {
		return 0, 0
	}
	return int64(float64(b.down-a.down) / d), int64(float64(b.up-a.up) / d)
}
