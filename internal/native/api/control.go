package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/acequia-tv/acequia/internal/native"
)

// wholeChunks rounds up to the unit in which the official engine counts bytes,
// the block that peers exchange.
func wholeChunks(n int64) int64 {
	const block = 16 << 10
	return (n + block - 1) / block * block
}

// statistics is the answer of a statistics URL
// (https://docs.acestream.net/developers/start-playback/). Fields that mean
// nothing here have the values of an official engine that plays a file.
type statistics struct {
	Status                string            `json:"status"`
	Progress              *int              `json:"progress,omitempty"`
	ErrorMessage          string            `json:"error_message,omitempty"`
	Peers                 int               `json:"peers"`
	SpeedDown             int64             `json:"speed_down"` // KiB/s
	SpeedUp               int64             `json:"speed_up"`   // KiB/s
	Downloaded            int64             `json:"downloaded"`
	Uploaded              int64             `json:"uploaded"`
	TotalProgress         int               `json:"total_progress"`
	IsLive                int               `json:"is_live"`
	IsEncrypted           int               `json:"is_encrypted"`
	Infohash              string            `json:"infohash"`
	SessionID             string            `json:"playback_session_id"`
	ClientSessionID       int               `json:"client_session_id"`
	SelectedStreamIndex   int               `json:"selected_stream_index"`
	SelectedFileIndex     int               `json:"selected_file_index"`
	StreamStatus          int               `json:"stream_status"`
	ManifestAccessMode    int               `json:"manifest_access_mode"`
	DebugLevel            int               `json:"debug_level"`
	NetworkMonitorStatus  int               `json:"network_monitor_status"`
	NetworkMonitorStarted bool              `json:"network_monitor_started"`
	Cache                 cacheStatistics   `json:"disk_cache_stats"`
	LivePos               map[string]string `json:"livepos,omitempty"`
	Readers               int               `json:"readers"` // this engine's own: connections on the playback URL
}

// cacheStatistics are in bytes, over all contents.
type cacheStatistics struct {
	Avail       int64 `json:"avail"`
	Limit       int64 `json:"disk_cache_limit"`
	Inactive    int64 `json:"inactive_inuse"`
	ActiveInUse int64 `json:"active_inuse"`
}

// stat answers with a session's statistics. Asking keeps the session alive,
// unless the asker says that it only watches.
func (s *server) stat(w http.ResponseWriter, r *http.Request) {
	asked, err := s.session(r)
	if err != nil || (!isTrue(r.URL.Query().Get("skip_player_activity")) && !asked.Touch()) {
		writeError(w, unknownSession)
		return
	}
	st := asked.Stat()
	answer := statistics{
		Status: string(st.Status), ErrorMessage: st.ErrorMessage,
		Peers: st.Peers, SpeedDown: st.DownloadRate >> 10, SpeedUp: st.UploadRate >> 10,
		Downloaded: wholeChunks(st.Downloaded), Uploaded: wholeChunks(st.Uploaded),
		TotalProgress: st.TotalProgress,
		IsLive:        asInt(asked.Info().Live),
		Infohash:      asked.Info().Infohash, SessionID: asked.ID(), ClientSessionID: asked.ClientSession(),
		SelectedFileIndex: asked.File().Index,
		StreamStatus:      -1, ManifestAccessMode: -1,
		Cache: cacheStatistics{
			Avail: max(0, st.CacheLimit-st.CacheUsed), Limit: st.CacheLimit,
			Inactive: st.CacheUsed - st.CacheInUse, ActiveInUse: st.CacheInUse,
		},
		LivePos: livePosition(st.Live),
		Readers: st.Readers,
	}
	if st.Status == native.StatusPrebuffering || st.Status == native.StatusBuffering {
		answer.Progress = &st.Progress
	}
	writeResponse(w, answer)
}

// livePosition writes times as the official engine does: Unix seconds in
// strings.
func livePosition(p *native.LivePosition) map[string]string {
	if p == nil {
		return nil
	}
	unix := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	return map[string]string{
		"is_live": "1", "buffer_pieces": strconv.Itoa(p.Buffer),
		"pos": unix(p.Position), "last": unix(p.Last), "live_last": unix(p.Last), "last_ts": unix(p.Last),
		"live_first": unix(p.First), "first_ts": unix(p.First),
	}
}

// command carries out a command on a session. Of the official engine's
// commands, seeking in live content and choosing a quality have no object here.
func (s *server) command(w http.ResponseWriter, r *http.Request) {
	commanded, err := s.session(r)
	switch {
	case err != nil:
		writeError(w, unknownSession)
	case r.URL.Query().Get("method") != "stop":
		writeError(w, unknownMethod)
	case r.Method == http.MethodHead:
		writeText(w, http.StatusMethodNotAllowed, "send a command with GET")
	case !commanded.Stop():
		writeError(w, unknownSession)
	default:
		writeResponse(w, "ok")
	}
}

// event waits for the next event of a session, for a bounded time; then the
// answer is empty and the client asks again. Waiting does not keep the session
// alive.
func (s *server) event(w http.ResponseWriter, r *http.Request) {
	watched, err := s.session(r)
	if err != nil {
		writeError(w, unknownSession)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), eventWait)
	defer cancel()
	ev, err := watched.Next(ctx)
	switch {
	case errors.Is(err, native.ErrUnknownSession):
		writeError(w, unknownSession)
	case err != nil:
		writeResponse(w, nil)
	default:
		writeResponse(w, struct {
			Name   string            `json:"name"`
			Params map[string]string `json:"params"`
		}{ev.Name, ev.Params})
	}
}
