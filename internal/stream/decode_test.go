package stream

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

// pictures is how many ffmpeg encodes for these tests, at 25 per second.
const pictures = 300

// Whoever joins a running stream, or skips ahead in it, can decode from the
// first picture on that it gets: the very pictures that the encoder made, and
// none refers to one that is missing.
func TestJoinsDecodeFromTheirFirstPicture(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		ignore string // a complaint of ffmpeg that is of no consequence
		args   []string
	}{
		{"h264", "", []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3"}},
		// What comes first in the order of output is left out by decoders; it
		// says which pictures before it are needed no more.
		{"h264 open", "mmco: unref short failure", []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-x264-params", "open-gop=1:bframes=3:b-adapt=0"}},
		{"hevc", "", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=50:open-gop=0:bframes=3:log-level=error"}},
		{"hevc open", "", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=40:open-gop=1:bframes=4:b-adapt=0:log-level=error"}},
		{"mpeg2", "", []string{"-c:v", "mpeg2video", "-g", "15", "-bf", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sent := encode(t, c.args)
			want := decode(t, sent, "")
			if len(want) != pictures-1 {
				t.Fatalf("%d pictures decoded of the whole, want all but the last of %d", len(want), pictures)
			}
			begun := checkPieces(t, relayed(t, sent), want, c.ignore)
			if len(begun) < 4 {
				t.Errorf("viewers began at %d places only", len(begun))
			}
			// Without the indicator viewers begin at the same places, which need not
			// be decoded again.
			places := make(map[int64]bool)
			for _, p := range mpegts.NewScanner().Scan(sent) {
				places[numberOf(p.PTS)] = true
			}
			clearIndicators(sent)
			for _, piece := range relayed(t, sent) {
				if pts, ok := firstPicture(piece); !ok || !places[pts] {
					t.Errorf("without random access indicators a viewer begins at picture %d, %v", pts, ok)
				}
			}
		})
	}
}

// checkPieces decodes what viewers got, and returns the times of the pictures
// that they began with.
func checkPieces(t *testing.T, pieces [][]byte, want map[int64]string, ignore string) map[int64]bool {
	t.Helper()
	begun := make(map[int64]bool)
	for _, piece := range pieces {
		pts, ok := firstPicture(piece)
		if !ok {
			t.Fatalf("%d bytes do not begin with tables and a picture", len(piece))
		}
		if begun[pts] {
			continue
		}
		begun[pts] = true
		got := decode(t, piece, ignore)
		if _, ok := got[pts]; !ok {
			t.Errorf("the first picture sent, number %d, is not decoded", pts)
		}
		for at, sum := range got {
			if at < pts || sum != want[at] {
				t.Errorf("sent from picture %d on, picture %d is decoded as another", pts, at)
				break
			}
		}
	}
	return begun
}

// relayed relays a transport stream in the time that it takes to viewers who
// join at any moment, and to some who are too slow. It returns what they got, from each
// place on at which they began or went on.
func relayed(t *testing.T, sent []byte) (pieces [][]byte) {
	t.Helper()
	const step = 20 * time.Millisecond
	const steps = pictures * int(time.Second/25) / int(step)
	random := rand.New(rand.NewPCG(1, uint64(len(sent))))
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Burst = time.Second
		tape := newTape(gauge{tell: func(int) {}})
		tape.ring.SetCapacity(len(sent) / 3)
		log := telemetrytest.Logger(t)
		s := &Stream{
			hub: NewHub(cfg, nil, log, nil), log: log, state: StateLive,
			viewers: make(map[*Viewer]struct{}), ring: tape.ring, tape: tape,
		}
		var all sync.WaitGroup
		recorders := make([]*recorder, 12)
		for i := range recorders {
			v, err := s.attach(Client{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r := &recorder{viewer: v}
			if i%4 == 0 {
				r.rate = len(sent) / 60 // a fifth of what comes
			}
			recorders[i] = r
			after := time.Duration(random.IntN(steps*4/5)) * step
			all.Go(func() {
				time.Sleep(after)
				if err := v.Relay(t.Context(), r); !errors.Is(err, errIdle) {
					t.Errorf("viewer %d: %v", i, err)
				}
			})
		}
		left := bytes.Clone(sent)
		for i := range steps {
			n := len(left) / (steps - i) / mpegts.PacketSize * mpegts.PacketSize
			tape.write(left[:n])
			left = left[n:]
			time.Sleep(step)
		}
		tape.write(left)
		tape.waker.stop()
		tape.ring.Close(errIdle)
		all.Wait()
		skips := int64(0)
		for _, r := range recorders {
			pieces = append(pieces, r.pieces...)
			skips += r.skips
		}
		if skips == 0 {
			t.Error("no viewer was too slow")
		}
	})
	return pieces
}

// recorder is a viewer that keeps what it gets, in one piece for each time that
// it began anew.
type recorder struct {
	viewer *Viewer
	rate   int // bytes per second that it takes; 0 for all at once
	pieces [][]byte
	skips  int64
}

func (r *recorder) Write(p []byte) (int, error) {
	if n := r.viewer.skips.Load(); n != r.skips || len(r.pieces) == 0 {
		r.skips = n
		r.pieces = append(r.pieces, nil)
	}
	last := &r.pieces[len(r.pieces)-1]
	*last = append(*last, p...)
	if r.rate > 0 {
		time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(r.rate))
	}
	return len(p), nil
}

func (r *recorder) Flush() error                     { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// ffmpegVideo is the PID on which ffmpeg sends the picture.
const ffmpegVideo = 0x100

// firstPicture returns the number of the picture that a stream of ffmpeg begins with, right
// after its tables.
func firstPicture(stream []byte) (number int64, ok bool) {
	for b := range slices.Chunk(stream, mpegts.PacketSize) {
		switch p := mpegts.Packet(b); p.PID() {
		case mpegts.PATPID, 0x1000: // of the program map table
		case ffmpegVideo:
			pts, _, ok := p.PESTime()
			return numberOf(pts), ok
		default:
			return 0, false
		}
	}
	return 0, false
}

// numberOf returns the number that ffmpeg gives the picture with a time stamp.
func numberOf(pts int64) int64 { return pts * 25 / 90_000 }

// clearIndicators clears the random_access_indicator of all packets.
func clearIndicators(stream []byte) {
	for p := range slices.Chunk(stream, mpegts.PacketSize) {
		if mpegts.Packet(p).RandomAccess() {
			p[5] &^= 0x40
		}
	}
}

// encode has ffmpeg make a transport stream, with the tables at times of their own.
func encode(t *testing.T, args []string) []byte {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	list, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-encoders").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(list, []byte(args[1])) {
		t.Skipf("this ffmpeg has no encoder %s", args[1])
	}
	file := filepath.Join(t.TempDir(), "sample.ts")
	out, err := exec.CommandContext(t.Context(), ffmpeg, slices.Concat(
		[]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-frames:v", strconv.Itoa(pictures)},
		args, []string{"-pat_period", "0.7", "-pcr_period", "40", file})...).CombinedOutput()
	if err != nil {
		t.Fatalf("encode: %v\n%s", err, out)
	}
	stream, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// decode has ffmpeg decode a stream but for its last picture, and returns the checksum of each
// picture by its number. It must have nothing to complain about but what is to be ignored.
func decode(t *testing.T, stream []byte, ignore string) map[int64]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "repeat+warning", "-threads", "1", "-copyts", "-f", "mpegts", "-i", "-",
		"-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc", "-")
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(wholePictures(stream)), &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("decode: %v\n%s", err, complaints.String())
	}
	for line := range strings.Lines(complaints.String()) {
		if ignore == "" || !strings.Contains(line, ignore) {
			t.Errorf("ffmpeg: %s", line)
		}
	}
	sums := make(map[int64]string)
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSpace(line), ",") // stream, dts, pts, duration, size, checksum
		pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sums[pts] = fields[5]
	}
	return sums
}

// wholePictures cuts off the last picture, which may not be whole.
func wholePictures(stream []byte) []byte {
	for at := len(stream) - mpegts.PacketSize; at >= 0; at -= mpegts.PacketSize {
		if p := mpegts.Packet(stream[at : at+mpegts.PacketSize]); p.PID() == ffmpegVideo && p.UnitStart() {
			return stream[:at]
		}
	}
	return nil
}
