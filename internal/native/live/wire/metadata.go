package wire

import "github.com/acequia-tv/acequia/internal/native/bencode"

// MaxMetadata bounds a channel's info in bytes: one piece of BEP 9.
const MaxMetadata = 16 << 10

// MetadataKind says what a message about metadata does (BEP 9).
type MetadataKind uint8

// The kinds of BEP 9.
const (
	MetadataRequest MetadataKind = iota
	MetadataData
	MetadataReject
)

// Metadata asks for the channel's info, or answers (BEP 9, "ut_metadata"). An
// info is one piece, number 0.
type Metadata struct {
	Kind  MetadataKind
	Piece int
	Total int    // bytes of the info, of MetadataData
	Data  []byte // the piece, of MetadataData
}

// Append writes the message.
func (m *Metadata) Append(b []byte) []byte {
	d := bencode.Dict{"msg_type": bencode.Int(m.Kind), "piece": bencode.Int(m.Piece)}
	if m.Kind == MetadataData {
		d["total_size"] = bencode.Int(m.Total)
	}
	return append(d.Append(b), m.Data...)
}

// ParseMetadata reads a message. Its data is a part of b, not a copy. Kinds that
// BEP 9 does not have are [ErrUnknown], as it wants.
func ParseMetadata(b []byte) (Metadata, error) {
	v, rest, err := bencode.DecodePrefix(b)
	if err != nil {
		return Metadata{}, malformed("metadata: %v", err)
	}
	d, ok := v.(bencode.Dict)
	if !ok {
		return Metadata{}, malformed("metadata without a dictionary")
	}
	kind, ok := d.Int("msg_type")
	if !ok || kind < 0 {
		return Metadata{}, malformed("metadata without a kind")
	}
	if kind > int64(MetadataReject) {
		return Metadata{}, ErrUnknown
	}
	piece, ok := d.Int("piece")
	if !ok || piece < 0 || piece > 1<<16 {
		return Metadata{}, malformed("metadata without a piece")
	}
	m := Metadata{Kind: MetadataKind(kind), Piece: int(piece)}
	if m.Kind != MetadataData {
		if len(rest) > 0 {
			return Metadata{}, malformed("%d bytes after a message about metadata", len(rest))
		}
		return m, nil
	}
	total, ok := d.Int("total_size")
	if !ok || total < 1 || total > MaxMetadata || piece != 0 || int64(len(rest)) != total {
		return Metadata{}, malformed("%d bytes of metadata, piece %d of %d bytes in all", len(rest), piece, total)
	}
	m.Total, m.Data = int(total), rest
	return m, nil
}
