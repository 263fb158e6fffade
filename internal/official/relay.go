package official

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/acequia-tv/acequia/internal/lines"
)

const (
	maxLine    = 8 << 10 // bytes of a line of the engine's output; the rest of it is cut off
	lineRate   = 100     // lines a second that are relayed
	lineBurst  = 1000    // lines that are relayed at once
	maxWords   = 300     // bytes of an explanation
	secretMask = "***"
)

// relay passes the engine's output on to the log, line by line. Output is read
// as fast as it comes, since an engine that waits for its log to be read plays
// nothing; lines that come too fast are counted instead. Safe for concurrent use.
type relay struct {
	log     *slog.Logger
	secrets *strings.Replacer
	limit   *rate.Limiter

	mu      sync.Mutex
	last    string // the last line; guarded by mu
	skipped int    // lines since the last one relayed; guarded by mu
	dropped int64  // lines that were not relayed, ever; guarded by mu
}

func newRelay(log *slog.Logger, secrets []string) *relay {
	var pairs []string
	for _, secret := range secrets {
		pairs = append(pairs, secret, secretMask)
	}
	return &relay{log: log, secrets: strings.NewReplacer(pairs...), limit: rate.NewLimiter(lineRate, lineBurst)}
}

// copy relays one output of the engine until it ends.
func (r *relay) copy(output string, from io.Reader) {
	w := &lines.Writer{Max: maxLine, Line: func(line string) { r.say(output, line) }}
	_, _ = io.Copy(w, from) // it ends with the engine, however that ends
	w.Flush()
}

func (r *relay) say(output, line string) {
	line = r.secrets.Replace(line)
	r.mu.Lock()
	r.last = line
	if !r.limit.Allow() {
		r.skipped++
		r.dropped++
		r.mu.Unlock()
		return
	}
	skipped := r.skipped
	r.skipped = 0
	r.mu.Unlock()
	if skipped > 0 {
		r.log.Warn("engine logs faster than is relayed", "lines_left_out", skipped)
	}
	r.log.Info("engine says", "output", output, "line", line)
}

// lastWords is what explains best why the engine ended: its last line.
func (r *relay) lastWords() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) > maxWords {
		return strings.ToValidUTF8(r.last[:maxWords], "") + "..."
	}
	return r.last
}

// forget begins the words of another engine, and tells of lines left out.
func (r *relay) forget() {
	r.mu.Lock()
	skipped := r.skipped
	r.last, r.skipped = "", 0
	r.mu.Unlock()
	if skipped > 0 {
		r.log.Warn("engine logs faster than is relayed", "lines_left_out", skipped)
	}
}

func (r *relay) left() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// withWords adds the engine's last words to what is known about its end.
func withWords(how, words string) string {
	if words == "" {
		return how
	}
	return fmt.Sprintf("%s; its last words: %s", how, words)
}
