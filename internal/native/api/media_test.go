package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

func TestFileIsServedByTheRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.open(t, "infohash="+clip.Infohash())
	data := string(clip.Files[0].Data)
	tag := `"` + clip.Infohash() + `-0"`
	for name, tt := range map[string]struct {
		method string
		header []string
		status int
		body   string
		span   string // Content-Range
		length string
	}{
		"whole":            {status: 200, body: data, length: "100000"},
		"head":             {method: "HEAD", status: 200, length: "100000"},
		"head of a range":  {method: "HEAD", header: []string{"Range", "bytes=0-9"}, status: 206, span: "bytes 0-9/100000", length: "10"},
		"from 0":           {header: []string{"Range", "bytes=0-"}, status: 206, body: data, span: "bytes 0-99999/100000", length: "100000"},
		"middle":           {header: []string{"Range", "bytes=40000-40009"}, status: 206, body: data[40000:40010], span: "bytes 40000-40009/100000", length: "10"},
		"last byte":        {header: []string{"Range", "bytes=99999-"}, status: 206, body: data[99999:], span: "bytes 99999-99999/100000", length: "1"},
		"suffix":           {header: []string{"Range", "bytes=-5"}, status: 206, body: data[99995:], span: "bytes 99995-99999/100000", length: "5"},
		"beyond":           {header: []string{"Range", "bytes=100000-"}, status: 416, span: "bytes */100000"},
		"two parts":        {header: []string{"Range", "bytes=0-1,5-6"}, status: 200, body: data, length: "100000"},
		"same tag":         {header: []string{"Range", "bytes=0-1", "If-Range", tag}, status: 206, body: data[:2], span: "bytes 0-1/100000", length: "2"},
		"another tag":      {header: []string{"Range", "bytes=0-1", "If-Range", `"x"`}, status: 200, body: data, length: "100000"},
		"not modified":     {header: []string{"If-None-Match", tag}, status: 304},
		"failed condition": {header: []string{"If-Match", `"x"`}, status: 412},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			for _, path := range []string{s.Playback, strings.Replace(s.Playback, "/ace/r/", "/content/", 1)} {
				w := r.do(t, method, path, nil, tt.header...)
				h := w.Header()
				if w.Code != tt.status || h.Get("Content-Range") != tt.span {
					t.Errorf("status %d, Content-Range %q", w.Code, h.Get("Content-Range"))
				}
				if tt.body != "" && w.Body.String() != tt.body || method == "HEAD" && w.Body.Len() != 0 {
					t.Errorf("%d bytes, not those asked for", w.Body.Len())
				}
				if tt.length == "" {
					continue
				}
				want := map[string]string{
					"Content-Length": tt.length, "Content-Type": "video/mp2t", "Accept-Ranges": "bytes", "ETag": tag,
					"Content-Disposition": "inline; filename=clip.ts", "X-Content-Type-Options": "nosniff",
				}
				got := map[string]string{}
				for name := range want {
					got[name] = h.Get(name)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestLookingDoesNotTouchTheSwarm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clip.Limit(0)
	s := r.open(t, "infohash="+clip.Infohash())
	r.do(t, "HEAD", s.Playback, nil)
	r.get(t, s.Playback, "Range", "bytes=100000-")
	r.get(t, s.Playback, "If-None-Match", `"`+clip.Infohash()+`-0"`)
	if got := r.clip.Use().Opened; got != 0 {
		t.Errorf("%d readers were opened", got)
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, want := range map[string]string{
		"a.mkv": "video/x-matroska", "B.MP4": "video/mp4", "c.ts": "video/mp2t", "d.webm": "video/webm",
		"e.flac": "audio/flac", "f.html": "application/octet-stream", "g": "application/octet-stream",
	} {
		c := vodtest.Single(name, []byte("<html>"+name))
		r.backend.Share(c)
		w := r.get(t, r.open(t, "infohash="+c.Infohash()).Playback)
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	hidden := vodtest.Single("broadcast", append([]byte{0x47}, append(make([]byte, 187), 0x47, 0)...))
	r.backend.Share(hidden)
	w := r.get(t, r.open(t, "infohash="+hidden.Infohash()).Playback)
	if got := w.Header().Get("Content-Type"); got != "video/mp2t" {
		t.Errorf("a transport stream without extension: %q", got)
	}
}

func TestNothingComes(t *testing.T) {
	t.Parallel()
	for peers, want := range map[int]string{
		0: "failed to start: no peer of this torrent could be reached in time\n",
		2: "failed to start: peers are connected, but none sent anything in time\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.clip.Limit(0)
			r.clip.SetPeers(peers)
			s := r.open(t, "infohash="+clip.Infohash())
			begin := time.Now()
			w := r.get(t, s.Playback, "Range", "bytes=5-")
			if w.Code != http.StatusGatewayTimeout || time.Since(begin) != 20*time.Second || w.Body.String() != want {
				t.Errorf("status %d after %v: %s", w.Code, time.Since(begin), w.Body)
			}
			for _, name := range []string{"ETag", "Content-Range", "Accept-Ranges"} {
				if got := w.Header().Get(name); got != "" {
					t.Errorf("%s: %q on an error", name, got)
				}
			}
			if got := r.clip.Use().Readers; got != 0 {
				t.Errorf("%d readers left open", got)
			}
		})
	}
}

func TestSwarmDiesWhilePlaying(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clip.Limit(50_000)
	base := r.serve(t)
	resp := request(t, base+r.open(t, "infohash="+clip.Infohash()).Playback)
	if _, err := io.ReadFull(resp.Body, make([]byte, 50_000)); err != nil {
		t.Fatal(err)
	}
	r.clip.Fail(50_000, vod.ErrNoPeers)
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the player was told the file ended: %v", err)
	}
}

func TestStopCutsPlayers(t *testing.T) {
	t.Parallel()
	for name, playing := range map[string]func(*rig, *http.Response) error{
		"that wait for data": func(r *rig, resp *http.Response) error {
			_, err := io.ReadAll(resp.Body)
			return err
		},
		"that paused": func(r *rig, resp *http.Response) error {
			return io.ErrUnexpectedEOF // reads nothing; the connection is the server's to cut
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			// More than the buffers of a connection take.
			big := vodtest.Single("big.ts", make([]byte, 32<<20))
			swarm := r.backend.Share(big)
			if name == "that wait for data" {
				swarm.Limit(10)
			}
			base := r.serve(t)
			s := r.open(t, "infohash="+big.Infohash())
			resp := request(t, base+s.Playback)
			stopped := make(chan map[string]any, 1)
			go func() { stopped <- answer(t, r.get(t, s.Command+"?method=stop")) }()
			if err := playing(r, resp); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the player was told the file ended: %v", err)
			}
			if got := <-stopped; got["response"] != "ok" {
				t.Errorf("stop: %v", got)
			}
			err := swarm.Await(t.Context(), func(u vodtest.Use) bool { return u.Readers == 0 && u.Holds == 0 })
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnknownSessionIsNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.open(t, "infohash="+clip.Infohash())
	other := strings.Replace(s.Playback, clip.Infohash(), album.Infohash(), 1)
	r.get(t, s.Command+"?method=stop")
	for _, path := range []string{other, s.Playback, "/ace/r/x/y"} {
		if w := r.get(t, path); w.Code != http.StatusNotFound || w.Body.String() != "unknown playback session id\n" {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
}

func TestTooManyReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *native.Config, _ *native.Deps, _ *api.Options) { c.MaxReaders = 1 })
		s := r.open(t, "infohash="+clip.Infohash())
		played, err := r.engine.Session(clip.Infohash(), path.Base(s.Playback))
		if err != nil {
			t.Fatal(err)
		}
		watching := played.NewReader(t.Context())
		defer watching.Close()
		if _, err := watching.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		w := r.get(t, s.Playback)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
			t.Errorf("status %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		time.Sleep(10 * time.Second)
		if w := r.get(t, s.Playback); w.Code != http.StatusOK {
			t.Errorf("after the reader paused: status %d: %s", w.Code, w.Body)
		}
	})
}

// channel is a live content, and the resolver that knows it.
type channel struct {
	chunks chan string
	holds  atomic.Int32 // Resolves without Close
}

func (c *channel) Resolve(_ context.Context, req native.Request) (native.Playable, error) {
	if req.Content.Value != contentID {
		return nil, native.ErrNotMine
	}
	c.holds.Add(1)
	return c, nil
}

func (c *channel) Info() native.Info {
	return native.Info{Infohash: strings.Repeat("ab", 20), Name: "Channel", Live: true, Files: []native.File{{Path: "Channel"}}}
}

func (c *channel) Stats() native.Stats {
	at := time.Unix(1_700_000_000, 0)
	return native.Stats{Peers: 2, Live: &native.LivePosition{First: at.Add(-time.Hour), Last: at, Position: at.Add(-time.Second), Buffer: 5}}
}

func (c *channel) Open(ctx context.Context, _ int) (io.ReadCloser, error) {
	return &liveReader{ctx: ctx, channel: c}, nil
}

func (c *channel) Close() error {
	c.holds.Add(-1)
	return nil
}

type liveReader struct {
	ctx     context.Context
	channel *channel
}

func (r *liveReader) Read(p []byte) (int, error) {
	select {
	case chunk, ok := <-r.channel.chunks:
		if !ok {
			return 0, io.EOF
		}
		return copy(p, chunk), nil
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

func (r *liveReader) Close() error { return nil }

func TestLiveContentJoins(t *testing.T) {
	t.Parallel()
	live := &channel{chunks: make(chan string, 2)}
	r := newRig(t, func(_ *native.Config, d *native.Deps, _ *api.Options) { d.Resolvers = []native.Resolver{live} })
	s := r.open(t, "content_id="+contentID)
	if s.Infohash != strings.Repeat("ab", 20) {
		t.Errorf("infohash %q", s.Infohash)
	}
	stat := answer(t, r.get(t, s.Stat))["response"].(map[string]any)
	want := map[string]any{
		"is_live": "1", "buffer_pieces": "5", "pos": "1699999999", "last": "1700000000", "live_last": "1700000000",
		"last_ts": "1700000000", "live_first": "1699996400", "first_ts": "1699996400",
	}
	if diff := cmp.Diff(any(want), stat["livepos"]); diff != "" {
		t.Errorf("livepos (-want +got):\n%s", diff)
	}
	live.chunks <- "first"
	live.chunks <- "second"
	close(live.chunks)
	w := r.get(t, s.Playback, "Range", "bytes=3-")
	h := w.Header()
	if w.Code != http.StatusOK || w.Body.String() != "firstsecond" || h.Get("Content-Type") != "video/mp2t" ||
		h.Get("Accept-Ranges") != "none" || h.Get("Content-Length") != "" {
		t.Errorf("status %d, %q, headers %v", w.Code, w.Body, h)
	}
	if w := r.do(t, "HEAD", s.Playback, nil); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: status %d", w.Code)
	}
	if !strings.Contains(r.get(t, "/server/api?api_version=3&method=analyze_content&query=acestream:?content_id="+contentID).Body.String(), `"is_live":1`) {
		t.Error("analyze_content does not tell that it is live")
	}
	r.get(t, s.Command+"?method=stop")
	if got := live.holds.Load(); got != 0 {
		t.Errorf("the content is still held %d times", got)
	}
}

func TestFirstByteGoesOutAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clip.Limit(3)
	resp := request(t, r.serve(t)+r.open(t, "infohash="+clip.Infohash()).Playback)
	first := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != string(clip.Files[0].Data[:3]) {
		t.Errorf("%v, %v", first, err)
	}
}
