package api

import (
	"errors"
	"net/http"

	"github.com/acequia-tv/acequia/internal/stream"
)

// moveProblem turns the error of a move. That another engine does not play the
// content is what is told, not a failure of the server.
func moveProblem(err error) error {
	if err == nil {
		return nil
	}
	p := problem{status: http.StatusConflict, code: codeConflict, detail: err.Error()}
	if reason, ok := errors.AsType[*stream.Error](err); ok {
		p.detail, p.retryAfter = string(reason.Code)+": "+reason.Detail, reason.RetryAfter
	}
	return p
}
