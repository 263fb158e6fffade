package vod_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/krpc"
	peerstore "github.com/anacrolix/dht/v2/peer-store"
	"go.uber.org/goleak"

	"github.com/acequia-tv/acequia/internal/native/disco"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

// loopback is the address of a client on this host.
func loopback(c *vod.Client) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(c.Stats().P2PPort))
}

// A client on every interface is reached on each, with what the host has of
// IPv4 and IPv6.
func TestBindAll(t *testing.T) {
	t.Parallel()
	want := clip(56, 1<<20)
	s := seed(t, vod.Config{BindAll: true}, vod.ShareBytes("c", want))
	tor := add(t, open(t, vod.Config{BindAll: true}), vod.Source{Magnet: s.Magnet()})
	same(t, reader(t, tor, 0), want, 0, len(want))
	if runtime.GOOS != "linux" {
		return // 127.0.0.2 is this host on Linux alone
	}
	only := seed(t, vod.Config{}, vod.ShareBytes("c", want))
	for at, want := range map[netip.AddrPort]bool{s.Addr(): true, only.Addr(): false} {
		other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at.Port())
		c, err := net.DialTimeout("tcp", other.String(), time.Second)
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v, wanted an answer: %v", other, err, want)
		}
	}
}

func TestFindByTracker(t *testing.T) {
	t.Parallel()
	want := clip(50, 1<<20)
	var known atomic.Pointer[vod.Seeder]
	announce := tracker(t, "127.0.0.1", &known)
	share := vod.ShareBytes("c", want)
	share.Trackers = []string{announce}
	s := seed(t, vod.Config{}, share)
	known.Store(s)
	over := vod.Config{HTTPTrackers: strings.HasPrefix(announce, "http"), UDPTrackers: strings.HasPrefix(announce, "udp")}
	on := add(t, open(t, over), vod.Source{Metainfo: s.Metainfo()})
	same(t, reader(t, on, 0), want, 0, len(want))
	other := vod.Config{HTTPTrackers: !over.HTTPTrackers, UDPTrackers: !over.UDPTrackers, StartTimeout: time.Second}
	if _, err := reader(t, add(t, open(t, other), vod.Source{Metainfo: s.Metainfo()}), 0).Read(make([]byte, 1)); err == nil {
		t.Error("a tracker was asked whose kind was switched off")
	}
}

// Without asking peers for descriptions, only a .torrent file plays, and the
// rest is told at once.
func TestMetadataSwitchedOff(t *testing.T) {
	t.Parallel()
	want := clip(57, 1<<20)
	s := seed(t, vod.Config{}, vod.ShareBytes("c", want))
	c := open(t, vod.Config{NoMetadata: true, Peers: []netip.AddrPort{s.Addr()}})
	for _, src := range []vod.Source{{Infohash: s.Infohash()}, {Magnet: s.Magnet()}} {
		if _, err := c.Add(t.Context(), src); !errors.Is(err, vod.ErrNoMetadata) || !strings.Contains(err.Error(), "switched off") {
			t.Errorf("%+v: %v", src, err)
		}
	}
	same(t, reader(t, add(t, c, vod.Source{Metainfo: s.Metainfo()}), 0), want, 0, len(want))
}

// peerStore remembers who announced. The library's own knows but one peer for
// each IP address, and here they all have the same.
type peerStore struct {
	mu sync.Mutex
	at map[peerstore.InfoHash][]krpc.NodeAddr
}

func (p *peerStore) AddPeer(h peerstore.InfoHash, a krpc.NodeAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[h] = append(p.at[h], a)
}

func (p *peerStore) GetPeers(h peerstore.InfoHash) []krpc.NodeAddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.at[h])
}

func TestFindByDHT(t *testing.T) {
	t.Parallel()
	want := clip(51, 1<<20)
	// A network of its own: everybody knows but this node.
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	node, err := dht.NewServer(&dht.ServerConfig{
		Conn:          conn,
		NoSecurity:    true, // BEP 42 ties ids to public addresses
		PeerStore:     &peerStore{at: make(map[peerstore.InfoHash][]krpc.NodeAddr)},
		StartingNodes: func() ([]dht.Addr, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	boot := []netip.AddrPort{netip.MustParseAddrPort(conn.LocalAddr().String())}
	s := seed(t, vod.Config{DHT: true, DHTNodes: boot}, vod.ShareBytes("c", want))
	c := open(t, vod.Config{DHT: true, DHTNodes: boot})
	tor := add(t, c, vod.Source{Infohash: s.Infohash()})
	same(t, reader(t, tor, 0), want, 0, len(want))
}

func TestFindByLocalDiscovery(t *testing.T) {
	t.Parallel()
	want := clip(52, 1<<20)
	s := seed(t, vod.Config{}, vod.ShareBytes("c", want))
	// Bound to loopback, it is heard on this host alone.
	probe, err := disco.ListenLSD(disco.Config{Host: "127.0.0.1", Port: 1})
	if err == nil {
		err = errors.Join(probe.Announce([20]byte{1}), probe.Close())
	}
	if err != nil {
		t.Skipf("no multicast on loopback here: %v", err)
	}
	a := open(t, vod.Config{LSD: true})
	ta := add(t, a, vod.Source{Metainfo: s.Metainfo(), Peers: []netip.AddrPort{s.Addr()}})
	same(t, reader(t, ta, 0), want, 0, len(want))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb := add(t, open(t, vod.Config{LSD: true}), vod.Source{Infohash: s.Infohash()})
	same(t, reader(t, tb, 0), want, 0, len(want))
}

// Peers tell each other of peers.
func TestFindByPeerExchange(t *testing.T) {
	t.Parallel()
	want := clip(53, 1<<20)
	s := seed(t, vod.Config{PEX: true}, vod.ShareBytes("c", want))
	// a knows the seeder and b, and b knows nobody.
	a, b := open(t, vod.Config{PEX: true}), open(t, vod.Config{PEX: true})
	tb := add(t, b, vod.Source{Metainfo: s.Metainfo()})
	add(t, a, vod.Source{Metainfo: s.Metainfo(), Peers: []netip.AddrPort{loopback(b), s.Addr()}})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); tb.Stats().Peers < 2; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nobody told of the seeder")
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, reader(t, tb, 0), want, 0, len(want))
}

// stuckOnce is a peer that, on its first connection, offers everything and
// answers no request; later connections reach the real one.
func stuckOnce(t *testing.T, real netip.AddrPort, pieces int) (netip.AddrPort, <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dropped := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for stuck := false; ; {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !stuck {
				if stuck = offer(c, pieces); stuck {
					_, _ = io.Copy(io.Discard, c) // until it is given up
					close(dropped)
				}
				_ = c.Close()
				continue
			}
			out, err := net.Dial("tcp", real.String())
			if err != nil {
				_ = c.Close()
				return
			}
			wg.Go(func() { relay(c, out, 0) })
			wg.Go(func() { relay(out, c, 0) })
		}
	})
	return netip.MustParseAddrPort(l.Addr().String()), dropped
}

// offer shakes hands, if it is asked in plain, and says that it has every
// piece and chokes nobody.
func offer(c net.Conn, pieces int) bool {
	hello := make([]byte, 68)
	if _, err := io.ReadFull(c, hello); err != nil || !bytes.HasPrefix(hello, []byte("\x13BitTorrent protocol")) {
		return false // obfuscated; the library tries again without
	}
	out := append([]byte("\x13BitTorrent protocol\x00\x00\x00\x00\x00\x00\x00\x00"), hello[28:48]...)
	out = append(out, "-XX0000-000000000000"...)
	bits := make([]byte, (pieces+7)/8)
	for i := range pieces {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	out = append(out, 0, 0, 0, byte(len(bits)+1), 5)
	out = append(append(out, bits...), 0, 0, 0, 1, 1)
	_, err := c.Write(out)
	return err == nil
}

// A connection that answers nothing is closed and its address dialled again.
func TestStuckConnection(t *testing.T) {
	t.Parallel()
	want := clip(54, 1<<20)
	share := vod.ShareBytes("c", want)
	share.PieceLength = 64 << 10
	s := seed(t, vod.Config{}, share)
	peer, dropped := stuckOnce(t, s.Addr(), 16)
	c := open(t, vod.Config{})
	tor := add(t, c, vod.Source{Metainfo: s.Metainfo(), Peers: []netip.AddrPort{peer}})
	same(t, reader(t, tor, 0), want, 0, len(want))
	select {
	case <-dropped:
	default:
		t.Error("the peer was not stuck; the test shows nothing")
	}
}

// Nothing runs on after Close, except queries of the DHT, which the library
// lets time out. It is not parallel: other tests have not started then.
func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	want := clip(55, 1<<20)
	for range 3 {
		s, err := vod.Seed(vod.Config{}, vod.ShareBytes("c", want), logger(t))
		if err != nil {
			t.Fatal(err)
		}
		c, err := vod.Open(vod.Config{HTTPTrackers: true, UDPTrackers: true, PEX: true, UTP: true, Disk: t.TempDir()}, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		tor, err := c.Add(t.Context(), vod.Source{Magnet: s.Magnet()})
		if err != nil {
			t.Fatal(err)
		}
		r, err := tor.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		same(t, r, want, 0, len(want))
		for _, close := range []func() error{c.Close, s.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
	}
	goleak.VerifyNone(t, before)
}
