package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// lineWriter cuts what is written to it into lines. It is used by one
// goroutine, that of [os/exec.Cmd] which copies a child's output.
type lineWriter struct {
	max  int          // a line is cut off after so many bytes
	line func(string) // called for every line that is not blank

	buf []byte // the line so far, at most max bytes
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		head, tail, found := bytes.Cut(b, []byte{'\n'})
		w.buf = append(w.buf, head[:min(len(head), w.max-len(w.buf))]...)
		if !found {
			return n, nil
		}
		w.flush()
		b = tail
	}
}

// flush ends the line.
func (w *lineWriter) flush() {
	line := strings.TrimSpace(strings.ToValidUTF8(string(w.buf), "?"))
	w.buf = w.buf[:0]
	if line != "" {
		w.line(line)
	}
}

// record is one line of a child's log.
type record struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
	plain   bool // the line was no record of log/slog: a panic, a usage error
}

// parseLog reads a line as package log/slog writes it in JSON. Any other line
// is a message of its own.
func parseLog(line string) record {
	var fields map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &fields) != nil {
		return record{level: slog.LevelInfo, message: line, plain: true}
	}
	level, _ := fields[slog.LevelKey].(string)
	message, _ := fields[slog.MessageKey].(string)
	r := record{message: message}
	if r.level.UnmarshalText([]byte(level)) != nil || message == "" {
		return record{level: slog.LevelInfo, message: line, plain: true}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, "engine": // ours to say
		default:
			r.attrs = append(r.attrs, slog.Any(key, fields[key]))
		}
	}
	return r
}

// lastWords remembers what explains best why a process ended: the message of a
// panic, else the last error or line that is no log record.
type lastWords struct {
	text  string
	final bool // nothing that follows explains more
}

// maxWords bounds an explanation, in bytes.
const maxWords = 300

func (w *lastWords) hear(r record) {
	if w.final || !r.plain && r.level < slog.LevelError {
		return
	}
	text := r.message
	for _, a := range r.attrs {
		if a.Key == "err" {
			text += ": " + fmt.Sprint(a.Value.Any())
		}
	}
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "..."
	}
	w.text = text
	w.final = strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
}

func (w *lastWords) String() string { return w.text }
