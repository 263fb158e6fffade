package stream

import (
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
)

const (
	// statEvery is how often an engine is asked for the statistics of a session
	// that plays: positions in them are whole seconds, and players of the
	// engine's makers ask every second.
	statEvery = 3 * time.Second
	// dryAfter is how long an engine may have no peer and no download: two
	// answers and a bit. Peers come and go, but not all at once.
	dryAfter = 8 * time.Second
	// stillAfter is how long the newest piece of a broadcast and the download
	// may stand still, whatever peers there are. Pieces of a live content are
	// some seconds long at low rates.
	stillAfter = 15 * time.Second
	// unknownMost is how many answers in a row that the session is not known
	// are believed. One may be of an engine that is just restarting it.
	unknownMost = 2
	// muteMost is how many answers in a row may be missing before the pool is
	// told.
	muteMost = 3
)

// vitals is what the statistics of a session tell about its health. It is a
// function of what it is told, time included; it is guarded by its owner.
type vitals struct {
	last       time.Time // newest piece that the engine had
	downloaded int64
	moved      time.Time // when one of these grew
	fed        time.Time // when there was a peer, or a download
	at         time.Time // of the last answer
	unknown    int       // answers in a row that the session is not known
	mute       int       // missing answers in a row
}

// tell takes an answer, or the error instead of one. complain says that the
// pool should hear of it: once for each time that the engine falls silent. A
// mute engine whose bytes flow is no reason to leave it.
func (v *vitals) tell(st engine.Stat, err error, now time.Time) (complain bool) {
	switch {
	case engine.ClassOf(err) == engine.SessionLost && err != nil:
		v.unknown++
		return false
	case err != nil:
		v.mute++
		return v.mute == muteMost
	}
	v.unknown, v.mute = 0, 0
	if st.Status == "" {
		return false // engines answer a first question with nothing, and some content has no statistics
	}
	grew := st.Downloaded > v.downloaded
	v.downloaded = max(v.downloaded, st.Downloaded)
	if at := newest(st); at.After(v.last) {
		v.last, grew = at, true
	}
	if grew || v.moved.IsZero() {
		v.moved = now
	}
	v.at = now
	if st.Peers > 0 || st.SpeedDown > 0 || v.fed.IsZero() {
		v.fed = now
	}
	return false
}

// newest returns when the newest piece of which the engine tells was sent.
func newest(st engine.Stat) time.Time {
	switch {
	case st.LivePos == nil:
		return time.Time{}
	case st.LivePos.Last.After(st.LivePos.LiveLast):
		return st.LivePos.Last
	}
	return st.LivePos.LiveLast
}

// wrong says what is wrong with the session as of the last answer, "" if
// nothing is. What is not known is not held against it.
func (v *vitals) wrong() Reason {
	switch {
	case v.unknown >= unknownMost:
		return reasonLost
	case v.at.Sub(v.fed) >= dryAfter && v.at.Sub(v.moved) >= dryAfter, v.at.Sub(v.moved) >= stillAfter:
		return reasonDry
	}
	return ""
}
