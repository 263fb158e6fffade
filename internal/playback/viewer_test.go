package playback

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

// socketRig is the handlers over a fake engine, all on sockets of this machine.
type socketRig struct {
	hub  *stream.Hub
	addr string
	left chan struct{} // receives when a viewer leaves
}

func newSocketRig(t *testing.T, change func(*stream.Config)) *socketRig {
	t.Helper()
	fake := enginetest.New(enginetest.Config{
		MultiReader: true,
		Contents: []enginetest.Content{
			{Infohash: channelIH, ContentID: channelID, Name: "channel", Live: true, Bitrate: 6 << 20},
			{Infohash: movieIH, Name: "movie", Files: []enginetest.File{{Name: "movie.mp4", MIME: "video/mp4", Data: make([]byte, 64<<20)}}},
		},
	}).Start(t)
	r := &socketRig{left: make(chan struct{}, 100)}
	cfg := stream.Config{
		Linger: 15 * time.Second, StartTimeout: 30 * time.Second, StallTimeout: 30 * time.Second,
		Burst: 3 * time.Second, WriteTimeout: time.Minute, Outage: time.Minute, Buffer: 64 << 20,
		HLS: hls.Config{Segment: 2 * time.Second, Part: 500 * time.Millisecond, Window: 6, HoldBack: 3 * time.Second, Memory: 64 << 20},
	}
	change(&cfg)
	slots := &oneEach{list: nil, used: make(map[int]bool)}
	slots.list = append(slots.list, fake.Client(t), fake.Client(t))
	r.hub = stream.NewHub(cfg, slots, telemetrytest.Logger(t), func(e stream.Event) {
		if e.Kind == stream.EventLeft {
			r.left <- struct{}{}
		}
	})
	segments := NewHLS(r.hub, telemetrytest.Logger(t))
	mux := http.NewServeMux()
	mux.HandleFunc("/ace/manifest.m3u8", segments.Manifest)
	mux.HandleFunc("/ace/hls/{session}/{name}", segments.Session)
	mux.Handle("/ace/getstream", New(r.hub, telemetrytest.Logger(t)))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	server := &http.Server{Handler: mux, ConnContext: ConnContext}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := server.Serve(Gathering(l)); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	parts.Go(func() { _ = r.hub.Run(ctx) }) // it returns nil
	t.Cleanup(func() {
		cancel()
		server.Close()
		parts.Wait()
	})
	return r
}

// ask sends a request, and reads the head of the answer.
func (r *socketRig) ask(t *testing.T, target string) (*net.TCPConn, *bufio.Reader, *http.Response) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: acequia\r\nUser-Agent: VLC/3.0.20 LibVLC/3.0.20\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReaderSize(c, 4<<10)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", target, res.Status)
	}
	return c.(*net.TCPConn), br, res
}

const (
	liveTarget = "/ace/getstream?infohash=" + channelIH
	fileTarget = "/ace/getstream?infohash=" + movieIH
)

// A viewer that takes nothing is gone after its time: one of a file later, as films
// are paused.
func TestViewersWithoutProgressGo(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, func(c *stream.Config) { c.WriteTimeout = 200 * time.Millisecond })
	for name, target := range map[string]string{"live": liveTarget, "file": fileTarget} {
		began := time.Now()
		r.ask(t, target) // and never read what follows
		select {
		case <-r.left:
			if name == "file" && time.Since(began) < 2*time.Second {
				t.Errorf("the viewer of a file is gone after %v", time.Since(began))
			}
		case <-t.Context().Done():
			t.Fatalf("%s: the viewer stays", name)
		}
	}
}

// viewerOf waits for the one viewer of a content to be far enough.
func (r *socketRig) viewerOf(t *testing.T, infohash string, enough func(stream.ViewerStatus) bool) stream.ViewerStatus {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		st, _ := r.hub.Find(content.Selector{Kind: content.Infohash, Value: infohash})
		if len(st.Viewers) == 1 && enough(st.Viewers[0]) {
			return st.Viewers[0]
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("viewers: %+v", st.Viewers)
		}
	}
}

func TestViewerFacts(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, func(*stream.Config) {})
	c, br, _ := r.ask(t, liveTarget)
	if _, err := io.CopyN(io.Discard, br, 1<<20); err != nil {
		t.Fatal(err)
	}
	// It reads no more, and falls behind.
	v := r.viewerOf(t, channelIH, func(v stream.ViewerStatus) bool { return v.Behind > 4*time.Second })
	if v.Client.App != "VLC" || v.Client.Addr != c.LocalAddr().String() || v.Form != stream.FormTS ||
		v.Sent < 1<<20 || v.Rate <= 0 || v.Lag < 1<<20 || v.Since.IsZero() || v.Wait <= 0 {
		t.Errorf("%+v", v)
	}
	_, br, _ = r.ask(t, fileTarget)
	if _, err := io.CopyN(io.Discard, br, 1<<20); err != nil {
		t.Fatal(err)
	}
	v = r.viewerOf(t, movieIH, func(v stream.ViewerStatus) bool { return v.Sent >= 1<<20 })
	if v.Form != stream.FormFile || v.Lag != 0 || v.Behind != 0 || v.Wait <= 0 {
		t.Errorf("%+v", v)
	}
}

// Who is disconnected has its answer ended in order if it reads, and is gone at
// once if it does not; and only that one.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, func(*stream.Config) {})
	began := func(v stream.ViewerStatus) bool { return v.Sent > 0 }

	_, _, res := r.ask(t, liveTarget)
	v := r.viewerOf(t, channelIH, began)
	if !r.hub.Disconnect(v.ID, "test") || r.hub.Disconnect(v.ID, "test") {
		t.Error("not disconnected once")
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("the answer does not end in order: %v", err)
	}
	<-r.left

	r.ask(t, liveTarget) // reads nothing more
	v = r.viewerOf(t, channelIH, func(v stream.ViewerStatus) bool { return v.Behind > 4*time.Second })
	_, _, other := r.ask(t, fileTarget)
	r.hub.Disconnect(v.ID, "test")
	<-r.left
	if _, err := io.CopyN(io.Discard, other.Body, 32<<20); err != nil {
		t.Errorf("another viewer: %v", err)
	}
	if r.hub.Disconnect(12345, "test") {
		t.Error("somebody who is not there was disconnected")
	}

	v = r.viewerOf(t, movieIH, began)
	r.hub.Disconnect(v.ID, "test")
	if n, err := io.Copy(io.Discard, other.Body); err == nil {
		t.Errorf("a file ends as if it were whole, after %d bytes", n)
	}
}

// A stopped stream ends for all its viewers, and starts anew for who asks again.
func TestStop(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, func(*stream.Config) {})
	_, _, first := r.ask(t, liveTarget)
	_, br, manifest := r.ask(t, "/ace/manifest.m3u8?infohash="+channelIH)
	playlist := ""
	body, err := io.ReadAll(manifest.Body)
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, "#") {
			playlist = "/ace/" + strings.TrimSpace(line)
		}
	}
	if err != nil || playlist == "" {
		t.Fatal(err, string(body))
	}
	_ = br
	r.ask(t, playlist)
	want := content.Selector{Kind: content.ContentID, Value: channelID}
	if r.hub.Stop(want, "test") {
		t.Error("stopped by a name that nobody has told yet")
	}
	want = content.Selector{Kind: content.Infohash, Value: channelIH}
	if !r.hub.Stop(want, "test") {
		t.Error("not stopped")
	}
	if _, err := io.Copy(io.Discard, first.Body); err != nil {
		t.Errorf("the answer does not end in order: %v", err)
	}
	<-r.left
	<-r.left
	res, err := (&http.Client{}).Do(mustRequest(t, "http://"+r.addr+playlist))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound || res.Header.Get("X-Error-Code") != "no_session" {
		t.Errorf("the session of a stopped stream: %s", res.Status)
	}
	_, _, again := r.ask(t, liveTarget)
	if _, err := io.CopyN(io.Discard, again.Body, 1<<20); err != nil {
		t.Errorf("it does not start anew: %v", err)
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
