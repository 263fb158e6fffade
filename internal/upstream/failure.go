package upstream

import (
	"context"
	"errors"
	"io"

	"github.com/acequia-tv/acequia/internal/engine"
)

// Failure says in one word why a source ended. The words appear in events,
// metrics and logs.
type Failure string

// The ways in which a source fails.
const (
	FailureOpen    Failure = "open"    // the engine did not open a session, or did not play it
	FailureEOF     Failure = "eof"     // the engine ended the body in good order
	FailureReset   Failure = "reset"   // the connection to the engine broke
	FailureStall   Failure = "stall"   // the connection is open, and no byte came for the stall time
	FailureGarbage Failure = "garbage" // what the engine sends is not an MPEG transport stream
	FailureStopped Failure = "stopped" // our side ended it
)

// Errors of [Source.Next] beside those of the connection.
var (
	ErrStalled = errors.New("no data for the stall time")
	ErrGarbage = errors.New("not an MPEG transport stream")
	ErrStopped = errors.New("source stopped")
)

// FailureOf classifies an error of [Start] or [Source.Next].
func FailureOf(err error) Failure {
	refused, answered := errors.AsType[*engine.Error](err)
	switch {
	case errors.Is(err, ErrStopped):
		return FailureStopped
	case errors.Is(err, ErrStalled):
		return FailureStall
	case errors.Is(err, ErrGarbage):
		return FailureGarbage
	case answered && refused.Class != engine.SessionLost, errors.Is(err, context.DeadlineExceeded):
		return FailureOpen
	case errors.Is(err, io.EOF):
		return FailureEOF
	}
	return FailureReset
}
