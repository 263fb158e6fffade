package relay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

// engine is a fake engine that runs as a process. Its methods may be called
// from any goroutine, but one at a time wins.
type engine struct {
	t    *testing.T
	addr string

	mu  sync.Mutex // guards what follows, and the talk with the process
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startEngine runs an engine until the test ends.
func startEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{t: t}
	e.run("127.0.0.1:0")
	t.Cleanup(e.kill)
	return e
}

func (e *engine) run(addr string) {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cmd = exec.Command(self(e.t), "fake-engine", addr)
	e.cmd.Stderr = os.Stderr
	var err error
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		e.t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	e.out = bufio.NewScanner(out)
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	if !e.out.Scan() || json.Unmarshal(e.out.Bytes(), &e.addr) != nil {
		e.t.Fatalf("the engine said %q and ended", e.out.Text())
	}
}

// revive runs a killed engine again, at the address it had.
func (e *engine) revive() { e.run(e.addr) }

// kill ends the engine as kill -9 does, if it runs.
func (e *engine) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.cmd.Process.Kill() // fails where it has ended
	_ = e.cmd.Wait()         // says that it was killed
	e.in.Close()
}

// signal sends a signal, such as SIGSTOP: the engine's connections stay open,
// and nothing comes.
func (e *engine) signal(s syscall.Signal) {
	e.t.Helper()
	if err := e.cmd.Process.Signal(s); err != nil {
		e.t.Error(err)
	}
}

// set orders a fault.
func (e *engine) set(f enginetest.Fault) { e.tell(command{Set: &f}) }

// clear lifts all faults.
func (e *engine) clear() { e.tell(command{Clear: true}) }

// counters asks an engine that runs for its counters.
func (e *engine) counters() enginetest.Counters { return e.tell(command{}) }

func (e *engine) tell(c command) enginetest.Counters {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	line, err := json.Marshal(c)
	if err != nil {
		e.t.Fatal(err)
	}
	var counters enginetest.Counters
	if _, err := fmt.Fprintf(e.in, "%s\n", line); err != nil {
		e.t.Errorf("tell the engine: %v", err)
	} else if !e.out.Scan() {
		e.t.Errorf("the engine ended: %v", e.out.Err())
	} else if err := json.Unmarshal(e.out.Bytes(), &counters); err != nil {
		e.t.Error(err)
	}
	return counters
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// house is acequia serve with its engines, each a process.
type house struct {
	t       *testing.T
	engines []*engine
	base    string // URL
	cmd     *exec.Cmd
	logged  chan struct{} // closed when the log has ended
}

// open runs acequia with so many engines until the test ends.
func open(t *testing.T, engines int, flags ...string) *house {
	t.Helper()
	h := &house{t: t, logged: make(chan struct{})}
	var urls []string
	for range engines {
		e := startEngine(t)
		h.engines = append(h.engines, e)
		urls = append(urls, "http://"+e.addr)
	}
	h.cmd = exec.Command(self(t), append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--log.format", "json", "--debug.pprof",
		"--auth.trusted_networks", "127.0.0.1",
		"--pool.provider", "static", "--static.engines", strings.Join(urls, ","),
		"--pool.streams_per_engine", fmt.Sprint(contents), "--playback.stall_timeout", "2s", "--playback.linger", "500ms",
	}, flags...)...)
	log, err := h.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go h.follow(log, ready)
	t.Cleanup(h.close)
	select {
	case address := <-ready:
		h.base = "http://" + address
	case <-time.After(playbacktest.Patience):
		t.Fatal("acequia is not ready to play")
	}
	return h
}

// follow copies the log to the test's output, and tells the address once
// acequia is ready to play.
func (h *house) follow(log io.Reader, ready chan<- string) {
	defer close(h.logged)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		fmt.Fprintf(h.t.Output(), "%s\n", lines.Bytes())
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "ready to play" {
			ready <- entry.Address
		}
	}
}

// close ends acequia in order. An end that is none, or that does not come, is a
// fault.
func (h *house) close() {
	_ = h.cmd.Process.Signal(os.Interrupt) // fails where it has ended
	hung := time.AfterFunc(playbacktest.Patience, func() {
		h.t.Error("acequia does not end")
		_ = h.cmd.Process.Kill()
	})
	defer hung.Stop()
	<-h.logged
	var exit *exec.ExitError
	if err := h.cmd.Wait(); errors.As(err, &exit) || err != nil {
		h.t.Errorf("acequia ended with %v", err)
	}
}

// players returns the engines that play something, and the others.
func (h *house) players() (busy, idle []*engine) {
	for _, e := range h.engines {
		if e.counters().Readers > 0 {
			busy = append(busy, e)
		} else {
			idle = append(idle, e)
		}
	}
	return busy, idle
}
