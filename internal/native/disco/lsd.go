// Package disco finds peers without asking a server.
//
// It has Local Service Discovery (BEP 14,
// https://www.bittorrent.org/beps/bep_0014.html): peers of one local network
// tell each other by multicast which swarms they are in.
package disco

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Group is the address that BEP 14 gives to discovery over IPv4.
var Group = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 192, 152, 143}), 6771)

// announceEvery is the least time between two announces of one swarm. BEP 14
// asks for at most one a minute; a swarm that is joined again may hurry.
const announceEvery = 5 * time.Second

// Config says how an [LSD] takes part.
type Config struct {
	// Host is the address of the interface to use, or empty for the one that
	// the system prefers.
	Host string
	// Port is where this peer accepts connections, 1 to 65535.
	Port int
	// Heard is called, from Run, when another peer says that it is in a swarm.
	Heard func(infohash [20]byte, peer netip.AddrPort)
	// Group replaces the standard one; for networks that must not be heard.
	Group netip.AddrPort
}

// LSD announces swarms to the local network and hears what others announce.
// It is safe for concurrent use.
type LSD struct {
	cfg    Config
	cookie string
	in     net.PacketConn // bound to the group
	out    net.PacketConn // so that other programs of this host hear us too

	mu   sync.Mutex
	last map[[20]byte]time.Time // of the last announce; guarded by mu
}

// ListenLSD joins the group. Run must be called for anything to be heard, and
// Close when Run is not.
func ListenLSD(cfg Config) (*LSD, error) {
	if cfg.Port < 1 || cfg.Port > 65535 {
		return nil, fmt.Errorf("local discovery: port %d", cfg.Port)
	}
	if !cfg.Group.IsValid() {
		cfg.Group = Group
	}
	ifc, err := interfaceOf(cfg.Host)
	if err != nil {
		return nil, fmt.Errorf("local discovery: %w", err)
	}
	in, err := net.ListenMulticastUDP("udp4", ifc, net.UDPAddrFromAddrPort(cfg.Group))
	if err != nil {
		return nil, fmt.Errorf("local discovery: join %s: %w", cfg.Group, err)
	}
	// The socket that sends is another one: sockets made by
	// ListenMulticastUDP are not heard on their own host.
	lc := net.ListenConfig{Control: sendBy(cfg.Host)}
	out, err := lc.ListenPacket(context.Background(), "udp4", net.JoinHostPort(cfg.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("local discovery: %w", errors.Join(err, in.Close()))
	}
	return &LSD{cfg: cfg, cookie: rand.Text(), in: in, out: out, last: make(map[[20]byte]time.Time)}, nil
}

// interfaceOf finds the interface that has an address, nil for the system's
// choice.
func interfaceOf(host string) (*net.Interface, error) {
	if host == "" {
		return nil, nil
	}
	want, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if want.IsUnspecified() {
		return nil, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for i := range all {
		addrs, err := all[i].Addrs()
		if err != nil {
			continue // it went away
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == want {
				return &all[i], nil
			}
		}
	}
	return nil, fmt.Errorf("no interface has the address %s", host)
}

// Announce tells the local network that this peer is in a swarm. Announcing
// one swarm again within seconds does nothing.
func (l *LSD) Announce(infohash [20]byte) error {
	now := time.Now()
	l.mu.Lock()
	if last, ok := l.last[infohash]; ok && now.Sub(last) < announceEvery {
		l.mu.Unlock()
		return nil
	}
	l.last[infohash] = now
	for h, t := range l.last { // those that were left long ago
		if now.Sub(t) > time.Hour {
			delete(l.last, h)
		}
	}
	l.mu.Unlock()
	b := (Announce{Host: l.cfg.Group.String(), Port: l.cfg.Port, Infohashes: [][20]byte{infohash}, Cookie: l.cookie}).Encode()
	if _, err := l.out.WriteTo(b, net.UDPAddrFromAddrPort(l.cfg.Group)); err != nil {
		return fmt.Errorf("announce to the local network: %w", err)
	}
	return nil
}

// Run hears announces until ctx ends; then it closes l.
func (l *LSD) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	b := make([]byte, 1500)
	for {
		n, from, err := l.in.ReadFrom(b)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("hear the local network: %w", err)
		}
		l.hear(b[:n], from)
	}
}

func (l *LSD) hear(b []byte, from net.Addr) {
	u, ok := from.(*net.UDPAddr)
	a, err := ParseAnnounce(b)
	if !ok || err != nil || a.Cookie == l.cookie {
		return
	}
	peer := netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), uint16(a.Port))
	for _, h := range a.Infohashes {
		l.cfg.Heard(h, peer)
	}
}

// Close leaves the group. It may be called more than once.
func (l *LSD) Close() error {
	err := errors.Join(l.in.Close(), l.out.Close())
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
