package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/native"
)

// session returns the session that a path names.
func (s *server) session(r *http.Request) (*native.Session, error) {
	return s.engine.Session(strings.ToLower(r.PathValue("infohash")), r.PathValue("key"))
}

// play serves the bytes of a session: a file with ranges and validators as
// net/http serves files, a live content as an endless body. The header goes
// out with the first byte, so that a start that fails is still a status.
func (s *server) play(w http.ResponseWriter, r *http.Request) {
	played, err := s.session(r)
	if err != nil {
		writeText(w, http.StatusNotFound, unknownSession)
		return
	}
	h := w.Header()
	h.Set("Content-Type", played.MediaType())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Disposition", disposition(played))

	reader := played.NewReader(r.Context())
	defer func() { _ = reader.Close() }() // what is to be told, Read has told
	source := &source{Reader: reader}
	d := &delivery{ResponseWriter: w, session: played, source: source}
	unwatch := d.watch(reader.Context()) //nolint:contextcheck // the reader's context inherits the request's
	if played.Info().Live {
		serveLive(d, r)
	} else {
		h.Set("ETag", fmt.Sprintf(`"%s-%d"`, played.Info().Infohash, played.File().Index))
		http.ServeContent(d, single(r), "", time.Time{}, source)
	}
	unwatch()
	d.finish()
}

// disposition names the file, for players that show it and for saving.
func disposition(played *native.Session) string {
	name := path.Base(played.File().Path)
	if v := mime.FormatMediaType("inline", map[string]string{"filename": name}); v != "" {
		return v
	}
	return "inline"
}

// serveLive sends what comes until it ends. Ranges mean nothing there.
func serveLive(d *delivery, r *http.Request) {
	h := d.Header()
	h.Set("Accept-Ranges", "none")
	h.Set("Cache-Control", "no-store")
	d.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = d.ReadFrom(d.source) // source and delivery remember what failed
	}
}

// single returns r without a Range of several parts, which a server may ignore
// (RFC 9110, 14.2): no player asks for one, and each part would move the
// window of pieces to another place.
func single(r *http.Request) *http.Request {
	if !strings.Contains(r.Header.Get("Range"), ",") {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

// source remembers why reading failed, which net/http's copying hides.
type source struct {
	*native.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// copySize is how much is read and written at a time, in bytes: large enough
// that system calls cost little beside the bytes.
const copySize = 256 << 10

// buffers are for copying.
var buffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// firstRead bounds the first read, so that a player has something at once.
const firstRead = 16 << 10

// delivery is a ResponseWriter that holds the header back until the first byte
// of the body is there. It is for one goroutine, but for watch.
type delivery struct {
	http.ResponseWriter
	session *native.Session
	source  *source
	status  int         // of the header held back
	sent    atomic.Bool // the header is out
}

// WriteHeader keeps the status for later.
func (d *delivery) WriteHeader(status int) {
	if d.status == 0 {
		d.status = status
	}
}

func (d *delivery) Write(p []byte) (int, error) {
	d.send()
	return d.ResponseWriter.Write(p)
}

// send sends the header that was held back.
func (d *delivery) send() {
	if d.sent.Swap(true) {
		return
	}
	if d.status == http.StatusOK || d.status == http.StatusPartialContent {
		// Reading the beginning may have told more than the name.
		d.Header().Set("Content-Type", d.session.MediaType())
	}
	d.ResponseWriter.WriteHeader(d.status)
	if d.source.Context().Err() != nil { // it ended before watch could know
		_ = http.NewResponseController(d.ResponseWriter).SetWriteDeadline(time.Now())
	}
}

// ReadFrom copies src to the client; net/http's copying uses it.
func (d *delivery) ReadFrom(src io.Reader) (int64, error) {
	pooled := buffers.Get().(*[copySize]byte)
	defer buffers.Put(pooled)
	buf := pooled[:firstRead]
	var sum int64
	for {
		n, err := src.Read(buf)
		if n > 0 {
			first := !d.sent.Load()
			written, werr := d.Write(buf[:n])
			sum += int64(written)
			if werr != nil {
				return sum, werr
			}
			if first {
				_ = http.NewResponseController(d.ResponseWriter).Flush() // the next write sends it too
			}
			buf = pooled[:]
		}
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}

// finish ends the answer: with the header where there is no body, with an
// error status where reading failed before the first byte. After that there is
// only one way to tell a player that the content is not complete: the
// connection breaks.
func (d *delivery) finish() {
	switch {
	case d.source.err == nil:
		d.send()
	case d.sent.Load():
		panic(http.ErrAbortHandler)
	default:
		h := d.Header()
		for _, name := range []string{"Content-Range", "Accept-Ranges", "Content-Disposition", "ETag"} {
			h.Del(name)
		}
		refuse(d.ResponseWriter, failedToStart, failure(d.source.err))
	}
}

// watch makes a write fail that waits for a player after the reader has ended:
// a player that pauses may hold its connection for as long as the session
// lives, not longer. Before the header is out there is no such write, and an
// error to be told. The returned function ends the watch and waits for it.
func (d *delivery) watch(ctx context.Context) (stop func()) {
	control := http.NewResponseController(d.ResponseWriter)
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		if d.sent.Load() {
			_ = control.SetWriteDeadline(time.Now()) // in-memory writers have none
		}
	})
	return func() {
		if cancel() {
			return
		}
		<-done
		_ = control.SetWriteDeadline(time.Time{})
	}
}
