// Package engine is the port to an AceStream engine: a client of the HTTP API
// that official engines and the native engine serve
// (https://docs.acestream.net/developers/api-reference/,
// https://docs.acestream.net/developers/start-playback/).
//
// What the documents leave out is from what other clients met and published;
// each such fact names its source where it is used.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How long a control call may take before the engine counts as [Sick]. The
// caller's context may end a call earlier, never later.
const (
	// VersionTimeout bounds [Client.Version]. A healthy engine answers in
	// milliseconds; probes in the wild give up after 3 to 5 s.
	VersionTimeout = 3 * time.Second
	// StatTimeout bounds [Client.Stat].
	StatTimeout = 5 * time.Second
	// StopTimeout bounds [Client.Stop]: usually below a second.
	StopTimeout = 5 * time.Second
	// OpenTimeout bounds [Client.Open]. Engines were measured to take up to 28 s
	// to refuse an infohash that nobody has (version 3.1.74); this leaves a slow
	// host twice that.
	OpenTimeout = 60 * time.Second
	// ResolveTimeout bounds [Client.Resolve] and [Client.MediaFiles], which read
	// the same transport file from the network that an open does.
	ResolveTimeout = 60 * time.Second
)

const (
	// maxAnswer bounds the answer to a control call, in bytes. A session takes
	// less than 1 KiB, a list of a thousand files about 100 KiB.
	maxAnswer = 1 << 20
	// dialTimeout bounds the TCP and the TLS handshake, each.
	dialTimeout = 5 * time.Second
	// userAgent is that of a player engines know: what they were tested with.
	userAgent = "VLC/3.0.21 LibVLC/3.0.21"
)

// Client talks to one engine. It keeps no connection between requests, so that
// a stalled playback never delays a control call, an engine that restarted is
// met with a fresh connection, and nothing outlives the calls. It is safe for
// concurrent use.
type Client struct {
	base      string // scheme://host[:port], no slash at the end
	token     string
	transport http.RoundTripper
}

// Option changes a [Client] under construction.
type Option func(*Client)

// WithTransport makes the client send its requests through rt, such as the
// transport of an in-memory network, or one that trusts the certificate of an
// https engine. Of an [http.Transport] the client takes a copy that keeps no
// idle connections.
func WithTransport(rt http.RoundTripper) Option {
	return func(c *Client) {
		if rt != nil {
			c.transport = rt
		}
	}
}

// WithAccessToken sends token with each request, for engines that were started
// with --access-token. The client never puts it in an error or a log.
func WithAccessToken(token string) Option {
	return func(c *Client) { c.token = token }
}

// NewClient returns a client of the engine at base, such as
// "http://192.168.1.5:6878". It sends nothing yet.
func NewClient(base string, opts ...Option) (*Client, error) {
	normal, err := normalBase(base)
	if err != nil {
		return nil, err
	}
	c := &Client{base: normal, transport: &http.Transport{
		// Engines are neighbours: a proxy set for the internet is not for them.
		Proxy:               nil,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
	}}
	for _, opt := range opts {
		opt(c)
	}
	if t, ok := c.transport.(*http.Transport); ok {
		t = t.Clone()
		t.DisableKeepAlives = true
		t.DisableCompression = true
		t.MaxConnsPerHost = 0
		c.transport = t
	}
	return c, nil
}

// normalBase checks the address of an engine and returns its scheme and host.
func normalBase(base string) (string, error) {
	if !strings.Contains(base, "://") {
		return "", fmt.Errorf("engine address %q has no scheme: write it as http://host:6878", base)
	}
	u, err := url.Parse(base)
	if err != nil {
		// The parser's error repeats the address, which may hold a password.
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return "", fmt.Errorf("engine address is not a URL: %w", err)
	}
	switch {
	case u.User != nil:
		return "", fmt.Errorf("engine address %q carries a user: engines know an access token only", u.Redacted())
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("engine address %q is neither http nor https", base)
	case u.Hostname() == "":
		return "", fmt.Errorf("engine address %q names no host", base)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("engine address %q goes past the host: leave out what follows it", base)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// Base returns the engine's address: scheme, host and port, without a slash at
// the end.
func (c *Client) Base() string { return c.base }

// request sends a GET of target, a path with query, and returns the answer as
// soon as its header is there.
func (c *Client) request(ctx context.Context, target string, header http.Header) (*http.Response, error) {
	u, err := url.Parse(c.base + target)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		q := u.Query()
		q.Set("token", c.token)
		u.RawQuery = q.Encode()
	}
	req := (&http.Request{
		Method: http.MethodGet,
		URL:    u,
		Host:   u.Host,
		Header: http.Header{
			"User-Agent": {userAgent},
			// Engines have been seen to break bodies that may be compressed.
			"Accept-Encoding": {"identity"},
		},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Close: true, // one connection for each request, also on a foreign RoundTripper
	}).WithContext(ctx)
	for k, v := range header {
		req.Header[k] = v
	}
	return c.transport.RoundTrip(req)
}

// control makes a control call of at most bound and returns what is in the
// answer's envelope. Its errors are [*Error].
func (c *Client) control(ctx context.Context, op string, bound time.Duration, target string) (answer, error) {
	inner, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	failed := func(err error) error {
		if inner.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %v", bound)
		}
		return c.fault(ctx, op, Sick, err)
	}
	res, err := c.request(inner, target, nil)
	if err != nil {
		return answer{}, failed(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return answer{}, failed(err)
	}
	if len(raw) > maxAnswer {
		return answer{}, failed(fmt.Errorf("answer is longer than %d bytes", maxAnswer))
	}
	a, err := parseAnswer(raw)
	if err != nil {
		e := refusal{where: onControl, status: res.StatusCode, text: excerptOf(res.Header, raw)}
		if res.StatusCode == http.StatusOK {
			return answer{}, &Error{Op: op, Engine: c.base, Class: Sick, Message: e.text, Status: res.StatusCode, Err: err}
		}
		return answer{}, c.refused(op, e)
	}
	if a.failure != "" {
		return answer{}, c.refused(op, refusal{
			where: onControl, json: true, status: res.StatusCode,
			text: a.failure, reason: a.reason, detail: a.detail,
		})
	}
	return a, nil // whatever the status: engines do not mean it
}
