package stream

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
)

// player takes what it likes of what it is sent at once, and the rest when it
// is waited for.
type player struct {
	mu     sync.Mutex // guards what follows
	rng    *rand.Rand
	got    []byte
	rest   []byte
	took   int   // tries that took all
	breaks int   // bytes after which it is gone; 0 for never
	err    error // of everything, once it is gone
}

var errPlayerGone = errors.New("the player is gone")

func (p *player) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	return len(b), p.err
}

func (p *player) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got, p.rest = append(p.got, p.rest...), nil
	if p.breaks > 0 && len(p.got) > p.breaks {
		p.err = errPlayerGone
	}
	return p.err
}

func (p *player) SetWriteDeadline(time.Time) error { return nil }

func (p *player) Try(parts [][]byte) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := bytes.Join(parts, nil)
	n := len(all)
	if p.rng.IntN(3) == 0 {
		n = p.rng.IntN(n)
	}
	p.got, p.rest = append(p.got, all[:n]...), append(p.rest, all[n:]...)
	if p.breaks > 0 && len(p.got) > p.breaks {
		p.err = errPlayerGone
	}
	if n == len(all) {
		p.took++
	}
	return n == len(all), p.err
}

// Whatever players take at once, and however often they are let go and join
// again, each gets every byte once, and padding when there is nothing else.
func TestHerdFeedsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, testConfig(), enginetest.Config{})
		s := newScreen(channelIH)
		done := make(chan struct{})
		go func() { defer close(done); _ = r.watch(byID, s, time.Minute) }() // keeps the stream
		time.Sleep(5 * time.Second)
		var all sync.WaitGroup
		var players []*player
		for i := range 20 {
			p := &player{rng: rand.New(rand.NewPCG(1, uint64(i)))}
			if i%5 == 4 {
				p.breaks = 1_000_000 * i / 4
			}
			players = append(players, p)
			all.Go(func() {
				v, err := r.hub.Join(t.Context(), byID, Client{})
				if err != nil {
					t.Error(err)
					return
				}
				defer v.Leave()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if err := v.Relay(ctx, p); p.breaks > 0 && !errors.Is(err, errPlayerGone) || p.breaks == 0 && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("player %d: %v", i, err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		r.fakes[0].Set(enginetest.Fault{Kind: enginetest.NoPeers, For: 4 * time.Second}) // longer than players go without padding
		all.Wait()
		padded := 0
		for i, p := range players {
			s := newScreen(channelIH)
			_, _ = s.verifier.Write(p.got)
			report := s.verifier.Report()
			if err := report.Err(); err != nil {
				t.Errorf("player %d: %v", i, err)
			}
			if p.took == 0 && p.breaks == 0 {
				t.Errorf("player %d was never fed by the herd", i)
			}
			if report.Null > 0 {
				padded++
			}
		}
		if padded == 0 {
			t.Error("nobody was sent padding")
		}
		<-done
		r.checkNothingLeft()
	})
}

// A herd that is over lets everybody go, and takes nobody any more.
func TestHerdEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := ring.New(1 << 20)
		h := newHerd(r)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); h.run(ctx) }()
		r.Append(mpegts.NullPacket(), 0, nil)
		p := &place{freed: make(chan struct{}, 1)}
		if h.join(p, 0) {
			t.Error("a place that has something to send joined")
		}
		if !h.join(p, mpegts.PacketSize) {
			t.Fatal("a place at the end did not join")
		}
		cancel()
		<-ended
		<-p.freed
		if h.join(p, mpegts.PacketSize) {
			t.Error("the herd is over, and takes a place")
		}
		h.leave(p) // changes nothing
	})
}
