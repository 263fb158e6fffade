package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const opPlay = "play"

// maxRedirects is how many redirects a playback address may go through; the
// engines known take one.
const maxRedirects = 3

// excerptTimeout bounds the reading of a refusal's text, which an engine may
// leave without an end.
const excerptTimeout = time.Second

// PlayOptions is what to ask the playback address for.
type PlayOptions struct {
	// Range is the Range header to pass on, as "bytes=0-99". It is for files:
	// on live content, where engines ignore it, it is left out.
	Range string
	// IfRange is the If-Range header that goes with Range.
	IfRange string
}

// Playback is the answer of a playback address. The caller closes Body.
type Playback struct {
	// Status is 200; or, for a file and a Range, 206, or 416 for a range that
	// lies outside of it.
	Status int
	Header http.Header
	// Body gives the bytes. Reading fails with an [*Error] of class SessionLost
	// when the connection breaks; the end of a live body is io.EOF, which an
	// engine sends when a session is stopped or taken over. Body is not safe
	// for concurrent reads; it may be closed during one.
	Body io.ReadCloser
}

// Size returns the length of the whole file in bytes, and whether the engine
// told it. To learn it without reading the file, play the range "bytes=0-0":
// HEAD is not documented for engines.
func (p *Playback) Size() (int64, bool) {
	switch p.Status {
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		_, total, ok := strings.Cut(p.Header.Get("Content-Range"), "/")
		if !ok {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
		return n, err == nil && n >= 0
	case http.StatusOK:
		n, err := strconv.ParseInt(p.Header.Get("Content-Length"), 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

// Play asks for the session's bytes and returns when the engine has sent the
// header, which it holds back until it has buffered enough: 1 to 30 s for
// working content, for ever for content that nobody sends. Only ctx bounds
// that wait, and ctx governs Body too, so a deadline for the header alone is a
// timer that cancels ctx with [context.DeadlineExceeded] as its cause.
//
// On engines that allow one reader (see [Session].MultiReader) Play fails with
// class Busy while another Body of the session is open, and a live session can
// be played once.
func (c *Client) Play(ctx context.Context, s *Session, opts PlayOptions) (*Playback, error) {
	if err := c.owns(opPlay, s); err != nil {
		return nil, err
	}
	if err := s.claim(); err != nil {
		return nil, &Error{Op: opPlay, Engine: c.base, Class: Busy, Err: err}
	}
	p, err := c.play(ctx, s, opts)
	if err != nil {
		s.release()
		return nil, err
	}
	return p, nil
}

// play is Play inside the reader's claim, which passes on to the body.
func (c *Client) play(ctx context.Context, s *Session, opts PlayOptions) (*Playback, error) {
	header := http.Header{}
	if !s.Live && opts.Range != "" {
		header.Set("Range", opts.Range)
		if opts.IfRange != "" {
			header.Set("If-Range", opts.IfRange)
		}
	}
	inner, cancel := context.WithCancel(ctx)
	res, err := c.follow(ctx, inner, s.playback, header)
	if err != nil {
		cancel()
		return nil, err
	}
	ranged := header.Get("Range") != ""
	if err := c.acceptable(res, s.Live, ranged); err != nil {
		err.Message = readExcerpt(res, cancel)
		err.Class = classify(refusal{where: onPlayback, status: res.StatusCode, text: err.Message})
		cancel()
		res.Body.Close()
		return nil, err
	}
	return &Playback{
		Status: res.StatusCode,
		Header: res.Header,
		Body:   &body{ctx: ctx, client: c, session: s, cancel: cancel, body: res.Body},
	}, nil
}

// follow requests target and the addresses it redirects to, on this engine
// only. It reads no body of a redirect: engines leave them without an end
// (https://github.com/sshmanko/acestream-armv7/issues/10).
func (c *Client) follow(ctx, inner context.Context, target string, header http.Header) (*http.Response, error) {
	for range maxRedirects + 1 {
		res, err := c.request(inner, target, header)
		if err != nil {
			return nil, c.fault(ctx, opPlay, classifyBroken(err), err)
		}
		switch res.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
			http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return res, nil
		}
		res.Body.Close()
		if target, err = localTarget(res.Header.Get("Location"), pathProgressive, pathPlaylist, pathContent); err != nil {
			return nil, &Error{Op: opPlay, Engine: c.base, Class: Garbage, Status: res.StatusCode, Err: fmt.Errorf("redirect: %w", err)}
		}
	}
	return nil, &Error{Op: opPlay, Engine: c.base, Class: Garbage, Err: fmt.Errorf("more than %d redirects", maxRedirects)}
}

// acceptable returns nil for an answer that carries the media asked for.
func (c *Client) acceptable(res *http.Response, live, ranged bool) *Error {
	switch res.StatusCode {
	case http.StatusOK:
		// A broadcast is never text: this is an error page with the wrong status.
		ct := res.Header.Get("Content-Type")
		if live && (strings.HasPrefix(ct, "text/") || strings.HasPrefix(ct, "application/json")) {
			break
		}
		return nil
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		if ranged {
			return nil
		}
	}
	return &Error{Op: opPlay, Engine: c.base, Class: Garbage, Status: res.StatusCode}
}

// readExcerpt reads the beginning of a refusal's text. It calls cancel, which
// ends the request, if that takes too long.
func readExcerpt(res *http.Response, cancel context.CancelFunc) string {
	timer := time.AfterFunc(excerptTimeout, cancel)
	defer timer.Stop()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxText)) // what could be read is the excerpt
	return excerptOf(res.Header, raw)
}

// classifyBroken tells what a playback request that brought no answer means.
func classifyBroken(err error) Class {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return Sick
	}
	// net/http has no type for this error. A second reader of a session gets an
	// answer with two status lines, which is one way to it.
	if strings.Contains(err.Error(), "malformed") {
		return Garbage
	}
	return SessionLost
}

// body is a playback's body. It gives the reader's place back once closed.
type body struct {
	ctx     context.Context // the caller's, to tell its end from the engine's
	client  *Client
	session *Session
	cancel  context.CancelFunc
	body    io.ReadCloser
	once    sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.client.fault(b.ctx, opPlay, SessionLost, err)
	}
	return n, err
}

func (b *body) Close() error {
	var err error
	b.once.Do(func() {
		b.cancel()
		err = b.body.Close()
		b.session.release()
	})
	return err
}
