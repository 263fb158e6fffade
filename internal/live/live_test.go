package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/event"
)

// world is a collection that a test changes.
type world struct {
	mu    sync.Mutex
	rows  map[string]any
	looks int
}

func (w *world) set(id string, row any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if row == nil {
		delete(w.rows, id)
		return
	}
	w.rows[id] = row
}

func (w *world) all() map[string]any {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	return maps.Clone(w.rows)
}

func board(w *world, events *event.Log) *Board {
	return New(Config{
		Boot: "boot", Version: "1", Events: events, Log: slog.New(slog.DiscardHandler),
		Event:       func(e event.Event) any { return map[string]string{"type": e.Type} },
		Collections: []Collection{{Name: "things", Rows: w.all}, {Name: "more", Rows: func() map[string]any { return nil }, OnRequest: true}},
	})
}

type fields map[string]any

// view is what a reader makes of messages.
type view struct {
	rows   map[string]map[string]any
	events []string
	kinds  []string
	id     string
}

func (v *view) apply(kind, data string) {
	var m struct {
		Rows map[string]map[string]any `json:"rows"`
		Set  map[string]map[string]any `json:"set"`
		Del  []string                  `json:"del"`
		Type string                    `json:"type"`
	}
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		panic(err)
	}
	v.kinds = append(v.kinds, kind)
	switch kind {
	case "snap":
		v.rows = m.Rows
	case "upd":
		for _, id := range m.Del {
			delete(v.rows, id)
		}
		for id, set := range m.Set {
			if v.rows[id] == nil {
				v.rows[id] = map[string]any{}
			}
			for name, value := range set {
				if value == nil {
					delete(v.rows[id], name)
				} else {
					v.rows[id][name] = value
				}
			}
		}
	case "ev":
		v.events = append(v.events, m.Type)
	}
}

// pipe serves one reader over a connection in memory, and returns what reads
// one message.
func pipe(t *testing.T, b *Board, reader Reader) (next func(v *view) bool, end func()) {
	t.Helper()
	here, there := net.Pipe()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.Serve(w, r, reader); err != nil {
			t.Error(err)
		}
	})}
	l := &oneListener{conn: there, done: make(chan struct{})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	if _, err := fmt.Fprint(here, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(here), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	return func(v *view) bool {
			var kind, data string
			for lines.Scan() {
				name, value, _ := strings.Cut(lines.Text(), ": ")
				switch {
				case name == "event":
					kind = value
				case name == "id":
					v.id = value
				case name == "data":
					data = value
				case name == "" && kind != "":
					v.apply(kind, data)
					return true
				}
			}
			return false
		}, func() {
			here.Close()
			close(l.done)
			server.Close()
			<-served
		}
}

type oneListener struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, errors.New("closed")
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

func running(b *Board) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	return func() { cancel(); <-ended }
}

func TestReaderSeesWhatIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		events := event.NewLog(10)
		w := &world{rows: map[string]any{"a": fields{"n": 1, "x": "y"}}}
		b := board(w, events)
		stop := running(b)
		time.Sleep(time.Hour)
		w.mu.Lock()
		if w.looks != 0 {
			t.Errorf("%d looks for nobody", w.looks)
		}
		w.mu.Unlock()
		next, end := pipe(t, b, Reader{})
		v := &view{}
		for range 3 {
			next(v)
		}
		if got := strings.Join(v.kinds, " "); got != "hello snap ping" || v.rows["a"]["n"] != 1.0 || v.rows["more"] != nil {
			t.Errorf("%s: %v", got, v.rows)
		}
		// A change is told with the next tick, an event at once.
		w.set("a", fields{"n": 2})
		w.set("b", fields{"n": 3})
		before := time.Now()
		for v.rows["b"] == nil {
			next(v)
		}
		if v.rows["a"]["n"] != 2.0 || v.rows["a"]["x"] != nil || time.Since(before) > time.Second {
			t.Errorf("after %v: %v", time.Since(before), v.rows)
		}
		w.set("b", nil)
		before = time.Now()
		events.Publish(event.Event{Type: "it.happened"})
		for len(v.events) == 0 {
			next(v)
		}
		if v.rows["b"] != nil || time.Since(before) > eventGap || v.events[0] != "it.happened" {
			t.Errorf("after %v: %v %v", time.Since(before), v.rows, v.events)
		}
		before = time.Now()
		v.kinds = nil
		for next(v); v.kinds[len(v.kinds)-1] != "ping"; next(v) {
		}
		if d := time.Since(before); d > 10*time.Second || len(v.kinds) != 1 {
			t.Errorf("silence: %v after %v", v.kinds, d)
		}
		end()
		last := v.id
		w.set("c", fields{"n": 4})
		next, end = pipe(t, b, Reader{Last: last})
		v.kinds = nil
		next(v)
		if v.kinds[0] != "upd" || v.rows["c"]["n"] != 4.0 || v.rows["a"]["n"] != 2.0 {
			t.Errorf("resumed with %v: %v", v.kinds, v.rows)
		}
		stop()
		for next(v) {
		}
		end()
	})
}

func TestReaderThatMayNotIsSentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := board(&world{rows: map[string]any{}}, event.NewLog(10))
		defer running(b)()
		var forbidden atomic.Bool
		next, end := pipe(t, b, Reader{Allowed: func() error {
			if forbidden.Load() {
				return errors.New("logged out")
			}
			return nil
		}})
		defer end()
		v := &view{}
		for range 4 { // the last of these is a ping of silence
			next(v)
		}
		forbidden.Store(true)
		if next(v) {
			t.Errorf("goes on with %v", v.kinds)
		}
	})
}

func TestUnknownCollectionAndTooMany(t *testing.T) {
	t.Parallel()
	b := board(&world{rows: map[string]any{}}, event.NewLog(10))
	if _, err := b.wanted([]string{"things", "secrets"}); !errors.Is(err, ErrCollection) {
		t.Errorf("%v", err)
	}
	for range mostReaders {
		if err := b.enter(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.enter(); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
}

// Whatever happens, and wherever a reader was, it ends with what is.
func TestReadersConverge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{rows: map[string]any{}}
		b := board(w, event.NewLog(10))
		wanted := map[string]bool{"things": true}
		v := &view{rows: map[string]map[string]any{}}
		var at uint64
		catchUp := func() {
			b.refresh()
			d, ok, _, _ := b.since(at, wanted)
			var text []byte
			if ok {
				text, _ = json.Marshal(upd{"things", d.set["things"], d.del["things"]})
				v.apply("upd", string(text))
				at = d.to
				return
			}
			rows, seq := b.snapshot(wanted)
			text, _ = json.Marshal(snap{"things", rows["things"]})
			v.apply("snap", string(text))
			at = seq
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				row := rapid.MapOfN(rapid.SampledFrom([]string{"p", "q", "r"}), rapid.IntRange(0, 2), 0, 3).Draw(t, "row")
				w.set(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id"), row)
			},
			"delete": func(t *rapid.T) { w.set(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id"), nil) },
			"look":   func(*rapid.T) { b.refresh() },
			"flood": func(t *rapid.T) {
				for i := range keptMessages / 50 {
					w.set("flood", fields{"i": i})
					b.refresh()
				}
			},
			"catch up": func(*rapid.T) { catchUp() },
			"": func(t *rapid.T) {
				if len(b.messages) > keptMessages || b.bytes > keptBytes {
					t.Fatalf("%d messages of %d bytes", len(b.messages), b.bytes)
				}
			},
		})
		catchUp()
		want, _ := json.Marshal(w.all())
		if got, _ := json.Marshal(v.rows); string(got) != string(want) {
			t.Fatalf("the reader has %s; there is %s", got, want)
		}
	})
}
