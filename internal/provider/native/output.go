package native

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

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
