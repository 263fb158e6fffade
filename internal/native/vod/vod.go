// Package vod plays BitTorrent content: it finds the swarm of an infohash,
// fetches the pieces a reader is about to need, and keeps a bounded window of
// them.
//
// The rest of the native engine sees it through [Backend] and [Torrent]; no
// type of the library below leaves this package.
package vod

import (
	"context"
	"errors"
	"io"
	"net/netip"
)

// Source says which torrent to add. Exactly one of Infohash, Magnet and
// Metainfo is set.
type Source struct {
	Infohash string // 40 lower-case hex digits
	Magnet   string // magnet link, with its trackers, peers (x.pe) and web seeds
	Metainfo []byte // contents of a .torrent file
	// Peers are addresses to dial at once, besides those that discovery finds.
	Peers []netip.AddrPort
}

// Errors that callers branch on. They are wrapped with what was tried.
var (
	// ErrNoMetadata: no peer gave the torrent's description in time.
	ErrNoMetadata = errors.New("no peer has sent the description of this torrent")
	// ErrNoPeers: nobody in the swarm could be reached in time.
	ErrNoPeers = errors.New("no peers found")
	// ErrChoked: peers are connected, but none sent a piece in time.
	ErrChoked = errors.New("peers are connected but send nothing")
	// ErrNoFile: the torrent has no file with that index.
	ErrNoFile = errors.New("no such file in this torrent")
	// ErrInvalid: the source cannot be read as a torrent.
	ErrInvalid = errors.New("not a valid torrent")
	// ErrCacheFull: the torrents in use leave this one too little of the cache
	// limit to play.
	ErrCacheFull = errors.New("no room in the cache for another torrent")
	// ErrClosed: the backend or the torrent was closed meanwhile.
	ErrClosed = errors.New("torrent closed")
)

// Backend is a BitTorrent client. It is safe for concurrent use.
type Backend interface {
	// Add joins the swarm of src and waits until its description is known or
	// ctx ends; then it is an error that wraps ErrNoMetadata or ErrNoPeers and
	// the cause of ctx, and the swarm is left unless somebody else holds it.
	// Adding what is there already returns the same torrent, with src's peers
	// and trackers added to it. Each Add that succeeds is paired with one
	// Torrent.Close.
	Add(ctx context.Context, src Source) (Torrent, error)
	// Stats counts over all torrents.
	Stats() BackendStats
	// Close leaves every swarm and frees ports, memory and files. Readers that
	// are still open fail with ErrClosed.
	Close() error
}

// Torrent is one content of a [Backend]. It is safe for concurrent use.
type Torrent interface {
	// Info is fixed for the torrent's life.
	Info() Info
	// Open returns a reader of one file, by its index in Info().Files. Several
	// readers may be open at once, each driving the priorities of the pieces
	// around its own position.
	Open(ctx context.Context, file int) (Reader, error)
	// Stats tells what is going on now.
	Stats() Stats
	// Close gives back what Add gave. After the last Close the torrent is
	// idle: it leaves the swarm, and its pieces may be evicted, least recently
	// used torrent first, when the cache limit needs room.
	Close() error
}

// Reader reads one file. Seek moves the window; it never blocks. Read blocks
// until data at the position is here, ctx of Open ends, the backend gives up
// (ErrNoPeers, ErrChoked) or the reader is closed. A Reader is for one
// goroutine; Close may be called from another.
type Reader interface {
	io.ReadSeekCloser
}

// Info describes a torrent.
type Info struct {
	Infohash    string // 40 lower-case hex digits
	Name        string
	PieceLength int64 // bytes
	Files       []File
}

// File is one file of a torrent.
type File struct {
	Index int
	Path  string // slash-separated, below the torrent's name; the name itself for a single file
	Size  int64  // bytes
}

// Stats of one torrent.
type Stats struct {
	Peers          int   // connected
	Downloaded     int64 // useful payload bytes since Add
	Uploaded       int64 // payload bytes since Add
	DownloadRate   int64 // bytes per second, over the last seconds
	UploadRate     int64 // bytes per second, over the last seconds
	BytesCompleted int64 // verified bytes held now, in memory and on disk
	Readers        int   // open now
}

// BackendStats of all torrents together.
type BackendStats struct {
	Torrents   int   // held or idle
	Peers      int   // connected, over all torrents
	CacheUsed  int64 // bytes of pieces held, in memory and on disk
	CacheInUse int64 // the part of CacheUsed that belongs to torrents in use
	CacheLimit int64 // bytes
	P2PPort    int   // the port in use, TCP and UDP
}
