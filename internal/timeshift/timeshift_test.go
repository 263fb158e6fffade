package timeshift

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
)

// byteAt is the byte of every test's stream at a position.
func byteAt(pos int64) byte { return byte(pos ^ pos>>8 ^ pos>>16) }

func span(from, to int64) []byte {
	b := make([]byte, to-from)
	for i := range b {
		b[i] = byteAt(from + int64(i))
	}
	return b
}

var start = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

const second = int64(mpegts.ClockRate)

// tape appends a stream of one mark per second to a recording.
type tape struct {
	rec     *Recording
	pos     int64
	seconds int64
	rate    int64 // bytes per second
}

func (t *tape) append(lasting int64) error {
	for range lasting {
		end := t.pos + t.rate
		mark := Mark{Mark: ring.Mark{Pos: t.pos, Time: t.seconds * second, Preface: []byte("tables")}, Date: t.date()}
		b := span(t.pos, end)
		err := t.rec.Append(t.pos, [][]byte{b[:t.rate/3], b[t.rate/3:]}, (t.seconds+1)*second, []Mark{mark}, t.date())
		t.pos, t.seconds = end, t.seconds+1
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tape) date() time.Time { return start.Add(time.Duration(t.seconds) * time.Second) }

// newStore makes a store with files of a size in memory.
func newStore(m FS, cfg Config, fileSize int64) *Store {
	s := New(m, cfg, slog.New(slog.DiscardHandler))
	s.fileSize = fileSize
	return s
}

// readAll reads from pos to the end, p bytes at a time.
func readAll(t rapid.TB, r *Recording, pos int64, p int) []byte {
	t.Helper()
	rd := r.NewReader()
	defer rd.Close()
	var all []byte
	buf := make([]byte, p)
	for {
		n, err := rd.Read(buf, pos)
		if err != nil {
			t.Fatalf("read at %d: %v", pos, err)
		}
		if n == 0 {
			return all
		}
		all = append(all, buf[:n]...)
		pos += int64(n)
	}
}

// Whatever is appended, and however much must go: what is kept is one run of the stream's
// bytes, within all bounds, and no file is left that nobody knows.
func TestKeptBytesAreTheStreams(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		disk := newMemory(t, 1<<20)
		cfg := Config{
			Keep:  time.Duration(rapid.IntRange(1, 60).Draw(rt, "keep")) * time.Second,
			Limit: rapid.Int64Range(2_000, 60_000).Draw(rt, "limit"),
		}
		s := newStore(disk, cfg, rapid.Int64Range(300, 5_000).Draw(rt, "file"))
		tapes := make([]*tape, rapid.IntRange(1, 3).Draw(rt, "streams"))
		for i := range tapes {
			tapes[i] = &tape{rec: s.Record(), rate: rapid.Int64Range(3, 400).Draw(rt, "rate")}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			tp := rapid.SampledFrom(tapes).Draw(rt, "stream")
			jump := rapid.IntRange(0, 9).Draw(rt, "jump") == 0
			if jump { // bytes that the recorder missed
				tp.pos += 500
			}
			lasting := rapid.Int64Range(1, 40).Draw(rt, "seconds")
			err := tp.append(lasting)
			from, to := tp.rec.Span()
			switch {
			case err != nil && (!errors.Is(err, ErrNoRoom) || from != to):
				rt.Fatalf("%v, and %d to %d are kept", err, from, to)
			case err == nil && (to != tp.pos || jump && from < to-lasting*tp.rate):
				rt.Fatalf("%d to %d are kept at %d", from, to, tp.pos)
			}
			sum := int64(0)
			for _, tp := range tapes {
				from, to := tp.rec.Span()
				sum += to - from
				checkRecording(rt, tp.rec, cfg)
			}
			if size, _ := disk.total(); size != sum || size != s.Size() || disk.peak > cfg.Limit {
				rt.Fatalf("%d bytes in files, %d known to the store, %d to the recordings; %d at most, of %d", size, s.Size(), sum, disk.peak, cfg.Limit)
			}
		}
		for _, tp := range tapes {
			tp.rec.Finish()
			tp.rec.Release()
		}
		if size, files := disk.total(); files != 0 || s.Size() != 0 {
			rt.Fatalf("%d files of %d bytes left", files, size)
		}
	})
}

func checkRecording(t *rapid.T, r *Recording, cfg Config) {
	from, to := r.Span()
	if from == to {
		if _, ok := r.Join(0); ok {
			t.Fatal("a mark of nothing")
		}
		return
	}
	at := rapid.Int64Range(from, to).Draw(t, "from")
	if !bytes.Equal(readAll(t, r, at, rapid.IntRange(1, 3000).Draw(t, "buffer")), span(at, to)) {
		t.Fatalf("wrong bytes from %d on", at)
	}
	rd := r.NewReader()
	defer rd.Close()
	for _, pos := range []int64{from - 1, to + 1} {
		if _, err := rd.Read(make([]byte, 10), pos); !errors.Is(err, ErrGone) {
			t.Fatalf("read at %d of %d to %d: %v", pos, from, to, err)
		}
	}
	behind := rapid.Int64Range(0, 90).Draw(t, "behind")
	m, ok := r.Join(behind * second)
	if !ok {
		return // no mark is left in what is kept
	}
	if m.Pos < from || m.Pos >= to || string(m.Preface) != "tables" || !m.Date.Equal(start.Add(time.Duration(m.Time/second)*time.Second)) {
		t.Fatalf("joins at %+v, kept are %d to %d", m, from, to)
	}
	oldest, _ := r.first()
	want := r.live - min(behind*second, ticks(cfg.Keep))
	if r.cut {
		want = max(want, oldest.Time+margin(r.live-oldest.Time))
	}
	if m.Time > want && m.Pos != oldest.Pos || m.Time < want-second {
		t.Fatalf("joins at %d s for %d s", m.Time/second, want/second)
	}
	if at, ok := r.At(m.Pos); !ok || at.Pos != m.Pos {
		t.Fatalf("the mark at %d is %+v", m.Pos, at)
	}
	if at, ok := r.At(m.Pos + 1); !ok || at.Pos < m.Pos || at.Pos > m.Pos+1 {
		t.Fatalf("the mark before %d is %+v", m.Pos+1, at)
	}
	if length, size := r.Kept(); size != to-from || length > time.Duration(r.live/second)*time.Second {
		t.Fatalf("%v, %d bytes kept", length, size)
	}
}

// The time that is kept is what was asked for and little more.
func TestKeepsTheTimeAskedFor(t *testing.T) {
	t.Parallel()
	s := newStore(newMemory(t, 1<<30), Config{Keep: 10 * time.Minute, Limit: 1 << 30}, 20_000)
	tp := &tape{rec: s.Record(), rate: 1000}
	for range 100 {
		if err := tp.append(60); err != nil {
			t.Fatal(err)
		}
		kept, _ := tp.rec.Kept()
		most := 10*time.Minute + slack + 21*time.Second // a file
		if want := min(time.Duration(tp.seconds)*time.Second, 10*time.Minute+slack); kept < want || kept > most {
			t.Fatalf("%v kept after %d s", kept, tp.seconds)
		}
	}
	m, _ := tp.rec.Join(20 * 60 * second)
	if behind := tp.seconds - m.Time/second; behind != 600 {
		t.Errorf("the most to go back is %d s", behind)
	}
	if m, _ := tp.rec.After(); m.Time/second < tp.seconds-610 || m.Time/second > tp.seconds-590 {
		t.Errorf("goes on %d s behind", tp.seconds-m.Time/second)
	}
}

// With more streams than there is room for, what is oldest goes first, of whichever.
func TestTheOldestGoesFirst(t *testing.T) {
	t.Parallel()
	s := newStore(newMemory(t, 1<<30), Config{Keep: time.Hour, Limit: 600_000}, 10_000)
	early := &tape{rec: s.Record(), rate: 1000}
	if err := early.append(500); err != nil {
		t.Fatal(err)
	}
	late := &tape{rec: s.Record(), rate: 2000, seconds: 500}
	for range 50 {
		if err := errors.Join(late.append(1), early.append(1)); err != nil {
			t.Fatal(err)
		}
	}
	if kept, _ := late.rec.Kept(); kept != 50*time.Second {
		t.Errorf("%v of the younger stream kept", kept)
	}
	if kept, _ := early.rec.Kept(); kept < 480*time.Second || kept > 501*time.Second {
		t.Errorf("%v of the older stream kept", kept)
	}
	// Who joins at the far end is not at once out of it again.
	m, _ := early.rec.Join(3600 * second)
	if err := errors.Join(late.append(5), early.append(5)); err != nil {
		t.Fatal(err)
	}
	if from, _ := early.rec.Span(); from > m.Pos {
		t.Errorf("joined at %d, and %d is the oldest now", m.Pos, from)
	}
}

// Others fill the disk: what is kept makes room, and the last of it is left to them.
func TestLeavesSpaceToOthers(t *testing.T) {
	t.Parallel()
	disk := newMemory(t, 1_000_000) // a tenth is left free
	s := newStore(disk, Config{Keep: time.Hour, Limit: 1 << 30}, 10_000)
	tp := &tape{rec: s.Record(), rate: 1000}
	if err := tp.append(2000); err != nil {
		t.Fatal(err)
	}
	if size, _ := disk.total(); size > 900_000 || size < 880_000 {
		t.Fatalf("%d bytes kept", size)
	}
	disk.others = 850_000
	if err := tp.append(100); err != nil {
		t.Fatal(err)
	}
	if size, _ := disk.total(); size > 50_000 || size < 30_000 {
		t.Fatalf("%d bytes kept, of 50,000", size)
	}
	disk.others = 950_000
	if err := tp.append(1); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("%v, though the disk is full", err)
	}
	if size, files := disk.total(); size != 0 || files != 0 {
		t.Fatalf("%d bytes in %d files, though the disk is full", size, files)
	}
	disk.others = 0
	if err := tp.append(100); err != nil {
		t.Fatal(err)
	}
	if kept, _ := tp.rec.Kept(); kept != 100*time.Second {
		t.Errorf("%v kept since there is room again", kept)
	}
}

// A write that fails leaves nothing behind, of which kind ever.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	for _, fail := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, os.ErrPermission} {
		disk := newMemory(t, 1<<30)
		s := newStore(disk, Config{Keep: time.Hour, Limit: 1 << 30}, 10_000)
		broken, other := &tape{rec: s.Record(), rate: 1000}, &tape{rec: s.Record(), rate: 1000}
		if err := errors.Join(other.append(30), broken.append(95)); err != nil {
			t.Fatal(err)
		}
		disk.set(fail)
		if err := broken.append(1); !errors.Is(err, fail) {
			t.Errorf("%v, want %v", err, fail)
		}
		disk.set(nil)
		if from, to := broken.rec.Span(); from != to {
			t.Errorf("%v: %d to %d kept", fail, from, to)
		}
		// Room is made where it helps, and nowhere else.
		if from, to := other.rec.Span(); isFull(fail) != (from > 0) || to != other.pos {
			t.Errorf("%v: of the other stream %d to %d are kept", fail, from, to)
		}
		if err := errors.Join(broken.append(10), other.append(10)); err != nil {
			t.Error(err)
		}
		if size, _ := disk.total(); size != s.Size() {
			t.Errorf("%v: %d bytes in files, %d known", fail, size, s.Size())
		}
	}
}

// A quota lets less be written than the disk has free.
func TestQuota(t *testing.T) {
	t.Parallel()
	disk := newMemory(t, 100_000)
	s := newStore(generous{disk}, Config{Keep: time.Hour, Limit: 1 << 30}, 10_000)
	tp := &tape{rec: s.Record(), rate: 1000}
	if err := tp.append(500); err != nil {
		t.Fatal(err)
	}
	from, to := tp.rec.Span()
	if to-from < 80_000 || !bytes.Equal(readAll(t, tp.rec, from, 4096), span(from, to)) {
		t.Errorf("%d to %d are kept, or wrong", from, to)
	}
}

// generous tells of more space than there is.
type generous struct{ *memory }

func (generous) Space() (free, size int64, err error) { return 1 << 40, 1 << 40, nil }

// Readers at any place read on while files are removed around them, and are told
// when theirs is gone.
func TestReadingWhileFilesGo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "timeshift")
	s, err := Open(dir, Config{Keep: time.Hour, Limit: 60_000}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.fileSize = 5_000
	tp := &tape{rec: s.Record(), rate: 500}
	if err := tp.append(100); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	read := make([]int, 8) // owned by a reader each
	for i := range read {
		tp.rec.Hold()
		readers.Go(func() {
			defer tp.rec.Release()
			rd := tp.rec.NewReader()
			defer rd.Close()
			random := rand.New(rand.NewPCG(1, uint64(i)))
			buf := make([]byte, 700)
			for pos := int64(0); ; {
				n, err := rd.Read(buf, pos)
				if err != nil && !errors.Is(err, ErrGone) || !bytes.Equal(buf[:n], span(pos, pos+int64(n))) {
					t.Errorf("%d bytes at %d: %v", n, pos, err)
					return
				}
				read[i] += n
				pos += int64(n)
				if n == 0 {
					from, to := tp.rec.Span()
					pos = from + random.Int64N(to-from)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	if err := tp.append(2000); err != nil {
		t.Error(err)
	}
	close(done)
	readers.Wait()
	for i, n := range read {
		if n == 0 {
			t.Errorf("reader %d read nothing", i)
		}
	}
	tp.rec.Finish()
	tp.rec.Release()
	if left := filesIn(t, dir); len(left) != 0 {
		t.Errorf("%v left", left)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", e.Name(), info.Mode())
			}
		}
	}
	return names
}

// What a crash left is removed; what is not ours stays, and so does what another
// process uses.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "timeshift")
	log := slog.New(slog.DiscardHandler)
	crashed, err := Open(dir, Config{Keep: time.Hour, Limit: 1 << 30}, log)
	if err != nil {
		t.Fatal(err)
	}
	tp := &tape{rec: crashed.Record(), rate: 1000}
	if err := tp.append(10); err != nil {
		t.Fatal(err)
	}
	if len(filesIn(t, dir)) != 1 {
		t.Fatal("nothing is kept")
	}
	if _, err := Open(dir, Config{}, log); !errors.Is(err, errInUse) {
		t.Fatalf("opened a second time: %v", err)
	}
	if len(filesIn(t, dir)) != 1 {
		t.Fatal("another process removed what is in use")
	}
	// The end of a process closes its files and removes none.
	if err := errors.Join(crashed.close(), os.WriteFile(filepath.Join(dir, "notes"), []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Config{Keep: time.Hour, Limit: 1 << 30}, log)
	if err != nil {
		t.Fatal(err)
	}
	if left := filesIn(t, dir); len(left) != 0 {
		t.Errorf("%v left", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "notes")); err != nil {
		t.Error(err)
	}
	tp = &tape{rec: s.Record(), rate: 1000}
	if err := tp.append(10); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := tp.append(1); err == nil {
		t.Error("a closed store keeps on")
	}
	tp.rec.Finish()
	tp.rec.Release()
	if left := filesIn(t, dir); len(left) != 0 || s.Size() != 0 {
		t.Errorf("%v left, %d bytes", left, s.Size())
	}
}

// The last holder removes the recording, and not before.
func TestHolders(t *testing.T) {
	t.Parallel()
	disk := newMemory(t, 1<<30)
	s := newStore(disk, Config{Keep: time.Hour, Limit: 1 << 30}, 1000)
	tp := &tape{rec: s.Record(), rate: 1000}
	if err := tp.append(5); err != nil {
		t.Fatal(err)
	}
	if !tp.rec.Hold() {
		t.Fatal("cannot be held")
	}
	tp.rec.Finish()
	tp.rec.Release()
	if got := readAll(t, tp.rec, 0, 100); !bytes.Equal(got, span(0, 5000)) {
		t.Errorf("%d bytes left to its holder", len(got))
	}
	tp.rec.Release()
	if _, files := disk.total(); files != 0 || tp.rec.Hold() {
		t.Errorf("%d files left", files)
	}
}
