package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const testInfohash = "0a4848271c91ce2d8965ce416267c25047dc8141"

func newBroadcast(t testing.TB, rate int) *Broadcast {
	t.Helper()
	b, err := NewBroadcast(testInfohash, rate)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readAt(t testing.TB, b *Broadcast, off, n int64) []byte {
	t.Helper()
	p := make([]byte, n)
	if _, err := b.ReadAt(p, off); err != nil {
		t.Fatal(err)
	}
	return p
}

var rates = []int{MinBitrate, 31_337, 250_000, 1_250_001}

func TestBroadcastIsVerified(t *testing.T) {
	t.Parallel()
	for _, rate := range rates {
		b := newBroadcast(t, rate)
		// From the middle of the year 26 on, across several periods.
		start := b.Offset(26*365*24*time.Hour) / PacketSize * PacketSize
		v := NewVerifier(testInfohash)
		v.Write(readAt(t, b, start, b.Rate()*4/PacketSize*PacketSize))
		r := v.Report()
		if err := r.Err(); err != nil || r.Skipped != 0 {
			t.Errorf("rate %d: %v, skipped %d", rate, err, r.Skipped)
		}
		if got, want := r.Packets+r.Tables, 4*b.Rate()/PacketSize; got != want {
			t.Errorf("rate %d: %d packets, want %d", rate, got, want)
		}
		if r.First < 0 || !r.RandomAccess || !r.TablesFirst {
			t.Errorf("rate %d: a second begins with tables and a random access point: %+v", rate, r)
		}
		if got := b.Time(r.First); got < 26*365*24*time.Hour || got > 26*365*24*time.Hour+time.Second/10 {
			t.Errorf("rate %d: first packet at %v", rate, got)
		}
		if diff := int64(rate) - b.Rate(); diff < -PacketSize || diff > PacketSize {
			t.Errorf("rate %d: is %d", rate, b.Rate())
		}
	}
	if _, err := NewBroadcast(testInfohash, MinBitrate-1); err == nil {
		t.Error("a rate too low was taken")
	}
}

func TestVerifierSeesFaults(t *testing.T) {
	t.Parallel()
	b := newBroadcast(t, MinBitrate)
	other, err := NewBroadcast(strings.Repeat("f", 40), MinBitrate)
	if err != nil {
		t.Fatal(err)
	}
	// Packets 60 to 63 of a second are of the picture's or sound's middle; 66 is
	// where the tables come again.
	good := readAt(t, b, 0, 200*PacketSize)
	at := func(i int) []byte { return good[i*PacketSize : (i+1)*PacketSize] }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	cut := func(i, j int) []byte { return good[i*PacketSize : j*PacketSize] }
	torn := join(at(20)[:100], at(21)[100:])
	var key int // the first packet of the second second's key picture
	for key = 100; at(key)[5]&0x40 == 0; key++ {
	}

	tests := map[string]struct {
		input []byte
		check func(Report) bool
	}{
		"good":        {good, func(r Report) bool { return r.Err() == nil && r.TablesFirst && r.RandomAccess }},
		"mid packet":  {good[100:], func(r Report) bool { return r.Err() == nil && r.Skipped == 88 && r.RandomAccess && !r.TablesFirst }},
		"lost":        {join(cut(0, 20), cut(23, 200)), func(r Report) bool { return r.Gaps == 1 && r.Lost == 3 && r.CleanGaps == 0 && r.Continuity > 0 }},
		"clean skip":  {join(cut(0, 20), cut(key, 200)), func(r Report) bool { return r.Gaps == 1 && r.CleanGaps == 1 }},
		"repeated":    {join(cut(0, 23), cut(20, 200)), func(r Report) bool { return r.Repeats == 3 && r.Gaps == 0 }},
		"foreign":     {join(cut(0, 20), readAt(t, other, 20*PacketSize, PacketSize), cut(20, 200)), func(r Report) bool { return r.Foreign == 1 && r.Gaps == 0 }},
		"null packet": {join(cut(0, 20), append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), cut(20, 200)), func(r Report) bool { return r.Null == 1 && r.Foreign == 0 && r.Err() == nil }},
		"torn":        {join(cut(0, 20), torn, cut(21, 200)), func(r Report) bool { return r.Corrupt == 1 && r.Lost == 1 }},
		"shifted":     {join(cut(0, 20), []byte("GG\x00"), cut(20, 200)), func(r Report) bool { return r.Skipped > 0 || r.Foreign > 0 }},
		"tables twice": {join(cut(0, 2), cut(0, 2), cut(2, 200)), func(r Report) bool {
			return r.Err() == nil
		}},
		"junk": {bytes.Repeat([]byte("junk"), 1000), func(r Report) bool { return r.Err() != nil && r.Packets == 0 }},
	}
	for name, tt := range tests {
		v := NewVerifier(testInfohash)
		v.Write(tt.input)
		if r := v.Report(); !tt.check(r) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// However the bytes are cut, the verifier and the broadcast see the same.
func TestCutsDoNotMatter(t *testing.T) {
	t.Parallel()
	b := newBroadcast(t, MinBitrate)
	whole := readAt(t, b, 0, 400*PacketSize)
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, 3*PacketSize).Draw(t, "from")
		want := NewVerifier(testInfohash)
		want.Write(whole[from:])
		got := NewVerifier(testInfohash)
		for at := from; at < len(whole); {
			n := min(rapid.IntRange(1, 2000).Draw(t, "n"), len(whole)-at)
			piece := make([]byte, n)
			if _, err := b.ReadAt(piece, int64(at)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(piece, whole[at:at+n]) {
				t.Fatalf("bytes %d to %d differ", at, at+n)
			}
			got.Write(piece)
			at += n
		}
		if diff := cmp.Diff(want.Report(), got.Report()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// An independent demuxer finds the programme, regular timestamps and pictures.
func TestBroadcastDemuxes(t *testing.T) {
	t.Parallel()
	for _, rate := range rates {
		b := newBroadcast(t, rate)
		dmx := astits.NewDemuxer(context.Background(), bytes.NewReader(readAt(t, b, 0, 6*b.Rate())))
		var video, audio []int64
		keys := 0
		tables := map[string]bool{}
		for {
			d, err := dmx.NextData()
			if errors.Is(err, astits.ErrNoMorePackets) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case d.PAT != nil:
				tables["pat"] = true
			case d.PMT != nil:
				tables["pmt"] = true
				if len(d.PMT.ElementaryStreams) != 2 || d.PMT.PCRPID != VideoPID {
					t.Errorf("PMT %+v", d.PMT)
				}
			case d.PES != nil && d.PID == VideoPID:
				video = append(video, d.PES.Header.OptionalHeader.PTS.Base)
				if bytes.Contains(d.PES.Data, []byte{0, 0, 0, 1, 0x65}) {
					keys++
				}
			case d.PES != nil && d.PID == AudioPID:
				audio = append(audio, d.PES.Header.OptionalHeader.PTS.Base)
				if !bytes.Equal(d.PES.Data, silence[:]) {
					t.Errorf("audio frame of %d bytes", len(d.PES.Data))
				}
			}
		}
		if !tables["pat"] || !tables["pmt"] || keys < 5 || len(video) < 148 || len(audio) < 248 {
			t.Errorf("rate %d: tables %v, %d pictures (%d key), %d sounds", rate, tables, len(video), keys, len(audio))
		}
		for i := 1; i < len(video); i++ {
			if video[i]-video[i-1] != 3600 {
				t.Fatalf("rate %d: picture %d is %d ticks after the one before", rate, i, video[i]-video[i-1])
			}
		}
		for i := 1; i < len(audio); i++ {
			if audio[i]-audio[i-1] != 2160 {
				t.Fatalf("rate %d: sound %d is %d ticks after the one before", rate, i, audio[i]-audio[i-1])
			}
		}
	}
}

// A real decoder decodes it without a complaint.
func TestBroadcastDecodes(t *testing.T) {
	t.Parallel()
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("ffprobe is not installed")
	}
	for _, rate := range []int{MinBitrate, 250_001} {
		b := newBroadcast(t, rate)
		file := filepath.Join(t.TempDir(), "broadcast.ts")
		if err := os.WriteFile(file, readAt(t, b, 5*b.Rate(), 8*b.Rate()), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), ffprobe, "-v", "warning", "-count_frames", "-of", "json",
			"-show_entries", "stream=codec_name,width,height,avg_frame_rate,sample_rate,nb_read_frames", file)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("ffprobe: %v: %s", err, stderr.String())
		}
		type stream struct {
			Codec  string `json:"codec_name"`
			Width  int    `json:"width"`
			Height int    `json:"height"`
			Rate   string `json:"avg_frame_rate"`
			Sample string `json:"sample_rate"`
			Frames string `json:"nb_read_frames"`
		}
		var got struct{ Streams []stream }
		if err := json.NewDecoder(bytes.NewReader(out)).Decode(&got); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		want := []stream{
			{Codec: "h264", Width: 128, Height: 96, Rate: "25/1", Frames: "200"},
			{Codec: "mp2", Rate: "0/0", Sample: "48000", Frames: "333"},
		}
		if diff := cmp.Diff(want, got.Streams); diff != "" {
			t.Errorf("rate %d: %s", rate, diff)
		}
		if s := stderr.String(); s != "" {
			t.Errorf("rate %d: ffprobe complains: %s", rate, s)
		}
	}
}

func TestPictureNeedsNoEscapes(t *testing.T) {
	t.Parallel()
	raw := [][]byte{sequenceParameters(), pictureParameters(), keySlice()}
	for i := 1; i < framesPerSecond; i++ {
		raw = append(raw, skipSlice(i))
	}
	for _, p := range raw {
		if bytes.Contains(p, []byte{0, 0}) || p[len(p)-1] == 0 {
			t.Errorf("% x", p)
		}
	}
}

// Whatever the room, one of the two start codes leaves an SEI that fits.
func TestSEIFitsAnyRoom(t *testing.T) {
	t.Parallel()
	for room := 18; room < 200_000; room++ {
		size := seiSize(room)
		if size < 0 {
			size = seiSize(room + 1)
		}
		if size < 16 {
			t.Fatalf("room %d: size %d", room, size)
		}
	}
}

func BenchmarkBroadcast(b *testing.B) {
	bc := newBroadcast(b, 1_000_000)
	p := make([]byte, 348*PacketSize)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bc.ReadAt(p, 12345*PacketSize); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifier(b *testing.B) {
	bc := newBroadcast(b, 1_000_000)
	p := make([]byte, 348*PacketSize)
	if _, err := bc.ReadAt(p, 12345*PacketSize); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		NewVerifier(testInfohash).Write(p)
	}
}
