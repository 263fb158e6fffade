package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/fetch"
)

// maxBody bounds the body of a request: a transport file in base64, in JSON.
const maxBody = fetch.MaxSize/3*4 + 4<<10

// bodyTimeout bounds the reading of a body.
const bodyTimeout = 30 * time.Second

// open is a request for playback.
type open struct {
	native.Request
	json   bool // the answer is the session object, not a redirect
	events bool // the session object has an event URL
}

// readOpen reads a request for playback. Unknown parameters are left alone, as
// the official engine does.
func readOpen(w http.ResponseWriter, r *http.Request) (open, error) {
	q := r.URL.Query()
	o := open{json: q.Get("format") == "json", events: isTrue(q.Get("use_api_events"))}
	var err error
	if o.Request, err = readContent(w, r, q); err != nil {
		return o, err
	}
	o.Player = q.Get("pid")
	if o.Player == "" {
		o.Player = q.Get("sid") // the name it had once
	}
	o.Restart = isTrue(q.Get("force_session_restart"))
	o.ClientSession = -1
	if n, err := strconv.Atoi(q.Get("client_session_id")); err == nil {
		o.ClientSession = n
	}
	return o, nil
}

// readContent reads what a request names: by its query q, by a form, or by the
// transport file in its body. Its errors are of type *native.Error.
func readContent(w http.ResponseWriter, r *http.Request, q url.Values) (native.Request, error) {
	file, form, err := readBody(w, r)
	if err != nil {
		return native.Request{}, badRequest(err)
	}
	for name, values := range form {
		if !q.Has(name) {
			q[name] = values
		}
	}
	req := native.Request{TransportFile: file, File: native.FileAuto}
	if idx := q.Get("_idx"); idx != "" {
		n, err := strconv.Atoi(idx)
		if err != nil || n < 0 {
			return req, badRequest(fmt.Errorf("_idx: %q is not a file index", clip(idx)))
		}
		req.File = n
	}
	if file != nil {
		return req, nil
	}
	req.Content, err = content.FromQuery(q)
	if err != nil {
		return req, badRequest(err)
	}
	return req, nil
}

// readBody reads the body of a POST: JSON with transport_file_data, a
// .torrent file in base64, as the official client sends it
// (https://docs.acestream.net/developers/start-playback/), or a form.
func readBody(w http.ResponseWriter, r *http.Request) (file []byte, form url.Values, err error) {
	if r.Method != http.MethodPost {
		return nil, nil, nil
	}
	// A body has to come within the bound; playback that follows has none.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // in-memory connections have none
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, nil, fmt.Errorf("read the body: %w", err)
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	switch {
	case len(body) == 0:
		return nil, nil, nil
	case mediaType == "application/json":
		file, err = transportFile(body)
		return file, nil, err
	case mediaType == "application/x-www-form-urlencoded":
		form, err = url.ParseQuery(string(body))
		return nil, form, err
	}
	return nil, nil, errors.New("the body is neither application/json nor a form")
}

// transportFile reads {"transport_file_data": "<base64>"}; nil where the
// object has no such field.
func transportFile(body []byte) ([]byte, error) {
	var sent struct {
		Data *string `json:"transport_file_data"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, errors.New("the body is not a JSON object with transport_file_data")
	}
	if sent.Data == nil {
		return nil, nil
	}
	text := strings.TrimRight(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == ' ' {
			return -1
		}
		return r
	}, *sent.Data), "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	file, err := encoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("transport_file_data is not base64")
	}
	if len(file) == 0 {
		return nil, errors.New("transport_file_data is empty")
	}
	return file, nil
}

func badRequest(err error) *native.Error {
	return &native.Error{Reason: native.BadRequest, Detail: err.Error(), Err: err}
}

// isTrue reads the API's booleans, 0 and 1; clients send words too.
func isTrue(s string) bool {
	v, err := strconv.ParseBool(s)
	return err == nil && v
}
