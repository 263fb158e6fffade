package enginetest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"
)

// tick is how often a live reader is given what has come in.
const tick = 100 * time.Millisecond

// progressive is the playback address. It says nothing at all until the session
// has buffered enough.
func (f *Fake) progressive(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	s, status := f.enter(r.PathValue("infohash"), func(s *session) bool { return s.key == key && !s.hls })
	if s == nil {
		refusePlayback(w, status)
		return
	}
	defer f.leave(s)
	if f.fault(Playback404, s.content.names()...) != nil {
		refusePlayback(w, http.StatusNotFound)
		return
	}
	ctx, cancel := eitherContext(r.Context(), s.ctx)
	defer cancel()
	if !f.prebuffer(ctx, s) {
		panic(http.ErrAbortHandler) // the session is over, and so is the connection
	}
	if f.cfg.DirectPlayback {
		f.send(ctx, w, r, s)
		return
	}
	f.redirect(w, f.base(r)+"/content/"+s.content.Infohash+"/"+s.token)
}

func refusePlayback(w http.ResponseWriter, status int) {
	writeText(w, status, http.StatusText(status))
}

// prebuffer waits until the session can play and reports whether it can.
func (f *Fake) prebuffer(ctx context.Context, s *session) bool {
	names := s.content.names()
	for _, kind := range []FaultKind{NoPeers, HeadersHang} {
		if o := f.fault(kind, names...); o != nil && !o.hang(ctx) {
			return false
		}
	}
	wait := s.ready.Sub(f.clock.Now())
	if o := f.fault(SlowPrebuffer, names...); o != nil {
		wait = max(wait, 0) + o.Delay
	}
	return sleep(ctx, f.clock, wait)
}

// media is the address that the playback address redirects to.
func (f *Fake) media(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	s, status := f.enter(r.PathValue("infohash"), func(s *session) bool { return s.token == token && !s.hls })
	if s == nil {
		refusePlayback(w, status)
		return
	}
	defer f.leave(s)
	ctx, cancel := eitherContext(r.Context(), s.ctx)
	defer cancel()
	f.send(ctx, w, r, s)
}

var errNextReader = errors.New("another reader came")

// send makes the client the session's reader and sends it the media.
func (f *Fake) send(ctx context.Context, w http.ResponseWriter, r *http.Request, s *session) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.mu.Lock()
	if s.readers > 0 && !f.cfg.MultiReader {
		if s.content.Live {
			f.counted(func(c *Counters) { c.Corrupt++ })
			f.mu.Unlock()
			// Measured on 3.2.3: the second reader gets two status lines and the
			// connection ends; the first goes on.
			takeOver(w, 0, "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
			return
		}
		// Players seek in a file by asking again, so the last one wins. That is a
		// choice: nothing is published about a second reader of a file.
		s.cutReader(errNextReader)
	}
	s.cutReader = cancel
	s.readers++
	tail := s.tail
	f.counted(func(c *Counters) {
		c.Readers++
		c.MaxReaders = max(c.MaxReaders, s.readers)
	})
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		s.readers--
		f.counted(func(c *Counters) { c.Readers-- })
		f.mu.Unlock()
	}()

	d := &delivery{ResponseWriter: w, ctx: ctx, fake: f, session: s}
	// A writer that waits for a slow client must see the session's end too. It
	// gets a moment in which a proper end still goes out.
	stop := context.AfterFunc(ctx, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(tick))
	})
	defer stop()
	if s.content.Live {
		f.sendLive(d, tail)
		return
	}
	file := s.content.Files[s.file]
	w.Header().Set("Content-Type", either(file.MIME, "application/octet-stream"))
	http.ServeContent(d, r, "", time.Time{}, bytes.NewReader(file.Data))
}

// sendLive sends a burst of what is buffered and then, unless that is all there
// is for the player, what comes in. Ranges do not matter to it.
func (f *Fake) sendLive(d *delivery, tail bool) {
	s, h := d.session, d.Header()
	h.Set("Content-Type", "video/mp2t")
	if !f.cfg.Chunked {
		// The server then neither counts nor chunks, and closes the connection in
		// the end.
		h.Set("Transfer-Encoding", "identity")
	}
	d.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(d.ResponseWriter).Flush(); err != nil {
		return
	}
	if o := f.fault(HeadersNoBytes, s.content.names()...); o != nil && !o.hang(d.ctx) {
		return
	}
	b := f.broadcasts[s.content.Infohash]
	pos := b.Offset(f.mediaTime(s.content).Add(-f.cfg.Timing.Burst).Sub(f.cfg.Epoch))
	if f.cfg.AlignedStart {
		pos -= pos % PacketSize
	}
	buf := make([]byte, 64<<10)
	for {
		end := b.Offset(f.mediaTime(s.content).Sub(f.cfg.Epoch))
		for pos < end {
			n := min(int64(len(buf)), end-pos)
			f.readLive(s.content, b, buf[:n], pos)
			if _, err := d.Write(buf[:n]); err != nil {
				return
			}
			pos += n
		}
		if tail || !sleep(d.ctx, f.clock, tick) {
			return
		}
	}
}

// mediaTime returns up to when the engine has the broadcast.
func (f *Fake) mediaTime(c *Content) time.Time {
	now := f.clock.Now()
	for _, kind := range []FaultKind{FrozenLive, NoPeers, Drained} {
		o := f.foresee(kind, c.names()...)
		if o == nil {
			continue
		}
		end := o.since
		if kind == Drained {
			end = end.Add(o.Delay)
		}
		if end.Before(now) {
			now = end
		}
	}
	return now
}

// border returns the offset in a broadcast from which on a fault of its bytes
// strikes: that of the next full second, with which a picture begins.
func (f *Fake) border(b *Broadcast, o *order) int64 {
	return b.Offset(o.since.Sub(f.cfg.Epoch).Truncate(time.Second) + time.Second)
}

// readLive reads what the engine takes for the broadcast at an offset.
func (f *Fake) readLive(c *Content, b *Broadcast, p []byte, off int64) {
	if f.foresee(Garbage, c.names()...) != nil {
		for i := range p {
			p[i] = byte((off + int64(i)) % 251)
		}
		return
	}
	if o := f.foresee(Freeze, c.names()...); o != nil {
		border := f.border(b, o)
		n := min(int64(len(p)), max(0, border-off))
		f.mustRead(b, p[:n], off)
		for i := n; i < int64(len(p)); i++ {
			p[i] = nullPacket[(off+i-border)%PacketSize]
		}
		return
	}
	o := f.foresee(Loop, c.names()...)
	if o == nil {
		f.mustRead(b, p, off)
		return
	}
	window := o.Delay.Truncate(time.Second)
	if window <= 0 {
		window = 10 * time.Second
	}
	length, border := b.Offset(window), f.border(b, o)
	for len(p) > 0 {
		at, n := off, int64(len(p))
		if off >= border {
			at = border - length + (off-border)%length
			n = min(n, border-at)
		} else {
			n = min(n, border-off)
		}
		f.mustRead(b, p[:n], at)
		p, off = p[n:], off+n
	}
}

// nullPacket is a packet of padding (ISO/IEC 13818-1, 2.4.1.4).
var nullPacket = func() []byte {
	p := bytes.Repeat([]byte{0xff}, PacketSize)
	copy(p, []byte{0x47, 0x1f, 0xff, 0x10})
	return p
}()

// mustRead reads from a broadcast, whose only error is an offset before its
// beginning: an epoch in the future.
func (f *Fake) mustRead(b *Broadcast, p []byte, off int64) {
	if _, err := b.ReadAt(p, off); err != nil {
		panic("enginetest: epoch " + f.cfg.Epoch.String() + ": " + err.Error())
	}
}

// delivery is a response whose body the faults of playback strike.
type delivery struct {
	http.ResponseWriter
	ctx     context.Context
	fake    *Fake
	session *session
	sent    int64

	trickle *order    // the fault that holds back what was not sent before it
	since   time.Time // when it began to, and at how many bytes
	before  int64
}

var errCut = errors.New("playback was cut by a fault")

// Write sends p as far as the faults allow, and at once.
func (d *delivery) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := d.allowed(int64(len(p) - done))
		if err != nil {
			return done, err
		}
		k, err := d.ResponseWriter.Write(p[done : done+int(n)])
		done += k
		d.sent += int64(k)
		if err == nil {
			err = http.NewResponseController(d.ResponseWriter).Flush()
		}
		if err != nil {
			return done, err
		}
		d.fake.count(func(c *Counters) { c.Bytes += int64(k) })
	}
	return done, nil
}

// allowed returns how many of want bytes may go out now, at least one, after
// waiting where a fault holds them back.
func (d *delivery) allowed(want int64) (int64, error) {
	f, names := d.fake, d.session.content.names()
	for {
		if d.ctx.Err() != nil {
			return 0, context.Cause(d.ctx)
		}
		n := want
		due := func(kind FaultKind) *order {
			o := f.foresee(kind, names...)
			if o == nil {
				return nil
			}
			if left := o.After - d.sent; left > 0 {
				n = min(n, left)
				return nil
			}
			return f.fault(kind, names...)
		}
		if due(ResetAfter) != nil {
			if conn, _, err := http.NewResponseController(d.ResponseWriter).Hijack(); err == nil {
				resetConn(conn)
			}
			return 0, errCut
		}
		if due(EOFAfter) != nil {
			f.playedOut(d.session)
			return 0, errCut
		}
		if o := due(Stall); o != nil {
			o.hang(d.ctx)
			continue
		}
		if o := f.foresee(Trickle, names...); o != nil {
			if d.trickle != o {
				d.trickle, d.since, d.before = o, f.clock.Now(), d.sent
			}
			n = min(n, int64(f.clock.Now().Sub(d.since).Seconds()*float64(o.Rate))-(d.sent-d.before))
			if n <= 0 {
				sleep(d.ctx, f.clock, tick)
				continue
			}
		}
		return n, nil
	}
}

// playedOut notes that the session's playback came to an end, so that its pid
// gets no more than the remaining buffer.
func (f *Fake) playedOut(s *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.tail = true
	f.ended[s.pid+s.content.Infohash] = true
}
