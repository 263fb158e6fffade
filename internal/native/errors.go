package native

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

// Reason says in one word why a content cannot be played. The words are part
// of the engine's answers, for programs.
type Reason string

// The reasons.
const (
	NotNative   Reason = "not_native"    // only an official AceStream engine can play it
	NoMetadata  Reason = "no_metadata"   // peers, but none sent the torrent's description in time
	NoPeers     Reason = "no_peers"      // nobody of the swarm could be reached in time
	Choked      Reason = "choked"        // peers that send nothing
	NotATorrent Reason = "not_a_torrent" // what was given is not a torrent
	NoSuchFile  Reason = "no_such_file"  // the torrent has no file of that index
	FetchFailed Reason = "fetch_failed"  // the URL of the transport file did not give it
	BadRequest  Reason = "bad_request"   // the request names no content, or not in a form that exists
	Busy        Reason = "busy"          // the engine has as much to do as it may
	Stopped     Reason = "stopped"       // the session, the engine or the caller ended it
	NoHLS       Reason = "no_hls"        // the content is not served as HLS
	Internal    Reason = "internal"      // anything else; the log tells
)

// Error says why a content cannot be played, in a word for programs and a
// sentence for people.
type Error struct {
	Reason Reason
	Detail string
	Err    error // the cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Detail
	}
	return fmt.Sprintf("%s: %v", e.Detail, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Causes with which the engine ends contexts.
var (
	errStartTimeout   = errors.New("the time to start is over")
	errSessionEnded   = errors.New("the session was stopped")
	errSessionIdle    = errors.New("the session was not used")
	errReplaced       = errors.New("another session of the same player replaced it")
	errReaderGivesWay = errors.New("too many readers of this session: the one that waited longest gave way")
)

// explain makes err an *Error. stats are of the content, where there is one
// already: they tell a start that took too long with nobody there from one
// where nobody sent anything.
func explain(err error, stats *Stats) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if unfetched, ok := errors.AsType[*fetch.Error](err); ok {
		return &Error{Reason: FetchFailed, Detail: "the address of the transport file gave nothing: " + clip(unfetched.Err.Error()), Err: err}
	}
	e := &Error{Reason: Internal, Detail: "the engine could not play this content", Err: err}
	switch {
	case errors.Is(err, vod.ErrNoMetadata):
		e.Reason, e.Detail = NoMetadata, "peers were found, but none sent the description of this torrent in time"
	case errors.Is(err, vod.ErrNoPeers):
		e.Reason, e.Detail = NoPeers, "no peer of this torrent could be reached in time"
	case errors.Is(err, vod.ErrChoked):
		e.Reason, e.Detail = Choked, "peers are connected, but none sends anything"
	case errors.Is(err, vod.ErrNoFile):
		e.Reason, e.Detail = NoSuchFile, "this torrent has no file with that index"
	case errors.Is(err, vod.ErrInvalid):
		e.Reason, e.Detail = NotATorrent, "this cannot be read as a torrent"
	case errors.Is(err, vod.ErrCacheFull):
		e.Reason, e.Detail = Busy, "what is being played leaves no room in the cache for more"
	case errors.Is(err, errStartTimeout) && (stats == nil || stats.Peers == 0):
		e.Reason, e.Detail = NoPeers, "no peer of this torrent could be reached in time"
	case errors.Is(err, errStartTimeout):
		e.Reason, e.Detail = Choked, "peers are connected, but none sent anything in time"
	case errors.Is(err, vod.ErrClosed), errors.Is(err, ErrUnknownSession), errors.Is(err, errSessionEnded),
		errors.Is(err, errSessionIdle), errors.Is(err, errReplaced), errors.Is(err, errEngineClosed),
		errors.Is(err, context.Canceled):
		e.Reason, e.Detail = Stopped, "playback was stopped"
	case errors.Is(err, errReaderGivesWay):
		e.Reason, e.Detail = Busy, errReaderGivesWay.Error()
	}
	return e
}

// clip makes a foreign text fit for one line.
func clip(s string) string {
	const most = 120
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// withCause adds to err why ctx ended, where that is why the operation failed.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
