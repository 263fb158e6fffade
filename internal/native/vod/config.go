package vod

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config says how a [Client] takes part in swarms. The zero value binds a free
// port of the loopback interface and talks to nobody but the peers it is
// given: every way of finding others has its own switch.
//
// Config is read once, by [Open]; later changes have no effect.
type Config struct {
	// ListenHost is the address the peer-to-peer port binds to. When it is
	// empty the port binds to every interface if BindAll is set, and to
	// 127.0.0.1 otherwise.
	ListenHost string
	BindAll    bool
	P2PPort    int // TCP and UDP; 0 takes a free one

	DHT bool // BEP 5, main line, over UDP on P2PPort
	// DHTNodes replace the well-known nodes that the DHT starts from.
	DHTNodes []netip.AddrPort
	PEX      bool // BEP 11, learn peers from peers
	LSD      bool // BEP 14, multicast on the local network
	// Trackers named by the content: over HTTP (BEP 3) and over UDP (BEP 15).
	HTTPTrackers, UDPTrackers bool
	// NoMetadata plays only content whose .torrent file was given: peers are not
	// asked for descriptions (BEP 9), which infohashes and magnet links need.
	NoMetadata bool
	Webseeds   bool // BEP 19, HTTP servers named by the content
	UTP        bool // BEP 29, besides TCP
	UPnP       bool // ask the router to forward P2PPort

	// Peers are dialled for every torrent, and dialled again while a torrent
	// is short of peers.
	Peers []netip.AddrPort

	UploadLimit   int64 // bytes per second over all torrents; 0 is no limit
	DownloadLimit int64 // bytes per second over all torrents; 0 is no limit

	// Window is how many bytes of one torrent are held in memory while it is
	// in use; 0 is DefaultWindow.
	Window int64
	// CacheLimit is how many bytes of pieces all torrents hold together, in
	// memory and on disk; 0 is DefaultCacheLimit.
	CacheLimit int64
	// Disk is a directory for verified pieces that leave memory; it must
	// belong to this client alone, and is emptied by Open and by Close. When
	// it is empty, such pieces are dropped.
	Disk string

	MaxConnections int // per torrent; 0 is DefaultMaxConnections
	MaxHalfOpen    int // connection attempts at once, per torrent; 0 is DefaultMaxHalfOpen

	// StartTimeout bounds the wait for a torrent's description and for the
	// first byte of each reader; 0 is DefaultStartTimeout.
	StartTimeout time.Duration
	// StallTimeout bounds the wait for any later byte of a reader; 0 is
	// DefaultStallTimeout.
	StallTimeout time.Duration
}

// Defaults of [Config].
const (
	DefaultWindow         = 128 << 20
	DefaultCacheLimit     = 2 << 30
	DefaultMaxConnections = 60
	DefaultMaxHalfOpen    = 25
	DefaultStartTimeout   = 20 * time.Second
	DefaultStallTimeout   = 60 * time.Second
)

// minWindow is the smallest window that can hold the pinned ends of a file
// besides a useful readahead.
const minWindow = 16 << 20

func (c Config) withDefaults() Config {
	orInt64 := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	orInt := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	orDuration := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	orInt64(&c.Window, DefaultWindow)
	orInt64(&c.CacheLimit, DefaultCacheLimit)
	orInt(&c.MaxConnections, DefaultMaxConnections)
	orInt(&c.MaxHalfOpen, DefaultMaxHalfOpen)
	orDuration(&c.StartTimeout, DefaultStartTimeout)
	orDuration(&c.StallTimeout, DefaultStallTimeout)
	return c
}

// validate reports every problem of c, which has its defaults already.
func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.P2PPort < 0 || c.P2PPort > 65535 {
		bad("p2p port %d is not between 0 and 65535", c.P2PPort)
	}
	if c.Window < minWindow {
		bad("window of %d bytes is below the least, %d", c.Window, minWindow)
	}
	if c.CacheLimit < minWindow {
		bad("cache limit of %d bytes is below the least, %d", c.CacheLimit, minWindow)
	}
	if c.UploadLimit < 0 || c.DownloadLimit < 0 {
		bad("a rate limit is below zero")
	}
	if c.MaxConnections < 0 || c.MaxHalfOpen < 0 {
		bad("a connection limit is below zero")
	}
	if c.StartTimeout < 0 || c.StallTimeout < 0 {
		bad("a timeout is below zero")
	}
	return errors.Join(errs...)
}

// trackers keeps those that may be asked.
func (c Config) trackers(urls []string) (allowed []string) {
	if c.HTTPTrackers {
		allowed = append(allowed, httpURLs(urls)...)
	}
	if c.UDPTrackers {
		allowed = append(allowed, keepURLs(urls, "udp")...)
	}
	return allowed
}

// listenHost is the address to bind, as [net.JoinHostPort] wants it.
func (c Config) listenHost() string {
	switch {
	case c.ListenHost != "":
		return c.ListenHost
	case c.BindAll:
		return ""
	default:
		return "127.0.0.1"
	}
}
