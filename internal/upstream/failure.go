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
	FailureLoop    Failure = "loop"    // it sends what it sent before
	FailureFreeze  Failure = "freeze"  // packets come, and nothing goes on with them
	FailureStarved Failure = "starved" // media comes slower than it plays
	FailureDry     Failure = "dry"     // the engine has nobody to get media from; bytes last while its buffer does
	FailureLost    Failure = "lost"    // the engine does not know the session any more
	FailureStopped Failure = "stopped" // our side ended it
)

// Errors of [Source.Next] beside those of the connection.
var (
	ErrStalled = errors.New("no data for the stall time")
	ErrGarbage = errors.New("not an MPEG transport stream")
	ErrStopped = errors.New("source stopped")
	// The rest are causes for [Source.Stop], as seen from outside.
	ErrLoop    = errors.New("the source repeats itself")
	ErrFrozen  = errors.New("the source stands still")
	ErrStarved = errors.New("media comes slower than it plays")
	ErrDry     = errors.New("the engine gets no media")
	ErrLost    = errors.New("the engine does not know the session any more")
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
	case errors.Is(err, ErrLoop):
		return FailureLoop
	case errors.Is(err, ErrFrozen):
		return FailureFreeze
	case errors.Is(err, ErrStarved):
		return FailureStarved
	case errors.Is(err, ErrDry):
		return FailureDry
	case errors.Is(err, ErrLost):
		return FailureLost
	case answered && refused.Class != engine.SessionLost, errors.Is(err, context.DeadlineExceeded):
		return FailureOpen
	case errors.Is(err, io.EOF):
		return FailureEOF
	}
	return FailureReset
}
