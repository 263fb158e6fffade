package native_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/native"
	"github.com/acequia-tv/acequia/internal/provider/providertest"
)

// patience bounds every wait.
const patience = 20 * time.Second

func TestContract(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Fixture {
		p := open(t, native.Config{})
		return providertest.Fixture{
			Provider: p,
			Crash:    func(t *testing.T, id string) { crash(t, p, id) },
		}
	})
}

func TestArguments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, native.Config{Dir: dir, Args: []string{"--engine.cache_limit", "64MiB", "--test=none"}})
	e := running(t, p, "engine-1")
	if e.P2PPort != 51413 {
		t.Errorf("the P2P port is %d", e.P2PPort)
	}
	want := []string{
		"engine", "--engine.http_port", "0", "--engine.p2p_port", "0",
		"--data", filepath.Join(dir, "engine-1"), "--engine.cache_limit", "64MiB", "--test=none",
	}
	if got := strings.Split(get(t, e.URL+"/args"), "\n"); !slices.Equal(got, want) {
		t.Errorf("run with %q", got)
	}
	pid, err := strconv.Atoi(get(t, e.URL+"/pid"))
	if err != nil {
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("process %d is in the group %d (%v), and shares the terminal's signals", pid, group, err)
	}
}

func TestCrashTellsWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		end  func(t *testing.T, p *native.Provider)
		want []string
	}{
		{"a panic", nil, func(t *testing.T, p *native.Provider) { crash(t, p, "engine-1") }, []string{"exit status 2", "panic: a bug"}},
		{"a usage error", []string{"--test=usage"}, func(*testing.T, *native.Provider) {}, []string{"exit status 2", "unknown flag --test"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, native.Config{Args: test.args})
			start(t, p, "engine-1")
			test.end(t, p)
			e := await(t, p, "engine-1", provider.Failed)
			for _, want := range test.want {
				if !strings.Contains(e.Reason, want) {
					t.Errorf("the reason is %q, without %q", e.Reason, want)
				}
			}
		})
	}
}

func TestNoExecutable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, native.Config{Dir: dir, Executable: filepath.Join(dir, "missing")})
	if _, err := p.Start(t.Context(), provider.Spec{ID: "engine-1"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Start: %v", err)
	}
	if inventory, err := p.List(t.Context()); err != nil || len(inventory.Engines) != 0 {
		t.Errorf("a failed start left %+v, %v", inventory, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "engine-1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed start left its directory: %v", err)
	}
}

func TestGarbageOnStandardOutput(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"garbage", "flood"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := open(t, native.Config{Args: []string{"--test=" + mode}})
			e := running(t, p, "engine-1")
			if got := get(t, e.URL+"/pid"); got == "" {
				t.Error("the engine does not answer")
			}
		})
	}
}

func TestStopOfAnEngineThatHangs(t *testing.T) {
	t.Parallel()
	for mode, grace := range map[string]time.Duration{
		"silent": patience, // never announces itself, yet ends when asked
		"deaf":   10 * time.Millisecond,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := open(t, native.Config{Dir: dir, Args: []string{"--test=" + mode}, StopGrace: grace})
			if e := start(t, p, "engine-1"); e.State != provider.Starting {
				t.Errorf("it is %s before it announced itself", e.State)
			}
			if err := p.Stop(t.Context(), "engine-1"); err != nil {
				t.Errorf("Stop: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "engine-1")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the data directory is still there: %v", err)
			}
		})
	}
}

// What an engine started must not keep it from being stopped.
func TestStopOfAnEngineWithHeirs(t *testing.T) {
	t.Parallel()
	p := open(t, native.Config{Args: []string{"--test=family"}})
	running(t, p, "engine-1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Stop(ctx, "engine-1"); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestStopGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	p := open(t, native.Config{Args: []string{"--test=deaf"}, StopGrace: 50 * time.Millisecond})
	start(t, p, "engine-1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx, "engine-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop: %v", err)
	}
	timeout := time.After(patience)
	for {
		inventory, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(inventory.Engines) == 0 {
			return
		}
		select {
		case <-p.Watch():
		case <-timeout:
			t.Fatalf("still there: %+v", inventory.Engines)
		}
	}
}

func TestCloseEndsAllEngines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, native.Config{Dir: dir})
	var held []io.Reader
	for _, id := range []string{"engine-1", "engine-2", "engine-3"} {
		held = append(held, hold(t, running(t, p, id).URL))
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for i, r := range held {
		if rest, _ := io.ReadAll(r); len(rest) != 0 {
			t.Errorf("engine %d said %q at its end", i+1, rest)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "engine-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if _, err := p.Start(t.Context(), provider.Spec{ID: "engine-4"}); err == nil {
		t.Error("Start succeeded after Close")
	}
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// A parent that is killed takes its engines with it, and its successor cleans
// up after it.
func TestKilledParentLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(executable(t), dir)
	cmd.Env = environment("parent")
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe() // open until the end, so that nothing but the kill ends it
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the parent told no URL: %v", err)
	}
	held := hold(t, strings.TrimSpace(url))

	if _, err := native.Open(native.Config{Executable: executable(t), Dir: dir, Log: discard()}); err == nil {
		t.Error("two providers opened one directory")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()                                   // killed
	if rest, _ := io.ReadAll(held); len(rest) != 0 { // returns when the engine has ended
		t.Errorf("the engine said %q at its end", rest)
	}

	foreign := filepath.Join(dir, "mine")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, native.Config{Dir: dir})
	left, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	if err != nil || !slices.Equal(left, []string{foreign}) {
		t.Errorf("after the next start the directory holds %q, %v", left, err)
	}
}

func TestLogIsForwarded(t *testing.T) {
	t.Parallel()
	lines := &lineLog{lines: make(chan string, 16)}
	p := open(t, native.Config{
		Args: []string{"--test=logs"},
		Log:  slog.New(slog.NewJSONHandler(lines, nil)),
	})
	start(t, p, "engine-1")
	for _, want := range []map[string]any{
		{"level": "WARN", "msg": "disk is slow", "engine": "engine-1", "content": "abc"},
		{"level": "INFO", "msg": "a plain line", "engine": "engine-1"},
	} {
		var got map[string]any
		select {
		case line := <-lines.lines:
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		case <-time.After(patience):
			t.Fatal("no log line came")
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s is %v in %v, not %v", key, got[key], got, value)
			}
		}
	}
}

// lineLog passes on what is written to it.
type lineLog struct {
	mu    sync.Mutex
	lines chan string
}

func (l *lineLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(b) {
		select {
		case l.lines <- string(line):
		default:
		}
	}
	return len(b), nil
}

// open returns a provider that is closed at the end of the test. What config
// leaves out is set.
func open(t *testing.T, config native.Config) *native.Provider {
	t.Helper()
	if config.Executable == "" {
		config.Executable = executable(t)
	}
	if config.Args == nil {
		config.Args = []string{"--test=none"}
	}
	if config.Dir == "" {
		config.Dir = filepath.Join(t.TempDir(), "engines")
	}
	if config.Log == nil {
		config.Log = discard()
	}
	config.Env = environment("engine")
	p, err := native.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func start(t *testing.T, p *native.Provider, id string) provider.Engine {
	t.Helper()
	e, err := p.Start(t.Context(), provider.Spec{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// running starts an engine and waits until it runs.
func running(t *testing.T, p *native.Provider, id string) provider.Engine {
	t.Helper()
	start(t, p, id)
	return await(t, p, id, provider.Running)
}

func await(t *testing.T, p *native.Provider, id string, want provider.State) provider.Engine {
	t.Helper()
	timeout := time.After(patience)
	for {
		inventory, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range inventory.Engines {
			if e.ID == id && e.State == want {
				return e
			}
		}
		select {
		case <-p.Watch():
		case <-timeout:
			t.Fatalf("engine %s did not become %s: %+v", id, want, inventory.Engines)
		}
	}
}

// crash makes a running engine panic.
func crash(t *testing.T, p *native.Provider, id string) {
	t.Helper()
	e := await(t, p, id, provider.Running)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/panic", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(req); err == nil {
		_ = res.Body.Close()
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// hold opens a response of the engine that lasts as long as its process.
func hold(t *testing.T, url string) io.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/hold", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	r := bufio.NewReader(res.Body)
	if line, err := r.ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("held: %q, %v", line, err)
	}
	return &endOnce{r, ctx, t}
}

// endOnce reads until the process is gone, and fails the test when that does
// not happen in time.
type endOnce struct {
	r   io.Reader
	ctx context.Context
	t   *testing.T
}

func (e *endOnce) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if err != nil && e.ctx.Err() != nil {
		e.t.Error("the engine did not end in time")
	}
	return n, err
}
