package playback

import (
	"net/http"

	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/stream"
)

// admit lets GET and HEAD pass, and answers the rest.
func admit(w http.ResponseWriter, r *http.Request) bool {
	allowAnyOrigin(w.Header())
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		refuse(w, r, http.StatusMethodNotAllowed, stream.Code(""), message.PlayMethod, "")
	}
	return false
}
