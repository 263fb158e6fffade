package playback

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/stream"
)

// answers maps each reason why a content does not play to what the player is
// told. This is the only such map.
var answers = map[stream.Code]struct {
	status int
	key    message.Key
}{
	stream.CodeNotFound:  {http.StatusNotFound, message.PlayNotFound},
	stream.CodeNotNative: {http.StatusNotFound, message.PlayNotNative},
	stream.CodeNoEngine:  {http.StatusServiceUnavailable, message.PlayNoEngine},
	stream.CodeExhausted: {http.StatusServiceUnavailable, message.PlayNoEngine},
	stream.CodeFull:      {http.StatusServiceUnavailable, message.PlayFull},
	stream.CodeBusy:      {http.StatusServiceUnavailable, message.PlayFileBusy},
	stream.CodeClosing:   {http.StatusServiceUnavailable, message.PlayClosing},

	stream.CodeQuarantined: {http.StatusServiceUnavailable, message.PlayQuarantined},

	stream.CodeCrowded: {http.StatusServiceUnavailable, message.PlayCrowded},
	stream.CodeStopped: {http.StatusGone, message.PlayStopped},
	stream.CodeStreams: {http.StatusServiceUnavailable, message.PlayStreams},
	stream.CodeMemory:  {http.StatusServiceUnavailable, message.PlayMemory},
	stream.CodeNoData:  {http.StatusGatewayTimeout, message.PlayNoData},
	stream.CodeEngine:  {http.StatusBadGateway, message.PlayEngine},
	stream.CodeRefused: {http.StatusBadGateway, message.PlayRefused},
}

// fail answers a request that cannot be played.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, want content.Selector, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Cause(r.Context())) {
		return // the player has gone; nobody hears the answer
	}
	var reason *stream.Error
	if !errors.As(err, &reason) {
		reason = &stream.Error{Code: stream.CodeEngine, Err: err}
	}
	answer, ok := answers[reason.Code]
	if !ok {
		answer = answers[stream.CodeEngine]
	}
	if answer.status == http.StatusServiceUnavailable || reason.RetryAfter > 0 {
		seconds := max(1, math.Ceil(reason.RetryAfter.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	h.log.Info("content does not play", "content", want, "addr", r.RemoteAddr,
		"status", answer.status, "code", reason.Code, "err", err)
	detail := reason.Detail
	if reason.Code == stream.CodeNotNative {
		detail = "" // the sentence says it all
	}
	refuse(w, r, answer.status, reason.Code, answer.key, detail)
}
