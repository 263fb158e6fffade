package stream

import (
	"cmp"
	"slices"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
)

// Status is what a stream is doing, at one moment.
type Status struct {
	Content  content.Selector // as the first viewer named it
	Infohash string           // "" until an engine told it
	State    State
	Engine   string // id of the engine that plays; "" while none does
	Started  time.Time
	Start    Start    // how the start went, or goes
	Switches int      // of engine, since the start
	Changes  []Switch // the last of these, oldest first; at most 8
	Mark     *Mark    // what is known to be wrong with the content; nil for nothing
	Received int64    // bytes from engines, of live content
	Buffered int      // bytes in memory
	Vitals   *Vitals  // what the engine said last of its session; nil while it has not
	Kept     Kept
	Viewers  []ViewerStatus
}

// Vitals are the statistics of the session that plays.
type Vitals struct {
	engine.Stat
	At time.Time // when the engine was asked
}

// Kept is what time shift has of a stream on disk. It is zero where it is off.
type Kept struct {
	Length time.Duration // of media time
	Size   int64         // bytes
	Err    error         // why it does not go on; nil while it does
}

// ViewerStatus is how one viewer is doing.
type ViewerStatus struct {
	ID     uint64
	Client Client
	Form   Form // ts, hls or file
	Since  time.Time
	Wait   time.Duration // from its request to its first byte; 0 before that
	Sent   int64         // bytes
	Rate   int64         // bytes per second, of the last seconds
	Lag    int64         // bytes between its place and the newest; 0 for a file
	// Behind is the same in time of the content: what a player that shows all that
	// it was sent is behind live.
	Behind time.Duration
	Skips  int64 // times it was too slow and skipped ahead
}

// Snapshot lists the streams, oldest first.
func (h *Hub) Snapshot() []Status {
	h.mu.Lock()
	all := h.distinct()
	h.mu.Unlock()
	list := make([]Status, 0, len(all))
	for _, s := range all {
		list = append(list, s.status())
	}
	return list
}

// Find returns the stream that plays a content, under any of its names.
func (h *Hub) Find(want content.Selector) (Status, bool) {
	h.mu.Lock()
	s := h.find(want)
	h.mu.Unlock()
	if s == nil {
		return Status{}, false
	}
	return s.status(), true
}

// Switch is a change of the engine under a stream.
type Switch struct {
	At       time.Time
	From, To string // engine ids
	Reason   Reason // why From was left
	// Gap is how long there was nothing new for viewers.
	Gap time.Duration
	// Seamless says that To went on with the very packet that was due next.
	// Otherwise it went on at a random access point.
	Seamless bool
}

// switchesMost is how many changes of engine a status tells.
const switchesMost = 8

// form tells how v gets the content. The caller holds mu.
func (s *Stream) form(v *Viewer) Form {
	if s.file != nil {
		return FormFile
	}
	return v.client.Form
}

func (s *Stream) status() Status {
	mark := s.hub.markOf(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Content: s.content, Infohash: s.infohash, State: s.state, Engine: s.engine,
		Started: s.started, Start: s.startOf(), Switches: s.changes, Changes: slices.Clone(s.switches), Mark: mark,
	}
	if s.ring != nil {
		st.Received, st.Buffered = s.ring.End(), s.ring.Size()
	}
	now := time.Now()
	st.Vitals = s.vitals
	st.Kept = s.keptStatus()
	for v := range s.viewers {
		vs := ViewerStatus{ID: v.id, Client: v.client, Since: v.since, Wait: time.Duration(v.first.Load()), Form: s.form(v), Sent: v.sent.sum(), Rate: v.sent.rate(now), Skips: v.skips.Load()}
		if pos := v.pos.Load(); pos > 0 {
			vs.Lag = max(0, st.Received-pos)
			vs.Behind = s.behind(pos)
		}
		st.Viewers = append(st.Viewers, vs)
	}
	slices.SortFunc(st.Viewers, func(a, b ViewerStatus) int { return cmp.Compare(a.ID, b.ID) })
	return st
}
