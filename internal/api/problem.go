package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/store"
)

// Codes of problems. They are part of the API and never change. Each has a
// sentence in the catalogue under "api." and the code.
const (
	codeInvalid     = "invalid"
	codeBadJSON     = "bad_request"
	codeNoRoute     = "no_such_route"
	codeMethod      = "method_not_allowed"
	codeTooLarge    = "too_large"
	codeMediaType   = "media_type"
	codeTimeout     = "timeout"
	codeInternal    = "internal"
	codeStore       = "store_failed"
	codeDiskFull    = "disk_full"
	codeNotFound    = "not_found"
	codePassword    = "password_length"
	codeUnsupported = "unsupported"
	codeConflict    = "conflict"
	codeLocked      = "setting_locked"
)

// problem is an error with the answer it becomes.
type problem struct {
	status     int
	code       string
	detail     string
	fields     []client.Field
	retryAfter time.Duration
	err        error // the cause, for the log
}

func (p problem) Error() string {
	if p.err != nil {
		return p.code + ": " + p.err.Error()
	}
	return p.code
}

func (p problem) Unwrap() error { return p.err }

// GetStatus implements [huma.StatusError].
func (p problem) GetStatus() int { return p.status }

// ContentType implements [huma.ContentTypeFilter].
func (p problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements [huma.HeadersError].
func (p problem) GetHeaders() http.Header {
	header := make(http.Header)
	if p.retryAfter > 0 {
		header.Set("Retry-After", seconds(p.retryAfter))
	}
	return header
}

func seconds(d time.Duration) string { return strconv.Itoa(int(max(1, math.Ceil(d.Seconds())))) }

// in is the problem in words.
func (p problem) in(lang message.Lang) client.Problem {
	return client.Problem{
		Title: message.Text(lang, message.Key("api."+p.code)), Status: p.status, Code: p.code,
		Detail: p.detail, Fields: p.fields,
	}
}

// notFound says that there is no such thing.
func notFound(detail string) error {
	return problem{status: http.StatusNotFound, code: codeNotFound, detail: detail}
}

// unsupported says that the parts this server is made of cannot do it.
func unsupported(detail string) error {
	return problem{status: http.StatusConflict, code: codeUnsupported, detail: detail}
}

// deniedStatus maps the reasons of package auth to statuses; their codes are
// the reasons themselves.
var deniedStatus = map[auth.Reason]int{
	auth.LoginNeeded:  http.StatusUnauthorized,
	auth.BadKey:       http.StatusUnauthorized,
	auth.BadPassword:  http.StatusUnauthorized,
	auth.Forbidden:    http.StatusForbidden,
	auth.CrossOrigin:  http.StatusForbidden,
	auth.UnknownProxy: http.StatusUnauthorized,
	auth.TooMany:      http.StatusTooManyRequests,
}

// problemOf is the one map from errors to problems. What is not known becomes
// a 500 that says nothing; its cause goes to the log.
func problemOf(err error) problem {
	if p, ok := errors.AsType[problem](err); ok {
		return p
	}
	if d, ok := errors.AsType[*auth.Denied](err); ok {
		p := problem{status: deniedStatus[d.Reason], code: string(d.Reason), retryAfter: d.RetryAfter}
		if d.Reason == auth.Forbidden {
			p.detail = "scope: " + string(d.Needed)
		}
		return p
	}
	if u, ok := errors.AsType[*reconcile.Unavailable](err); ok {
		return problem{status: http.StatusConflict, code: codeConflict, detail: u.Message, retryAfter: u.RetryAfter}
	}
	switch {
	case errors.Is(err, provider.ErrUnknown):
		return problem{status: http.StatusNotFound, code: codeNotFound, detail: err.Error()}
	case errors.Is(err, provider.ErrUnsupported):
		return problem{status: http.StatusConflict, code: codeUnsupported, detail: err.Error()}
	case errors.Is(err, reconcile.ErrGone):
		return problem{status: http.StatusConflict, code: codeConflict, detail: err.Error()}
	case errors.Is(err, auth.ErrPassword):
		return problem{status: http.StatusUnprocessableEntity, code: codePassword}
	case errors.Is(err, auth.ErrNone):
		return problem{status: http.StatusNotFound, code: codeNotFound}
	case errors.Is(err, context.DeadlineExceeded):
		return problem{status: http.StatusGatewayTimeout, code: codeTimeout, err: err}
	}
	switch store.FaultOf(err) {
	case store.FaultFull:
		return problem{status: http.StatusInsufficientStorage, code: codeDiskFull, err: err}
	case store.FaultReadOnly, store.FaultDamaged, store.FaultBusy:
		return problem{status: http.StatusServiceUnavailable, code: codeStore, err: err}
	}
	return problem{status: http.StatusInternalServerError, code: codeInternal, err: err}
}

// failed turns an error into what a handler returns.
func (a *API) failed(err error) error {
	p := problemOf(err)
	if p.err != nil && p.status >= http.StatusInternalServerError {
		a.Log.Warn("request of the API failed", "code", p.code, "err", p.err)
	}
	return p
}

// refuse answers outside of huma.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, _ := errors.AsType[problem](a.failed(err))
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="Acequia"`)
	}
	writeProblem(w, r, p)
}

func writeProblem(w http.ResponseWriter, r *http.Request, p problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.status)
	// The status is out: an error here is a client gone.
	_ = json.NewEncoder(w).Encode(p.in(message.Preferred(r.Header.Get("Accept-Language"))))
}

// statusCodes are the codes of the problems that huma finds itself.
var statusCodes = map[int]string{
	http.StatusBadRequest:            codeBadJSON,
	http.StatusRequestTimeout:        codeTimeout,
	http.StatusRequestEntityTooLarge: codeTooLarge,
	http.StatusUnsupportedMediaType:  codeMediaType,
	http.StatusNotAcceptable:         codeMediaType,
	http.StatusUnprocessableEntity:   codeInvalid,
	http.StatusInternalServerError:   codeInternal,
}

// localize puts problems into the language of the request.
func localize(ctx huma.Context, _ string, v any) (any, error) {
	r, _ := humago.Unwrap(ctx)
	lang := message.Preferred(r.Header.Get("Accept-Language"))
	switch v := v.(type) {
	case problem:
		return v.in(lang), nil
	case *huma.ErrorModel:
		p := problem{status: v.Status, code: statusCodes[v.Status], detail: v.Detail}
		if p.code == "" {
			p.code = codeInvalid
		}
		if p.status == http.StatusInternalServerError {
			return p.in(lang), nil
		}
		for _, e := range v.Errors {
			p.fields = append(p.fields, client.Field{Location: e.Location, Message: e.Message})
		}
		return p.in(lang), nil
	}
	return v, nil
}

// describeErrors has the document say how errors look here.
func describeErrors(doc *huma.OpenAPI, item *huma.PathItem, method string) {
	operations := map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
		http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}
	op := operations[method]
	for status := range op.Responses {
		if status == "default" || status >= "4" {
			delete(op.Responses, status)
		}
	}
	op.Responses["default"] = &huma.Response{
		Description: "Why it was not done.",
		Content: map[string]*huma.MediaType{"application/problem+json": {
			Schema: doc.Components.Schemas.Schema(problemType, true, "Problem"),
		}},
	}
}
