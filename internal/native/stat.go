package native

import "time"

// Status is what a session is doing, in the words of the official engine
// (https://docs.acestream.net/developers/start-playback/).
type Status string

// The statuses a session has here.
const (
	StatusPrebuffering Status = "prebuf" // no byte was given to a reader yet
	StatusDownloading  Status = "dl"
	StatusBuffering    Status = "buf" // all readers wait for data
	StatusError        Status = "err" // the content was given up; ErrorMessage says why
)

// stallAfter is how long the readers of a session must have waited before it
// counts as buffering: a piece that is not there yet takes some of it.
const stallAfter = time.Second

// Stat is what a session can be told to be doing. Downloaded is what it got
// since it began: from peers, or, where that is more, from what was held
// already, so that it grows while the session is read. Uploaded counts from the
// session's beginning too. Both cover all sessions of the content.
type Stat struct {
	Status       Status
	Progress     int // percent of the buffer while prebuffering, else 0
	ErrorMessage string
	Stats
	Readers       int
	TotalProgress int // percent of the content that is held now
	CacheUsed     int64
	CacheInUse    int64
	CacheLimit    int64
}

// Stat tells what the session is doing. Asking does not keep it alive; see
// [Session.Touch].
func (s *Session) Stat() Stat {
	now := s.playable.Stats()
	backend := s.engine.backend.Stats()
	st := Stat{
		Stats: now, CacheUsed: backend.CacheUsed, CacheInUse: backend.CacheInUse, CacheLimit: backend.CacheLimit,
	}
	st.Downloaded = max(s.delivered.Load(), now.Downloaded-s.base.Downloaded)
	st.Uploaded = max(0, now.Uploaded-s.base.Uploaded)
	if size := s.info.Size(); size > 0 {
		st.TotalProgress = int(min(100, 100*now.BytesCompleted/size))
	}
	s.describe(&st, time.Now())
	return st
}

// describe fills in what the readers tell.
func (s *Session) describe(st *Stat, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Readers = len(s.readers)
	stalled := len(s.readers) > 0
	for r := range s.readers {
		if !r.waiting.Load() || now.Sub(time.Unix(0, r.lastRead.Load())) < stallAfter {
			stalled = false
		}
	}
	switch {
	case s.failure != nil && len(s.readers) == 0:
		st.Status, st.ErrorMessage = StatusError, s.failure.Detail
	case s.delivered.Load() == 0:
		st.Status, st.Progress = StatusPrebuffering, s.progress
	case stalled:
		st.Status = StatusBuffering
	default:
		st.Status = StatusDownloading
	}
}
