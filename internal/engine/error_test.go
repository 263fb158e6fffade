package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	json := func(text string) refusal { return refusal{json: true, status: 200, text: text} }
	control := func(status int, text string) refusal { return refusal{status: status, text: text} }
	playback := func(status int, text string) refusal { return refusal{where: onPlayback, status: status, text: text} }
	tests := []struct {
		in   refusal
		want Class
	}{
		{json("failed to load content"), NotFound},
		{json("Failed to load content"), NotFound},
		{json("cannot get transport file"), NotFound},
		{json("Cannot load transport file"), NotFound},
		{json("bad bencoded data"), NotFound},
		{json("not found"), NotFound},
		{json("content not found"), NotFound},
		{json("unknown protocol"), NotFound},
		{json("failed to start"), NoData},
		{json("failed to get manifest"), NoData},
		{json("no peers"), NoData},
		{json("unknown playback session id"), SessionLost},
		{json("download not found"), SessionLost},
		{json("got newer download"), SessionLost},
		{json("access denied"), Config},
		{json("auth_error"), Config},
		{json("unknown method"), Config},
		{json("You need to buy Proxy Server option to continue"), Config},
		{json("a premium subscription is required"), Config},
		{json("You have to install Ace Stream 2.2.9-next or newer to watch this video"), Config},
		{json("something else"), Unknown},
		{refusal{json: true, status: 200, text: "failed to load content", reason: "not_native"}, NotNative},
		{refusal{json: true, status: 200, text: "failed", reason: "missing_option", detail: "proxyServer"}, Config},
		{refusal{json: true, status: 200, text: "failed to load content", reason: "busy"}, Overloaded},
		{refusal{json: true, status: 200, text: "failed to load content", reason: "no_peers"}, NoData},
		{refusal{json: true, status: 200, text: "failed to load content", reason: "a_new_one"}, NotFound},

		{control(500, "Internal Server Error, couldn't find resource"), Sick},
		{control(500, "failed to load content"), NotFound},
		{control(500, "<html><body>failed to load content</body></html>"), Sick},
		{control(404, "404 Not Found"), Sick},
		{control(403, "Forbidden"), Config},
		{control(401, ""), Config},
		{control(302, ""), Sick},

		{playback(403, "Forbidden"), SessionLost},
		{playback(404, "Not Found"), SessionLost},
		{playback(500, "Internal Server Error"), SessionLost},
		{playback(500, "failed to load content"), NotFound},
		{playback(502, ""), Sick},
		{playback(503, "failed to load content: too much to do"), Overloaded},
		{playback(504, "failed to load content: no peer could be reached"), NoData},
		{playback(401, ""), Config},
		{playback(206, ""), Garbage},
		{playback(200, "<html>hello</html>"), Garbage},
	}
	for _, tt := range tests {
		if got := classify(tt.in); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestClassNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for c := Unknown; c <= Canceled; c++ {
		s := c.String()
		if s == "" || strings.HasPrefix(s, "class(") || seen[s] {
			t.Errorf("class %d is named %q", int(c), s)
		}
		seen[s] = true
	}
	if got := Class(99).String(); got != "class(99)" {
		t.Errorf("a class that is none is named %q", got)
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want Class
	}{
		{&Error{Class: NoData}, NoData},
		{fmt.Errorf("wrapped: %w", &Error{Class: Sick, Err: context.Canceled}), Sick},
		{context.DeadlineExceeded, Timeout},
		{fmt.Errorf("x: %w", context.Canceled), Canceled},
		{io.ErrUnexpectedEOF, Unknown},
		{nil, Unknown},
	} {
		if got := ClassOf(tt.err); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  *Error
		want string
	}{
		{&Error{Op: "stat session", Engine: "http://e", Message: "unknown playback session id"}, "stat session on http://e: unknown playback session id"},
		{&Error{Op: "play", Engine: "http://e", Err: errors.New("refused")}, "play on http://e: refused"},
		{&Error{Op: "play", Engine: "http://e", Status: 404}, "play on http://e: HTTP status 404"},
		{&Error{Op: "play", Engine: "http://e", Class: Garbage}, "play on http://e: garbage"},
		{&Error{Op: "open session", Engine: "http://e", Message: "no", Reason: "missing_option", Detail: "proxyServer"}, "open session on http://e: no (missing_option: proxyServer)"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
