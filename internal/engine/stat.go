package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Stat is a session's statistics. Its zero value is what an engine gives on a
// session's first poll.
//
// Good signs of health are Downloaded growing and LivePos.Last advancing
// between two polls. Peers and Status prove nothing: engines report both for
// sessions on which nothing moves.
type Stat struct {
	// Status is the engine's word: idle, loading, starting, check, prebuf, dl,
	// buf, wait, err. Empty if the engine gave none.
	Status     string
	Message    string // the engine's words for Status err
	Progress   int    // percent, while Status is prebuf, check or buf
	Peers      int    // connected
	SpeedDown  int    // KiB/s
	SpeedUp    int    // KiB/s
	Downloaded int64  // bytes since the session began
	Uploaded   int64  // bytes since the session began
	Infohash   string // 40 lower-case hex digits, or empty
	// SessionID is the playback_session_id of the session that the engine plays,
	// which is another than [Session].ID once that was superseded.
	SessionID string
	LivePos   *LivePos // of a live session that plays; else nil
	CacheUsed int64    // bytes of the engine's cache, of all sessions; 0 where it does not tell
}

// LivePos is where a live session stands.
type LivePos struct {
	Pos          time.Time // of the reader
	Last         time.Time // the newest piece the engine has
	LiveFirst    time.Time // the oldest of the broadcast's time shift window
	LiveLast     time.Time // the newest of the broadcast
	BufferPieces int       // pieces the engine wants buffered
}

// Stat asks for the session's statistics. The poll does not count as the
// player's activity. An engine that does not know the session (any more) gives
// an error of class SessionLost.
func (c *Client) Stat(ctx context.Context, s *Session) (Stat, error) {
	const op = "stat session"
	if err := c.owns(op, s); err != nil {
		return Stat{}, err
	}
	if s.stat == "" {
		return Stat{}, nil
	}
	a, err := c.control(ctx, op, StatTimeout, withQuery(s.stat, "skip_player_activity", "1"))
	if err != nil {
		return Stat{}, err
	}
	st, err := parseStat(a.body)
	if err != nil {
		return Stat{}, &Error{Op: op, Engine: c.base, Class: Sick, Err: err}
	}
	return st, nil
}

// parseStat reads the statistics object
// (https://docs.acestream.net/developers/start-playback/). Positions come as
// strings from engines and as numbers from others that imitate them.
func parseStat(raw json.RawMessage) (Stat, error) {
	var r struct {
		Status     text            `json:"status"`
		Message    text            `json:"error_message"`
		Progress   number          `json:"progress"`
		Peers      number          `json:"peers"`
		SpeedDown  number          `json:"speed_down"`
		SpeedUp    number          `json:"speed_up"`
		Downloaded number          `json:"downloaded"`
		Uploaded   number          `json:"uploaded"`
		Infohash   text            `json:"infohash"`
		SessionID  text            `json:"playback_session_id"`
		LivePos    json.RawMessage `json:"livepos"`
		Cache      *struct {
			Active   number `json:"active_inuse"`
			Inactive number `json:"inactive_inuse"`
		} `json:"disk_cache_stats"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Stat{}, fmt.Errorf("statistics: %w", err)
	}
	st := Stat{
		Status: string(r.Status), Message: string(r.Message), Progress: int(r.Progress), Peers: int(r.Peers),
		SpeedDown: int(r.SpeedDown), SpeedUp: int(r.SpeedUp), Downloaded: int64(r.Downloaded), Uploaded: int64(r.Uploaded),
		SessionID: string(r.SessionID),
	}
	if r.Cache != nil {
		st.CacheUsed = int64(r.Cache.Active) + int64(r.Cache.Inactive)
	}
	// Not every engine repeats the infohash, and it is known from the open.
	st.Infohash, _ = infohash(string(r.Infohash))
	if present(r.LivePos) == nil {
		return st, nil
	}
	var p struct {
		Pos          number `json:"pos"`
		Last         number `json:"last"`
		LiveFirst    number `json:"live_first"`
		LiveLast     number `json:"live_last"`
		BufferPieces number `json:"buffer_pieces"`
	}
	if err := json.Unmarshal(r.LivePos, &p); err != nil {
		return Stat{}, fmt.Errorf("statistics: livepos: %w", err)
	}
	st.LivePos = &LivePos{
		Pos: unix(p.Pos), Last: unix(p.Last), LiveFirst: unix(p.LiveFirst), LiveLast: unix(p.LiveLast),
		BufferPieces: int(p.BufferPieces),
	}
	return st, nil
}

// unix returns the time of unix seconds; the zero Time for 0, which engines
// give for a position they do not have.
func unix(seconds number) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
