package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
)

// Host is a Docker daemon and how to reach it.
type Host struct {
	// Name tells it from the others; "local" for the one of this machine.
	Name string
	// URL is unix:///path, tcp://host:port (a socket proxy), tls://host:port or
	// ssh://user@host:port.
	URL string
	// TLSDir holds ca.pem, cert.pem and key.pem for tls.
	TLSDir string
}

// ParseHost reads a host as it is written in the settings, URL or name=URL.
func ParseHost(text, tlsDir string) (Host, error) {
	name, address, named := strings.Cut(text, "=")
	if !named || strings.Contains(name, "/") {
		name, address = "", text
	}
	u, err := url.Parse(address)
	if err != nil {
		return Host{}, fmt.Errorf("%q is not the address of a Docker host", text)
	}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
	case (u.Scheme == "tcp" || u.Scheme == "tls" || u.Scheme == "ssh") && u.Hostname() != "" && strings.Trim(u.Path, "/") == "":
	default:
		return Host{}, fmt.Errorf("%q is not the address of a Docker host: write unix:///var/run/docker.sock, tcp://host:2375, tls://host:2376 or ssh://user@host", text)
	}
	if u.Scheme == "tls" && tlsDir == "" {
		return Host{}, fmt.Errorf("%q needs certificates: name the directory of ca.pem, cert.pem and key.pem in docker.tls_dir", text)
	}
	if strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") {
		return Host{}, fmt.Errorf("%q is not the address of a Docker host: a name cannot begin with a hyphen", text)
	}
	if name == "" {
		name = "local"
		if u.Scheme != "unix" {
			name = label(u.Hostname())
		}
	}
	if name != label(name) || name == "" {
		return Host{}, fmt.Errorf("%q is not a name for a Docker host: use lower-case letters, digits and hyphens", name)
	}
	return Host{Name: name, URL: address, TLSDir: tlsDir}, nil
}

// label turns a host's name into what an engine's id can carry.
func label(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}

// connect returns a client of the host. Nothing is sent yet.
func (h Host) connect() (*client.Client, error) {
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ssh":
		return client.New(client.WithHost("tcp://docker.invalid:2375"), client.WithDialContext(sshDialer(u)))
	case "tls":
		return client.New(
			client.WithHost("tcp://"+u.Host),
			client.WithTLSClientConfig(filepath.Join(h.TLSDir, "ca.pem"), filepath.Join(h.TLSDir, "cert.pem"), filepath.Join(h.TLSDir, "key.pem")),
		)
	default:
		return client.New(client.WithHost(h.URL))
	}
}

// address returns where ports of the host are published to be reached from
// here: loopback for the daemon of this machine, else the host's address.
func (h Host) address(ctx context.Context) (netip.Addr, error) {
	u, err := url.Parse(h.URL)
	if err != nil {
		return netip.Addr{}, err
	}
	if u.Scheme == "unix" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return a, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the address of %s: %w", u.Hostname(), err)
	}
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			return a, nil
		}
	}
	if len(found) == 0 {
		return netip.Addr{}, errors.New("the host has no address")
	}
	return found[0], nil
}
