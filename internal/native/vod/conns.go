package vod

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// conns follows the connections of a client through the library's callbacks,
// which run under the library's lock: they only count. It is safe for
// concurrent use.
type conns struct {
	mu      sync.Mutex
	all     map[*torrent.Peer]*conn    // guarded by mu
	private map[metainfo.Hash]struct{} // torrents that are (BEP 27); guarded by mu
}

// conn is what is known of one connection. Its fields are atomic, or fixed
// when it is made.
type conn struct {
	peer     *torrent.PeerConn
	hash     metainfo.Hash
	outgoing bool
	remote   netip.AddrPort

	outstanding atomic.Int64 // requests not answered yet
	asked       atomic.Bool  // ever
	progress    atomic.Int64 // unix nanoseconds of the last useful block, or of the first request after a pause
	choked      atomic.Bool
	listenPort  atomic.Int32 // as the peer says
	donthave    atomic.Bool  // the peer understands BEP 54
	metadata    atomic.Bool  // the peer understands BEP 9
}

func newConns() *conns {
	return &conns{all: make(map[*torrent.Peer]*conn), private: make(map[metainfo.Hash]struct{})}
}

// setPrivate says whether peers of a torrent must not be told to others.
func (c *conns) setPrivate(hash metainfo.Hash, private bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if private {
		c.private[hash] = struct{}{}
	} else {
		delete(c.private, hash)
	}
}

func (c *conns) isPrivate(hash metainfo.Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, private := c.private[hash]
	return private
}

// install sets the callbacks.
func (c *conns) install(cb *torrent.Callbacks) {
	cb.PeerConnAdded = append(cb.PeerConnAdded, c.added)
	cb.PeerConnClosed = c.closed
	cb.ReadMessage = c.read
	cb.ReadExtendedHandshake = c.handshake
	cb.SentRequest = append(cb.SentRequest, func(e torrent.PeerRequestEvent) { c.requested(e.Peer) })
	cb.DeletedRequest = append(cb.DeletedRequest, func(e torrent.PeerRequestEvent) {
		if k := c.get(e.Peer); k != nil {
			k.outstanding.Add(-1)
		}
	})
	cb.ReceivedUsefulData = append(cb.ReceivedUsefulData, func(e torrent.ReceivedUsefulDataEvent) {
		if k := c.get(e.Peer); k != nil {
			k.progress.Store(time.Now().UnixNano())
		}
	})
}

func (c *conns) get(p *torrent.Peer) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[p]
}

func (c *conns) added(pc *torrent.PeerConn) {
	k := &conn{peer: pc, hash: pc.Torrent().InfoHash(), outgoing: pc.Discovery != torrent.PeerSourceIncoming}
	k.choked.Store(true)
	if pc.RemoteAddr != nil {
		k.remote, _ = netip.ParseAddrPort(pc.RemoteAddr.String())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[&pc.Peer] = k
}

func (c *conns) closed(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, &pc.Peer)
}

func (c *conns) requested(p *torrent.Peer) {
	k := c.get(p)
	if k == nil {
		return
	}
	if k.outstanding.Add(1) == 1 {
		k.progress.Store(time.Now().UnixNano())
	}
	k.asked.Store(true)
}

// handshake sees the extended handshake before the library does, and limits
// how many requests it will queue at that peer.
func (c *conns) handshake(pc *torrent.PeerConn, m *pp.ExtendedHandshakeMessage) {
	m.Reqq = clampRequests(m.Reqq)
	k := c.get(&pc.Peer)
	if k == nil {
		return
	}
	if c.isPrivate(k.hash) {
		delete(m.M, pp.ExtensionNamePex) // BEP 27
	}
	if m.Port > 0 && m.Port < 1<<16 {
		k.listenPort.Store(int32(m.Port))
	}
	k.donthave.Store(m.M[extDontHave] != 0)
	k.metadata.Store(m.M[pp.ExtensionNameMetadata] != 0)
}

func clampRequests(reqq int) int {
	if reqq < 0 {
		return 0 // the library keeps its own default
	}
	return min(reqq, maxRequests)
}

// read sees every message before the library does.
func (c *conns) read(pc *torrent.PeerConn, m *pp.Message) {
	if m.Keepalive {
		return
	}
	switch m.Type {
	case pp.Choke, pp.Unchoke:
		if k := c.get(&pc.Peer); k != nil {
			k.choked.Store(m.Type == pp.Choke)
		}
	case pp.Hashes, pp.HashRequest, pp.HashReject:
		// We take part by v1 alone, and the library ends the process when
		// these name a file or a layer it does not expect.
		*m = pp.Message{Keepalive: true}
	case pp.Extended:
		if m.ExtendedID != pp.HandshakeExtendedID && negativePiece(m.ExtendedPayload) {
			*m = pp.Message{Keepalive: true}
		}
	}
}

// negativePiece tells whether an extension message names a piece of metadata
// below zero, which the library uses as an index.
func negativePiece(payload []byte) bool {
	var m pp.ExtendedMetadataRequestMsg
	err := bencode.Unmarshal(payload, &m)
	if _, trailing := errors.AsType[bencode.ErrUnusedTrailingBytes](err); err != nil && !trailing {
		return false // not of that kind; the library refuses it if it should be
	}
	return m.Piece < 0 || m.TotalSize < 0
}

// of the torrent with that infohash.
func (c *conns) of(hash metainfo.Hash) (out []*conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.all {
		if k.hash == hash {
			out = append(out, k)
		}
	}
	return out
}

func (c *conns) count(hash metainfo.Hash) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.all {
		if k.hash == hash {
			n++
		}
	}
	return n
}

func (c *conns) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// dialAddr is where the peer can be dialled again, if that is known.
func (k *conn) dialAddr() netip.AddrPort {
	if k.outgoing {
		return k.remote
	}
	if p := k.listenPort.Load(); p != 0 && k.remote.IsValid() {
		return netip.AddrPortFrom(k.remote.Addr(), uint16(p))
	}
	return netip.AddrPort{}
}

// stuck tells whether a connection that we may ask, and did, makes no
// progress: it answers no request, or it owes an answer to a cancelled one, so
// that the library asks it for nothing any more, or it has nothing to do.
func (k *conn) stuck(now time.Time) bool {
	if k.choked.Load() || !k.asked.Load() {
		return false
	}
	return now.Sub(time.Unix(0, k.progress.Load())) > stuckAfter
}

const extDontHave = "lt_donthave"

// tellGone tells a peer that a piece it was told of is not here any more
// (BEP 54). A peer that does not understand finds out when it asks.
func (k *conn) tellGone(index int) {
	if k.donthave.Load() {
		// It can only fail because the connection has ended.
		_ = k.peer.WriteExtendedMessage(extDontHave, binary.BigEndian.AppendUint32(nil, uint32(index)))
	}
}

// idle tells whether a connection is not asked for anything. It may be choked
// because the library did not get to say that it is interested.
func (k *conn) idle() bool { return k.outstanding.Load() == 0 }

// wake makes the library look at a connection again. Its writer checks for
// work, and only then starts to listen for the signal that there is some: a
// signal in between is lost, and nothing more is asked for until the next
// message is written. So one is written, which every client ignores: a refusal
// of metadata that was not asked for.
func (k *conn) wake() {
	if k.metadata.Load() {
		// It can only fail because the connection has ended.
		_ = k.peer.WriteExtendedMessage(pp.ExtensionNameMetadata, []byte("d8:msg_typei2e5:piecei0ee"))
	}
}
