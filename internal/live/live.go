// Package live tells browsers what changes while they look, over one server-sent
// event stream each: the rows of some collections once, then what differs, then
// what happened.
//
// A [Board] turns collections into numbered messages, and keeps the newest of
// them, so that a reader who lost the connection goes on where it was. Readers
// do not wait for each other: one that is slow gets the newest value of each row
// and not each value, and one that is too slow begins anew.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
)

// Row is one row of a collection, as the JSON of each field.
type Row map[string]json.RawMessage

// Collection is a table that is followed.
type Collection struct {
	Name string
	// Rows returns the rows as they are now, by id; each becomes a JSON object.
	// It must return soon, and be safe for concurrent use.
	Rows func() map[string]any
	// OnRequest leaves the collection out where it is not asked for by name.
	OnRequest bool
}

// Config is what a [Board] stands on. All is required but Log.
type Config struct {
	Boot        string // names this run of the process
	Version     string
	Collections []Collection
	Events      *event.Log
	// Event turns an event into what readers are told.
	Event func(event.Event) any
	Log   *slog.Logger

	Tick time.Duration // how often counters are looked at; default 1 s
	Ping time.Duration // how often readers hear something; default 10 s
}

// Bounds.
const (
	keptMessages = 2000
	keptBytes    = 2 << 20
	// mostBehind is how much, in bytes, a reader may be behind before it begins
	// anew.
	mostBehind = 1 << 20
	// mostReaders bounds the connections.
	mostReaders = 64
	// eventGap merges what happens at once into one look.
	eventGap = 50 * time.Millisecond
)

// Board follows collections. It is safe for concurrent use. It looks only while
// somebody reads.
type Board struct {
	cfg  Config
	wake chan struct{} // capacity 1: somebody began to read

	look sync.Mutex // held through a look, so that looks do not cross

	mu       sync.Mutex // guards what follows; never held across a look
	readers  int
	closed   bool
	seq      uint64
	rows     map[string]map[string]Row // by collection and id; a Row is not changed
	messages []message                 // the newest; numbers follow on each other
	bytes    int                       // of messages
	changed  chan struct{}             // closed and replaced with each message
	lastSeen uint64                    // number of the newest event told
}

// message is one change.
type message struct {
	seq        uint64
	collection string // empty for an event
	set        map[string]Row
	del        []string
	event      json.RawMessage
	size       int
}

// New returns a board. Nothing moves before [Board.Run].
func New(cfg Config) *Board {
	if cfg.Tick == 0 {
		cfg.Tick = time.Second
	}
	if cfg.Ping == 0 {
		cfg.Ping = 10 * time.Second
	}
	b := &Board{
		cfg: cfg, wake: make(chan struct{}, 1), changed: make(chan struct{}),
		rows: make(map[string]map[string]Row), lastSeen: cfg.Events.Last(),
	}
	for _, c := range cfg.Collections {
		b.rows[c.Name] = map[string]Row{}
	}
	return b
}

// Run looks at the collections while somebody reads, until ctx ends. Then all
// readers are sent away.
func (b *Board) Run(ctx context.Context) error {
	tick := time.NewTicker(b.cfg.Tick)
	defer tick.Stop()
	defer b.close()
	for {
		happened := b.cfg.Events.Changed()
		if !b.watched() {
			select {
			case <-b.wake:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		b.refresh()
		select {
		case <-tick.C:
		case <-happened:
			// What follows at once is told along with it.
			gap := time.NewTimer(eventGap)
			select {
			case <-gap.C:
			case <-ctx.Done():
			}
			gap.Stop()
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *Board) watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.readers > 0
}

func (b *Board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	close(b.changed)
	b.changed = make(chan struct{})
}

// refresh looks at everything and notes what has changed.
func (b *Board) refresh() {
	b.look.Lock()
	defer b.look.Unlock()
	fresh := make(map[string]map[string]Row, len(b.cfg.Collections))
	for _, c := range b.cfg.Collections {
		rows := make(map[string]Row)
		for id, v := range c.Rows() {
			row, err := rowOf(v)
			if err != nil {
				b.cfg.Log.Error("a row cannot be told", "collection", c.Name, "err", err)
				continue
			}
			rows[id] = row
		}
		fresh[c.Name] = rows
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.cfg.Collections {
		if set, del := diff(b.rows[c.Name], fresh[c.Name]); len(set)+len(del) > 0 {
			b.add(message{collection: c.Name, set: set, del: del})
		}
		b.rows[c.Name] = fresh[c.Name]
	}
	events, _ := b.cfg.Events.Since(b.lastSeen)
	for _, e := range events {
		b.lastSeen = e.Seq
		data, err := json.Marshal(b.cfg.Event(e))
		if err != nil {
			b.cfg.Log.Error("an event cannot be told", "event", e.Type, "err", err)
			continue
		}
		b.add(message{event: data})
	}
}

func rowOf(v any) (Row, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var row Row
	if err := json.Unmarshal(data, &row); err != nil {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	return row, nil
}

// diff tells how to get from one table to another: the fields that differ of
// each row, and the rows that are gone. A field that is gone becomes null.
func diff(from, to map[string]Row) (set map[string]Row, del []string) {
	set = make(map[string]Row)
	for id, row := range to {
		before := from[id]
		fields := make(Row)
		for name, value := range row {
			if old, there := before[name]; !there || !bytes.Equal(old, value) {
				fields[name] = value
			}
		}
		for name := range before {
			if _, there := row[name]; !there {
				fields[name] = json.RawMessage("null")
			}
		}
		if len(fields) > 0 || before == nil {
			set[id] = fields
		}
	}
	for id := range from {
		if _, there := to[id]; !there {
			del = append(del, id)
		}
	}
	return set, del
}

// add numbers a message and keeps it. The caller holds mu.
func (b *Board) add(m message) {
	b.seq++
	m.seq = b.seq
	m.size = len(m.event)
	for id, row := range m.set {
		m.size += len(id)
		for name, value := range row {
			m.size += len(name) + len(value)
		}
	}
	for _, id := range m.del {
		m.size += len(id)
	}
	b.messages = append(b.messages, m)
	b.bytes += m.size
	drop := 0
	for len(b.messages)-drop > keptMessages || b.bytes > keptBytes {
		b.bytes -= b.messages[drop].size
		drop++
	}
	b.messages = b.messages[drop:]
	close(b.changed)
	b.changed = make(chan struct{})
}

// delta is what a reader needs to get from one number to another.
type delta struct {
	to     uint64
	set    map[string]map[string]Row // by collection
	del    map[string][]string
	events []json.RawMessage
}

// since returns what happened after a number, merged, of the wanted
// collections; ok is false where that is not known any more, or too much.
// changed is closed by whatever comes next; done says that the board is closed.
func (b *Board) since(seq uint64, wanted map[string]bool) (d delta, ok bool, changed <-chan struct{}, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d = delta{to: b.seq, set: make(map[string]map[string]Row), del: make(map[string][]string)}
	first := b.seq - uint64(len(b.messages)) // the number before the oldest kept
	if seq == 0 || seq > b.seq || seq < first {
		return d, false, b.changed, b.closed
	}
	size := 0
	for _, m := range b.messages[seq-first:] {
		if m.collection == "" {
			d.events = append(d.events, m.event)
			size += m.size
			continue
		}
		if wanted[m.collection] {
			d.merge(m)
			size += m.size
		}
	}
	return d, size <= mostBehind, b.changed, b.closed
}

// merge adds a later message.
func (d *delta) merge(m message) {
	set := d.set[m.collection]
	if set == nil {
		set = make(map[string]Row)
		d.set[m.collection] = set
	}
	gone := make(map[string]bool)
	for _, id := range d.del[m.collection] {
		gone[id] = true
	}
	for id, fields := range m.set {
		merged := maps.Clone(set[id])
		if merged == nil {
			merged = make(Row, len(fields))
		}
		maps.Copy(merged, fields)
		set[id] = merged
	}
	for _, id := range m.del {
		delete(set, id)
		gone[id] = true
	}
	d.del[m.collection] = d.del[m.collection][:0]
	for id := range gone {
		d.del[m.collection] = append(d.del[m.collection], id)
	}
}

// snapshot returns all rows of the wanted collections and their number.
func (b *Board) snapshot(wanted map[string]bool) (rows map[string]map[string]Row, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seq == 0 {
		b.seq = 1 // so that 0 is before everything
	}
	rows = make(map[string]map[string]Row)
	for name, all := range b.rows {
		if wanted[name] {
			rows[name] = all // replaced as a whole by the next look, never changed
		}
	}
	return rows, b.seq
}
