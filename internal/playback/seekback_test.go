package playback

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
	"github.com/acequia-tv/acequia/internal/timeshift"
)

// shifted opens time shift in a directory of the test.
func shifted(t *testing.T) *timeshift.Store {
	t.Helper()
	store, err := timeshift.Open(filepath.Join(t.TempDir(), "timeshift"), timeshift.Config{Keep: time.Hour, Limit: 1 << 30}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestSeekbackParameter(t *testing.T) {
	t.Parallel()
	hub := failingHub{err: &stream.Error{Code: stream.CodeFull}}
	for text, status := range map[string]int{
		"": 503, "0": 503, "600": 503, "90.5": 503, "10m": 503, "1h30m": 503, "168h": 503,
		"-1": 400, "-5m": 400, "ten": 400, "NaN": 400, "Inf": 400, "169h": 400, "1e9": 400, "99999999999999999999": 400, "10 m": 400,
	} {
		target := "/ace/getstream?id=" + channelID + "&seekback=" + strings.ReplaceAll(text, " ", "%20")
		for _, lang := range []string{"en", "es"} {
			res := request(t, hub, http.MethodGet, target, "Accept-Language", lang)
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != status || status == 400 && !strings.Contains(string(body), "600") {
				t.Errorf("seekback=%s in %s: %d %s", text, lang, res.StatusCode, body)
			}
		}
		if status == 400 {
			if res := request(t, hub, http.MethodHead, target); res.StatusCode != status {
				t.Errorf("HEAD with seekback=%s: %d", text, res.StatusCode)
			}
		}
	}
}

// A player of segments that begins far back: a live playlist of that time, which goes on at
// the pace of the clock through a break, with the segments of those at live. One
// that pauses finds its place again.
func TestSegmentsFromFarBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRigWith(t, 1, enginetest.MeasuredTiming(), shifted(t))
		live := r.view("id=" + channelID)
		live.watch(2 * time.Minute)
		r.fakes[0].Kill()
		live.watch(40 * time.Second)
		if err := r.fakes[0].Revive(); err != nil {
			t.Fatal(err)
		}
		live.watch(2 * time.Minute)
		header, _ := r.get("/ace/manifest.m3u8?id=" + channelID + "&seekback=200")
		told, err := strconv.ParseFloat(header.Get(seekbackHeader), 64)
		if err != nil || told < 200 || told > 206 || !strings.Contains(header.Get("Access-Control-Expose-Headers"), seekbackHeader) {
			t.Errorf("%v", header)
		}
		late := r.view("id=" + channelID + "&seekback=200")
		late.reload()
		if n := len(late.segments); n != 3 || late.segments[0].MSN >= live.newest.MediaSequence {
			t.Errorf("begins with %d segments at %d, live at %d", n, late.segments[0].MSN, live.newest.MediaSequence)
		}
		began := time.Now()
		late.watch(time.Minute, live)
		for range 6 { // pauses, and goes on reloading as players do
			time.Sleep(10 * time.Second)
			r.get(late.playlist)
			live.reload()
		}
		late.watch(time.Minute, live)
		length := 0.0
		for _, s := range late.segments {
			length += s.Duration
		}
		if real := time.Since(began).Seconds(); length < real || length > real+14 {
			t.Errorf("%gs of segments in %gs", length, real)
		}
		if live.breaks() != 1 || late.breaks() != 1 {
			t.Errorf("%d discontinuities at live, %d behind", live.breaks(), late.breaks())
		}
		i := int(late.segments[0].MSN - live.segments[0].MSN)
		for k, s := range late.segments {
			at := live.segments[i+k]
			if s.MSN != at.MSN || s.URI != at.URI || !s.Date.Equal(at.Date) || s.Duration != at.Duration || s.Discontinuity != at.Discontinuity {
				t.Fatalf("segment %+v, at live %+v", s, at)
			}
		}
		if !bytes.Contains(live.body, late.body) {
			t.Error("other bytes than at live")
		}
		check := enginetest.NewVerifier(channelIH)
		check.Write(late.body)
		if rep := check.Report(); rep.Gaps != 1 || rep.CleanGaps != 1 || rep.Repeats+rep.Corrupt > 0 || !rep.TablesFirst || !rep.RandomAccess {
			t.Errorf("%+v", rep)
		}
	})
}

// Without time shift, segments from as far back as memory reaches.
func TestSegmentsFromMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.MeasuredTiming())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v, err := r.hub.Join(ctx, content.Selector{Kind: content.ContentID, Value: channelID}, stream.Client{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Leave()
		time.Sleep(2 * time.Minute)
		began := time.Now()
		late := r.view("id=" + channelID + "&seekback=25")
		late.reload()
		if behind := began.Sub(late.segments[0].Date); behind < 24*time.Second || behind > 32*time.Second {
			t.Errorf("begins %v behind", behind)
		}
		late.watch(time.Minute)
		check := enginetest.NewVerifier(channelIH)
		check.Write(late.body)
		if err := check.Report().Err(); err != nil || late.breaks() > 0 {
			t.Errorf("%v, %d discontinuities", err, late.breaks())
		}
	})
}

// The stream ends: who is behind sees all of it, and then the end.
func TestSegmentsToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRigWith(t, 1, enginetest.MeasuredTiming(), shifted(t))
		live := r.view("id=" + channelID)
		live.watch(3 * time.Minute)
		late := r.view("id=" + channelID + "&seekback=150")
		late.watch(10*time.Second, live)
		r.fakes[0].Kill()
		live.watch(65*time.Second, late)
		if !live.newest.Ended || late.newest.Ended {
			t.Fatalf("ended at live: %v, behind: %v", live.newest.Ended, late.newest.Ended)
		}
		late.watch(100 * time.Second)
		last := late.segments[len(late.segments)-1]
		if !late.newest.Ended || last.MSN != live.segments[len(live.segments)-1].MSN || !bytes.HasSuffix(live.body, late.body) {
			t.Errorf("ended %v at segment %d", late.newest.Ended, last.MSN)
		}
	})
}

// A segment that is on no disk any more is a 404, and not a broken answer.
func TestForgottenSegment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := shifted(t)
		r := newHLSRigWith(t, 1, enginetest.MeasuredTiming(), store)
		live := r.view("id=" + channelID)
		live.watch(3 * time.Minute)
		late := r.view("id=" + channelID + "&seekback=150")
		late.reload()
		first := path.Join(path.Dir(late.playlist), late.segments[0].URI)
		r.get(first)
		store.Close() // takes everything away at once
		if res, body := r.do(http.MethodGet, first); res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") == segmentAge || strings.Count(string(body), "\n") != 1 {
			t.Errorf("%d %v %q", res.StatusCode, res.Header, body)
		}
	})
}

// Over real sockets: a viewer from the disk gets the bytes that a viewer at live got.
func TestSeekbackOverSockets(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(enginetest.Config{
		Contents: []enginetest.Content{{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true, Bitrate: 2_000_000}},
	}).Start(t)
	slots := &oneEach{used: make(map[int]bool), list: []*engine.Client{fake.Client(t)}}
	store := shifted(t)
	hub := stream.NewHub(stream.Config{
		Linger: time.Second, StartTimeout: 30 * time.Second, StallTimeout: 5 * time.Second, Burst: time.Second,
		WriteTimeout: time.Minute, Outage: time.Minute, Buffer: 8 << 20, // four seconds
		HLS:       hls.Config{Segment: 3 * time.Second, Part: 500 * time.Millisecond, Window: 6, HoldBack: 3 * time.Second, Memory: 8 << 20},
		Timeshift: store,
	}, slots, telemetrytest.Logger(t), nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	server := httptest.NewUnstartedServer(New(hub, telemetrytest.Logger(t)))
	server.Config.ConnContext = ConnContext
	server.Listener = Gathering(server.Listener)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	open := func(query string) (http.Header, io.Reader) {
		res, err := http.Get(server.URL + "/ace/getstream?id=" + channelID + query)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res.Header, res.Body
	}
	const size = 24 << 20
	_, live := open("")
	first := make([]byte, size)
	if _, err := io.ReadFull(live, first); err != nil {
		t.Fatal(err)
	}
	header, late := open("&seekback=1h")
	second := make([]byte, size)
	if _, err := io.ReadFull(late, second); err != nil {
		t.Fatal(err)
	}
	if told, err := strconv.ParseFloat(header.Get(seekbackHeader), 64); err != nil || told < 10 {
		t.Errorf("told %q", header.Get(seekbackHeader))
	}
	tables := 2 * enginetest.PacketSize
	if at := bytes.Index(second, first[tables:tables+1<<16]); at < 0 || !bytes.Equal(first[tables:tables+size-at], second[at:]) {
		t.Errorf("other bytes than at live, or begins behind them: found at %d", at)
	}
	check := enginetest.NewVerifier(channelIH)
	check.Write(second)
	if rep := check.Report(); rep.Err() != nil || !rep.TablesFirst || !rep.RandomAccess {
		t.Errorf("%v, %+v", rep.Err(), rep)
	}
}
