package vodtest

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

// Content is a torrent to be: its name and files. One file whose path is the
// name makes a single-file torrent.
type Content struct {
	Name        string
	PieceLength int // bytes; 16 KiB when 0
	Files       []File
}

// File is one file of a Content.
type File struct {
	Path string // slash-separated
	Data []byte
}

// Single is the content of one file.
func Single(name string, data []byte) Content {
	return Content{Name: name, Files: []File{{Path: name, Data: data}}}
}

func (c Content) pieceLength() int {
	if c.PieceLength > 0 {
		return c.PieceLength
	}
	return 16 << 10
}

func (c Content) single() bool { return len(c.Files) == 1 && c.Files[0].Path == c.Name }

// Metainfo is the .torrent file of the content, by
// https://www.bittorrent.org/beps/bep_0003.html.
func (c Content) Metainfo() []byte {
	return []byte("d4:info" + c.info() + "e")
}

// Infohash is the content's infohash in hex.
func (c Content) Infohash() string {
	sum := sha1.Sum([]byte(c.info()))
	return hex.EncodeToString(sum[:])
}

// Magnet is the content's magnet link, with the addresses of peers.
func (c Content) Magnet(peers ...string) string {
	var link strings.Builder
	link.WriteString("magnet:?xt=urn:btih:" + c.Infohash())
	for _, p := range peers {
		link.WriteString("&x.pe=" + p)
	}
	return link.String()
}

// Info is what a backend tells of the content.
func (c Content) Info() vod.Info {
	info := vod.Info{Infohash: c.Infohash(), Name: c.Name, PieceLength: int64(c.pieceLength())}
	for i, f := range c.Files {
		info.Files = append(info.Files, vod.File{Index: i, Path: f.Path, Size: int64(len(f.Data))})
	}
	return info
}

// info is the bencoded info dictionary; its keys are in order.
func (c Content) info() string {
	var b strings.Builder
	b.WriteString("d")
	if c.single() {
		fmt.Fprintf(&b, "6:lengthi%de", len(c.Files[0].Data))
	} else {
		b.WriteString("5:filesl")
		for _, f := range c.Files {
			fmt.Fprintf(&b, "d6:lengthi%de4:pathl", len(f.Data))
			for _, part := range strings.Split(f.Path, "/") {
				writeString(&b, part)
			}
			b.WriteString("ee")
		}
		b.WriteString("e")
	}
	b.WriteString("4:name")
	writeString(&b, c.Name)
	fmt.Fprintf(&b, "12:piece lengthi%de6:pieces", c.pieceLength())
	writeString(&b, c.pieces())
	b.WriteString("e")
	return b.String()
}

func (c Content) pieces() string {
	var all bytes.Buffer
	for _, f := range c.Files {
		all.Write(f.Data)
	}
	var hashes strings.Builder
	for all.Len() > 0 {
		sum := sha1.Sum(all.Next(c.pieceLength()))
		hashes.Write(sum[:])
	}
	return hashes.String()
}

func writeString(b *strings.Builder, s string) {
	fmt.Fprintf(b, "%d:%s", len(s), s)
}
