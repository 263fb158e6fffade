package vod

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/anacrolix/torrent/metainfo"
)

// target is a [Source] that was read.
type target struct {
	hash     metainfo.Hash
	name     string // what the magnet link calls it
	info     []byte // bencoded info, if known
	trackers []string
	webseeds []string
	peers    []netip.AddrPort
}

// maxMetainfo bounds a .torrent file; the largest in use are a few MiB.
const maxMetainfo = 32 << 20

// read checks src and finds what it says.
func (src Source) read() (target, error) {
	var t target
	var err error
	switch {
	case src.Infohash != "" && src.Magnet == "" && src.Metainfo == nil:
		t, err = readInfohash(src.Infohash)
	case src.Magnet != "" && src.Infohash == "" && src.Metainfo == nil:
		t, err = readMagnet(src.Magnet)
	case src.Metainfo != nil && src.Infohash == "" && src.Magnet == "":
		t, err = readMetainfo(src.Metainfo)
	default:
		err = errors.New("exactly one of infohash, magnet link and metainfo must be given")
	}
	if err != nil {
		return target{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t.peers = append(t.peers, src.Peers...)
	return t, nil
}

func readInfohash(s string) (t target, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(t.hash) {
		return target{}, fmt.Errorf("infohash %q is not 40 hex digits", s)
	}
	copy(t.hash[:], b)
	return t, nil
}

func readMagnet(s string) (target, error) {
	m, err := metainfo.ParseMagnetV2Uri(s)
	if err != nil {
		return target{}, fmt.Errorf("read magnet link: %w", err)
	}
	if !m.InfoHash.Ok {
		return target{}, errors.New("magnet link has no btih infohash (BitTorrent v2 alone is not supported)")
	}
	t := target{hash: m.InfoHash.Value, name: m.DisplayName, trackers: trackerURLs(m.Trackers), webseeds: httpURLs(m.Params["ws"])}
	for _, p := range m.Params["x.pe"] {
		if a, err := netip.ParseAddrPort(p); err == nil && a.Port() != 0 {
			t.peers = append(t.peers, a)
		}
	}
	return t, nil
}

func readMetainfo(b []byte) (target, error) {
	if len(b) > maxMetainfo {
		return target{}, fmt.Errorf("metainfo of %d bytes is too large", len(b))
	}
	m, err := metainfo.Load(bytes.NewReader(b))
	if err != nil {
		return target{}, fmt.Errorf("read metainfo: %w", err)
	}
	info, err := m.UnmarshalInfo()
	if err != nil {
		return target{}, fmt.Errorf("read metainfo: %w", err)
	}
	if err := checkInfo(&info); err != nil {
		return target{}, err
	}
	t := target{hash: m.HashInfoBytes(), info: m.InfoBytes, webseeds: httpURLs(m.UrlList)}
	for _, tier := range m.UpvertedAnnounceList() {
		t.trackers = append(t.trackers, trackerURLs(tier)...)
	}
	return t, nil
}

// trackerURLs keeps the trackers of kinds that are supported.
func trackerURLs(in []string) []string { return keepURLs(in, "http", "https", "udp") }

func httpURLs(in []string) []string { return keepURLs(in, "http", "https") }

func keepURLs(in []string, schemes ...string) (out []string) {
	for _, s := range in {
		if u, err := url.Parse(s); err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme) {
			out = append(out, s)
		}
	}
	return out
}

const (
	minPieceLength = blockSize // the least in use
	maxPieceLength = 256 << 20
	maxPieces      = 4 << 20
	maxTotal       = 1 << 44
)

// checkInfo refuses descriptions that are contradictory, or whose shape would
// take more memory than a real torrent needs. A description comes from
// strangers; that its hash is right says only that they meant it so.
func checkInfo(info *metainfo.Info) error {
	if info.PieceLength < minPieceLength || info.PieceLength > maxPieceLength {
		return fmt.Errorf("piece length %d is not between %d and %d", info.PieceLength, minPieceLength, maxPieceLength)
	}
	if !info.HasV1() {
		return errors.New("torrent is BitTorrent v2 alone, which is not supported")
	}
	if len(info.Pieces)%20 != 0 || len(info.Pieces)/20 > maxPieces {
		return fmt.Errorf("the list of piece hashes has %d bytes", len(info.Pieces))
	}
	var total int64
	for f := range info.UpvertedFilesIter() {
		if f.Length < 0 || f.Length > maxTotal {
			return fmt.Errorf("a file has a length of %d bytes", f.Length)
		}
		if total += f.Length; total > maxTotal {
			return fmt.Errorf("torrent has more than %d bytes", int64(maxTotal))
		}
	}
	if total == 0 {
		return errors.New("torrent is empty")
	}
	if pieces := shapeOf(info).pieces(); pieces != len(info.Pieces)/20 {
		return fmt.Errorf("%d hashes for %d pieces", len(info.Pieces)/20, pieces)
	}
	return nil
}

// shapeOf a description that checkInfo accepts.
func shapeOf(info *metainfo.Info) geometry {
	g := geometry{pieceLength: info.PieceLength}
	for f := range info.UpvertedFilesIter() {
		g.total = f.TorrentOffset + f.Length
		if rest := g.total % g.pieceLength; rest != 0 && info.HasV2() {
			// The files of a hybrid start at piece borders.
			if g.short == nil {
				g.short = make(map[int]int)
			}
			g.short[int(g.total/g.pieceLength)] = int(rest)
		}
	}
	return g
}

// describe lists the files a reader may open and where the library keeps
// them: files[i] of the library is out.Files[j] with at[j] == i.
func describe(hash metainfo.Hash, info *metainfo.Info) (out Info, at []int) {
	out = Info{
		Infohash:    hash.HexString(),
		Name:        cleanName(info.BestName()),
		PieceLength: info.PieceLength,
	}
	for i, f := range info.UpvertedFiles() {
		if strings.Contains(f.Attr, "p") {
			continue // padding between files (BEP 47)
		}
		name := out.Name
		if info.IsDir() {
			name = cleanPath(f.BestPath())
		}
		out.Files = append(out.Files, File{Index: len(out.Files), Path: name, Size: f.Length})
		at = append(at, i)
	}
	return out, at
}

// cleanPath joins the elements of a file's path, which strangers chose, so
// that the result is a plain relative path.
func cleanPath(elems []string) string {
	var keep []string
	for _, e := range elems {
		if e = cleanName(e); e != unnamed {
			keep = append(keep, e)
		}
	}
	if len(keep) == 0 {
		return unnamed
	}
	return path.Join(keep...)
}

const unnamed = "unnamed"

func cleanName(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, s)
	if s == "" || s == "." || s == ".." {
		return unnamed
	}
	return s
}
