package stream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
)

// resumed is the body of a file request that survives its engine: when the
// bytes stop before their time, the rest is asked of another engine. It is for
// one goroutine, like any body.
type resumed struct {
	ctx     context.Context
	release func() // ends ctx
	file    *file
	req     FileRequest
	body    io.ReadCloser
	next    int64 // offset in the file of the next byte
	end     int64 // offset of the last byte of the answer; -1 where the engine told no length
	total   int64 // size of the file
	fails   int   // in a row
}

// newResumed wraps the body of p. Where the answer does not tell which bytes
// it is, the body is passed on as it is.
func newResumed(ctx context.Context, release func(), f *file, req FileRequest, p *engine.Playback) io.ReadCloser {
	r := &resumed{ctx: ctx, release: release, file: f, req: req, body: p.Body, end: -1}
	size, ok := p.Size()
	if !ok {
		return r
	}
	r.total = size
	switch p.Status {
	case http.StatusOK:
		r.end = size - 1
	case http.StatusPartialContent:
		if first, last, ok := contentRange(p.Header.Get("Content-Range")); ok {
			r.next, r.end = first, last
		}
	}
	return r
}

func (r *resumed) Read(b []byte) (int, error) {
	for {
		n, err := r.body.Read(b)
		r.next += int64(n)
		if n > 0 {
			r.fails = 0
			return n, nil
		}
		if err == nil || r.end < 0 || r.next > r.end {
			return n, err
		}
		if err := r.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume replaces a body that ended early.
func (r *resumed) resume(why error) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if r.fails++; r.fails > maxAttempts {
		return fmt.Errorf("file body broke off %d times in a row: %w", r.fails, why)
	}
	r.body.Close()
	if b, ok := r.body.(*fileBody); ok {
		r.file.drop(b.conn, why)
	}
	req := r.req
	req.Range = fmt.Sprintf("bytes=%d-%d", r.next, r.end)
	req.IfRange = ""
	deadline := time.Now().Add(r.file.stream.hub.cfg.StartTimeout)
	p, err := r.file.fetch(r.ctx, req, deadline)
	if err != nil {
		return fmt.Errorf("resume at byte %d: %w", r.next, err)
	}
	r.body = p.Body
	first, _, ok := contentRange(p.Header.Get("Content-Range"))
	if size, known := p.Size(); p.Status != http.StatusPartialContent || !ok || first != r.next || !known || size != r.total {
		return fmt.Errorf("resume at byte %d: the next engine answered %d with %q", r.next, p.Status, p.Header.Get("Content-Range"))
	}
	return nil
}

func (r *resumed) Close() error {
	r.release()
	return r.body.Close()
}

// contentRange reads "bytes first-last/size" (RFC 9110 section 14.4).
func contentRange(header string) (first, last int64, ok bool) {
	span, found := strings.CutPrefix(header, "bytes ")
	if !found {
		return 0, 0, false
	}
	span, _, found = strings.Cut(span, "/")
	a, b, dash := strings.Cut(span, "-")
	if !found || !dash {
		return 0, 0, false
	}
	first, err1 := strconv.ParseInt(strings.TrimSpace(a), 10, 64)
	last, err2 := strconv.ParseInt(strings.TrimSpace(b), 10, 64)
	return first, last, err1 == nil && err2 == nil && 0 <= first && first <= last
}
