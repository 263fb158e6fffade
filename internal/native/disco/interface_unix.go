//go:build unix

package disco

import (
	"net/netip"
	"syscall"
)

// sendBy makes a socket send multicast by the interface that has the address
// host, whatever the routes say.
func sendBy(host string) func(network, address string, c syscall.RawConn) error {
	a, err := netip.ParseAddr(host)
	if err != nil || !a.Is4() || a.IsUnspecified() {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = syscall.SetsockoptInet4Addr(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, a.As4())
		})
		if err != nil {
			return err
		}
		return set
	}
}
