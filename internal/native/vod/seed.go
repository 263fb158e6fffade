package vod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// Share is content to offer to others.
type Share struct {
	Name string
	// Files in their order. One file without a path is a single-file torrent;
	// it is then called Name.
	Files       []ShareFile
	PieceLength int64    // bytes, a power of two; 0 chooses by size
	Trackers    []string // announced to where Config allows their kind, and named in the metainfo
	Private     bool     // BEP 27
}

// ShareFile is one file of a [Share]. Data is read concurrently, and must stay
// as it is until the seeder is closed.
type ShareFile struct {
	Path string // slash-separated
	Size int64  // bytes
	Data io.ReaderAt
}

// ShareBytes shares bytes as a file.
func ShareBytes(name string, b []byte) Share {
	return Share{Name: name, Files: []ShareFile{{Size: int64(len(b)), Data: bytes.NewReader(b)}}}
}

// Seeder offers one content to a swarm. It is safe for concurrent use.
type Seeder struct {
	lib      *torrent.Client
	t        *torrent.Torrent
	metainfo []byte
	addr     netip.AddrPort
	own      io.Closer // what SeedFile opened
}

// Seed describes what is shared, which reads all of it once, and offers it.
// Window, CacheLimit, Disk and the timeouts of cfg mean nothing here, and LSD
// is not used: a seeder is found by address, tracker or DHT.
func Seed(cfg Config, share Share, log *slog.Logger) (*Seeder, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("seed %s: %w", share.Name, err)
	}
	content := newShared(share.Files)
	info, err := share.describe(content)
	if err != nil {
		return nil, fmt.Errorf("seed %s: %w", share.Name, err)
	}
	s := &Seeder{}
	if err := s.start(cfg, share, content, info, log); err != nil {
		return nil, fmt.Errorf("seed %s: %w", share.Name, errors.Join(err, s.Close()))
	}
	return s, nil
}

// SeedFile offers a file of the disk under its base name.
func SeedFile(cfg Config, path string, pieceLength int64, log *slog.Logger) (*Seeder, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("seed: %w", errors.Join(err, f.Close()))
	}
	s, err := Seed(cfg, Share{
		Name:        filepath.Base(path),
		Files:       []ShareFile{{Size: st.Size(), Data: f}},
		PieceLength: pieceLength,
	}, log)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.own = f
	return s, nil
}

// describe makes the info dictionary, with the hash of every piece.
func (sh Share) describe(content shared) (*metainfo.Info, error) {
	info := &metainfo.Info{Name: sh.Name, PieceLength: sh.PieceLength}
	if sh.Name == "" || len(sh.Files) == 0 || content.size == 0 {
		return nil, errors.New("nothing to share, or no name for it")
	}
	if info.PieceLength == 0 {
		info.PieceLength = max(blockSize, metainfo.ChoosePieceLength(content.size))
	}
	if info.PieceLength&(info.PieceLength-1) != 0 {
		return nil, fmt.Errorf("piece length %d is not a power of two", info.PieceLength)
	}
	if len(sh.Files) == 1 && sh.Files[0].Path == "" {
		info.Length = content.size
	} else {
		for _, f := range sh.Files {
			info.Files = append(info.Files, metainfo.FileInfo{Length: f.Size, Path: strings.Split(f.Path, "/")})
		}
	}
	if sh.Private {
		info.Private = &sh.Private
	}
	var err error
	info.Pieces, err = metainfo.GeneratePieces(io.NewSectionReader(content, 0, content.size), info.PieceLength, nil)
	if err != nil {
		return nil, fmt.Errorf("hash pieces: %w", err)
	}
	return info, checkInfo(info)
}

func (s *Seeder) start(cfg Config, share Share, content shared, info *metainfo.Info, log *slog.Logger) (err error) {
	mi := metainfo.MetaInfo{}
	if mi.InfoBytes, err = bencode.Marshal(info); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	if len(share.Trackers) > 0 {
		mi.Announce = share.Trackers[0]
		mi.AnnounceList = metainfo.AnnounceList{share.Trackers}
	}
	if s.metainfo, err = bencode.Marshal(mi); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	lc := libraryConfig(cfg, log)
	newConns().install(&lc.Callbacks)
	lc.PeriodicallyAnnounceTorrentsToDht = !share.Private
	if s.lib, err = torrent.NewClient(lc); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.t, _ = s.lib.AddTorrentOpt(torrent.AddTorrentOpts{
		InfoHash:  mi.HashInfoBytes(),
		InfoBytes: mi.InfoBytes,
		Storage:   seedStorage{content},
	})
	if allowed := cfg.trackers(share.Trackers); len(allowed) > 0 {
		s.t.AddTrackers([][]string{allowed})
	}
	host := cfg.listenHost()
	if host == "" {
		host = "127.0.0.1"
	}
	s.addr, err = netip.ParseAddrPort(net.JoinHostPort(host, strconv.Itoa(s.lib.LocalPort())))
	return err
}

// Infohash in 40 hex digits.
func (s *Seeder) Infohash() string { return s.t.InfoHash().HexString() }

// Metainfo is the contents of a .torrent file for the content. The caller must
// not change it.
func (s *Seeder) Metainfo() []byte { return s.metainfo }

// Addr is where peers reach the seeder; on this host, if it listens on every
// interface.
func (s *Seeder) Addr() netip.AddrPort { return s.addr }

// Magnet is a magnet link with the seeder's address in it (x.pe).
func (s *Seeder) Magnet() string {
	m := metainfo.Magnet{InfoHash: s.t.InfoHash(), DisplayName: s.t.Name(), Params: map[string][]string{"x.pe": {s.addr.String()}}}
	return m.String()
}

// Uploaded is how many payload bytes were sent so far.
func (s *Seeder) Uploaded() int64 {
	st := s.t.Stats()
	return st.BytesWrittenData.Int64()
}

// Close stops offering.
func (s *Seeder) Close() error {
	var errs []error
	if s.lib != nil {
		errs = s.lib.Close()
	}
	if s.own != nil {
		errs = append(errs, s.own.Close())
	}
	return errors.Join(errs...)
}

// shared reads the files of a share one after the other, as a torrent does.
type shared struct {
	files []ShareFile
	size  int64
}

func newShared(files []ShareFile) shared {
	s := shared{files: files}
	for _, f := range files {
		s.size += f.Size
	}
	return s
}

func (s shared) ReadAt(b []byte, off int64) (n int, err error) {
	for _, f := range s.files {
		if off >= f.Size {
			off -= f.Size
			continue
		}
		part := b[n:min(int64(len(b)), int64(n)+f.Size-off)]
		m, err := f.Data.ReadAt(part, off)
		n += m
		if m < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
		off = 0
	}
	return n, io.EOF
}

// seedStorage is a share as the library's storage sees it: complete, and never
// written.
type seedStorage struct{ content shared }

func (s seedStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl { return seedPiece{s.content, p.Offset()} },
		Close: func() error { return nil },
	}, nil
}

type seedPiece struct {
	content shared
	off     int64
}

func (p seedPiece) ReadAt(b []byte, off int64) (int, error) { return p.content.ReadAt(b, p.off+off) }

func (p seedPiece) WriteAt([]byte, int64) (int, error) {
	return 0, errors.New("shared content is fixed")
}

func (p seedPiece) MarkComplete() error    { return nil }
func (p seedPiece) MarkNotComplete() error { return nil }

func (p seedPiece) Completion() storage.Completion {
	return storage.Completion{Ok: true, Complete: true}
}
