package native

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/acequia-tv/acequia/internal/provider"
)

func TestLogRecords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]record{
		`{"time":"x","level":"ERROR","msg":"boom","err":"why","n":1}`: {
			level: slog.LevelError, message: "boom", attrs: []slog.Attr{slog.Any("err", "why"), slog.Any("n", 1.0)},
		},
		`{"level":"DEBUG+2","msg":"m"}`: {level: slog.LevelDebug + 2, message: "m"},
		`{"level":"LOUD","msg":"m"}`:    {message: `{"level":"LOUD","msg":"m"}`, plain: true},
		`{"level":"INFO"}`:              {message: `{"level":"INFO"}`, plain: true},
		`{"level":3,"msg":"m"}`:         {message: `{"level":3,"msg":"m"}`, plain: true},
		`{"level":`:                     {message: `{"level":`, plain: true},
		`panic: a bug`:                  {message: `panic: a bug`, plain: true},
	} {
		got := parseLog(line)
		if got.level != want.level || got.message != want.message || got.plain != want.plain || len(got.attrs) != len(want.attrs) {
			t.Errorf("%s is read as %+v", line, got)
			continue
		}
		for i, a := range got.attrs {
			if !a.Equal(want.attrs[i]) {
				t.Errorf("%s has the attribute %s", line, a)
			}
		}
	}
}

func TestLastWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"nothing worth telling", []string{`{"level":"WARN","msg":"slow"}`}, ""},
		{"an error", []string{`{"level":"ERROR","msg":"listen","err":"port in use"}`, `{"level":"INFO","msg":"bye"}`}, "listen: port in use"},
		{"a plain line", []string{`{"level":"ERROR","msg":"listen"}`, "acequia: error: bad flag"}, "acequia: error: bad flag"},
		{"a panic", []string{"panic: a bug", "", "goroutine 1 [running]:", "main.main()"}, "panic: a bug"},
		{"a fatal error", []string{"fatal error: all goroutines are asleep", "goroutine 1:"}, "fatal error: all goroutines are asleep"},
		{"many words", []string{strings.Repeat("x", 1000)}, strings.Repeat("x", maxWords) + "..."},
	} {
		var w lastWords
		for _, line := range test.lines {
			w.hear(parseLog(line))
		}
		if got := w.String(); got != test.want {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
}

// Only the first announcement counts, and only of an engine that has not ended.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	p := &Provider{watch: make(chan struct{}, 1)}
	c := newChild("engine-1", t.TempDir(), slog.New(slog.DiscardHandler), p.ready)
	c.said(`{"event":"ready","url":"http://127.0.0.1:1/","p2p_port":2}`)
	c.said(`{"event":"ready","url":"http://127.0.0.1:3","p2p_port":4}`)
	if e := p.engineOf(c); e.State != provider.Running || e.URL != "http://127.0.0.1:1" || e.P2PPort != 2 {
		t.Errorf("the engine is %+v", e)
	}
	c.engine.State = provider.Failed
	c.said(`{"event":"ready","url":"http://127.0.0.1:3","p2p_port":4}`)
	if e := p.engineOf(c); e.State != provider.Failed {
		t.Errorf("an engine that had ended became %s", e.State)
	}
}
