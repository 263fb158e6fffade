// Package telemetry makes a process visible from outside: its logs, its
// metrics, its profiles, and which build it is. It decides nothing; whoever
// needs a logger or a registry is handed one.
package telemetry

import (
	"io"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"
)

// Form is how a log line is written.
type Form int

// The forms of a log line.
const (
	JSON    Form = iota // one object per line, for collectors
	Text                // one line for people
	Colored             // the same with terminal colors
)

// ChooseForm settles the setting log.format. format is auto, text or json;
// auto is text where terminal tells that people read. Colors need a terminal
// and that the environment does not refuse them: see https://no-color.org.
func ChooseForm(format string, terminal bool, getenv func(string) string) Form {
	switch {
	case format == "json", format != "text" && !terminal:
		return JSON
	case terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb":
		return Colored
	default:
		return Text
	}
}

// NewLogger returns a logger that writes whole lines to w, one Write per line.
// It is safe for concurrent use.
func NewLogger(w io.Writer, form Form, level slog.Leveler) *slog.Logger {
	if form == JSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	// Lines without colors may end up in a file, where the day matters.
	timeFormat := time.DateTime
	if form == Colored {
		timeFormat = time.TimeOnly
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: timeFormat,
		NoColor:    form == Text,
	}))
}

// ParseLevel reads the setting log.level.
func ParseLevel(text string) (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(text))
	return level, err
}
