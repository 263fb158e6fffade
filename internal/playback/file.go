package playback

import (
	"io"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/stream"
)

// passedOn are the headers of an engine's answer that describe the file.
var passedOn = []string{
	"Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified",
}

// fileChunk is what is copied at once between an engine and a player.
const fileChunk = 128 << 10

// writeTimeout bounds one write of a chunk to a player: one that takes nothing
// for so long is gone. Players that pause stop reading, and come back.
const writeTimeout = 10 * time.Minute

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
	w.WriteHeader(playback.Status)
	control := http.NewResponseController(w)
	buf := make([]byte, fileChunk)
	for {
		n, err := playback.Body.Read(buf)
		if n > 0 {
			control.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			h.log.Warn("file ended before its time", "content", want, "addr", r.RemoteAddr, "err", err)
			// The length is out: only breaking the connection tells the player.
			panic(http.ErrAbortHandler)
		}
	}
}
