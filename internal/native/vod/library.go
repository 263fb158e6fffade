package vod

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/time/rate"
)

// Settings of the library that its defaults get wrong for playing. The
// measurements behind them are in docs/decisions.
const (
	// maxRequests is the longest request queue we use at one peer.
	// Transmission 3.00 advertises 512 and loses the last of a full queue.
	maxRequests = 500
	// dialRate lets a swarm of dead addresses be tried in seconds.
	dialRate = 50
	// unverified bounds the bytes of one torrent that are asked for but not
	// checked yet: the queues of four fast peers. The library sorts as many
	// blocks each time it asks.
	unverified = 32 << 20
)

// libraryConfig is what all clients of this package have in common.
func libraryConfig(cfg Config, log *slog.Logger) *torrent.ClientConfig {
	lc := torrent.NewDefaultClientConfig()
	host := cfg.listenHost()
	lc.ListenHost = func(string) string { return host }
	lc.ListenPort = cfg.P2PPort
	if a, err := netip.ParseAddr(host); err == nil {
		lc.DisableIPv6 = a.Is4()
		lc.DisableIPv4 = a.Is6() && !a.Is4In6()
	} else if host == "" {
		lc.DisableIPv6 = !haveIPv6()
	}
	// Every torrent brings its storage. The library's default would leave a
	// database in the working directory.
	lc.DefaultStorage = noStorage{}
	lc.NoDefaultPortForwarding = !cfg.UPnP
	lc.UpnpID = "acequia"
	lc.NoDHT = !cfg.DHT
	if len(cfg.DHTNodes) > 0 {
		lc.DhtStartingNodes = startingNodes(cfg.DHTNodes)
	}
	// The client announces by itself, so that private torrents stay private
	// and a lonely torrent asks again soon.
	lc.PeriodicallyAnnounceTorrentsToDht = false
	lc.DisablePEX = !cfg.PEX
	lc.DisableTrackers = !cfg.HTTPTrackers && !cfg.UDPTrackers
	lc.DisableWebseeds = !cfg.Webseeds
	lc.DisableUTP = !cfg.UTP
	lc.DisableWebtorrent = true
	lc.Seed = true
	lc.UploadRateLimiter = limiter(cfg.UploadLimit)
	if cfg.DownloadLimit > 0 {
		lc.DownloadRateLimiter = limiter(cfg.DownloadLimit)
	}
	lc.EstablishedConnsPerTorrent = cfg.MaxConnections
	lc.HalfOpenConnsPerTorrent = cfg.MaxHalfOpen
	lc.TotalHalfOpenConns = 4 * cfg.MaxHalfOpen
	lc.DialRateLimiter = rate.NewLimiter(dialRate, dialRate)
	lc.MaxUnverifiedBytes = unverified
	lc.DropDuplicatePeerIds = true
	// What is complete now is evicted later; a seed is worth keeping.
	lc.DropMutuallyCompletePeers = false
	// A keepalive also ends a wait that a lost signal left, see conn.wake.
	lc.KeepAliveTimeout = time.Second
	lc.Bep20 = "-AQ0100-"
	lc.ExtendedHandshakeClientVersion = "acequia"
	lc.HTTPUserAgent = "acequia"
	lc.Slogger = slog.New(quiet{log.Handler()})
	return lc
}

// haveIPv6 tells whether this host can listen on IPv6; the library gives up
// where it cannot.
func haveIPv6() bool {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp6", "[::]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// noStorage is the storage of torrents that bring none: there are none.
type noStorage struct{}

func (noStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{}, errors.New("torrent without storage")
}

// limiter of bytes per second; 0 is no limit. The burst must hold the largest
// single read or write of the library.
func limiter(perSecond int64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond/4, 256<<10)))
}

func startingNodes(nodes []netip.AddrPort) func(string) dht.StartingNodesGetter {
	return func(string) dht.StartingNodesGetter {
		return func() (out []dht.Addr, err error) {
			for _, n := range nodes {
				out = append(out, dht.NewAddr(net.UDPAddrFromAddrPort(n)))
			}
			return out, nil
		}
	}
}

// quiet passes on the warnings and errors of the library for debugging: most
// are about an address that does not answer, or a read that was given up.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }

// Intervals of what a client does by itself.
const (
	tickEvery     = 250 * time.Millisecond
	redialEvery   = 3 * time.Second  // addresses that were given, while short of peers
	redialAtMost  = time.Minute      // others, after failures
	dhtShort      = 30 * time.Second // between announces while short of peers
	dhtEvery      = 10 * time.Minute
	lsdEvery      = 5 * time.Minute // BEP 14
	lsdShort      = 30 * time.Second
	wakeAfter     = 10 * time.Millisecond // a reader that waits longer wakes idle connections
	stallAfter    = 2 * time.Second       // a reader that waits longer looks for a culprit
	stuckAfter    = 4 * time.Second       // a connection without progress is closed then
	rateWindow    = 5 * time.Second
	enoughPeers   = 4
	maxKnownPeers = 500
)
