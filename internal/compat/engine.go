package compat

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/playback"
	"github.com/acequia-tv/acequia/internal/stream"
)

const (
	// mostSessions bounds the sessions that are open at a time.
	mostSessions = 1000
	// sessionIdle is how long a session is kept that nobody plays or asks
	// about, as an engine drops such sessions. It bounds the time between the
	// answer to an open and the playback, too.
	sessionIdle = time.Minute
)

// The texts of an engine's errors
// (https://docs.acestream.net/developers/start-playback/).
const (
	failedToLoad   = "failed to load content"
	missingID      = "missing content id"
	unknownSession = "unknown playback session id"
	unknownMethod  = "unknown method"
)

// Hub is what the engine's addresses need of [stream.Hub].
type Hub interface {
	playback.Hub
	Find(want content.Selector) (stream.Status, bool)
}

// Engine answers on the addresses of an engine's HTTP API, as far as software
// needs them that plays: it opens a session, plays it, asks for its statistics
// and stops it (https://docs.acestream.net/developers/start-playback/). Behind
// it is the whole pool: sessions of one content share one stream, and a
// playback address may have several readers.
//
// Its methods are safe for concurrent use. Run ends sessions that nobody ends.
type Engine struct {
	hub     Hub
	play    *playback.Handler
	version string

	mu       sync.Mutex
	sessions map[string]*session // by key; guarded by mu
}

// session is a playback that software opened. Its fields up to mu do not
// change.
type session struct {
	key      string
	want     content.Selector
	infohash string
	live     bool
	ctx      context.Context // ends with the session
	cancel   context.CancelFunc

	mu     sync.Mutex
	viewer *stream.Viewer // keeps the stream until the player comes; guarded by mu
	used   time.Time      // guarded by mu
	active int            // requests that play; guarded by mu
}

// NewEngine returns the engine of a hub, for a program of that version.
func NewEngine(hub Hub, play *playback.Handler, version string) *Engine {
	return &Engine{hub: hub, play: play, version: version, sessions: make(map[string]*session)}
}

// OrOpen returns the handler of /ace/getstream: play, or [Engine.Open] for
// requests with format=json.
func (e *Engine) OrOpen(play http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Query().Get("format") == "json" {
			e.Open(w, r)
			return
		}
		play.ServeHTTP(w, r)
	})
}

// Routes returns the addresses that the engine answers on, but for
// /ace/getstream; see [Engine.OrOpen].
func (e *Engine) Routes() []Route {
	return []Route{
		{Pattern: "/ace/r/{infohash}/{session}", Access: Plays, Handler: http.HandlerFunc(e.Play)},
		{Pattern: "GET /ace/stat/{infohash}/{session}", Access: Plays, Handler: http.HandlerFunc(e.Stat)},
		{Pattern: "GET /ace/cmd/{infohash}/{session}", Access: Plays, Handler: http.HandlerFunc(e.Command)},
		{Pattern: "GET /webui/api/service", Access: Plays, Handler: http.HandlerFunc(e.Service)},
	}
}

// envelope is the form of the playback endpoints' answers.
type envelope struct {
	Response any     `json:"response"`
	Error    *string `json:"error"`
}

func writeResponse(w http.ResponseWriter, v any)    { writeJSON(w, envelope{Response: v}) }
func writeError(w http.ResponseWriter, text string) { writeJSON(w, envelope{Error: &text}) }

// opened is the answer to an open.
type opened struct {
	PlaybackURL     string `json:"playback_url"`
	StatURL         string `json:"stat_url"`
	CommandURL      string `json:"command_url"`
	Infohash        string `json:"infohash"`
	SessionID       string `json:"playback_session_id"`
	IsLive          int    `json:"is_live"`
	IsEncrypted     int    `json:"is_encrypted"`
	ClientSessionID int    `json:"client_session_id"`
	// MultiReader is not in an official engine's answer: the playback address
	// may have several readers.
	MultiReader int `json:"multi_reader"`
}

// Open answers /ace/getstream?format=json: the content is started, and the
// answer says where it plays. Errors are told with status 200, as engines do.
func (e *Engine) Open(w http.ResponseWriter, r *http.Request) {
	want, err := content.FromQuery(r.URL.Query())
	if err != nil {
		writeError(w, missingID+": "+err.Error())
		return
	}
	viewer, err := e.hub.Join(r.Context(), want, playback.Client(r))
	switch code := stream.CodeOf(err); {
	case err == nil:
	case code == stream.CodeNotFound || code == stream.CodeExhausted:
		writeError(w, failedToLoad)
		return
	default:
		writeError(w, err.Error())
		return
	}
	status, _ := e.hub.Find(want)
	s := &session{key: newKey(), want: want, infohash: status.Infohash, live: viewer.Live(), viewer: viewer, used: time.Now()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if !e.keep(s) {
		s.end()
		writeError(w, "too many sessions are open: stop some")
		return
	}
	base, tail := baseOf(r), "/"+s.infohash+"/"+s.key
	if token := r.URL.Query().Get("token"); token != "" {
		tail += "?token=" + token // who needs one to open needs one to play
	}
	writeResponse(w, opened{
		PlaybackURL: base + "/ace/r" + tail, StatURL: base + "/ace/stat" + tail, CommandURL: base + "/ace/cmd" + tail,
		Infohash: s.infohash, SessionID: s.key, IsLive: oneIf(s.live), ClientSessionID: -1, MultiReader: 1,
	})
}

// Play answers the playback address of a session.
func (e *Engine) Play(w http.ResponseWriter, r *http.Request) {
	s := e.find(r)
	if s == nil {
		http.Error(w, unknownSession, http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	viewer := s.begin(r.Method == http.MethodGet)
	defer s.done()
	inner := r.Clone(ctx)
	inner.URL.RawQuery = s.want.Query().Encode()
	if viewer == nil {
		e.play.ServeHTTP(w, inner)
		return
	}
	defer viewer.Leave()
	e.play.Serve(w, inner, s.want, viewer, 0)
}

// statistics is the answer about a session. Speeds are in KiB/s.
type statistics struct {
	Status     string            `json:"status"`
	Peers      int               `json:"peers"`
	SpeedDown  int               `json:"speed_down"`
	SpeedUp    int               `json:"speed_up"`
	Downloaded int64             `json:"downloaded"`
	Uploaded   int64             `json:"uploaded"`
	IsLive     int               `json:"is_live"`
	Infohash   string            `json:"infohash"`
	SessionID  string            `json:"playback_session_id"`
	LivePos    map[string]string `json:"livepos,omitempty"`
}

// Stat answers for the statistics of a session: those of the stream that it
// shares, as the engine told them that plays it now.
func (e *Engine) Stat(w http.ResponseWriter, r *http.Request) {
	s := e.find(r)
	if s == nil {
		writeError(w, unknownSession)
		return
	}
	answer := statistics{Status: "idle", IsLive: oneIf(s.live), Infohash: s.infohash, SessionID: s.key}
	if status, ok := e.hub.Find(s.want); ok {
		answer.Status, answer.Downloaded = "dl", status.Received
		if status.Engine == "" {
			answer.Status = "buf" // another engine is being found
		}
		if v := status.Vitals; v != nil {
			answer.Peers, answer.SpeedDown, answer.SpeedUp = v.Peers, v.SpeedDown, v.SpeedUp
			answer.Uploaded = v.Uploaded
			if p := v.LivePos; p != nil {
				answer.LivePos = map[string]string{
					"pos": unixText(p.Pos), "last": unixText(p.Last), "live_first": unixText(p.LiveFirst), "live_last": unixText(p.LiveLast),
					"first_ts": unixText(p.LiveFirst), "last_ts": unixText(p.LiveLast), "is_live": "1", "buffer_pieces": strconv.Itoa(p.BufferPieces),
				}
			}
		}
	}
	writeResponse(w, answer)
}

// Command answers for the commands of a session, of which there is one: stop.
func (e *Engine) Command(w http.ResponseWriter, r *http.Request) {
	s := e.find(r)
	switch {
	case s == nil:
		writeError(w, unknownSession)
	case r.URL.Query().Get("method") != "stop":
		writeError(w, unknownMethod)
	default:
		e.end(s)
		writeResponse(w, "ok")
	}
}

// Service answers /webui/api/service: get_version, the probe for life of
// everything that talks to engines.
func (e *Engine) Service(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("method") != "get_version" {
		writeJSON(w, map[string]any{"result": nil, "error": unknownMethod})
		return
	}
	writeJSON(w, map[string]any{"error": nil, "result": map[string]any{
		"code": 1, "platform": runtime.GOOS, "version": e.version, "engine": "acequia proxy",
	}})
}

// Run drops the sessions that nobody uses until ctx ends, and then all.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(sessionIdle / 6)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.drop(time.Now().Add(-sessionIdle))
		case <-ctx.Done():
			e.drop(time.Now().Add(time.Hour))
			return nil
		}
	}
}

// drop ends the sessions that were used last before a time and do not play.
func (e *Engine) drop(before time.Time) {
	e.mu.Lock()
	var idle []*session
	for _, s := range e.sessions {
		if s.idleSince(before) {
			idle = append(idle, s)
		}
	}
	e.mu.Unlock()
	for _, s := range idle {
		e.end(s)
	}
}

func (e *Engine) keep(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sessions) >= mostSessions {
		return false
	}
	e.sessions[s.key] = s
	return true
}

// find returns the session that a request names, nil if there is none, and
// notes that it is in use.
func (e *Engine) find(r *http.Request) *session {
	e.mu.Lock()
	s := e.sessions[r.PathValue("session")]
	e.mu.Unlock()
	if s == nil || s.infohash != r.PathValue("infohash") {
		return nil
	}
	s.mu.Lock()
	s.used = time.Now()
	s.mu.Unlock()
	return s
}

func (e *Engine) end(s *session) {
	e.mu.Lock()
	delete(e.sessions, s.key)
	e.mu.Unlock()
	s.end()
}

// end cuts the session's readers off, and lets go of the stream.
func (s *session) end() {
	s.cancel()
	s.mu.Lock()
	v := s.viewer
	s.viewer = nil
	s.mu.Unlock()
	if v != nil {
		v.Leave()
	}
}

// begin notes a request that plays. The first one that reads a live content
// takes the viewer that kept the stream for it. A file has many requests, so
// that it stays kept.
func (s *session) begin(reads bool) *stream.Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
	if !reads || !s.live {
		return nil
	}
	v := s.viewer
	s.viewer = nil
	return v
}

func (s *session) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.used = time.Now()
}

func (s *session) idleSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active == 0 && s.used.Before(t)
}

// newKey returns a name for a session that cannot be guessed, in the form that
// engines give theirs.
func newKey() string {
	var raw [20]byte
	rand.Read(raw[:]) // never fails, see crypto/rand
	return hex.EncodeToString(raw[:])
}

// baseOf returns how the client reached this server.
func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unixText writes a time as engines do, as text.
func unixText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}
