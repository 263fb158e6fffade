package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writeTimeout is how long a reader may take nothing.
const writeTimeout = 10 * time.Second

// Errors of [Board.Serve] before anything was written.
var (
	ErrFull       = errors.New("too many connections read what is live")
	ErrCollection = errors.New("there is no such collection")
)

// Reader is one connection.
type Reader struct {
	// Collections names those wanted; none are all but those on request.
	Collections []string
	// Every is the least time between two deltas; 0 is at once.
	Every time.Duration
	// Last is the id of the newest message that the reader has; may be empty.
	Last string
	// Allowed is asked with each ping whether the reader may still read.
	Allowed func() error
}

// hello is the first message of a connection.
type hello struct {
	Version string    `json:"version"`
	Boot    string    `json:"boot"`
	Time    time.Time `json:"time"`
	Tick    int64     `json:"tick_ms"`
	Ping    int64     `json:"ping_ms"`
}

type snap struct {
	Collection string         `json:"c"`
	Rows       map[string]Row `json:"rows"`
}

type upd struct {
	Collection string         `json:"c"`
	Set        map[string]Row `json:"set,omitempty"`
	Del        []string       `json:"del,omitempty"`
}

type ping struct {
	Time time.Time `json:"time"`
}

// Serve tells one reader what is live until the request or the board ends, or
// the reader takes nothing. The error is ErrFull or ErrCollection where nothing
// was written yet, else nil.
func (b *Board) Serve(w http.ResponseWriter, r *http.Request, reader Reader) error {
	wanted, err := b.wanted(reader.Collections)
	if err != nil {
		return err
	}
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	c := &connection{
		board: b, w: w, control: http.NewResponseController(w), wanted: wanted, reader: reader,
		at: b.number(reader.Last),
	}
	b.refresh() // nobody may have looked for a while
	c.run(r)
	return nil
}

func (b *Board) wanted(names []string) (map[string]bool, error) {
	wanted := make(map[string]bool)
	for _, c := range b.cfg.Collections {
		if len(names) == 0 && !c.OnRequest || slices.Contains(names, c.Name) {
			wanted[c.Name] = true
		}
	}
	for _, name := range names {
		if !wanted[name] {
			return nil, fmt.Errorf("%w: %q", ErrCollection, name)
		}
	}
	return wanted, nil
}

func (b *Board) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers == mostReaders || b.closed {
		return ErrFull
	}
	b.readers++
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

func (b *Board) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers--
}

// number reads the id of a message; 0 where it is of another run.
func (b *Board) number(id string) uint64 {
	boot, text, ok := strings.Cut(id, ":")
	seq, err := strconv.ParseUint(text, 10, 64)
	if !ok || boot != b.cfg.Boot || err != nil {
		return 0
	}
	return seq
}

// connection is one reader being told. It is owned by its goroutine.
type connection struct {
	board   *Board
	w       io.Writer
	control *http.ResponseController
	wanted  map[string]bool
	reader  Reader
	at      uint64 // number of the newest message told
	buf     bytes.Buffer
}

func (c *connection) run(r *http.Request) {
	pings := time.NewTicker(c.board.cfg.Ping)
	defer pings.Stop()
	c.buf.WriteString("retry: 2000\n\n")
	for {
		d, ok, changed, done := c.board.since(c.at, c.wanted)
		if done {
			return
		}
		if ok {
			c.tellDelta(d)
		} else {
			c.tellAll()
		}
		if c.flush() != nil {
			return
		}
		if c.reader.Every > 0 {
			pause := time.NewTimer(c.reader.Every)
			select {
			case <-pause.C:
			case <-r.Context().Done():
			}
			pause.Stop()
		}
		select {
		case <-changed:
		case now := <-pings.C:
			if c.reader.Allowed != nil && c.reader.Allowed() != nil {
				return
			}
			c.write("ping", c.at, ping{now.UTC()})
		case <-r.Context().Done():
			return
		}
	}
}

// tellAll begins anew.
func (c *connection) tellAll() {
	rows, seq := c.board.snapshot(c.wanted)
	cfg := c.board.cfg
	c.write("hello", 0, hello{cfg.Version, cfg.Boot, time.Now().UTC(), cfg.Tick.Milliseconds(), cfg.Ping.Milliseconds()})
	for _, collection := range cfg.Collections {
		if all, wanted := rows[collection.Name]; wanted {
			c.write("snap", 0, snap{collection.Name, all})
		}
	}
	// The number comes last: who loses the connection before begins anew.
	c.at = seq
	c.write("ping", c.at, ping{time.Now().UTC()})
}

func (c *connection) tellDelta(d delta) {
	if d.to == c.at {
		return
	}
	before := c.at
	type line struct {
		kind string
		data any
	}
	var lines []line
	for _, collection := range c.board.cfg.Collections {
		if set, del := d.set[collection.Name], d.del[collection.Name]; len(set)+len(del) > 0 {
			lines = append(lines, line{"upd", upd{collection.Name, set, del}})
		}
	}
	for _, e := range d.events {
		lines = append(lines, line{"ev", e})
	}
	c.at = d.to
	for i, l := range lines {
		id := before
		if i == len(lines)-1 {
			id = c.at
		}
		c.write(l.kind, id, l.data)
	}
}

func (c *connection) write(kind string, seq uint64, data any) {
	text, err := json.Marshal(data) // on one line
	if err != nil {
		c.board.cfg.Log.Error("a message cannot be told", "kind", kind, "err", err)
		return
	}
	fmt.Fprintf(&c.buf, "event: %s\nid: %s:%d\ndata: %s\n\n", kind, c.board.cfg.Boot, seq, text)
}

// flush sends what was written.
func (c *connection) flush() error {
	if c.buf.Len() == 0 {
		return nil
	}
	if err := c.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := c.w.Write(c.buf.Bytes()); err != nil {
		return err
	}
	c.buf.Reset()
	return c.control.Flush()
}
