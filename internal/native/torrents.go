package native

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"path"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

// torrents is the Resolver of BitTorrent content. It is asked last, so it
// answers for everything.
type torrents struct {
	backend vod.Backend
	fetcher Fetcher
}

func (t torrents) Resolve(ctx context.Context, req Request) (Playable, error) {
	src, err := t.source(ctx, req)
	if err != nil {
		return nil, err
	}
	added, err := t.backend.Add(ctx, src)
	if err != nil {
		return nil, err
	}
	return torrent{added}, nil
}

func (t torrents) source(ctx context.Context, req Request) (vod.Source, error) {
	if len(req.TransportFile) > 0 {
		return metainfo(req.TransportFile, "the transport file that was sent")
	}
	switch req.Content.Kind {
	case content.Infohash:
		return vod.Source{Infohash: req.Content.Value}, nil
	case content.Magnet:
		return vod.Source{Magnet: req.Content.Value}, nil
	case content.URL:
		doc, err := t.fetcher.Fetch(ctx, req.Content.Value)
		if err != nil {
			return vod.Source{}, err
		}
		if doc.Magnet != "" {
			if _, err := content.New(content.Magnet, doc.Magnet); err != nil {
				return vod.Source{}, &Error{Reason: NotATorrent, Detail: "the address leads to a magnet link that has no BitTorrent v1 infohash", Err: err}
			}
			return vod.Source{Magnet: doc.Magnet}, nil
		}
		return metainfo(doc.Body, "the address "+nameOf(req.Content.Value))
	case content.ContentID:
		return vod.Source{}, &Error{
			Reason: NotNative,
			Detail: "this is an AceStream content id, which only an official AceStream engine can resolve; a native engine plays BitTorrent infohashes, magnet links and .torrent files: add an official AceStream engine to the pool",
		}
	}
	return vod.Source{}, &Error{Reason: BadRequest, Detail: "nothing is named", Err: content.ErrMissing}
}

// metainfo takes data for a .torrent file unless it plainly is something else.
// A .torrent file is one bencoded dictionary that has an info dictionary
// (https://www.bittorrent.org/beps/bep_0003.html); AceStream's own transport
// files are not.
func metainfo(data []byte, what string) (vod.Source, error) {
	if bytes.HasPrefix(data, []byte("d")) && bytes.HasSuffix(bytes.TrimRight(data, "\r\n"), []byte("e")) &&
		bytes.Contains(data, []byte("4:infod")) {
		return vod.Source{Metainfo: data}, nil
	}
	return vod.Source{}, &Error{
		Reason: NotATorrent,
		Detail: what + " is not a .torrent file; AceStream's own transport files (.acelive) need an official AceStream engine in the pool",
	}
}

// nameOf shortens an address to the part that a person recognises, and leaves
// out a query, which may hold a secret.
func nameOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "given"
	}
	name := u.Host
	if base := path.Base(u.Path); base != "." && base != "/" {
		name += "/.../" + base
	}
	return clip(name)
}

// torrent is a vod.Torrent as a Playable.
type torrent struct {
	vod.Torrent
}

func (t torrent) Info() Info {
	info := t.Torrent.Info()
	files := make([]File, len(info.Files))
	for i, f := range info.Files {
		files[i] = File{Index: f.Index, Path: f.Path, Size: f.Size}
	}
	return Info{Infohash: info.Infohash, Name: info.Name, Files: files}
}

func (t torrent) Open(ctx context.Context, file int) (io.ReadCloser, error) {
	return t.Torrent.Open(ctx, file)
}

func (t torrent) Stats() Stats {
	s := t.Torrent.Stats()
	return Stats{
		Peers:      s.Peers,
		Downloaded: s.Downloaded, Uploaded: s.Uploaded,
		DownloadRate: s.DownloadRate, UploadRate: s.UploadRate,
		BytesCompleted: s.BytesCompleted,
	}
}
