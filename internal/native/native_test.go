package native_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

var clip = vodtest.Single("clip.ts", vodtest.Bytes(1, 100_000))

// fetcher gives what a URL leads to.
type fetcher map[string]fetch.Document

func (f fetcher) Fetch(_ context.Context, url string) (fetch.Document, error) {
	doc, ok := f[url]
	if !ok {
		return fetch.Document{}, &fetch.Error{Err: errors.New("404")}
	}
	return doc, nil
}

func newEngine(t *testing.T, cfg native.Config, deps native.Deps) *native.Engine {
	t.Helper()
	if deps.Fetcher == nil {
		deps.Fetcher = fetcher{}
	}
	deps.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	e := native.New(cfg, deps)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// run runs the engine until the test's end.
func run(t *testing.T, e *native.Engine) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func byInfohash(c vodtest.Content) native.Request {
	return native.Request{Content: content.Selector{Kind: content.Infohash, Value: c.Infohash()}, File: native.FileAuto}
}

func mustOpen(t *testing.T, e *native.Engine, req native.Request) *native.Session {
	t.Helper()
	s, err := e.Open(t.Context(), req)
	if err != nil {
		t.Fatalf("Open(%v): %v", req.Content, err)
	}
	return s
}

func readAll(t *testing.T, s *native.Session) []byte {
	t.Helper()
	r := s.NewReader(t.Context())
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return data
}

func reasonOf(t *testing.T, err error) native.Reason {
	t.Helper()
	f, ok := errors.AsType[*native.Error](err)
	if !ok {
		t.Fatalf("error %v is not a *native.Error", err)
	}
	return f.Reason
}

func TestOpenPlaysWhatIsNamed(t *testing.T) {
	t.Parallel()
	const address = "http://example.com/clip.torrent"
	for name, tt := range map[string]struct {
		req native.Request
		doc fetch.Document
	}{
		"infohash":       {req: byInfohash(clip)},
		"magnet":         {req: native.Request{Content: content.Selector{Kind: content.Magnet, Value: clip.Magnet()}, File: native.FileAuto}},
		"transport file": {req: native.Request{TransportFile: clip.Metainfo(), File: native.FileAuto}},
		"url of a file":  {req: native.Request{Content: content.Selector{Kind: content.URL, Value: address}}, doc: fetch.Document{Body: clip.Metainfo()}},
		"url of a link":  {req: native.Request{Content: content.Selector{Kind: content.URL, Value: address}}, doc: fetch.Document{Magnet: clip.Magnet()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := vodtest.New()
			swarm := backend.Share(clip)
			e := newEngine(t, native.Config{}, native.Deps{Backend: backend, Fetcher: fetcher{address: tt.doc}})
			s := mustOpen(t, e, tt.req)
			if got := s.Info().Infohash; got != clip.Infohash() {
				t.Errorf("infohash %s, want %s", got, clip.Infohash())
			}
			if !bytes.Equal(clip.Files[0].Data, readAll(t, s)) {
				t.Error("the bytes differ from the file's")
			}
			if got, err := e.Session(clip.Infohash(), s.Key()); err != nil || got != s {
				t.Errorf("Session = %v, %v", got, err)
			}
			if !s.Stop() || s.Stop() {
				t.Error("Stop does not end the session exactly once")
			}
			if _, err := e.Session(clip.Infohash(), s.Key()); !errors.Is(err, native.ErrUnknownSession) {
				t.Errorf("a stopped session is still known: %v", err)
			}
			if got := swarm.Use(); got.Holds != 0 || got.Readers != 0 {
				t.Errorf("left over: %+v", got)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const address = "http://example.com/channel.acelive"
	for name, tt := range map[string]struct {
		req  native.Request
		doc  fetch.Document
		fail error
		want native.Reason
	}{
		"content id":      {req: native.Request{Content: content.Selector{Kind: content.ContentID, Value: clip.Infohash()}}, want: native.NotNative},
		"nothing":         {want: native.BadRequest},
		"no such address": {req: native.Request{Content: content.Selector{Kind: content.URL, Value: "http://example.com/other"}}, want: native.FetchFailed},
		"acelive": {
			req: native.Request{Content: content.Selector{Kind: content.URL, Value: address}},
			doc: fetch.Document{Body: []byte("\x01\x02proprietary")}, want: native.NotATorrent,
		},
		"magnet without infohash": {
			req: native.Request{Content: content.Selector{Kind: content.URL, Value: address}},
			doc: fetch.Document{Magnet: "magnet:?dn=x"}, want: native.NotATorrent,
		},
		"garbage upload":   {req: native.Request{TransportFile: []byte("d8:announce0:e")}, want: native.NotATorrent},
		"unknown metainfo": {req: native.Request{TransportFile: []byte("d4:infod4:name1:xee")}, want: native.NotATorrent},
		"no such file":     {req: native.Request{Content: byInfohash(clip).Content, File: 3}, want: native.NoSuchFile},
		"closed backend":   {req: byInfohash(clip), fail: vod.ErrClosed, want: native.Stopped},
		"broken backend":   {req: byInfohash(clip), fail: errors.New("disk on fire"), want: native.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := vodtest.New()
			swarm := backend.Share(clip)
			swarm.FailAdd(tt.fail)
			e := newEngine(t, native.Config{}, native.Deps{Backend: backend, Fetcher: fetcher{address: tt.doc}})
			_, err := e.Open(t.Context(), tt.req)
			if got := reasonOf(t, err); got != tt.want {
				t.Errorf("reason %q, want %q (%v)", got, tt.want, err)
			}
			if got := swarm.Use(); got.Holds != 0 {
				t.Errorf("left over: %+v", got)
			}
			if load := e.Load(); load.Sessions != 0 || load.Failed != 1 {
				t.Errorf("load %+v", load)
			}
		})
	}
}

func TestOpenGivesUpAfterTheStartTimeout(t *testing.T) {
	t.Parallel()
	for reason, fail := range map[native.Reason]error{
		native.NoPeers:    vod.ErrNoPeers,
		native.NoMetadata: vod.ErrNoMetadata,
	} {
		synctest.Test(t, func(t *testing.T) {
			backend := vodtest.New()
			backend.Share(clip).FailAdd(fail)
			e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
			begin := time.Now()
			_, err := e.Open(t.Context(), byInfohash(clip))
			if got := reasonOf(t, err); got != reason {
				t.Errorf("reason %q, want %q (%v)", got, reason, err)
			}
			if took := time.Since(begin); took != 20*time.Second {
				t.Errorf("took %v, want 20s", took)
			}
			if load := e.Load(); load.Sessions != 0 {
				t.Errorf("load %+v", load)
			}
		})
	}
}

func TestCloseEndsAnOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := vodtest.New()
		backend.Share(clip).FailAdd(vod.ErrNoPeers)
		e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
		begin := time.Now()
		time.AfterFunc(time.Second, func() { _ = e.Close() })
		_, err := e.Open(t.Context(), byInfohash(clip))
		if err == nil || time.Since(begin) != time.Second {
			t.Errorf("Open ended after %v with %v", time.Since(begin), err)
		}
		if _, err := e.Open(t.Context(), byInfohash(clip)); reasonOf(t, err) != native.Stopped {
			t.Errorf("Open on a closed engine: %v", err)
		}
	})
}

func TestOnePlayerGetsItsSessionAgain(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	swarm := backend.Share(clip)
	two := vodtest.Content{Name: "album", Files: []vodtest.File{{Path: "a.mp4", Data: []byte("aaaa")}, {Path: "b.mp4", Data: []byte("bb")}}}
	backend.Share(two)
	e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
	open := func(req native.Request, player string) *native.Session {
		req.Player = player
		return mustOpen(t, e, req)
	}
	first := open(byInfohash(clip), "p1")
	if open(byInfohash(clip), "p1") != first {
		t.Error("the same player got another session of the same file")
	}
	if got := swarm.Use().Holds; got != 1 {
		t.Errorf("the content is held %d times, want once", got)
	}
	second := open(byInfohash(clip), "p2")
	anonymous, other := open(byInfohash(clip), ""), open(byInfohash(clip), "")
	if second == first || anonymous == other {
		t.Error("different players share a session")
	}
	a, b := byInfohash(two), byInfohash(two)
	a.File, b.File = 0, 1
	if open(a, "p1") == open(b, "p1") {
		t.Error("two files share a session")
	}
	first.Stop()
	if got := readAll(t, second); len(got) != len(clip.Files[0].Data) {
		t.Error("stopping one player's session ended another's")
	}
	again := byInfohash(clip)
	again.Restart = true
	fresh := open(again, "p2")
	if fresh == second {
		t.Error("a restart got the old session")
	}
	select {
	case <-second.Done():
	default:
		t.Error("a restart left the old session")
	}
}

func TestPickFile(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	mixed := vodtest.Content{Name: "film", Files: []vodtest.File{
		{Path: "sample.mkv", Data: vodtest.Bytes(1, 10)},
		{Path: "extras/huge.iso", Data: vodtest.Bytes(2, 1000)},
		{Path: "Film.MKV", Data: vodtest.Bytes(3, 500)},
		{Path: "film.srt", Data: vodtest.Bytes(4, 5)},
	}}
	plain := vodtest.Content{Name: "data", Files: []vodtest.File{{Path: "a", Data: []byte("a")}, {Path: "b", Data: []byte("bb")}}}
	empty := vodtest.Content{Name: "nothing"}
	for _, c := range []vodtest.Content{mixed, plain, empty} {
		backend.Share(c)
	}
	e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
	for _, tt := range []struct {
		of         vodtest.Content
		file, want int
	}{
		{mixed, native.FileAuto, 2}, {mixed, 0, 0}, {mixed, 3, 3}, {plain, native.FileAuto, 1},
	} {
		req := byInfohash(tt.of)
		req.File = tt.file
		if got := mustOpen(t, e, req).File().Index; got != tt.want {
			t.Errorf("%s: file %d gave %d, want %d", tt.of.Name, tt.file, got, tt.want)
		}
	}
	if _, err := e.Open(t.Context(), byInfohash(empty)); reasonOf(t, err) != native.NoSuchFile {
		t.Errorf("a torrent without files: %v", err)
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := vodtest.New()
		swarm := backend.Share(clip)
		e := newEngine(t, native.Config{}, native.Deps{Backend: backend})
		run(t, e)
		begin := time.Now()
		ended := func(s *native.Session) time.Duration {
			<-s.Done()
			synctest.Wait()
			return time.Since(begin)
		}

		unused := mustOpen(t, e, byInfohash(clip))
		touched := mustOpen(t, e, byInfohash(clip))
		watched := mustOpen(t, e, byInfohash(clip))
		reader := watched.NewReader(t.Context())
		if _, err := reader.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(30*time.Second, func() { touched.Touch() })
		time.AfterFunc(100*time.Second, func() { _ = reader.Close() })

		if got := ended(unused); got != 60*time.Second {
			t.Errorf("an unused session ended after %v, want 60s", got)
		}
		if got := ended(touched); got != 90*time.Second {
			t.Errorf("a session touched at 30s ended after %v, want 90s", got)
		}
		if got := ended(watched); got != 160*time.Second {
			t.Errorf("a session read until 100s ended after %v, want 160s", got)
		}
		if load := e.Load(); load.Sessions != 0 || load.Expired != 3 || load.Opened != 3 {
			t.Errorf("load %+v", load)
		}
		if got := swarm.Use(); got.Holds != 0 {
			t.Errorf("left over: %+v", got)
		}
		if touched.Touch() {
			t.Error("an ended session can be touched")
		}
	})
}

func TestFullEngine(t *testing.T) {
	t.Parallel()
	backend := vodtest.New()
	backend.Share(clip).Limit(10)
	e := newEngine(t, native.Config{MaxSessions: 2}, native.Deps{Backend: backend})
	read := func(s *native.Session) {
		t.Helper()
		r := s.NewReader(t.Context())
		t.Cleanup(func() { _ = r.Close() })
		if _, err := r.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	first := mustOpen(t, e, byInfohash(clip))
	read(first)
	idle := mustOpen(t, e, byInfohash(clip))
	third := mustOpen(t, e, byInfohash(clip))
	select {
	case <-idle.Done():
	default:
		t.Error("the idle session did not give way")
	}
	read(third)
	if _, err := e.Open(t.Context(), byInfohash(clip)); reasonOf(t, err) != native.Busy {
		t.Errorf("all sessions are read, and yet: %v", err)
	}
	if _, err := e.Inspect(t.Context(), byInfohash(clip)); reasonOf(t, err) != native.Busy {
		t.Errorf("Inspect on a full engine: %v", err)
	}
}
