package vod

import (
	"net/netip"
	"time"
)

// book knows the addresses of one swarm that are worth dialling again. The
// library forgets an address whose first dial failed. It is owned by the swarm
// and guarded by its mutex.
type book struct {
	known map[netip.AddrPort]*known
}

type known struct {
	given bool // named by the configuration, the caller or the local network
	next  time.Time
	wait  time.Duration
}

// add takes note of an address. It reports whether it is new.
func (b *book) add(a netip.AddrPort, given bool) bool {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	if !a.IsValid() || a.Port() == 0 {
		return false
	}
	if k := b.known[a]; k != nil {
		k.given = k.given || given
		return false
	}
	if len(b.known) >= maxKnownPeers && !given {
		return false
	}
	if b.known == nil {
		b.known = make(map[netip.AddrPort]*known)
	}
	b.known[a] = &known{given: given}
	return true
}

// due lists the addresses to dial now, except those connected, and notes when
// each is due again.
func (b *book) due(now time.Time, connected map[netip.AddrPort]bool) (out []netip.AddrPort) {
	for a, k := range b.known {
		if connected[a] {
			k.wait = 0
			k.next = now.Add(redialEvery / 3)
			continue
		}
		if now.Before(k.next) {
			continue
		}
		out = append(out, a)
		k.wait = min(max(2*k.wait, redialEvery), redialAtMost)
		if k.given {
			k.wait = redialEvery
		}
		k.next = now.Add(k.wait)
	}
	return out
}

// retry makes an address due at once, when its connection was closed by us.
func (b *book) retry(a netip.AddrPort, now time.Time) {
	if k := b.known[a]; k != nil {
		k.next, k.wait = now, 0
	}
}
