package auth

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ParseNetworks reads networks in CIDR notation, or single addresses.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			network, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a network: %w", text, err)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func inside(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// onLAN tells whether an address can only be of this machine or of the local
// network: loopback, private (RFC 1918, RFC 4193) or link-local. The space that
// providers share among customers (RFC 6598) is not.
func onLAN(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
}

// Client returns the address that a request comes from, as the trusted proxies
// tell it; invalid where another one passes it on, and says nothing that could be
// believed.
func (g *Guard) Client(r *http.Request) netip.Addr {
	return client(r, g.policy.Load().Proxies)
}

// client returns the address that a request comes from. A proxy that is known
// is asked for it; where another one says that it passes the request on, the
// address is not known and the result invalid.
func client(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap().WithZone("")
	if r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == "" && r.Header.Get("X-Real-Ip") == "" {
		return addr
	}
	if !inside(proxies, addr) {
		return netip.Addr{}
	}
	// Each proxy adds the address it was asked from at the end. What stands
	// before the last address that is no proxy of ours may be invented.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		if ap, err := netip.ParseAddrPort(hop); err == nil {
			hop = ap.Addr().String()
		}
		if addr, err = netip.ParseAddr(strings.Trim(hop, "[]")); err != nil {
			return netip.Addr{}
		}
		addr = addr.Unmap().WithZone("")
		if !inside(proxies, addr) {
			return addr
		}
	}
	return addr
}

// ownSuffixes end names that no stranger can register in the public DNS.
var ownSuffixes = []string{".localhost", ".local", ".lan", ".internal", ".home.arpa"}

// ownName tells whether the name by which a request calls this server cannot be
// a stranger's. A web page can have its own name resolve to this machine (DNS
// rebinding), and then a browser of a trusted network speaks for the page; it
// cannot do that with an IP address or with a name of the local network.
func ownName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc(ownSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}
