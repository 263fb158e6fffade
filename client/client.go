package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// prefix is where the API is on a server.
const prefix = "/api/v1"

// Bounds of what is read of an answer, in bytes.
const (
	mostAnswer  = 32 << 20
	mostProblem = 64 << 10
)

// Client asks one server. It is safe for concurrent use. Every method sends one
// request, which ends with its context. Its error is an [*Error] where the
// server refused, and otherwise tells why there was no answer.
type Client struct {
	base string
	key  string
	http *http.Client
}

// Option changes a new [Client].
type Option func(*Client)

// WithKey has every request carry a key.
func WithKey(key string) Option { return func(c *Client) { c.key = key } }

// WithHTTP has requests go through an HTTP client of the caller's, in place of
// one that goes straight to the server.
func WithHTTP(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New returns a client of the server at base, such as http://tv-box:6878.
func New(base string, options ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is not the address of a server: write one like http://host:6878", base)
	}
	c := &Client{base: strings.TrimSuffix(base, "/") + prefix, http: &http.Client{
		// A key goes to the server that it is for, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, o := range options {
		o(c)
	}
	return c, nil
}

// Error is the refusal of a server.
type Error struct {
	Problem
	RetryAfter time.Duration // when it is worth asking again; 0 where that is not said
}

// Error is the problem in one line.
func (e *Error) Error() string {
	parts := []string{e.Title}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	for _, f := range e.Fields {
		parts = append(parts, f.Location+": "+f.Message)
	}
	return fmt.Sprintf("%s (%d %s)", strings.Join(parts, " "), e.Status, e.Code)
}

// send makes a request and returns its answer, which the caller closes.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any, header ...string) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, refusal(res)
}

func refusal(res *http.Response) error {
	e := &Error{}
	data, _ := io.ReadAll(io.LimitReader(res.Body, mostProblem)) // the status alone says enough
	if json.Unmarshal(data, &e.Problem) != nil || e.Code == "" {
		e.Problem = Problem{Title: "This is no answer of Acequia: " + res.Status + ".", Status: res.StatusCode, Code: "unknown"}
	}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	return e
}

// do makes a request and reads its answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	res, err := c.send(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, mostAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (out T, err error) {
	return out, c.do(ctx, http.MethodGet, path, query, nil, &out)
}

func post[T any](ctx context.Context, c *Client, path string, in any) (out T, err error) {
	return out, c.do(ctx, http.MethodPost, path, nil, in, &out)
}
