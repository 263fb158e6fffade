// Package playback is what players talk to: one address per content that
// answers with the stream, or with one plain line that says why there is none.
//
// What each player does and expects is in the comments of the handlers; no
// request but GET ever costs an engine anything.
package playback

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/player"
	"github.com/acequia-tv/acequia/internal/stream"
)

// Hub is what playback needs of [stream.Hub].
type Hub interface {
	Join(ctx context.Context, want content.Selector, who stream.Client) (*stream.Viewer, error)
}

// New returns the handler of /ace/getstream.
func New(hub Hub, log *slog.Logger) *Handler {
	return &Handler{handler{hub: hub, log: log}}
}

// Handler plays what a request names. It is safe for concurrent use.
type Handler struct{ handler }

// handler is what all that play have in common.
type handler struct {
	hub Hub
	log *slog.Logger
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !admit(w, r) {
		return
	}
	want, err := content.FromQuery(r.URL.Query())
	if err != nil {
		refuse(w, r, http.StatusBadRequest, "bad_request", message.PlayBadInput, err.Error())
		return
	}
	back, err := seekback(r.URL.Query())
	if err != nil {
		refuse(w, r, http.StatusBadRequest, "bad_request", message.PlaySeekback, "")
		return
	}
	if r.Method == http.MethodHead {
		// Jellyfin, Kodi and others probe before they play, some of them
		// every channel of a list: the answer must cost nothing.
		setLiveHeaders(w.Header(), want)
		w.WriteHeader(http.StatusOK)
		return
	}
	h.play(w, r, want, back)
}

// play answers a GET.
func (h *Handler) play(w http.ResponseWriter, r *http.Request, want content.Selector, back time.Duration) {
	viewer, err := h.hub.Join(r.Context(), want, Client(r))
	if err != nil {
		h.fail(w, r, want, err)
		return
	}
	defer viewer.Leave()
	h.Serve(w, r, want, viewer, back)
}

// Serve answers a GET of a viewer that has joined, and leaves that to the
// caller in the end. Headers go out with the first bytes, so that until then a
// failure is still a status. A file has ranges, and no live to be behind of:
// there back means nothing.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, want content.Selector, viewer *stream.Viewer, back time.Duration) {
	ctx := r.Context()
	if !viewer.Live() {
		h.serveFile(w, r, want, viewer)
		return
	}
	setLiveHeaders(w.Header(), want)
	sink := newLiveResponse(w, r)
	sink.begin = func() { setServerTiming(w.Header(), viewer.Waited()) }
	err := seekBack(r, w.Header(), viewer, back)
	if err == nil {
		err = viewer.Relay(ctx, sink.sink())
	}
	h.log.Debug("viewer done", "content", want, "addr", r.RemoteAddr, "err", err)
	if !sink.begun {
		clear(w.Header())
		allowAnyOrigin(w.Header())
		h.fail(w, r, want, err)
	}
}

// Client tells who asks for a stream.
func Client(r *http.Request) stream.Client { return client(r, stream.FormTS) }

func client(r *http.Request, form stream.Form) stream.Client {
	agent := r.UserAgent()
	return stream.Client{
		Addr: r.RemoteAddr, App: player.Name(agent), Agent: agent[:min(len(agent), longestAgent)], Form: form,
	}
}

// longestAgent bounds what is remembered of a User-Agent, in bytes.
const longestAgent = 256

// setLiveHeaders sets what every answer with a live stream carries. The type
// is in lower case, as Kodi and Jellyfin compare it; ranges are refused, as a
// player that believes in them loops over its probe; nginx must not buffer.
func setLiveHeaders(header http.Header, want content.Selector) {
	header.Set("Content-Type", "video/mp2t")
	header.Set("Cache-Control", "no-store")
	header.Set("Accept-Ranges", "none")
	header.Set("X-Accel-Buffering", "no")
	header.Set("Content-Disposition", `inline; filename="`+fileName(want)+`"`)
}

func allowAnyOrigin(header http.Header) {
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "Range")
	header.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range, Server-Timing, X-Error-Code, "+seekbackHeader)
}

// fileName names the stream for players that show or save it.
func fileName(want content.Selector) string {
	if ih, ok := want.Infohash(); ok {
		return ih + ".ts"
	}
	if want.Kind == content.ContentID {
		return want.Value + ".ts"
	}
	return "stream.ts"
}

// response is the sink of one viewer.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool   // a byte was written, so that the status is out
	begin   func() // called before the first byte; may be nil
}

func (s *response) Write(p []byte) (int, error) {
	s.start()
	return s.ResponseWriter.Write(p)
}

// start notes that the answer begins, once.
func (s *response) start() {
	if !s.begun && s.begin != nil {
		s.begin()
	}
	s.begun = true
}

func (s *response) SetWriteDeadline(t time.Time) error { return s.control.SetWriteDeadline(t) }

func (s *response) Flush() error {
	if !s.begun {
		return nil
	}
	return s.control.Flush()
}

// host is the address of the player without its port: two requests of one
// player come from different ports.
func host(r *http.Request) string {
	if h, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return h
	}
	return r.RemoteAddr
}

// refuse answers with a status and one plain line in the player's language.
func refuse(w http.ResponseWriter, r *http.Request, status int, code stream.Code, key message.Key, detail string) {
	text := message.Text(message.Preferred(r.Header.Get("Accept-Language")), key)
	if detail != "" {
		text = fmt.Sprintf("%s (%s)", text, strings.TrimSuffix(oneLine(detail), "."))
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if code != "" {
		header.Set("X-Error-Code", string(code))
	}
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
