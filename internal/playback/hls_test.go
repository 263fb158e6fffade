package playback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/hls/hlstest"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

const (
	channelIH = "0a4848271c91ce2d8965ce416267c25047dc8141"
	movieIH   = "3333333333333333333333333333333333333333"
)

// hlsRig is a server over fake engines, all in memory. It is for synctest
// bubbles.
type hlsRig struct {
	t      *testing.T
	fakes  []*enginetest.Fake
	hub    *stream.Hub
	player *http.Client
}

// oneEach gives each engine one slot, the first one first.
type oneEach struct {
	mu   sync.Mutex
	list []*engine.Client
	used map[int]bool // guarded by mu
}

func (e *oneEach) Acquire(_ context.Context, want stream.Want) (*stream.Slot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, client := range e.list {
		id := fmt.Sprint("engine", i)
		if e.used[i] || slices.Contains(want.Exclude, id) {
			continue
		}
		e.used[i] = true
		return &stream.Slot{
			EngineID: id, Client: client, Opened: func(*engine.Session) {}, Report: func(error) {},
			Release: sync.OnceFunc(func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.used[i] = false
			}),
		}, nil
	}
	return nil, &stream.Error{Code: stream.CodeExhausted}
}

func newHLSRig(t *testing.T, engines int, timing enginetest.Timing) *hlsRig {
	t.Helper()
	return newHLSRigWith(t, engines, timing, nil)
}

func newHLSRigWith(t *testing.T, engines int, timing enginetest.Timing, shift *timeshift.Store) *hlsRig {
	t.Helper()
	r := &hlsRig{t: t}
	network := &enginetest.Net{}
	slots := &oneEach{used: make(map[int]bool)}
	for i := range engines {
		fake := enginetest.New(enginetest.Config{
			Timing: timing,
			Contents: []enginetest.Content{
				{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true},
				{Infohash: movieIH, Name: "movie", Files: []enginetest.File{{Name: "movie.mp4", MIME: "video/mp4", Data: []byte("movie")}}},
			},
		}).StartIn(t, network, fmt.Sprintf("engine%d:6878", i))
		r.fakes = append(r.fakes, fake)
		slots.list = append(slots.list, fake.Client(t))
	}
	r.hub = stream.NewHub(stream.Config{
		Linger: 15 * time.Second, StartTimeout: 30 * time.Second, StallTimeout: 5 * time.Second,
		Burst: 3 * time.Second, WriteTimeout: time.Minute, Outage: time.Minute, Buffer: 8 << 20,
		HLS:       hls.Config{Segment: 3 * time.Second, Part: 500 * time.Millisecond, Window: 6, HoldBack: 3 * time.Second, Memory: 8 << 20},
		Timeshift: shift,
	}, slots, telemetrytest.Logger(t), nil)
	segments := NewHLS(r.hub, telemetrytest.Logger(t))
	mux := http.NewServeMux()
	mux.HandleFunc("/ace/manifest.m3u8", segments.Manifest)
	mux.HandleFunc("/ace/hls/{session}/{name}", segments.Session)
	mux.Handle("/ace/getstream", New(r.hub, telemetrytest.Logger(t)))
	listener, err := network.Listen("acequia:6878")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	parts.Go(func() {
		if err := r.hub.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		server.Close()
		parts.Wait()
	})
	r.player = &http.Client{Transport: network.Transport()}
	return r
}

// do sends a request to a path, and returns the answer with its whole body.
func (r *hlsRig) do(method, target string) (*http.Response, []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://acequia:6878"+target, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := r.player.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, body
}

// get is do for what must be there.
func (r *hlsRig) get(target string) (http.Header, []byte) {
	r.t.Helper()
	res, body := r.do(http.MethodGet, target)
	if res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %d %s", target, res.StatusCode, body)
	}
	return res.Header, body
}

// open asks for the manifest and returns the path of the media playlist.
func (r *hlsRig) open(query string) string {
	r.t.Helper()
	header, body := r.get("/ace/manifest.m3u8?" + query)
	if header.Get("Content-Type") != playlistType || header.Get("Cache-Control") != "no-cache" || header.Get("Access-Control-Allow-Origin") != "*" {
		r.t.Errorf("manifest with %v", header)
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	if len(lines) != 3 || lines[0] != "#EXTM3U" || !strings.HasPrefix(lines[1], "#EXT-X-STREAM-INF:BANDWIDTH=") {
		r.t.Fatalf("manifest %q", body)
	}
	return path.Join("/ace", lines[2])
}

// A viewing is a player that follows a playlist and keeps all segments.
type viewing struct {
	rig      *hlsRig
	playlist string
	follower hlstest.Follower
	newest   hlstest.Playlist
	segments []hlstest.Segment
	body     []byte
}

// reload takes the next version of the playlist and fetches what is new.
func (v *viewing) reload() {
	v.rig.t.Helper()
	_, text := v.rig.get(v.playlist)
	var err error
	if v.newest, err = v.follower.Check(text); err != nil {
		v.rig.t.Fatal(err)
	}
	for _, s := range v.newest.Segments {
		if n := len(v.segments); n > 0 && s.MSN <= v.segments[n-1].MSN {
			continue
		}
		header, body := v.rig.get(path.Join(path.Dir(v.playlist), s.URI))
		if header.Get("Content-Type") != "video/mp2t" || header.Get("Cache-Control") != segmentAge || header.Get("Access-Control-Allow-Origin") != "*" {
			v.rig.t.Errorf("%s with %v", s.URI, header)
		}
		v.segments = append(v.segments, s)
		v.body = append(v.body, body...)
	}
}

// watch follows for a time, together with others.
func (v *viewing) watch(d time.Duration, others ...*viewing) {
	v.rig.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		for _, o := range append(others, v) {
			o.reload()
		}
		time.Sleep(time.Second)
	}
}

// breaks counts the discontinuities seen.
func (v *viewing) breaks() (n int) {
	for _, s := range v.segments {
		if s.Discontinuity {
			n++
		}
	}
	return n
}

func (r *hlsRig) view(query string) *viewing {
	r.t.Helper()
	return &viewing{rig: r, playlist: r.open(query)}
}

func (r *hlsRig) active() (n int) {
	for _, f := range r.fakes {
		n += f.Counters().Active
	}
	return n
}

// Players of segments and of the plain stream share one session, under
// whatever name, and see every packet.
func TestSegmentsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		r.open("id=" + channelID) // names are known to be of one content once it plays
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				v := r.view([]string{"id=" + channelID, "infohash=" + channelIH, "content_id=" + channelID, "infohash=" + channelIH + "&low_latency=1"}[i])
				v.watch(30 * time.Second)
				check := enginetest.NewVerifier(channelIH)
				check.Write(v.body)
				if rep := check.Report(); rep.Err() != nil || !rep.TablesFirst || !rep.RandomAccess {
					t.Errorf("%v, %+v", rep.Err(), rep)
				}
				length := 0.0
				for _, s := range v.segments {
					length += s.Duration
				}
				if length < 28 || length > 42 || v.breaks() > 0 {
					t.Errorf("%gs of segments in 30 s, with %d discontinuities", length, v.breaks())
				}
			})
		}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://acequia:6878/ace/getstream?id="+channelID, nil)
			res, err := r.player.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			check := enginetest.NewVerifier(channelIH)
			io.Copy(check, res.Body)
			if err := check.Report().Err(); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		if c := r.fakes[0].Counters(); c.Opens != 1 || c.MaxReaders != 1 {
			t.Errorf("%+v; want one session with one reader", c)
		}
		// 20 s without a request, and the linger.
		time.Sleep(33 * time.Second)
		if r.active() != 1 {
			t.Error("stopped before sessions and linger were over")
		}
		time.Sleep(4 * time.Second)
		if r.active() != 0 || len(r.hub.Snapshot()) != 0 {
			t.Errorf("left behind: %+v", r.hub.Snapshot())
		}
	})
}

// The first playlist comes as soon as the engine has sent enough, and at once
// and in full where the stream runs already.
func TestPlaylistComesSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		began := time.Now()
		first := r.view("id=" + channelID)
		if took := time.Since(began); took > 9*time.Second { // 5.5 s of them are the engine's
			t.Errorf("the first playlist took %v", took)
		}
		first.watch(30 * time.Second)
		time.Sleep(25 * time.Second) // the session ends, the stream lingers
		began = time.Now()
		second := r.view("id=" + channelID)
		second.reload()
		if took := time.Since(began); took > 0 || len(second.newest.Segments) < 6 {
			t.Errorf("%d segments after %v", len(second.newest.Segments), took)
		}
		last := second.newest.Segments[len(second.newest.Segments)-1]
		if behind := time.Since(last.Date) - time.Duration(last.Duration*float64(time.Second)); behind < -200*time.Millisecond || behind > 4*time.Second { // a chunk from an engine carries some pictures ahead of their time
			t.Errorf("the newest segment is dated %v behind", behind)
		}
	})
}

// An engine dies: another goes on with the very packet, and the playlist shows nothing
// of it.
func TestSegmentsOverASeamlessChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 2, enginetest.DefaultTiming())
		v := r.view("id=" + channelID)
		v.watch(12 * time.Second)
		r.fakes[0].Kill()
		v.watch(30 * time.Second)
		check := enginetest.NewVerifier(channelIH)
		check.Write(v.body)
		if err := check.Report().Err(); err != nil || v.breaks() != 0 {
			t.Errorf("%v, %d discontinuities", err, v.breaks())
		}
		if c := r.fakes[1].Counters(); c.Active != 1 {
			t.Errorf("the second engine: %+v", c)
		}
	})
}

// The only engine is away for longer than what it sends again reaches back.
func TestSegmentsOverABreak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		v := r.view("id=" + channelID)
		low := r.view("id=" + channelID + "&low_latency=1")
		v.watch(12*time.Second, low)
		r.fakes[0].Kill()
		v.watch(10*time.Second, low)
		if err := r.fakes[0].Revive(); err != nil {
			t.Fatal(err)
		}
		v.watch(40*time.Second, low)
		if !bytes.Equal(v.body, low.body) || low.breaks() != 1 {
			t.Errorf("%d discontinuities for those who follow the parts", low.breaks())
		}
		check := enginetest.NewVerifier(channelIH)
		check.Write(v.body)
		if rep := check.Report(); v.breaks() != 1 || rep.Gaps != 1 || rep.CleanGaps != 1 || rep.Repeats > 0 || rep.Corrupt > 0 {
			t.Errorf("%d discontinuities, %+v", v.breaks(), rep)
		}
		i := slices.IndexFunc(v.segments, func(s hlstest.Segment) bool { return s.Discontinuity })
		if i < 1 {
			t.Fatal("no discontinuity")
		}
		lost := v.segments[i].Date.Sub(v.segments[i-1].Date).Seconds() - v.segments[i-1].Duration
		if lost < 5 || lost > 25 {
			t.Errorf("the dates tell of %gs lost", lost)
		}
		// The tag leaves the list and is counted.
		v.watch(20 * time.Second)
		if v.newest.DiscontinuitySequence != 1 {
			t.Errorf("discontinuity sequence %d", v.newest.DiscontinuitySequence)
		}
	})
}

// A player that follows the parts: each reload comes back as soon as there is one
// more, and the hint can be fetched before it is there.
func TestLowLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		v := r.view("id=" + channelID + "&low_latency=1")
		v.reload()
		if v.newest.PartTarget != 0.48 || v.newest.PartHoldBack != 3 { // 12 pictures of 40 ms
			t.Fatalf("PART-TARGET %g, PART-HOLD-BACK %g", v.newest.PartTarget, v.newest.PartHoldBack)
		}
		var waits []time.Duration
		for range 40 {
			msn, part := v.newest.Open.MSN, len(v.newest.Open.Parts)
			hint := path.Join(path.Dir(v.playlist), v.newest.Hint)
			hinted := make(chan []byte, 1)
			go func() {
				res, body := r.do(http.MethodGet, hint)
				if res.StatusCode != http.StatusOK {
					body = nil
				}
				hinted <- body
			}()
			began := time.Now()
			_, text := r.get(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", v.playlist, msn, part))
			waits = append(waits, time.Since(began))
			next, err := v.follower.Check(text)
			if err != nil {
				t.Fatal(err)
			}
			if next.Open.MSN == msn && len(next.Open.Parts) <= part || next.Open.MSN < msn {
				t.Fatalf("asked for part %d of segment %d, got up to %d of %d", part, msn, len(next.Open.Parts), next.Open.MSN)
			}
			if body := <-hinted; body != nil {
				_, again := r.get(hint)
				if !bytes.Equal(body, again) {
					t.Error("the hinted part is another one now")
				}
			} else if next.Open.MSN == msn {
				t.Errorf("hint %s led nowhere", hint)
			}
			v.newest = next
		}
		longest := slices.Max(waits)
		if longest < 300*time.Millisecond || longest > 700*time.Millisecond {
			t.Errorf("reloads came back after %v", waits)
		}
		for _, bad := range []string{"_HLS_part=1", "_HLS_msn=x", "_HLS_msn=-1", "_HLS_msn=1&_HLS_part=x", fmt.Sprint("_HLS_msn=", v.newest.Open.MSN+20)} {
			if res, body := r.do(http.MethodGet, v.playlist+"?"+bad); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d %s", bad, res.StatusCode, body)
			}
		}
		// The stream stands still: the player gets what there is.
		r.fakes[0].Set(enginetest.Fault{Kind: enginetest.Stall, For: 4 * time.Second})
		time.Sleep(time.Second)
		v.reload()
		began := time.Now()
		_, text := r.get(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", v.playlist, v.newest.Open.MSN, len(v.newest.Open.Parts)))
		if _, err := v.follower.Check(text); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); math.Abs(took.Seconds()-float64(v.newest.TargetDuration)/2) > 0.1 {
			t.Errorf("a reload that nothing comes of took %v", took)
		}
	})
}

// A session lives as long as requests come, and its name is the only way in.
func TestSessionLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		playlist := r.open("id=" + channelID)
		if other := r.open("id=" + channelID); path.Dir(other) == path.Dir(playlist) || len(path.Base(path.Dir(other))) < 26 {
			t.Errorf("sessions %s and %s", playlist, other)
		}
		for range 6 { // each request is a sign of life
			time.Sleep(19 * time.Second)
			r.get(playlist)
		}
		if n := len(r.hub.Snapshot()[0].Viewers); n != 1 {
			t.Errorf("%d viewers, want the one that asked", n)
		}
		time.Sleep(21 * time.Second)
		if n := len(r.hub.Snapshot()[0].Viewers); n != 0 {
			t.Errorf("%d viewers, want none", n)
		}
		for _, gone := range []string{playlist, "/ace/hls/guess/live.m3u8", path.Dir(playlist) + "/0.ts"} {
			if res, body := r.do(http.MethodGet, gone); res.StatusCode != http.StatusNotFound || strings.Count(string(body), "\n") != 1 {
				t.Errorf("%s: %d %q", gone, res.StatusCode, body)
			}
		}
	})
}

// The stream ends under its players: the playlist says so, and then the
// session is over.
func TestSegmentsEndWithTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		v := r.view("id=" + channelID)
		v.watch(10 * time.Second)
		r.fakes[0].Kill()
		v.watch(70 * time.Second) // the outage that viewers are kept over is a minute
		if !v.newest.Ended {
			t.Error("the playlist does not end")
		}
		if res, _ := r.do(http.MethodGet, "/ace/manifest.m3u8?id="+channelID); res.StatusCode < 500 {
			t.Errorf("a new player is answered %d", res.StatusCode)
		}
	})
}

func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		for _, c := range []struct {
			method, target string
			status         int
			code           string
		}{
			{"GET", "/ace/manifest.m3u8", 400, "bad_request"},
			{"GET", "/ace/manifest.m3u8?id=nonsense", 400, "bad_request"},
			{"GET", "/ace/manifest.m3u8?id=" + channelID + "&low_latency=perhaps", 400, "bad_request"},
			{"POST", "/ace/manifest.m3u8?id=" + channelID, 405, ""},
			{"GET", "/ace/manifest.m3u8?id=" + strings.Repeat("5", 40), 404, "not_found"},
			{"GET", "/ace/manifest.m3u8?infohash=" + movieIH, 404, "not_live"},
			{"DELETE", "/ace/hls/x/live.m3u8", 405, ""},
			{"GET", "/ace/hls/x/live.m3u8", 404, "no_session"},
		} {
			time.Sleep(time.Minute) // whatever the one before opened is closed
			res, body := r.do(c.method, c.target)
			if res.StatusCode != c.status || res.Header.Get("X-Error-Code") != c.code || strings.Count(string(body), "\n") != 1 {
				t.Errorf("%s %s: %d %q %q", c.method, c.target, res.StatusCode, res.Header.Get("X-Error-Code"), body)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: a browser could not read the reason", c.target)
			}
		}
		opens := r.fakes[0].Counters().Opens
		for _, method := range []string{"HEAD", "OPTIONS"} {
			if res, _ := r.do(method, "/ace/manifest.m3u8?id="+channelID); res.StatusCode >= 300 {
				t.Errorf("%s: %d", method, res.StatusCode)
			}
		}
		if got := r.fakes[0].Counters().Opens; got != opens {
			t.Error("a request that is no GET opened a session")
		}
		time.Sleep(time.Minute)
		if len(r.hub.Snapshot()) != 0 {
			t.Errorf("left behind: %+v", r.hub.Snapshot())
		}
	})
}

// What is asked of a session's files with HEAD, or does not exist.
func TestSessionFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		playlist := r.open("id=" + channelID)
		dir := path.Dir(playlist)
		_, body := r.get(dir + "/0.ts")
		res, none := r.do(http.MethodHead, dir+"/0.ts")
		if res.StatusCode != http.StatusOK || res.ContentLength != int64(len(body)) || len(none) != 0 || res.Header.Get("Content-Type") != "video/mp2t" {
			t.Errorf("HEAD of a segment: %d, %d bytes, %v", res.StatusCode, res.ContentLength, res.Header)
		}
		if res, _ := r.do(http.MethodHead, playlist); res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != playlistType {
			t.Errorf("HEAD of a playlist: %d %v", res.StatusCode, res.Header)
		}
		for _, name := range []string{"99.ts", "0.99.ts", "0", "00.ts", "-1.ts", "x.ts", "0.ts.ts", "9999999999999999999999.ts", "..%2flive.m3u8"} {
			if res, _ := r.do(http.MethodGet, dir+"/"+name); res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") == segmentAge {
				t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
			}
		}
	})
}
