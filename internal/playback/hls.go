package playback

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/hls"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/stream"
)

const (
	playlistType = "application/vnd.apple.mpegurl"
	// playlistName is the last element of the path of a session's media playlist.
	playlistName = "live.m3u8"
	// firstSegments bounds the wait for a stream that plays to have enough segments
	// to begin with. Key frames may be 12 s apart.
	firstSegments = 20 * time.Second
	// segmentAge is how long segments and parts may be cached. They never change, and
	// are of no use after that.
	segmentAge = "max-age=60, immutable"
)

// HLS answers players that want live content in segments: the manifest begins a
// session, which is a viewer of the stream, and the session's media playlist and segments are at
// addresses with its name.
//
// The manifest is a multivariant playlist with one variant, rather than
// a redirect to the media playlist: players reload a media playlist from
// the address by which they know it, and not all of them take a redirect as a new
// one. All addresses in playlists are relative, so that proxies in front do not matter.
//
// Low latency has to be asked for (low_latency=1 in the manifest's address): a player that
// follows the parts is a few seconds behind live and feels each pause of the
// swarm, where others have several segments in store and play on while an engine is replaced.
//
// With seekback=600 the playlist is that of a live stream 600 s ago, at its pace (see [hls.Late]); parts
// would be of no use there, and low_latency means nothing.
//
// An HLS is safe for concurrent use.
type HLS struct {
	handler
	sessions *sessions
}

// NewHLS returns the handlers of HLS.
func NewHLS(hub Hub, log *slog.Logger) *HLS {
	return &HLS{handler: handler{hub: hub, log: log}, sessions: newSessions()}
}

// Manifest answers /ace/manifest.m3u8. The media playlist that it names is relative to
// that: at /ace/hls/{session}/live.m3u8.
func (h *HLS) Manifest(w http.ResponseWriter, r *http.Request) {
	if !admit(w, r) {
		return
	}
	want, err := content.FromQuery(r.URL.Query())
	if err != nil {
		refuse(w, r, http.StatusBadRequest, "bad_request", message.PlayBadInput, err.Error())
		return
	}
	low, err := flag(r, "low_latency")
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
		setPlaylistHeaders(w.Header())
		return
	}
	viewer, err := h.hub.Join(r.Context(), want, client(r, stream.FormHLS))
	if err != nil {
		h.fail(w, r, want, err)
		return
	}
	if !viewer.Live() {
		viewer.Leave()
		refuse(w, r, http.StatusNotFound, "not_live", message.PlayNotLive, "")
		return
	}
	s, err := h.begin(w.Header(), r, viewer, back)
	if err != nil {
		viewer.Leave()
		w.Header().Del(seekbackHeader)
		h.fail(w, r, want, err)
		return
	}
	s.parts = low
	name, ok := h.sessions.add(s)
	if !ok {
		viewer.Leave()
		w.Header().Set("Retry-After", "10")
		refuse(w, r, http.StatusServiceUnavailable, "crowded", message.PlayCrowded, "")
		return
	}
	h.write(w, s.list.Multivariant("hls/"+name+"/"+playlistName))
}

// flag reads a switch in the query, off where it is missing.
func flag(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New(name + " is neither 1 nor 0")
	}
	return on, nil
}

// begin makes the session of a viewer, and waits until the playlist has enough for a player to begin with.
func (h *HLS) begin(header http.Header, r *http.Request, viewer *stream.Viewer, back time.Duration) (*session, error) {
	if err := seekBack(r, header, viewer, back); err != nil {
		return nil, err
	}
	s := &session{viewer: viewer, list: viewer.Playlist()}
	ctx, cancel := context.WithTimeoutCause(r.Context(), firstSegments, &stream.Error{
		Code: stream.CodeNoData, Detail: "no complete segment in " + firstSegments.String(),
	})
	defer cancel()
	if err := await(ctx, s.list, hls.Directives{}); err != nil {
		return nil, err
	}
	if s.list.Ended() {
		return nil, s.viewer.Err()
	}
	s.late = viewer.Late(s.list)
	return s, nil
}

// await waits until the playlist has what is asked for. The error is
// [hls.ErrTooFar], or the cause of ctx.
func await(ctx context.Context, list *hls.Playlist, d hls.Directives) error {
	for {
		changed := list.Changed()
		if ok, err := list.Reached(d); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Session answers /ace/hls/{session}/{name}.
func (h *HLS) Session(w http.ResponseWriter, r *http.Request) {
	if !admit(w, r) {
		return
	}
	s, leave := h.sessions.enter(r.PathValue("session"))
	if s == nil {
		refuse(w, r, http.StatusNotFound, "no_session", message.PlayNoSession, "")
		return
	}
	defer leave()
	if r.PathValue("name") == playlistName {
		h.playlist(w, r, s)
		return
	}
	name, ok := hls.ParseName(r.PathValue("name"))
	if !ok {
		refuse(w, r, http.StatusNotFound, "no_segment", message.PlayNoSegment, "")
		return
	}
	h.media(w, r, s, name)
}

// errPatience ends a wait of a player that is better answered now.
var errPatience = errors.New("waited long enough")

// playlist answers with the media playlist, once it has what the player waits for.
//
// While the stream stands still a player gets what there is after half a target
// duration. The protocol would have an error after three, but an engine may take longer than that
// to be replaced: hls.js gives up on answers slower than 0.8 target durations, and on errors;
// of a playlist that has nothing new it tries the next version.
func (h *HLS) playlist(w http.ResponseWriter, r *http.Request, s *session) {
	d, err := hls.ParseDirectives(r.URL.Query())
	if err != nil {
		refuse(w, r, http.StatusBadRequest, "bad_request", message.PlayBadInput, err.Error())
		return
	}
	setPlaylistHeaders(w.Header())
	if r.Method == http.MethodHead {
		return
	}
	if s.late != nil {
		h.write(w, s.late.Text(time.Now()))
		return
	}
	text := s.list.Text(s.parts)
	if d.Block {
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.list.Target()/2, errPatience)
		defer cancel()
		switch err := await(ctx, s.list, d); {
		case errors.Is(err, hls.ErrTooFar):
			refuse(w, r, http.StatusBadRequest, "bad_request", message.PlayBadInput, err.Error())
			return
		case err != nil && !errors.Is(err, errPatience):
			return // the player has gone
		}
		text = s.list.Text(s.parts)
	}
	h.write(w, text)
}

// media answers with a segment or a part. A player may ask for the part that the
// playlist hints at before it is there.
func (h *HLS) media(w http.ResponseWriter, r *http.Request, s *session, name hls.Name) {
	m, err := expect(r.Context(), s.list, name)
	if err != nil {
		if r.Context().Err() == nil {
			refuse(w, r, http.StatusNotFound, "no_segment", message.PlayNoSegment, "")
		}
		return
	}
	header := w.Header()
	header.Set("Content-Type", "video/mp2t")
	header.Set("Content-Length", strconv.Itoa(m.Size))
	header.Set("Cache-Control", segmentAge)
	header.Set("Accept-Ranges", "none")
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	sink := &response{ResponseWriter: w, control: control}
	if err := s.viewer.Send(r.Context(), sink, m); err != nil {
		h.log.Debug("segment not taken", "addr", r.RemoteAddr, "err", err)
		if errors.Is(err, stream.ErrNotKept) && !sink.begun {
			clear(header)
			allowAnyOrigin(header)
			refuse(w, r, http.StatusNotFound, "no_segment", message.PlayNoSegment, "")
			return
		}
		// What was announced is not there: only breaking the connection tells.
		panic(http.ErrAbortHandler)
	}
	control.SetWriteDeadline(time.Time{}) // the connection goes on
}

// errNoSegment says that a segment is not there and will not be.
var errNoSegment = errors.New("no such segment")

// expect returns a segment or a part, which it waits for if it is the next one.
func expect(ctx context.Context, list *hls.Playlist, name hls.Name) (hls.Media, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, list.Target(), errNoSegment)
	defer cancel()
	for {
		changed := list.Changed()
		m, ok, due := list.Media(name)
		if ok {
			return m, nil
		}
		if !due {
			return hls.Media{}, errNoSegment
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return hls.Media{}, context.Cause(ctx)
		}
	}
}

// write answers with a playlist.
func (h *HLS) write(w http.ResponseWriter, text []byte) {
	setPlaylistHeaders(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if _, err := w.Write(text); err != nil {
		h.log.Debug("playlist not taken", "err", err)
	}
}

func setPlaylistHeaders(header http.Header) {
	header.Set("Content-Type", playlistType)
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Accel-Buffering", "no")
}
