package mpegts

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/asticode/go-astits"
	"github.com/google/go-cmp/cmp"
)

// tool returns the path of a program, and skips the test if there is none.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program and returns its output; what it says besides is not expected.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// encode has ffmpeg make a file of seven seconds of picture and sound.
func encode(t *testing.T, args ...string) (file string) {
	t.Helper()
	if !bytes.Contains(run(t, "ffmpeg", "-v", "error", "-encoders"), []byte(args[1])) {
		t.Skipf("this ffmpeg has no encoder %s", args[1])
	}
	file = filepath.Join(t.TempDir(), "sample.ts")
	run(t, "ffmpeg", slices.Concat(
		[]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine", "-t", "7"},
		args, []string{"-c:a", "aac", "-metadata:s:a:0", "language=spa", file})...)
	return file
}

// keyPackets returns the positions and time stamps of the packets that ffprobe takes for key frames.
func keyPackets(t *testing.T, file string) (list []RandomAccessPoint) {
	t.Helper()
	var out struct {
		Packets []struct {
			PTS   int64
			Pos   string
			Flags string
		}
	}
	b := run(t, "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pos,pts,flags", "-of", "json", file)
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	for _, p := range out.Packets {
		pos, err := strconv.ParseInt(p.Pos, 10, 64)
		if err != nil {
			t.Fatalf("packet without position: %+v", p)
		}
		if strings.HasPrefix(p.Flags, "K") {
			list = append(list, RandomAccessPoint{Pos: pos, PTS: p.PTS})
		}
	}
	return list
}

// clearIndicators clears the random_access_indicator of all packets.
func clearIndicators(stream []byte) {
	for b := stream; len(b) > 0; b = b[PacketSize:] {
		if p := Packet(b[:PacketSize]); p.RandomAccess() {
			p[5] &^= 0x40
		}
	}
}

// setIndicators sets the random_access_indicator of all packets that can carry it.
func setIndicators(stream []byte) {
	for b := stream; len(b) > 0; b = b[PacketSize:] {
		if p := Packet(b[:PacketSize]); p.UnitStart() && p.HasAdaptation() && p[4] > 0 {
			p[5] |= 0x40
		}
	}
}

// TestAgainstFFmpeg compares the random access points with what ffprobe takes for
// key frames, with the indicators as they are, all clear, and all set; then has ffmpeg
// decode from one of them.
func TestAgainstFFmpeg(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		codec  Codec
		closed bool // nothing after a point refers to what is before it
		args   []string
	}{
		{"h264", H264, true, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50"}},
		{"h264 open", H264, false, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-x264-params", "open-gop=1:bframes=3:b-adapt=0"}},
		{"h264 slices", H264, true, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-x264-params", "slices=4:aud=0"}},
		{"h264 interlaced", H264, true, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-flags", "+ildct+ilme"}},
		{"hevc", HEVC, true, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=50:open-gop=0:log-level=error"}},
		{"hevc open", HEVC, true, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=50:open-gop=1:bframes=4:b-adapt=0:log-level=error"}},
		{"mpeg2", MPEG2, true, []string{"-c:v", "mpeg2video", "-g", "25", "-bf", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := encode(t, c.args...)
			want := keyPackets(t, file)
			if len(want) < 3 {
				t.Fatalf("only %d key frames", len(want))
			}
			stream, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for name, edit := range map[string]func([]byte){"as it is": func([]byte) {}, "clear": clearIndicators, "set": setIndicators} {
				edited := bytes.Clone(stream)
				edit(edited)
				s := NewScanner()
				checkPoints(t, name, want, scanAll(s, edited, []int{50, 7}))
				checkInfo(t, s, c.codec)
			}
			points := scanAll(NewScanner(), stream, nil)
			p := points[len(points)/2]
			decodes(t, slices.Concat(p.Preface, stream[p.Pos:]), p.PTS, c.closed)
		})
	}
}

func checkPoints(t *testing.T, name string, want, got []RandomAccessPoint) {
	t.Helper()
	for i := range got {
		got[i] = RandomAccessPoint{Pos: got[i].Pos, PTS: got[i].PTS, Guess: got[i].Guess}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("indicators %s (-ffprobe +got):\n%s", name, diff)
	}
}

func checkInfo(t *testing.T, s *Scanner, codec Codec) {
	t.Helper()
	info, _ := s.Info()
	video, _ := info.First(Video)
	audio, _ := info.First(Audio)
	if video.Codec != codec || audio.Codec != "AAC" || audio.Language != "spa" {
		t.Errorf("streams %+v", info.Streams)
	}
	if st := s.Stats(); st.Continuity != 0 || st.Errored != 0 || st.Jumps != 0 {
		t.Errorf("stats of a stream without faults: %+v", st)
	}
	if at := float64(s.Time()) / ClockRate; at < 6.5 || at > 7.5 {
		t.Errorf("media time %.2f s, want about 7 s", at)
	}
}

// decodes has ffmpeg decode a stream. If it is closed, ffmpeg must not complain, and must show the
// picture that the stream begins with, of time stamp pts, first.
func decodes(t *testing.T, stream []byte, pts int64, closed bool) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tool(t, "ffmpeg"), "-v", "warning", "-copyts", "-i", "-", "-map", "0:v",
		"-fps_mode", "passthrough", "-f", "framecrc", "-")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stream), &stderr
	out, err := cmd.Output()
	if err != nil || closed && stderr.Len() > 0 {
		t.Errorf("decode: %v\n%s", err, stderr.String())
	}
	// One line per picture: stream, dts, pts in pictures, and more.
	_, pictures, ok := bytes.Cut(out, []byte("\n0,"))
	if !ok {
		t.Fatalf("no picture decoded\n%s", stderr.String())
	}
	first, err := strconv.ParseInt(strings.TrimSpace(strings.Split(string(pictures), ",")[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if want := pts / (90_000 / 25); closed && first != want {
		t.Errorf("first picture is number %d, want %d", first, want)
	}
}

// TestAgainstOtherDemuxer compares the tables of a stream with what an independent demuxer says of them.
func TestAgainstOtherDemuxer(t *testing.T) {
	t.Parallel()
	stream, err := os.ReadFile(encode(t, "-c:v", "mpeg2video"))
	if err != nil {
		t.Fatal(err)
	}
	s := NewScanner()
	s.Scan(stream)
	info, _ := s.Info()
	got := map[uint16]uint8{}
	for _, es := range info.Streams {
		got[es.PID] = es.Type
	}
	want := map[uint16]uint8{}
	dmx := astits.NewDemuxer(context.Background(), bytes.NewReader(stream))
	for {
		d, err := dmx.NextData()
		if err != nil {
			break
		}
		if d.PMT != nil {
			if d.PMT.PCRPID != info.PCRPID || d.PMT.ProgramNumber != info.Program {
				t.Fatalf("PCR PID %d and program %d, want %d and %d", info.PCRPID, info.Program, d.PMT.PCRPID, d.PMT.ProgramNumber)
			}
			for _, es := range d.PMT.ElementaryStreams {
				want[es.ElementaryPID] = uint8(es.StreamType)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-oracle +got):\n%s", diff)
	}
}
