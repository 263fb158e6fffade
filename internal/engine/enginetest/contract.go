package enginetest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
)

// Harness is an engine under test and what it is known to have.
type Harness struct {
	Base      string            // address, as http://127.0.0.1:6878
	Transport http.RoundTripper // that reaches Base; nil for the network

	Selector content.Selector // of content that plays
	Alias    content.Selector // another name of it; zero if it has none
	Infohash string           // of it
	Live     bool
	Data     []byte // the selected file, if it is not live

	Unknown       content.Selector // of content that the engine cannot play
	UnknownClass  engine.Class     // what the engine says to that
	UnknownWithin time.Duration    // and how soon; 60 s if 0
	StartWithin   time.Duration    // from the open to the header of the playback; 60 s if 0

	// MultiReader tells that a playback address may have several readers.
	MultiReader bool
	// Isolated tells that the sessions of one content are independent of each
	// other. On official engines there is one, and stopping it by any of its
	// keys ends all.
	Isolated bool
}

// Test checks that an engine meets what [engine.Client] relies on. The cases
// run one after the other on the one engine, and leave no session behind.
func Test(t *testing.T, h Harness) {
	if h.UnknownWithin == 0 {
		h.UnknownWithin = time.Minute
	}
	if h.StartWithin == 0 {
		h.StartWithin = time.Minute
	}
	client, err := engine.NewClient(h.Base, engine.WithTransport(h.Transport))
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{Harness: h, client: client}
	t.Run("Version", c.version)
	t.Run("Status", c.status)
	t.Run("Resolve", c.resolve)
	t.Run("MediaFiles", c.mediaFiles)
	t.Run("Open", c.open)
	t.Run("Redirect", c.redirect)
	t.Run("Unknown", c.unknown)
	t.Run("UnknownSession", c.unknownSession)
	t.Run("Play", c.play)
	t.Run("Head", c.head)
	t.Run("Stat", c.stat)
	t.Run("Stop", c.stop)
	t.Run("ConcurrentOpens", c.concurrentOpens)
	if h.Live {
		t.Run("OneReader", c.oneReader)
		return
	}
	t.Run("WholeFile", c.wholeFile)
	t.Run("Ranges", c.ranges)
	t.Run("FileIndex", c.fileIndex)
	if h.MultiReader {
		t.Run("SeveralReaders", c.severalReaders)
	} else {
		t.Run("OneReader", c.oneReader)
	}
}

// contract is one run of the suite.
type contract struct {
	Harness
	client *engine.Client
}

// session opens a session, which is stopped when the test ends.
func (c *contract) session(t *testing.T, sel content.Selector) *engine.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.StartWithin)
	defer cancel()
	s, err := c.client.Open(ctx, sel, engine.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.client.Stop(context.WithoutCancel(t.Context()), s); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// playback plays a session; the body is closed when the test ends.
func (c *contract) playback(t *testing.T, s *engine.Session, opts engine.PlayOptions) *engine.Playback {
	t.Helper()
	// The context governs the body too, so only the wait for the header ends it.
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(c.StartWithin, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	p, err := c.client.Play(ctx, s, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Body.Close()
		cancel(nil)
	})
	return p
}

// reply is a raw answer.
type reply struct {
	status int
	header http.Header
	body   []byte // not read of a redirect, where it may have no end
}

// raw sends a request as a client without this package's manners would.
func (c *contract) raw(t *testing.T, method, target string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.StartWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.client.Base()+target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	rt := c.Transport
	if rt == nil {
		own := &http.Transport{DisableKeepAlives: true}
		defer own.CloseIdleConnections()
		rt = own
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := reply{status: res.StatusCode, header: res.Header}
	if res.StatusCode/100 != 3 {
		if r.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// rawJSON sends a GET and decodes its answer.
func (c *contract) rawJSON(t *testing.T, target string, v any) {
	t.Helper()
	r := c.raw(t, http.MethodGet, target)
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("GET %s: %v: %q", target, err, r.body)
	}
}

// openTarget returns the request that opens a session in the given format.
func (c *contract) openTarget(pid, format string) string {
	q := c.Selector.Query()
	q.Set("pid", pid)
	if format != "" {
		q.Set("format", format)
	}
	return "/ace/getstream?" + q.Encode()
}

// rawSession opens a session and returns what the engine says of it.
func (c *contract) rawSession(t *testing.T) map[string]any {
	t.Helper()
	var r struct {
		Response map[string]any `json:"response"`
		Error    any            `json:"error"`
	}
	pid := engine.NewPID()
	c.rawJSON(t, c.openTarget(pid, "json"), &r)
	if r.Error != nil {
		t.Fatalf("open: %v", r.Error)
	}
	t.Cleanup(func() {
		// The same pid finds the session again, so that the client can stop it.
		ctx := context.WithoutCancel(t.Context())
		s, err := c.client.Open(ctx, c.Selector, engine.OpenOptions{PID: pid})
		if err == nil {
			err = c.client.Stop(ctx, s)
		}
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r.Response
}

func (c *contract) version(t *testing.T) {
	v, err := c.client.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.Code <= 0 || v.Version == "" || v.Platform == "" {
		t.Errorf("version %+v lacks a field", v)
	}
}

func (c *contract) status(t *testing.T) {
	var r struct {
		Result struct {
			Version struct {
				Code int `json:"code"`
			} `json:"version"`
		} `json:"result"`
	}
	c.rawJSON(t, "/server/api?api_version=3&method=get_status", &r)
	v, err := c.client.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Result.Version.Code != v.Code {
		t.Errorf("get_status says version %d, get_version %d", r.Result.Version.Code, v.Code)
	}
}

func (c *contract) resolve(t *testing.T) {
	for _, sel := range c.names() {
		got, err := c.client.Resolve(t.Context(), sel)
		if err != nil {
			t.Fatalf("%v: %v", sel, err)
		}
		if got.Infohash != c.Infohash || got.Delivery != c.delivery() {
			t.Errorf("%v: %+v, want infohash %s, %v", sel, got, c.Infohash, c.delivery())
		}
	}
}

// names returns the selectors of the content.
func (c *contract) names() []content.Selector {
	if c.Alias == (content.Selector{}) {
		return []content.Selector{c.Selector}
	}
	return []content.Selector{c.Selector, c.Alias}
}

func (c *contract) delivery() engine.Delivery {
	if c.Live {
		return engine.DeliveryLive
	}
	return engine.DeliveryVOD
}

func (c *contract) mediaFiles(t *testing.T) {
	got, err := c.client.MediaFiles(t.Context(), c.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if got.Infohash != c.Infohash || got.Delivery != c.delivery() || len(got.Files) == 0 {
		t.Fatalf("%+v, want infohash %s, %v, and files", got, c.Infohash, c.delivery())
	}
	if c.Live {
		return
	}
	for _, f := range got.Files {
		if f.Index == c.Selector.File {
			if f.Size != int64(len(c.Data)) || f.Name == "" {
				t.Errorf("file %+v, want %d bytes and a name", f, len(c.Data))
			}
			return
		}
	}
	t.Errorf("no file %d in %+v", c.Selector.File, got.Files)
}

func (c *contract) open(t *testing.T) {
	for _, sel := range c.names() {
		s := c.session(t, sel)
		if s.Infohash != c.Infohash || s.Live != c.Live || s.Encrypted || s.MultiReader != c.MultiReader || s.ID == "" {
			t.Errorf("%v: %+v, want infohash %s, live %v, readers %v, an id", sel, s, c.Infohash, c.Live, c.MultiReader)
		}
	}
	// The fields as any client sees them.
	got := c.rawSession(t)
	for field, path := range map[string]string{"playback_url": "/", "stat_url": "/ace/stat/", "command_url": "/ace/cmd/"} {
		u, err := url.Parse(got[field].(string))
		if err != nil || u.Scheme == "" || u.Host == "" || !strings.HasPrefix(u.Path, path) {
			t.Errorf("%s %q is not an absolute URL under %s", field, got[field], path)
		}
	}
	want := map[string]any{"infohash": c.Infohash, "is_live": float64(number(c.Live)), "is_encrypted": 0.0, "client_session_id": -1.0}
	for field, value := range want {
		if diff := cmp.Diff(value, got[field]); diff != "" {
			t.Errorf("%s: %s", field, diff)
		}
	}
}

// redirect is the mode for players, which follow the answer to the media.
func (c *contract) redirect(t *testing.T) {
	pid := engine.NewPID()
	r := c.raw(t, http.MethodGet, c.openTarget(pid, ""))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		s, err := c.client.Open(ctx, c.Selector, engine.OpenOptions{PID: pid})
		if err == nil {
			err = c.client.Stop(ctx, s)
		}
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	u, err := url.Parse(r.header.Get("Location"))
	if r.status != http.StatusFound || err != nil {
		t.Fatalf("status %d, Location %q", r.status, r.header.Get("Location"))
	}
	if !strings.HasPrefix(u.Path, "/ace/r/"+c.Infohash+"/") && !strings.HasPrefix(u.Path, "/content/"+c.Infohash+"/") {
		t.Errorf("redirect to %q", u.Path)
	}
}

func (c *contract) unknown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), c.UnknownWithin)
	defer cancel()
	s, err := c.client.Open(ctx, c.Unknown, engine.OpenOptions{})
	if err == nil {
		_ = c.client.Stop(ctx, s) // the error is that there is a session
		t.Fatal("unknown content was opened")
	}
	if got := engine.ClassOf(err); got != c.UnknownClass {
		t.Errorf("class %v, want %v: %v", got, c.UnknownClass, err)
	}
}

// unknownSession: what an engine says of sessions and methods it does not know
// comes with status 200.
func (c *contract) unknownSession(t *testing.T) {
	var r struct {
		Response any    `json:"response"`
		Error    string `json:"error"`
	}
	path := c.Infohash + "/" + strings.Repeat("0", 32)
	for target, want := range map[string]string{
		"/ace/stat/" + path:                      "unknown playback session id",
		"/ace/cmd/" + path + "?method=stop":      "unknown playback session id",
		"/webui/api/service?method=no_such_call": "unknown method",
	} {
		if c.rawJSON(t, target, &r); r.Error != want {
			t.Errorf("GET %s: error %q, want %q", target, r.Error, want)
		}
	}
}
