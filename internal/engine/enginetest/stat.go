package enginetest

import (
	"net/http"
	"strconv"
	"time"
)

const (
	// chunk is what engines count downloads in.
	chunk = 16384
	// timeShift is the window of a broadcast that its peers keep.
	timeShift = 30 * time.Minute
)

// stat tells a session's statistics. A superseded session's are those of the
// session that took over, as measured on 3.2.11. A poll does not keep a session
// from expiring, with or without skip_player_activity; whether it does on a
// real engine is not known.
func (f *Fake) stat(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	f.mu.Lock()
	f.counted(func(c *Counters) {
		c.Stats++
		if r.URL.Query().Get("skip_player_activity") != "1" {
			c.StatsAsPlayer++
		}
	})
	s := f.sessions[key]
	if s != nil && s.state == superseded {
		s = f.active[s.content.Infohash]
	}
	if s == nil || s.state != active {
		f.mu.Unlock()
		unknownSession(w)
		return
	}
	s.polls++
	first := s.polls == 1
	f.mu.Unlock()
	if o := f.fault(StatHang, s.content.names()...); o != nil && !o.hang(r.Context()) {
		return
	}
	if f.fault(StatUnknown, s.content.names()...) != nil {
		unknownSession(w)
		return
	}
	response := object{}
	if !first {
		response = f.statistics(s)
	}
	writeJSON(w, http.StatusOK, object{"response": response, "error": nil})
}

func unknownSession(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, object{"response": nil, "error": "unknown playback session id"})
}

// statistics returns the statistics of a session that plays.
func (f *Fake) statistics(s *session) object {
	now, c := f.clock.Now(), s.content
	media := f.mediaTime(c)
	peers, speed := c.Peers, c.Bitrate/1024
	for _, kind := range []FaultKind{NoPeers, Drained, StatStill} {
		o := f.foresee(kind, c.names()...)
		if o == nil {
			continue
		}
		if kind != StatStill {
			peers = 0
		}
		if o.since.Before(media) {
			media = o.since
		}
	}
	if media.Before(now) {
		speed = 0
	}
	// What is buffered in the beginning counts as downloaded then.
	downloaded := int64(max(0, (media.Sub(s.opened)+f.cfg.Timing.Burst).Seconds()) * float64(c.Bitrate))
	if !c.Live {
		downloaded = min(downloaded, int64(len(c.Files[s.file].Data)))
	}
	stat := object{
		"status": "dl", "peers": peers, "speed_down": speed, "speed_up": speed / 10,
		"downloaded": downloaded / chunk * chunk, "uploaded": downloaded / 10 / chunk * chunk,
		"total_progress": 0, "is_live": number(c.Live), "is_encrypted": 0, "client_session_id": -1,
		"infohash": c.Infohash, "playback_session_id": s.id,
		"selected_stream_index": 0, "selected_file_index": s.file, "stream_status": -1, "manifest_access_mode": -1,
		"debug_level": 0, "network_monitor_status": 0, "network_monitor_started": false,
		"disk_cache_stats": object{"avail": 3199156224, "disk_cache_limit": 2266017044, "inactive_inuse": 0, "active_inuse": downloaded},
	}
	switch {
	case peers == 0 && f.foresee(Drained, c.names()...) == nil || now.Before(s.ready):
		stat["status"] = "prebuf"
		stat["progress"] = 0
		if wait := f.cfg.Timing.Prebuffer; peers > 0 && wait > 0 {
			stat["progress"] = int(100 * (wait - s.ready.Sub(now)) / wait)
		}
	case c.Live:
		at := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
		first := at(media.Add(-timeShift))
		stat["livepos"] = object{
			"last": at(media), "live_first": first, "pos": at(media.Add(-f.cfg.Timing.Burst)),
			"first_ts": first, "last_ts": at(media), "is_live": "1", "live_last": at(media), "buffer_pieces": "30",
		}
	}
	return stat
}

// command is a session's remote control; stop is all the fake knows.
func (f *Fake) command(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("method") != "stop" {
		writeJSON(w, http.StatusOK, object{"response": nil, "error": "unknown method"})
		return
	}
	if !f.stop(r.PathValue("key")) {
		unknownSession(w)
		return
	}
	writeJSON(w, http.StatusOK, object{"response": "ok", "error": nil})
}
