package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/acequia-tv/acequia/internal/lines"
	"github.com/acequia-tv/acequia/internal/provider"
)

// child is one engine process.
type child struct {
	dir   string
	log   *slog.Logger
	ready func(c *child, url string, p2pPort int)

	// Set before spawned is closed, then constant.
	cmd            *exec.Cmd
	stdout, stderr *lines.Writer
	spawnErr       error // why the process could not be run

	spawned chan struct{} // closed when the process runs, or could not be run
	ended   chan struct{} // closed when the process has ended and been reaped

	// Guarded by Provider.mu.
	engine provider.Engine // its ID never changes
	stop   *stop           // the stop under way; nil when there is none

	mu    sync.Mutex
	words lastWords // guarded by mu
}

// stop is one attempt to stop a child. err is set before done is closed.
type stop struct {
	done chan struct{}
	err  error
}

func newChild(id, dir string, log *slog.Logger, ready func(*child, string, int)) *child {
	return &child{
		dir:     dir,
		log:     log.With("engine", id),
		ready:   ready,
		spawned: make(chan struct{}),
		ended:   make(chan struct{}),
		engine:  provider.Engine{ID: id, State: provider.Starting, StartedAt: time.Now()},
	}
}

// Bounds on the lines of a child, in bytes; what exceeds them is cut off.
const (
	maxStdoutLine = 4 << 10
	maxStderrLine = 8 << 10
)

// outputDelay is how long the output of a child that has ended may stay open,
// held by a process that it started.
const outputDelay = 2 * time.Second

// start runs the process.
func (c *child) start(config Config) error {
	if err := makeDir(c.dir); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	args := append([]string{"engine", "--engine.http_port", "0", "--engine.p2p_port", "0", "--data", c.dir}, config.Args...)
	// Not tied to a context: the child outlives the call that starts it.
	c.cmd = exec.Command(config.Executable, args...) //nolint:noctx // see above
	c.cmd.Env = config.Env
	c.stdout = &lines.Writer{Max: maxStdoutLine, Line: c.said}
	c.stderr = &lines.Writer{Max: maxStderrLine, Line: c.logged}
	c.cmd.Stdout, c.cmd.Stderr = c.stdout, c.stderr
	c.cmd.WaitDelay = outputDelay
	ownGroup(c.cmd)
	// Nothing is ever written: the pipe closes when the process has ended, or
	// when this one has, and the child ends with it.
	if _, err := c.cmd.StdinPipe(); err != nil {
		return err
	}
	return c.cmd.Start()
}

// wait waits until the process has ended and says, for a person, how it did.
func (c *child) wait() string {
	err := c.cmd.Wait()
	c.stdout.Flush()
	c.stderr.Flush()
	how := "it exited without an error"
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		how = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.words.String(); last != "" {
		how += ": " + last
	}
	return how
}

// end makes the process end: it asks, and after the grace it kills. It returns
// when the process has been reaped.
func (c *child) end(grace time.Duration) {
	select {
	case <-c.ended:
		return
	default:
	}
	// An error says that the process has ended already.
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.ended:
		return
	case <-timer.C:
	}
	c.log.Warn("engine did not stop when asked and is killed", "grace", grace)
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// said takes a line of the child's standard output. Anything but the first
// announcement is of no interest.
func (c *child) said(line string) {
	var e struct {
		Event   string `json:"event"`
		URL     string `json:"url"`
		P2PPort int    `json:"p2p_port"`
	}
	if json.Unmarshal([]byte(line), &e) != nil || e.Event != "ready" {
		c.log.Debug("engine wrote to its standard output", "line", line)
		return
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" || e.P2PPort < 0 || e.P2PPort > 65535 {
		c.log.Warn("engine announced itself in a way that makes no sense", "line", line)
		return
	}
	c.ready(c, strings.TrimRight(e.URL, "/"), e.P2PPort)
}

// logged takes a line of the child's log.
func (c *child) logged(line string) {
	r := parseLog(line)
	c.mu.Lock()
	c.words.hear(r)
	c.mu.Unlock()
	c.log.LogAttrs(context.Background(), r.level, r.message, r.attrs...)
}
