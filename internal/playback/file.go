package playback

import (
	"errors"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/stream"
)

// passedOn are the headers of an engine's answer that describe the file.
var passedOn = []string{
	"Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified",
}

// serveFile passes a range of a finite content from an engine to the player.
func (h *handler) serveFile(w http.ResponseWriter, r *http.Request, want content.Selector, viewer *stream.Viewer) {
	playback, err := viewer.Fetch(r.Context(), stream.FileRequest{
		Host:    host(r),
		Range:   r.Header.Get("Range"),
		IfRange: r.Header.Get("If-Range"),
	})
	if err != nil {
		h.fail(w, r, want, err)
		return
	}
	defer playback.Body.Close()
	for _, name := range passedOn {
		if v := playback.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	setServerTiming(w.Header(), viewer.Waited())
	w.WriteHeader(playback.Status)
	sink := &response{ResponseWriter: w, control: http.NewResponseController(w)}
	err = viewer.Copy(r.Context(), sink, playback.Body)
	switch {
	case err == nil:
		// The connection goes on; one without deadlines has none to lift.
		_ = sink.SetWriteDeadline(time.Time{})
		return
	case errors.Is(err, stream.ErrGone), viewer.Disconnected(), r.Context().Err() != nil:
		h.log.Debug("viewer done", "content", want, "addr", r.RemoteAddr, "err", err)
	default:
		h.log.Warn("file ended before its time", "content", want, "addr", r.RemoteAddr, "err", err)
	}
	// The length is out: only breaking the connection tells the player.
	panic(http.ErrAbortHandler)
}
