package stream

import "time"

// EventKind names what happened to a stream.
type EventKind string

// The events of a stream's life.
const (
	EventStarted   EventKind = "started"    // it plays
	EventFailed    EventKind = "failed"     // it does not play; Err says why
	EventJoined    EventKind = "joined"     // a viewer came
	EventFirstByte EventKind = "first_byte" // a viewer has its first byte
	EventLeft      EventKind = "left"       // a viewer went
	EventSkipped   EventKind = "skipped"    // a viewer was too slow and skipped ahead
	EventSource    EventKind = "source"     // the engine failed; Err says how
	EventDegraded  EventKind = "degraded"   // Engine plays it badly, for Reason; another one is looked for
	EventSettled   EventKind = "settled"    // engine after engine shows Reason: it is the content's own fault
	EventSwitched  EventKind = "switched"   // it plays from Engine now, for Reason
	EventRefused   EventKind = "refused"    // a viewer was kept out, mostly by a limit; Err says which, Stream is nil
	EventUnkept    EventKind = "unkept"     // time shift lost what it kept, and begins anew; Err says why
	EventEnded     EventKind = "ended"      // it played and is over; Err says why, nil for want of viewers
)

// Event is something that happened to a stream. Fields that do not apply are
// zero.
type Event struct {
	Kind   EventKind
	Stream *Stream // nil for EventRefused
	Engine string  // id
	Viewer uint64  // id
	Err    error
	After  time.Duration // of EventStarted: since the first request; of EventFirstByte: since the viewer's
	// Start is how the stream started, of EventStarted, of EventFailed, and of
	// EventFirstByte where the viewer waited for the start; nil otherwise.
	Start *Start
	First bool // of EventFirstByte: it is the first of the stream
	// Reason is that of EventDegraded, EventSettled and EventSwitched.
	Reason Reason
	// Gap is, of EventSwitched, how long there was nothing new for viewers.
	Gap time.Duration
	// Seamless tells, of EventSwitched, that the new engine went on with the
	// very packet at which the old one had stopped.
	Seamless bool
}
