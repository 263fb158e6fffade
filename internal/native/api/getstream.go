package api

import (
	"net/http"

	"github.com/acequia-tv/acequia/internal/native"
)

// session is the session object
// (https://docs.acestream.net/developers/start-playback/).
type session struct {
	PlaybackURL     string `json:"playback_url"`
	StatURL         string `json:"stat_url"`
	CommandURL      string `json:"command_url"`
	EventURL        string `json:"event_url,omitempty"`
	Infohash        string `json:"infohash"`
	SessionID       string `json:"playback_session_id"`
	IsLive          int    `json:"is_live"`
	IsEncrypted     int    `json:"is_encrypted"`
	ClientSessionID int    `json:"client_session_id"`
	// MultiReader is this engine's own: any number of readers may use the
	// playback URL, up to the limit of the engine.
	MultiReader int `json:"multi_reader"`
}

// getstream opens a session and answers with the session object, or sends the
// player to its playback URL.
func (s *server) getstream(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		// Opening a session is more than looking.
		w.Header().Set("Allow", "GET, POST")
		writeText(w, http.StatusMethodNotAllowed, "open a session with GET, then HEAD its playback URL")
		return
	}
	o, err := readOpen(w, r)
	if err != nil {
		s.failOpen(w, o, failure(err))
		return
	}
	opened, err := s.engine.Open(r.Context(), o.Request)
	if err != nil {
		s.failOpen(w, o, failure(err))
		return
	}
	answer := sessionObject(r, opened)
	if !o.json {
		w.Header().Set("Location", answer.PlaybackURL)
		writeText(w, http.StatusFound, "Redirect to "+answer.PlaybackURL)
		return
	}
	if !o.events {
		answer.EventURL = ""
	}
	writeResponse(w, answer)
}

// manifest is for HLS, which this engine does not make of files: they are
// served as they are.
func (s *server) manifest(w http.ResponseWriter, r *http.Request) {
	o := open{json: r.URL.Query().Get("format") == "json"}
	s.failOpen(w, o, &native.Error{
		Reason: native.NoHLS,
		Detail: "this engine serves content as it is, not as HLS: use /ace/getstream",
	})
}

func (s *server) failOpen(w http.ResponseWriter, o open, f *native.Error) {
	if o.json {
		writeFailure(w, f)
		return
	}
	refuse(w, failedToLoad, f)
}

// sessionObject describes a session with URLs on the host that the request was
// made to: the one that the client can reach.
func sessionObject(r *http.Request, opened *native.Session) session {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	tail := "/" + opened.Info().Infohash + "/" + opened.Key()
	return session{
		PlaybackURL: base + "/ace/r" + tail,
		StatURL:     base + "/ace/stat" + tail,
		CommandURL:  base + "/ace/cmd" + tail,
		EventURL:    base + "/ace/event" + tail,
		Infohash:    opened.Info().Infohash,
		SessionID:   opened.ID(),
		IsLive:      asInt(opened.Info().Live),

		ClientSessionID: opened.ClientSession(),
		MultiReader:     1,
	}
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
