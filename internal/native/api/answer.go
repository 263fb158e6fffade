package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native"
)

// The official engine's error texts that are used here
// (https://docs.acestream.net/developers/start-playback/).
const (
	failedToLoad   = "failed to load content"
	missingID      = "missing content id"
	failedToStart  = "failed to start"
	unknownSession = "unknown playback session id"
	unknownMethod  = "unknown method"
	accessDenied   = "access denied"
)

// envelope is the form of the playback endpoints' answers, which always have
// HTTP status 200.
type envelope struct {
	Response any     `json:"response"`
	Error    *string `json:"error"`
	Extra    *extra  `json:"extra_data,omitempty"`
}

// extra tells why something failed.
type extra struct {
	Reason native.Reason `json:"reason"`
	Detail string        `json:"detail"`
}

func writeResponse(w http.ResponseWriter, response any) {
	writeJSON(w, envelope{Response: response})
}

func writeError(w http.ResponseWriter, text string) {
	writeJSON(w, envelope{Error: &text})
}

func writeFailure(w http.ResponseWriter, f *native.Error) {
	text := failedToLoad
	if errors.Is(f, content.ErrMissing) {
		text = missingID
	}
	writeJSON(w, envelope{Error: &text, Extra: &extra{f.Reason, f.Detail}})
}

// result is the form of the service endpoint's answers.
type result struct {
	Result any     `json:"result"`
	Error  *string `json:"error"`
}

func writeResult(w http.ResponseWriter, v any) { writeJSON(w, result{Result: v}) }

func writeResultError(w http.ResponseWriter, text string) { writeJSON(w, result{Error: &text}) }

// apiError is the form of the errors of API version 3.
type apiError struct {
	Error struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
	} `json:"error"`
	Extra *extra `json:"extra_data,omitempty"`
}

func writeAPIError(w http.ResponseWriter, text string, why *extra) {
	var e apiError
	e.Error.Message, e.Extra = text, why
	writeJSON(w, e)
}

// writeJSON sends v with status 200. A client that is gone is no error here.
func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		writeText(w, http.StatusInternalServerError, "the answer cannot be written")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

// writeText sends one line.
func writeText(w http.ResponseWriter, status int, line string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(line)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(line + "\n"))
}

// failure returns err as the engine's error.
func failure(err error) *native.Error {
	if f, ok := errors.AsType[*native.Error](err); ok {
		return f
	}
	return &native.Error{Reason: native.Internal, Detail: "the engine could not play this content", Err: err}
}

// statusOf maps a reason to the status for a player, who sees no JSON.
func statusOf(reason native.Reason) int {
	switch reason {
	case native.NoPeers, native.NoMetadata, native.Choked:
		return http.StatusGatewayTimeout
	case native.NotNative, native.NoSuchFile, native.Stopped:
		return http.StatusNotFound
	case native.NotATorrent:
		return http.StatusUnsupportedMediaType
	case native.BadRequest:
		return http.StatusBadRequest
	case native.FetchFailed:
		return http.StatusBadGateway
	case native.Busy:
		return http.StatusServiceUnavailable
	case native.NoHLS:
		return http.StatusNotImplemented
	case native.Internal:
	}
	return http.StatusInternalServerError
}

// refuse tells a player why there is no playback: one line, led by the official
// engine's words.
func refuse(w http.ResponseWriter, words string, f *native.Error) {
	status := statusOf(f.Reason)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if f.Reason == native.Stopped {
		words = unknownSession
	}
	writeText(w, status, words+": "+f.Detail)
}
