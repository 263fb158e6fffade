package vod

import (
	"context"
	"io"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// swarmStorage is a swarm as the library's storage sees it.
type swarmStorage struct{ s *swarm }

// OpenTorrent is called once the description is known, with the library
// locked. What it refuses is not played.
func (o swarmStorage) OpenTorrent(_ context.Context, info *metainfo.Info, _ metainfo.Hash) (storage.TorrentImpl, error) {
	st, err := o.s.accept(info)
	if err != nil {
		return storage.TorrentImpl{}, err
	}
	// No Capacity: with one, a read of the library that fails is tried again
	// without end, even when its context has ended. What is asked for fits the
	// window because readahead and pins do.
	return storage.TorrentImpl{
		Piece:     func(p metainfo.Piece) storage.PieceImpl { return pieceStorage{st, p.Index()} },
		NewReader: func() storage.TorrentReader { return contentReader{st} },
		// What was fetched outlives the swarm; the client closes the cache.
		Close: func() error { return nil },
	}, nil
}

// pieceStorage is one piece, as the library's storage sees it.
type pieceStorage struct {
	store *store
	index int
}

func (p pieceStorage) ReadAt(b []byte, off int64) (int, error) {
	return p.store.readAt(p.index, b, off)
}

func (p pieceStorage) WriteAt(b []byte, off int64) (int, error) {
	return p.store.writeAt(p.index, b, off)
}

func (p pieceStorage) WriteTo(w io.Writer) (int64, error) { return p.store.writeTo(p.index, w) }

func (p pieceStorage) MarkComplete() error {
	p.store.verify(p.index, true)
	return nil
}

func (p pieceStorage) MarkNotComplete() error {
	p.store.verify(p.index, false)
	return nil
}

func (p pieceStorage) Completion() storage.Completion {
	return storage.Completion{Ok: true, Complete: p.store.complete(p.index)}
}

// contentReader reads across pieces, as far as they are here.
type contentReader struct{ store *store }

func (r contentReader) ReadAt(b []byte, off int64) (n int, err error) {
	g := r.store.shape
	for n < len(b) && err == nil {
		at := off + int64(n)
		var m int
		m, err = r.store.readAt(int(at/g.pieceLength), b[n:], at%g.pieceLength)
		n += m
	}
	return n, err
}

func (r contentReader) Close() error { return nil }
