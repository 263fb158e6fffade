package vod

import (
	"testing"

	"github.com/anacrolix/torrent"

	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"github.com/google/go-cmp/cmp"
)

func TestClampRequests(t *testing.T) {
	t.Parallel()
	for in, want := range map[int]int{-1: 0, 0: 0, 1: 1, 250: 250, 500: 500, 512: 500, 1 << 30: 500} {
		if got := clampRequests(in); got != want {
			t.Errorf("clampRequests(%d) = %d, want %d", in, got, want)
		}
	}
}

// Messages that would end the process do not reach the library.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	c := newConns()
	for name, tt := range map[string]struct {
		msg     pp.Message
		dropped bool
	}{
		"hashes":              {pp.Message{Type: pp.Hashes, ProofLayers: 1}, true},
		"hash request":        {pp.Message{Type: pp.HashRequest}, true},
		"hash reject":         {pp.Message{Type: pp.HashReject}, true},
		"metadata of piece 0": {pp.Message{Type: pp.Extended, ExtendedID: 1, ExtendedPayload: []byte("d8:msg_typei0e5:piecei0ee")}, false},
		"metadata below zero": {pp.Message{Type: pp.Extended, ExtendedID: 1, ExtendedPayload: []byte("d8:msg_typei0e5:piecei-1ee")}, true},
		"and with data":       {pp.Message{Type: pp.Extended, ExtendedID: 1, ExtendedPayload: []byte("d8:msg_typei1e5:piecei-1e10:total_sizei5eexxxxx")}, true},
		"handshake":           {pp.Message{Type: pp.Extended, ExtendedID: 0, ExtendedPayload: []byte("d5:piecei-1ee")}, false},
		"not bencoded":        {pp.Message{Type: pp.Extended, ExtendedID: 2, ExtendedPayload: []byte{0, 1}}, false},
		"piece":               {pp.Message{Type: pp.Piece, Piece: []byte("x")}, false},
	} {
		m := tt.msg
		c.read(new(torrent.PeerConn), &m)
		if m.Keepalive != tt.dropped {
			t.Errorf("%s: dropped = %v, want %v", name, m.Keepalive, tt.dropped)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"film.mkv": "film.mkv", "": "unnamed", ".": "unnamed", "..": "unnamed",
		"a/b": "a_b", `a\b`: "a_b", "a\x00\nb": "a__b", "a\xffb": "a\uFFFDb",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("cleanName(%q) = %q, want %q", in, got, want)
		}
	}
	if got := cleanPath([]string{"..", "etc", "", "x/../y"}); got != "etc/x_.._y" {
		t.Errorf("path = %q", got)
	}
	if got := cleanPath([]string{"..", "."}); got != "unnamed" {
		t.Errorf("path of nothing = %q", got)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	pad := metainfo.FileInfo{Length: 100, Path: []string{".pad", "100"}}
	pad.Attr = "p"
	info := &metainfo.Info{Name: "dir", PieceLength: 1 << 14, Files: []metainfo.FileInfo{
		{Length: 10, Path: []string{"a"}}, pad, {Length: 20, Path: []string{"b", "c"}},
	}}
	got, at := describe(metainfo.Hash{1}, info)
	want := Info{Infohash: "0100000000000000000000000000000000000000", Name: "dir", PieceLength: 1 << 14, Files: []File{
		{Index: 0, Path: "a", Size: 10}, {Index: 1, Path: "b/c", Size: 20},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 2}, at); diff != "" {
		t.Error(diff)
	}
}

// The files of a hybrid torrent start at piece borders, and the pieces before
// the borders are short.
func TestShapeOfHybrid(t *testing.T) {
	t.Parallel()
	file := func(n int64) metainfo.FileTree {
		var ft metainfo.FileTree
		ft.File.Length = n
		return ft
	}
	info := &metainfo.Info{
		Name: "h", PieceLength: 1 << 14, MetaVersion: 2, Pieces: make([]byte, 20*4),
		FileTree: metainfo.FileTree{Dir: map[string]metainfo.FileTree{"a": file(1<<14 + 5), "b": file(2 << 14)}},
	}
	if err := checkInfo(info); err != nil {
		t.Fatal(err)
	}
	g := shapeOf(info)
	var lengths []int
	for i := range g.pieces() {
		lengths = append(lengths, g.length(i))
	}
	if diff := cmp.Diff([]int{1 << 14, 5, 1 << 14, 1 << 14}, lengths); diff != "" {
		t.Error(diff)
	}
	info.Pieces = info.Pieces[:20]
	if err := checkInfo(info); err == nil {
		t.Error("a hybrid with too few v1 hashes was taken; the library would end the process")
	}
}

func FuzzSource(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:0123456789012345678901234567890123456789&dn=x&tr=udp%3A%2F%2Ft%3A1&x.pe=10.0.0.1:5", []byte("d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:01234567890123456789ee"))
	f.Add("magnet:?xt=urn:btih:AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU&ws=http://h/", []byte("d4:infod9:file treed1:ad0:d6:lengthi5eeee12:meta versioni2e4:name1:a12:piece lengthi16384eee"))
	f.Fuzz(func(t *testing.T, magnet string, file []byte) {
		for _, src := range []Source{{Magnet: magnet}, {Metainfo: file}} {
			got, err := src.read()
			if err != nil {
				continue
			}
			for _, p := range got.peers {
				if !p.IsValid() || p.Port() == 0 {
					t.Errorf("peer %v", p)
				}
			}
			if got.info == nil {
				continue
			}
			var mi metainfo.MetaInfo
			mi.InfoBytes = got.info
			info, err := mi.UnmarshalInfo()
			if err != nil {
				t.Fatal(err)
			}
			g := shapeOf(&info)
			if g.pieces() < 1 || g.pieces() > maxPieces || g.length(g.pieces()-1) < 1 {
				t.Errorf("shape %+v", g)
			}
			out, at := describe(got.hash, &info)
			if len(out.Files) != len(at) {
				t.Errorf("%d files at %d places", len(out.Files), len(at))
			}
		}
	})
}
