package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Class says what an engine's failure means for whoever wants to play.
type Class int

// The classes of failure.
const (
	// Unknown: the engine refused in words this client does not know. Another
	// engine may do better.
	Unknown Class = iota
	// NotFound: the engine cannot find the content. Permanent for the content,
	// but worth one try elsewhere: engine 3.1.74 fails lookups while its DHT is cold.
	NotFound
	// NotNative: a native engine, which cannot play this kind of id.
	NotNative
	// NoData: the content is known, but nobody sends it now.
	NoData
	// SessionLost: the session is over or was taken over; open a new one.
	SessionLost
	// Config: the engine's settings, build or licence do not allow it.
	Config
	// Overloaded: the engine has as much to do as it may; another may have room.
	Overloaded
	// Sick: the engine does not answer, or not sensibly.
	Sick
	// Garbage: a playback address answered what is no media, or no HTTP.
	Garbage
	// Busy: the session already has or had the one reader that the engine
	// allows. Nothing was sent.
	Busy
	// Timeout: the caller's deadline passed.
	Timeout
	// Canceled: the caller gave up.
	Canceled
)

var classNames = [...]string{
	Unknown:     "unknown",
	NotFound:    "not_found",
	NotNative:   "not_native",
	NoData:      "no_data",
	SessionLost: "session_lost",
	Config:      "config",
	Overloaded:  "overloaded",
	Sick:        "sick",
	Garbage:     "garbage",
	Busy:        "busy",
	Timeout:     "timeout",
	Canceled:    "canceled",
}

// String returns the class's name for logs and metrics, such as "not_found".
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", int(c))
	}
	return classNames[c]
}

// Error is a failed call to an engine.
type Error struct {
	Op      string // what was attempted, as in "open session"
	Engine  string // the engine's address
	Class   Class
	Message string // the engine's own words: one line, bounded, maybe empty
	Reason  string // the engine's code for the reason, as "missing_option"; mostly empty
	Detail  string // what the engine adds to the reason, as the option that is missing
	Status  int    // HTTP status; 0 if there was no answer
	Err     error  // the cause on this side of the connection; may be nil
}

// Error says what was attempted where, and why it did not work.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: ", e.Op, e.Engine)
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	case e.Status != 0:
		fmt.Fprintf(&b, "HTTP status %d", e.Status)
	default:
		b.WriteString(e.Class.String())
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s", e.Reason)
		if e.Detail != "" {
			fmt.Fprintf(&b, ": %s", e.Detail)
		}
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns the cause on this side of the connection.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err: that of the [*Error] in its chain, Timeout
// or Canceled for the errors of a context, and Unknown for anything else.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Canceled
	}
	return Unknown
}

// where tells the two kinds of address, whose statuses mean different things.
type where int

const (
	onControl where = iota
	onPlayback
)

// refusal is an engine's answer other than the one hoped for.
type refusal struct {
	where  where
	json   bool   // text is the error of an engine's JSON envelope
	status int    // HTTP status
	text   string // the engine's words
	reason string // extra_data.reason
	detail string
}

// phrases maps an engine's words, in lower case, to their meaning. The first
// that is contained in the text decides. The strings are those of official
// engines as clients have published them; the comments name what is not
// self-evident.
var phrases = []struct {
	part  string
	class Class
}{
	{"unknown playback session id", SessionLost},
	{"download not found", SessionLost}, // an HLS segment of a session that is over
	{"got newer download", SessionLost}, // another session of the same content took over
	{"access denied", Config},
	{"auth_error", Config},
	{"proxy server option", Config}, // log line of builds without that licence
	{"premium", Config},
	{"subscription", Config},
	{"activate", Config},
	{"you have to install", Config}, // the content asks for a newer engine
	{"unknown method", Config},      // the build does not know the call
	{"failed to load content", NotFound},
	{"cannot get transport file", NotFound},
	{"cannot load transport file", NotFound},
	{"bad bencoded data", NotFound},
	{"unknown protocol", NotFound}, // the engine cannot read the content's address
	{"no peers", NoData},
	{"failed to get manifest", NoData}, // the official client says: broadcast is unavailable
	{"failed to start", NoData},
}

// reasons maps the codes in extra_data.reason. The first is of official
// engines, the others are the native engine's.
var reasons = map[string]Class{
	"missing_option": Config,
	"not_native":     NotNative,
	"no_peers":       NoData,
	"no_metadata":    NoData,
	"choked":         NoData,
	"not_a_torrent":  NotFound,
	"no_such_file":   NotFound,
	"fetch_failed":   NotFound,
	"bad_request":    NotFound,
	"busy":           Overloaded,
	"stopped":        SessionLost,
	"no_hls":         Config,
	"internal":       Unknown,
}

// classify tells what a refusal means. An engine's JSON errors come with status
// 200, so words go before the status; but the words of a page that is no
// engine's ("404 Not Found") mean nothing.
func classify(r refusal) Class {
	if class, ok := reasons[r.reason]; ok {
		return class
	}
	if r.where == onPlayback {
		// Where a reason has no place, the native engine tells it by the status.
		switch r.status {
		case http.StatusServiceUnavailable:
			return Overloaded
		case http.StatusGatewayTimeout:
			return NoData
		}
	}
	lower := strings.ToLower(r.text)
	if r.json || !strings.Contains(lower, "<html") {
		for _, p := range phrases {
			if strings.Contains(lower, p.part) {
				return p.class
			}
		}
	}
	if r.json {
		if lower == "not found" || lower == "content not found" {
			return NotFound
		}
		return Unknown
	}
	return classifyStatus(r.where, r.status)
}

// classifyStatus tells what a status means that came without words.
func classifyStatus(at where, status int) Class {
	if at == onControl {
		if status == http.StatusForbidden || status == http.StatusUnauthorized {
			return Config
		}
		return Sick
	}
	switch status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusInternalServerError:
		// Superseded, expired or stopped, which of them varies with the version.
		return SessionLost
	case http.StatusBadGateway:
		return Sick
	case http.StatusUnauthorized:
		return Config
	}
	return Garbage
}

// refused returns the error for an engine's refusal.
func (c *Client) refused(op string, r refusal) *Error {
	return &Error{
		Op: op, Engine: c.base, Class: classify(r),
		Message: r.text, Reason: r.reason, Detail: r.detail, Status: r.status,
	}
}

// fault returns the error for a call that brought no answer: the caller's
// doing if ctx is over, else of class otherwise.
func (c *Client) fault(ctx context.Context, op string, otherwise Class, err error) *Error {
	e := &Error{Op: op, Engine: c.base, Class: otherwise, Err: err}
	if ctx.Err() == nil {
		return e
	}
	cause := context.Cause(ctx)
	e.Err = cause
	if !errors.Is(cause, ctx.Err()) {
		e.Err = fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	e.Class = Canceled
	if errors.Is(e.Err, context.DeadlineExceeded) {
		e.Class = Timeout
	}
	return e
}
