package mpegts

// A Kind is what an elementary stream is for.
type Kind uint8

// The kinds of elementary streams.
const (
	Data Kind = iota
	Video
	Audio
	Subtitle
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	case Subtitle:
		return "subtitle"
	}
	return "data"
}

// A Codec is the coding of an elementary stream by its usual name; empty if unknown.
type Codec string

// The codecs in which the Scanner finds random access points by itself.
const (
	MPEG1 Codec = "MPEG-1"
	MPEG2 Codec = "MPEG-2"
	H264  Codec = "H.264"
	HEVC  Codec = "HEVC"
)

type coding struct {
	kind  Kind
	codec Codec
}

// codings gives what a stream_type means (Table 2-34), and from 0x80 on, where types
// are user private, what ATSC A/53 and the Blu-ray disc use them for.
var codings = map[uint8]coding{
	0x01: {Video, MPEG1},
	0x02: {Video, MPEG2},
	0x03: {Audio, "MPEG audio"},
	0x04: {Audio, "MPEG audio"},
	0x0f: {Audio, "AAC"},
	0x10: {Video, "MPEG-4"},
	0x11: {Audio, "AAC"}, // LATM
	0x1b: {Video, H264},
	0x1c: {Audio, "AAC"},
	0x21: {Video, "JPEG 2000"},
	0x24: {Video, HEVC},
	0x2d: {Audio, "MPEG-H"},
	0x2e: {Audio, "MPEG-H"},
	0x33: {Video, "VVC"},
	0x42: {Video, "AVS"},
	0x80: {Audio, "LPCM"},
	0x81: {Audio, "AC-3"},
	0x82: {Audio, "DTS"},
	0x83: {Audio, "TrueHD"},
	0x84: {Audio, "E-AC-3"},
	0x85: {Audio, "DTS-HD"},
	0x86: {Audio, "DTS-HD"},
	0x87: {Audio, "E-AC-3"},
	0x90: {Subtitle, "PGS"},
	0xd2: {Video, "AVS2"},
	0xd4: {Video, "AVS3"},
	0xea: {Video, "VC-1"},
}

// privatePES is the stream_type whose meaning is in the descriptors.
const privatePES = 0x06

// privateCodings gives the meaning of descriptors (ETSI EN 300 468, table 12) in
// streams of type privatePES, and extendedCodings that of the extension descriptors of its
// table 109.
var (
	privateCodings = map[uint8]coding{
		0x56: {Subtitle, "Teletext"},
		0x59: {Subtitle, "DVB subtitles"},
		0x6a: {Audio, "AC-3"},
		0x7a: {Audio, "E-AC-3"},
		0x7b: {Audio, "DTS"},
		0x7c: {Audio, "AAC"},
	}
	extendedCodings = map[uint8]coding{
		0x0e: {Audio, "DTS-HD"},
		0x15: {Audio, "AC-4"},
	}
)

// registrations gives the meaning of format_identifiers, as registered with the SMPTE
// Registration Authority, in streams whose type says nothing.
var registrations = map[string]coding{
	"AC-3": {Audio, "AC-3"},
	"EAC3": {Audio, "E-AC-3"},
	"AC-4": {Audio, "AC-4"},
	"DTS1": {Audio, "DTS"},
	"DTS2": {Audio, "DTS"},
	"DTS3": {Audio, "DTS"},
	"Opus": {Audio, "Opus"},
	"BSSD": {Audio, "S302M"},
	"HEVC": {Video, HEVC},
	"AV01": {Video, "AV1"},
	"VC-1": {Video, "VC-1"},
	"drac": {Video, "Dirac"},
	"KLVA": {Data, "KLV"},
	"ID3 ": {Data, "ID3"},
}
