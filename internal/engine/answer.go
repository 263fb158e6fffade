package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode"
)

// answer is what is inside the envelope of a control call's answer.
type answer struct {
	body    json.RawMessage // the object under "response" or "result"; nil for null
	failure string          // the engine's error text; empty for success
	reason  string          // extra_data.reason, a stable code
	detail  string          // what extra_data says beside the reason
}

// parseAnswer reads the envelopes of all of an engine's interfaces:
// {"response":…,"error":…} of the playback endpoints, {"result":…,"error":…}
// of the services, whose error may also be an object with a message.
func parseAnswer(raw []byte) (answer, error) {
	var envelope struct {
		Response json.RawMessage `json:"response"`
		Result   json.RawMessage `json:"result"`
		Error    json.RawMessage `json:"error"`
		Extra    json.RawMessage `json:"extra_data"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return answer{}, err
	}
	a := answer{body: present(envelope.Response)}
	if a.body == nil {
		a.body = present(envelope.Result)
	}
	if e := present(envelope.Error); e != nil {
		a.failure = errorText(e)
		var extra struct {
			Reason text `json:"reason"`
			Option text `json:"option"`
			Detail text `json:"detail"`
		}
		// extra_data is a hint: one of another shape takes nothing away from the error.
		if x := present(envelope.Extra); x != nil && json.Unmarshal(x, &extra) == nil {
			a.reason, a.detail = string(extra.Reason), string(extra.Detail)
			if a.detail == "" {
				a.detail = string(extra.Option)
			}
		}
	}
	if a.body == nil && a.failure == "" {
		return answer{}, errors.New("answer has neither a response nor an error")
	}
	return a, nil
}

// errorText returns the engine's own words from a non-null error field.
func errorText(raw json.RawMessage) string {
	var object struct {
		Message text `json:"message"`
	}
	if json.Unmarshal(raw, &object) == nil && object.Message != "" {
		return string(object.Message)
	}
	var s text
	if json.Unmarshal(raw, &s) == nil && s != "" {
		return string(s)
	}
	return clean(string(raw))
}

// present returns nil for an absent or null field.
func present(raw json.RawMessage) json.RawMessage {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("null")) {
		return trimmed
	}
	return nil
}

// text is a string field of bounded length without control characters; a value
// of another type reads as its JSON.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(present(raw))
	}
	*t = text(clean(s))
	return nil
}

// number is an integer field that engines give as a number, a string or a
// bool; what is none of these reads as 0.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	s := strings.Trim(string(raw), `" `)
	switch s {
	case "true":
		*n = 1
		return nil
	case "null", "false", "":
		*n = 0
		return nil
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = number(i)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) >= 1<<62 {
		f = 0
	}
	*n = number(f)
	return nil
}

// maxText bounds the foreign text kept from an answer, in bytes.
const maxText = 300

// clean makes foreign text fit for a log line or a message: one line, printable,
// bounded.
func clean(s string) string {
	if len(s) > 4*maxText {
		s = s[:4*maxText]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return s
}

// excerptOf returns what a person could read of an answer that is no JSON.
func excerptOf(h http.Header, raw []byte) string {
	if ct := h.Get("Content-Type"); ct != "" && !strings.HasPrefix(ct, "text/") && !strings.Contains(ct, "json") {
		return ""
	}
	const most = 120
	s := clean(string(raw[:min(len(raw), 4*maxText)]))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
