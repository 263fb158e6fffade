package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// Code says why a content does not play, in a form that callers branch on.
type Code string

// The codes of [Error].
const (
	CodeNotFound  Code = "not_found"     // engines say that there is no such content
	CodeNotNative Code = "not_native"    // only an official engine could play it, and the pool has none
	CodeNoEngine  Code = "no_engine"     // no engine is ready
	CodeFull      Code = "pool_full"     // every slot of every engine is in use
	CodeExhausted Code = "exhausted"     // every engine was tried
	CodeNoData    Code = "no_data"       // an engine took the content, and no byte came in time
	CodeEngine    Code = "engine_failed" // engines failed
	CodeRefused   Code = "refused"       // the engine is not allowed to play it: its configuration or licence
	CodeBusy      Code = "file_busy"     // the engine serves this file to one player at a time
	CodeClosing   Code = "closing"       // the hub is shutting down

	// CodeQuarantined: engines died while it was playing, and it is kept away
	// from the others for a time.
	CodeQuarantined Code = "quarantined"
	CodeCrowded     Code = "crowded"      // the stream has as many viewers as it may
	CodeStreams     Code = "stream_limit" // there are as many streams as may be
	CodeStopped     Code = "stopped"      // a person ended the stream, or the viewer's connection
	CodeMemory      Code = "memory_limit" // there is no memory for one more stream
)

// Error says why a content does not play.
type Error struct {
	Code Code
	// Detail is one plain sentence in English with what is known beyond the
	// code, fit for the person who asked; may be empty.
	Detail string
	// RetryAfter is when it is worth asking again; 0 where that is unknown.
	RetryAfter time.Duration
	Err        error // the cause, for logs; may be nil
}

func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return string(e.Code) + ": " + e.Err.Error()
	case e.Detail != "":
		return string(e.Code) + ": " + e.Detail
	}
	return string(e.Code)
}

func (e *Error) Unwrap() error { return e.Err }

// mergedError says that a content is playing already, under another name.
type mergedError struct{ into *Stream }

func (e *mergedError) Error() string { return "the content is playing under another name" }

// Causes of a cancelled start.
var (
	errStartTimeout = errors.New("start timeout")
	errLostRace     = errors.New("another engine was faster")
	errOutage       = errors.New("outage too long")
	errClosing      = errors.New("shutting down")
)

// CodeOf returns the code of the error that ended or prevented a stream.
func CodeOf(err error) Code { return asError(err).Code }

// asError turns the failure of an attempt into what the viewer is told.
func asError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	code := CodeEngine
	switch class := engine.ClassOf(err); {
	case errors.Is(err, errClosing):
		code = CodeClosing
	case errors.Is(err, errStartTimeout), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, upstream.ErrStalled), class == engine.Timeout, class == engine.NoData:
		code = CodeNoData
	case class == engine.NotFound:
		code = CodeNotFound
	case class == engine.NotNative:
		code = CodeNotNative
	case class == engine.Config:
		code = CodeRefused
	case class == engine.Overloaded:
		code = CodeFull
	}
	e := &Error{Code: code, Err: err}
	var answer *engine.Error
	if errors.As(err, &answer) {
		e.Detail = answer.Detail
	}
	if code == CodeEngine || code == CodeNoData || code == CodeFull {
		e.RetryAfter = retrySoon
	}
	return e
}

// retrySoon is what a player is told to wait after a failure that often heals:
// engines find peers between the first try and the second.
const retrySoon = 5 * time.Second

// retryLater is the same where somebody has to leave first.
const retryLater = 10 * time.Second

// telling ranks codes by how much they say about the content, so that of
// several failures the most useful one is shown.
var telling = map[Code]int{
	CodeNotFound: 7, CodeRefused: 6, CodeNoData: 5, CodeEngine: 4,
	CodeFull: 3, CodeNoEngine: 3, CodeNotNative: 2, CodeExhausted: 1,
	CodeClosing: 8, CodeQuarantined: 8,
}

// worst returns the failure that tells most, with all of them as its cause.
func worst(failures []error) error {
	if len(failures) == 0 {
		return &Error{Code: CodeNoEngine, RetryAfter: retrySoon}
	}
	var most *Error
	for _, err := range failures {
		if e := asError(err); most == nil || telling[e.Code] > telling[most.Code] {
			most = e
		}
	}
	if len(failures) == 1 {
		return most
	}
	told := *most
	told.Err = fmt.Errorf("%d attempts: %w", len(failures), errors.Join(failures...))
	return &told
}
