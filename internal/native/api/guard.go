package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ownSuffixes end names that no stranger can register in the public DNS.
var ownSuffixes = []string{".localhost", ".local", ".lan", ".internal", ".home.arpa"}

// checkHost refuses requests made to a name that a stranger may own. A web
// page can have its own name resolve to this machine, and then use this API as
// if it were its own (DNS rebinding); it cannot do that with an IP address.
func (s *server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		if !ownName(host) && !slices.ContainsFunc(s.opts.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			s.opts.Logger.Info("request to an unknown host name refused", "host", clip(host), "path", r.URL.Path)
			writeText(w, http.StatusForbidden, "access denied: this engine does not know itself by that host name: use its IP address")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostname returns a Host header without port, brackets and final dot.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func ownName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if !strings.Contains(host, ".") { // localhost, a container or a machine of this network
		return true
	}
	return slices.ContainsFunc(ownSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}

// local reports whether a request comes from a program on this machine that is
// not a web page.
func local(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("X-Forwarded-For") != "" {
		return false
	}
	host := hostname(r.Host)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.Unmap().IsLoopback())
}

// clip bounds a foreign text for the log.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
