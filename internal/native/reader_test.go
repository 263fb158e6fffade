package native_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

func TestReaderSeeks(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	swarm := backend.Share(clip)
	e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
	r := mustOpen(t, e, byInfohash(clip)).NewReader(t.Context())
	defer r.Close()
	data := clip.Files[0].Data
	size := int64(len(data))
	if got, err := r.Seek(0, io.SeekEnd); got != size || err != nil {
		t.Fatalf("Seek to the end = %d, %v", got, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("Read at the end = %d, %v", n, err)
	}
	if got := swarm.Use().Opened; got != 0 {
		t.Errorf("looking at the size opened %d readers", got)
	}
	for _, at := range []int64{0, size - 7, 16 << 10, 3, 3} {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 7)
		if _, err := io.ReadFull(r, buf); err != nil || !bytes.Equal(buf, data[at:at+7]) {
			t.Errorf("at %d: %v, %v", at, buf, err)
		}
	}
	if got, err := r.Seek(-2, io.SeekCurrent); got != 8 || err != nil {
		t.Errorf("Seek back = %d, %v", got, err)
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek before the beginning worked")
	}
}

func TestFirstByteHasABudget(t *testing.T) {
	t.Parallel()
	for peers, want := range map[int]native.Reason{0: native.NoPeers, 3: native.Choked} {
		synctest.Test(t, func(t *testing.T) {
			backend := vodtest.New()
			swarm := backend.Share(clip)
			swarm.Limit(0)
			swarm.SetPeers(peers)
			e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
			s := mustOpen(t, e, byInfohash(clip))
			begin := time.Now()
			r := s.NewReader(t.Context())
			_, err := r.Read(make([]byte, 1))
			if got := reasonOf(t, err); got != want || time.Since(begin) != 20*time.Second {
				t.Errorf("%d peers: reason %q after %v, want %q after 20s (%v)", peers, got, time.Since(begin), want, err)
			}
			_ = r.Close()
			if st := s.Stat(); st.Status != native.StatusError || st.ErrorMessage == "" {
				t.Errorf("stat after a failure: %+v", st)
			}
			ev, err := s.Next(t.Context())
			if err != nil || ev.Name != "download_stopped" || ev.Params["reason"] != string(want) {
				t.Errorf("event %+v, %v", ev, err)
			}
			swarm.Limit(-1)
			if got := readAll(t, s); len(got) != len(clip.Files[0].Data) {
				t.Error("a session that failed once does not play again")
			}
			if st := s.Stat(); st.Status != native.StatusDownloading {
				t.Errorf("stat after mending: %+v", st)
			}
		})
	}
}

func TestLaterBytesAreTheBackendsToGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := vodtest.New()
		swarm := backend.Share(clip)
		swarm.Limit(10)
		e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
		s := mustOpen(t, e, byInfohash(clip))
		r := s.NewReader(t.Context())
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(30*time.Second, func() {
			if st := s.Stat(); st.Status != native.StatusBuffering {
				t.Errorf("a reader waits for 30s, and the status is %q", st.Status)
			}
		})
		time.AfterFunc(time.Minute, func() { swarm.Fail(10, vod.ErrChoked) })
		begin := time.Now()
		_, err := r.Read(make([]byte, 1))
		if reasonOf(t, err) != native.Choked || time.Since(begin) != time.Minute {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestReadersEndWithTheSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*native.Engine, *native.Session, context.CancelFunc){
		"stop":   func(_ *native.Engine, s *native.Session, _ context.CancelFunc) { s.Stop() },
		"close":  func(e *native.Engine, _ *native.Session, _ context.CancelFunc) { _ = e.Close() },
		"caller": func(_ *native.Engine, _ *native.Session, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				backend := vodtest.New()
				swarm := backend.Share(clip)
				swarm.Limit(10)
				e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
				s := mustOpen(t, e, byInfohash(clip))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := s.NewReader(ctx)
				if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(time.Second, func() { end(e, s, cancel) })
				if _, err := r.Read(make([]byte, 1)); reasonOf(t, err) != native.Stopped {
					t.Errorf("blocked read ended with %v", err)
				}
				if r.Context().Err() == nil {
					t.Error("the reader's context goes on")
				}
				if name != "caller" {
					if got := swarm.Use().Holds; got != 1 {
						t.Errorf("the content was given back under its reader: %d", got)
					}
				}
				_ = r.Close()
				s.Stop()
				if got := swarm.Use(); got.Holds != 0 || got.Readers != 0 {
					t.Errorf("left over: %+v", got)
				}
			})
		})
	}
}

func TestReaderThatWaitedLongestGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := vodtest.New()
		swarm := backend.Share(clip)
		e := newEngine(t, native.Config{MaxReaders: 2}, native.Deps{Backend: backend})
		s := mustOpen(t, e, byInfohash(clip))
		read := func(r *native.Reader) error {
			_, err := r.Read(make([]byte, 10))
			return err
		}
		old, young, third := s.NewReader(t.Context()), s.NewReader(t.Context()), s.NewReader(t.Context())
		for _, r := range []*native.Reader{old, young, third} {
			defer r.Close()
		}
		if err := errors.Join(read(old), read(young)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := read(third); reasonOf(t, err) != native.Busy || time.Since(begin) != time.Second {
			t.Errorf("two busy readers, and a third after %v: %v", time.Since(begin), err)
		}
		time.Sleep(8 * time.Second)
		if err := read(young); err != nil {
			t.Fatal(err)
		}
		if err := read(third); err != nil {
			t.Errorf("a third reader beside an idle one: %v", err)
		}
		if waited := time.Since(begin); waited != 10*time.Second {
			t.Errorf("the idle reader gave way after %v, want 10s", waited)
		}
		if err := read(old); reasonOf(t, err) != native.Busy {
			t.Errorf("the idle reader reads on: %v", err)
		}
		if err := read(young); err != nil {
			t.Errorf("the reader that was not idle gave way: %v", err)
		}
		_ = old.Close()
		if got := swarm.Use().Readers; got != 2 {
			t.Errorf("%d readers open, want 2", got)
		}
		if st := s.Stat(); st.Readers != 2 || st.Status != native.StatusDownloading {
			t.Errorf("stat %+v", st)
		}
	})
}

func TestStatCountsFromTheSessionsBeginning(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	backend.Share(clip)
	e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
	first := mustOpen(t, e, byInfohash(clip))
	if st := first.Stat(); st.Status != native.StatusPrebuffering || st.TotalProgress != 0 {
		t.Errorf("stat before the first reader: %+v", st)
	}
	readAll(t, first)
	if st := first.Stat(); st.Downloaded != int64(len(clip.Files[0].Data)) || st.TotalProgress != 100 {
		t.Errorf("stat after reading all: %+v", st)
	}
	second := mustOpen(t, e, byInfohash(clip))
	if st := second.Stat(); st.Downloaded != 0 || st.TotalProgress != 100 {
		t.Errorf("stat of a second session: %+v", st)
	}
	readAll(t, second)
	if st := second.Stat(); st.Downloaded != int64(len(clip.Files[0].Data)) {
		t.Errorf("stat of a session that was served from the cache: %+v", st)
	}
}

// stream is an endless transport stream of one clock: a packet with a PCR
// every 10 ms, perSecond bytes a second.
func stream(seconds, perSecond int) []byte {
	const step = 10 // ms
	packets := perSecond / 188 * step / 1000
	var out bytes.Buffer
	for n := range seconds * 1000 / step {
		pcr := int64(n) * step * 27_000
		base, ext := pcr/300, pcr%300
		packet := make([]byte, 188)
		copy(packet, []byte{
			0x47, 0x01, 0x00, 0x20, 183, 0x10,
			byte(base >> 25), byte(base >> 17), byte(base >> 9), byte(base >> 1), byte(base<<7) | 0x7e | byte(ext>>8), byte(ext),
		})
		out.Write(packet)
		for range packets - 1 {
			out.Write([]byte{0x47, 0x1f, 0xff, 0x10})
			out.Write(make([]byte, 184))
		}
	}
	return out.Bytes()
}

func TestInternalBuffering(t *testing.T) {
	t.Parallel()
	const rate = 188_000 // bytes a second of the transport stream
	media := vodtest.Single("film.ts", stream(30, rate))
	other := vodtest.Single("film.mkv", vodtest.Bytes(1, 8<<20))
	for name, tt := range map[string]struct {
		content vodtest.Content
		cfg     native.Config
		here    int64 // bytes at the beginning
		more    int64 // bytes after 5 s
		want    time.Duration
		fails   bool
	}{
		"off": {content: media, here: 1, want: 0},
		"transport stream, all here": {
			content: media, cfg: native.Config{InternalBuffering: true, Buffer: 10 * time.Second}, here: -1,
		},
		"transport stream waits for its playing time": {
			content: media, cfg: native.Config{InternalBuffering: true, Buffer: 10 * time.Second},
			here: 9 * rate, more: 11 * rate, want: 5 * time.Second,
		},
		"assumed rate": {
			content: other, cfg: native.Config{InternalBuffering: true, Buffer: 4 * time.Second},
			here: 3 << 20, more: 4 << 20, want: 5 * time.Second,
		},
		"capped at half the window": {
			content: other, cfg: native.Config{InternalBuffering: true, Buffer: time.Minute, Window: 4 << 20},
			here: 1 << 20, more: 2 << 20, want: 5 * time.Second,
		},
		"goes on with what is there": {
			content: other, cfg: native.Config{InternalBuffering: true, Buffer: 4 * time.Second},
			here: 1, more: 2, want: 20 * time.Second,
		},
		"nothing comes": {
			content: other, cfg: native.Config{InternalBuffering: true, Buffer: 4 * time.Second},
			here: 0, more: 0, want: 20 * time.Second, fails: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				backend := vodtest.New()
				swarm := backend.Share(tt.content)
				swarm.Limit(tt.here)
				e := newEngine(t, tt.cfg, native.Deps{Backend: backend})
				s := mustOpen(t, e, byInfohash(tt.content))
				time.AfterFunc(5*time.Second, func() { swarm.Limit(tt.more) })
				begin := time.Now()
				r := s.NewReader(t.Context())
				buf := make([]byte, 100)
				n, err := r.Read(buf)
				if took := time.Since(begin); took != tt.want {
					t.Errorf("the first byte came after %v, want %v", took, tt.want)
				}
				switch {
				case tt.fails && err == nil:
					t.Error("nothing came, and Read worked")
				case !tt.fails && (err != nil || !bytes.Equal(buf[:n], tt.content.Files[0].Data[:n])):
					t.Errorf("Read = %d, %v", n, err)
				}
				_ = r.Close()
				if got := swarm.Use().Readers; got != 0 {
					t.Errorf("%d readers left open", got)
				}
				if !tt.fails && tt.want != 0 {
					begin = time.Now()
					later := s.NewReader(t.Context())
					defer later.Close()
					if _, err := later.Read(buf); err != nil || time.Since(begin) != 0 {
						t.Errorf("a later reader waited for %v: %v", time.Since(begin), err)
					}
				}
			})
		})
	}
}

func TestBufferingTellsItsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other := vodtest.Single("film.mkv", vodtest.Bytes(1, 8<<20))
		backend := vodtest.New()
		backend.Share(other).Limit(1 << 20)
		e := newEngine(t, native.Config{InternalBuffering: true, Buffer: 4 * time.Second}, native.Deps{Backend: backend})
		s := mustOpen(t, e, byInfohash(other))
		time.AfterFunc(time.Second, func() {
			if st := s.Stat(); st.Status != native.StatusPrebuffering || st.Progress != 25 {
				t.Errorf("one of four seconds is here, and stat says %s, %d %%", st.Status, st.Progress)
			}
			s.Stop()
		})
		r := s.NewReader(t.Context())
		defer r.Close()
		if _, err := r.Read(make([]byte, 1)); reasonOf(t, err) != native.Stopped {
			t.Errorf("stopped while buffering: %v", err)
		}
	})
}

func TestMediaTypeIsLearned(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	for name, tt := range map[string]struct {
		data   []byte
		before string
		after  string
	}{
		"film.mp4": {[]byte("anything"), "video/mp4", "video/mp4"},
		"stream":   {stream(1, 188_000), "application/octet-stream", "video/mp2t"},
		"page":     {[]byte("<html><script>alert(1)</script>"), "application/octet-stream", "application/octet-stream"},
		"song":     {append([]byte("ID3"), make([]byte, 100)...), "application/octet-stream", "audio/mpeg"},
	} {
		c := vodtest.Single(name, tt.data)
		backend.Share(c)
		e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
		s := mustOpen(t, e, byInfohash(c))
		if got := s.MediaType(); got != tt.before {
			t.Errorf("%s: %q before reading, want %q", name, got, tt.before)
		}
		readAll(t, s)
		if got := s.MediaType(); got != tt.after {
			t.Errorf("%s: %q after reading, want %q", name, got, tt.after)
		}
	}
}

func TestFileThatEndsEarlyIsAnError(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	backend.Share(clip).Fail(10, io.EOF)
	e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
	r := mustOpen(t, e, byInfohash(clip)).NewReader(t.Context())
	defer r.Close()
	if got, err := io.ReadAll(r); len(got) != 10 || !errors.Is(err, io.ErrUnexpectedEOF) || reasonOf(t, err) != native.Internal {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
