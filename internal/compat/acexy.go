package compat

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/stream"
)

// Streams is what the compatible addresses need of [stream.Hub].
type Streams interface {
	Snapshot() []stream.Status
	Find(want content.Selector) (stream.Status, bool)
}

// acexyStatus is acexy's answer to /ace/status: the number of streams, or with
// a content the number of its viewers. acexy leaves stream_id an empty object;
// here it says which content was asked for. Its stat_url is left out: it would
// lead players to an engine that they have no business with
// (https://github.com/Javinator9889/acexy, acexy.go, type AcexyStatus).
type acexyStatus struct {
	Clients  *int              `json:"clients,omitempty"`
	Streams  *int              `json:"streams,omitempty"`
	StreamID map[string]string `json:"stream_id,omitempty"`
}

// AcexyStatus answers GET /ace/status as acexy does. It is safe for concurrent
// use.
func AcexyStatus(streams Streams) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := content.FromQuery(r.URL.Query())
		if errors.Is(err, content.ErrMissing) {
			n := len(streams.Snapshot())
			writeJSON(w, acexyStatus{Streams: &n})
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s, ok := streams.Find(want)
		if !ok {
			http.Error(w, "stream not found", http.StatusNotFound)
			return
		}
		n := len(s.Viewers)
		writeJSON(w, acexyStatus{Clients: &n, StreamID: map[string]string{queryName(want.Kind): want.Value}})
	})
}

func writeJSON(w http.ResponseWriter, v any) { writeStatus(w, http.StatusOK, v) }

func writeStatus(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The status is out once encoding begins: an error here is a client gone.
	_ = json.NewEncoder(w).Encode(v)
}
