package enginetest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
)

// Content is an entry of a fake's catalogue.
type Content struct {
	Infohash  string // 40 lower-case hex digits
	ContentID string // 40 lower-case hex digits; may be empty
	Name      string
	Live      bool
	Bitrate   int // bytes per second; 250 000 if 0
	Peers     int // 5 if 0
	Files     []File
}

// File is one file of a content that is not live.
type File struct {
	Name string
	MIME string
	Data []byte // not written to
}

// Timing is how long an engine takes.
type Timing struct {
	Open             time.Duration // to open known content
	UnknownContentID time.Duration // to refuse a content id nobody knows
	UnknownInfohash  time.Duration // to refuse an infohash nobody has
	Prebuffer        time.Duration // from the open to the header of the playback
	Burst            time.Duration // how much media goes out at once in the beginning
	Inactivity       time.Duration // until a session without a reader is dropped
}

// DefaultTiming is that of an engine which knows everything already, so that
// tests on the real clock need not wait.
func DefaultTiming() Timing {
	return Timing{Burst: 2 * time.Second, Inactivity: time.Minute}
}

// MeasuredTiming is what official engines 3.1.74 and 3.2.3 were measured to
// take with good content; the inactivity time is a guess, none is published.
func MeasuredTiming() Timing {
	return Timing{
		Open:             500 * time.Millisecond,
		UnknownContentID: 4600 * time.Millisecond,
		UnknownInfohash:  28 * time.Second,
		Prebuffer:        5 * time.Second,
		Burst:            2 * time.Second,
		Inactivity:       time.Minute,
	}
}

// DefaultEpoch is when broadcasts began. It lies before the time at which
// [testing/synctest] bubbles begin.
var DefaultEpoch = time.Date(1999, time.December, 31, 23, 0, 0, 0, time.UTC)

// Config is what a [Fake] is made of. The zero value is engine 3.2.3 with an
// empty catalogue.
type Config struct {
	Contents []Content
	Timing   Timing    // [DefaultTiming] if zero
	Clock    Clock     // the real one if nil
	Epoch    time.Time // when broadcasts began; [DefaultEpoch] if zero. Fakes that share it send the same bytes at the same time
	Version  string    // "3.2.3" if empty
	Platform string    // "linux" if empty

	// Native makes the fake say that it is the native engine, MultiReader that a
	// playback address may have many readers, and serve them.
	Native      bool
	MultiReader bool

	AccessToken    string // if set, requests without token= are denied
	AlignedStart   bool   // playback begins at the border of a packet
	Chunked        bool   // playback is chunked; else it ends with the connection
	DirectPlayback bool   // the playback address answers itself instead of redirecting
	UnknownStatus  int    // of playback addresses that never were; 404 if 0
}

// Fake is an engine in memory: the HTTP API of an official engine with the
// manners published of versions 3.1.74 to 3.2.11, the bad ones included. Where
// nothing is known of an engine's manner a field of [Config] says so, or the
// comment where the choice is made. Safe for concurrent use.
type Fake struct {
	cfg        Config
	clock      Clock
	contents   []*Content
	broadcasts map[string]*Broadcast // by infohash
	mux        *http.ServeMux

	mu        sync.Mutex
	up        bool                 // guarded by mu, like all below
	sessions  map[string]*session  // by key, those that are over included
	active    map[string]*session  // by infohash
	players   map[string]*session  // active ones by pid
	ended     map[string]bool      // pid and infohash of playbacks that came to an end
	cached    map[string]bool      // infohashes whose transport file was loaded
	since     map[string]time.Time // when the infohash's last download began
	orders    []*order
	counters  Counters
	changed   chan struct{} // closed at each change of counters
	serving   *serving      // nil while not started or killed
	transport http.RoundTripper
	listen    listenFunc
	addr      string
	url       string
}

// New returns a fake that serves nothing yet: see [Fake.Start], [Fake.StartIn]
// and [Fake.Handler]. A catalogue that cannot be served panics.
func New(cfg Config) *Fake {
	f := &Fake{
		cfg: cfg, clock: cfg.Clock, up: true,
		broadcasts: make(map[string]*Broadcast),
		changed:    make(chan struct{}),
	}
	if f.clock == nil {
		f.clock = realClock{}
	}
	if f.cfg.Timing == (Timing{}) {
		f.cfg.Timing = DefaultTiming()
	}
	if f.cfg.Epoch.IsZero() {
		f.cfg.Epoch = DefaultEpoch
	}
	f.cfg.Version = either(cfg.Version, "3.2.3")
	f.cfg.Platform = either(cfg.Platform, "linux")
	if cfg.UnknownStatus == 0 {
		f.cfg.UnknownStatus = http.StatusNotFound
	}
	for _, c := range cfg.Contents {
		f.add(c)
	}
	f.forget()
	f.mux = f.routes()
	return f
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// add puts a content into the catalogue.
func (f *Fake) add(c Content) {
	if _, err := content.New(content.Infohash, c.Infohash); err != nil {
		panic(fmt.Sprintf("enginetest: content %q: infohash %v", c.Name, err))
	}
	if c.Bitrate == 0 {
		c.Bitrate = 250_000
	}
	if c.Peers == 0 {
		c.Peers = 5
	}
	if c.Live {
		b, err := NewBroadcast(c.Infohash, c.Bitrate)
		if err != nil {
			panic(fmt.Sprintf("enginetest: content %q: %v", c.Name, err))
		}
		f.broadcasts[c.Infohash] = b
	} else if len(c.Files) == 0 {
		panic(fmt.Sprintf("enginetest: content %q is neither live nor has files", c.Name))
	}
	f.contents = append(f.contents, &c)
}

// find returns the content that a selector names, or nil.
func (f *Fake) find(sel content.Selector) *Content {
	ih, hasInfohash := sel.Infohash()
	for _, c := range f.contents {
		switch {
		case hasInfohash && c.Infohash == ih, sel.Kind == content.ContentID && c.ContentID == sel.Value:
			return c
		case sel.Kind == content.ContentID && c.Infohash == sel.Value && f.isCached(c.Infohash):
			// An infohash given as a content id works once the transport file is there.
			return c
		}
	}
	return nil
}

func (f *Fake) isCached(infohash string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cached[infohash]
}

// names returns what faults may call a content.
func (c *Content) names() []string { return []string{c.Infohash, c.ContentID} }

// Broadcast returns the broadcast of a live content of the catalogue, or nil.
func (f *Fake) Broadcast(infohash string) *Broadcast { return f.broadcasts[infohash] }

// Handler returns the engine's HTTP API, for servers other than the fake's own.
func (f *Fake) Handler() http.Handler { return http.HandlerFunc(f.serveHTTP) }

// routes maps the engine's addresses. HEAD never gets here.
func (f *Fake) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /webui/api/service", f.service)
	mux.HandleFunc("GET /server/api", f.serverAPI)
	mux.HandleFunc("GET /webui/app/{token}/cmd/clearcache", f.clearCache)
	mux.HandleFunc("GET /ace/getstream", f.getStream)
	mux.HandleFunc("GET /ace/manifest.m3u8", f.getStream)
	mux.HandleFunc("GET /ace/r/{infohash}/{key}", f.progressive)
	mux.HandleFunc("GET /content/{infohash}/{token}", f.media)
	mux.HandleFunc("GET /ace/m/{infohash}/{key}", f.playlist)
	mux.HandleFunc("GET /ace/c/{infohash}/{segment}", f.segment)
	mux.HandleFunc("GET /ace/stat/{infohash}/{key}", f.stat)
	mux.HandleFunc("GET /ace/cmd/{infohash}/{key}", f.command)
	return mux
}

// serveHTTP counts a request, lets the faults of the whole engine strike, and
// hands it on.
func (f *Fake) serveHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if !f.up || r.Context().Err() != nil {
		f.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	f.counted(func(c *Counters) { c.Requests++; c.InFlight++ })
	f.mu.Unlock()
	defer f.count(func(c *Counters) { c.InFlight-- })

	w.Header().Set("Server", "BaseHTTP/0.3 Python/2.7.12")
	isVersion := r.URL.Path == "/webui/api/service"
	for _, kind := range []FaultKind{VersionHang, APIHang} {
		if kind == APIHang && isVersion {
			continue
		}
		if o := f.fault(kind); o != nil && !o.hang(r.Context()) {
			return
		}
	}
	switch {
	case f.fault(ResetAll) != nil:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			resetConn(conn)
		}
	case f.fault(Unavailable) != nil:
		writeText(w, http.StatusServiceUnavailable, "Service Unavailable")
	case f.cfg.AccessToken != "" && r.URL.Query().Get("token") != f.cfg.AccessToken, !isVersion && f.fault(AccessDenied) != nil:
		writeJSON(w, http.StatusForbidden, object{"result": nil, "error": "access denied"})
	case r.Method != http.MethodGet:
		// What Python's server says where a method has no handler. Nothing is
		// documented about HEAD.
		f.count(func(c *Counters) {
			if r.Method == http.MethodHead {
				c.Heads++
			}
		})
		w.Header().Set("Connection", "close")
		writeText(w, http.StatusNotImplemented, "Unsupported method ("+strings.ToUpper(r.Method)+")")
	default:
		f.mux.ServeHTTP(w, r)
	}
}

// eitherContext returns a context that ends with the first of two.
func eitherContext(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func() { stop(); cancel(nil) }
}
