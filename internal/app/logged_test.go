package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// logged keeps what is logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *logged) lines() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(l.buf.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil {
			all = append(all, fields)
		}
	}
	return all
}

// count tells how many lines have an attribute.
func (l *logged) count(attr string) (n int) {
	for _, line := range l.lines() {
		if _, ok := line[attr]; ok {
			n++
		}
	}
	return n
}

// find returns the attribute of the newest line that has it.
func (l *logged) find(t *testing.T, attr string) (value string) {
	t.Helper()
	for _, line := range l.lines() {
		if v, ok := line[attr].(string); ok {
			value = v
		}
	}
	if value == "" {
		t.Fatalf("no line has %s", attr)
	}
	return value
}
