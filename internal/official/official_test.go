package official_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/official"
)

// patience bounds every wait of these tests, which run on real time.
const patience = time.Minute

// impatient runs an engine that counts as idle at once, without answering
// about its health.
func impatient(ctx context.Context, inv cli.Invocation) error {
	s, err := official.New(inv.Official, inv.Config, inv.Environ, inv.Log)
	if err != nil {
		return err
	}
	s.HaveNoPatience()
	return s.Run(ctx)
}

// supervised is the program, running a stand-in.
type supervised struct {
	t     *testing.T
	cmd   *exec.Cmd
	data  string
	url   string // of the engine
	ended chan struct{}

	mu      sync.Mutex
	lines   []string      // of its log; guarded by mu
	changed chan struct{} // guarded by mu
}

// prepared makes the directories of an engine before it runs.
func prepared(t *testing.T, manner string) string {
	t.Helper()
	data := t.TempDir()
	for _, dir := range []string{"engine", "engine-cache/live"} {
		if err := os.MkdirAll(filepath.Join(data, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "engine", "manner"), []byte(manner), 0o600); err != nil {
		t.Fatal(err)
	}
	return data
}

// supervise runs the program until the test ends.
func supervise(t *testing.T, role, data string, environ []string, flags ...string) *supervised {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the official engine is a program for Linux")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := filepath.Join(data, "start-engine")
	if err := os.Symlink(self, start); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	s := &supervised{
		t: t, data: data, url: "http://127.0.0.1:" + port,
		ended: make(chan struct{}), changed: make(chan struct{}),
	}
	args := append([]string{
		role, "--official", start, "--data", data, "--log.format", "json", "--engine.http_port", port,
		"--official.listen", "127.0.0.1:0", "--official.probe_interval", "100ms",
	}, flags...)
	s.cmd = exec.Command(self, args...)
	s.cmd.Env = append(os.Environ(), environ...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			s.mu.Lock()
			s.lines = append(s.lines, scanner.Text())
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
		_ = s.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		if t.Failed() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, line := range s.lines[max(0, len(s.lines)-40):] {
				t.Log(line)
			}
		}
	})
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// until waits for a condition over the log.
func (s *supervised) until(what string, met func(lines []string) bool) {
	s.t.Helper()
	late := time.After(patience)
	for {
		s.mu.Lock()
		lines, changed := slices.Clone(s.lines), s.changed
		s.mu.Unlock()
		if met(lines) {
			return
		}
		select {
		case <-changed:
		case <-s.ended:
			s.t.Fatalf("ended before: %s", what)
		case <-late:
			s.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// says waits until the log has a text n times.
func (s *supervised) says(text string, n int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%q %d times in the log", text, n), func(lines []string) bool {
		count := 0
		for _, line := range lines {
			if strings.Contains(line, text) {
				count++
			}
		}
		return count >= n
	})
}

// poll waits for a condition that nothing announces.
func (s *supervised) poll(what string, met func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !met() {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// ask sends a request to the engine and returns its answer.
func (s *supervised) ask(path string) string {
	s.t.Helper()
	_, body := get(s.t, s.url+path)
	return body
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// health is the URL under which the program answers about the engine.
func (s *supervised) health() string {
	s.t.Helper()
	address := ""
	s.until("the address of the health", func(lines []string) bool {
		for _, line := range lines {
			var l struct{ Msg, Address string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "health of the engine is told" {
				address = l.Address
			}
		}
		return address != ""
	})
	return "http://" + address
}

// readiness asks how the engine is.
func (s *supervised) readiness() int {
	s.t.Helper()
	status, _ := get(s.t, s.health()+"/readyz")
	return status
}

// lives are the engines that have been started.
func (s *supervised) lives() []life {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.data, "engine", "lives"))
	if err != nil {
		s.t.Fatal(err)
	}
	var all []life
	for line := range bytes.Lines(raw) {
		var l life
		if err := json.Unmarshal(line, &l); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// end waits for the end of the program and returns its exit status.
func (s *supervised) end() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the program does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *supervised) stop() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	return s.end()
}

func TestRunsAnEngine(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("t0ken-of-the-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := supervise(t, "engine", prepared(t, ""), []string{
		"P2P_PORT=8701", "EXTRA_FLAGS=--log-debug 355", "ACEQUIA_OFFICIAL_MAX_PEERS=7", "LANG=C.test", "ACEQUIA_OFFICIAL_ACCESS_TOKEN_FILE=" + secret,
		"ACEQUIA_OFFICIAL_PASSWORD=pa55word",
	})
	s.says("engine is ready", 1)
	if status := s.readiness(); status != http.StatusOK {
		t.Errorf("/readyz answers %d", status)
	}
	if status, _ := get(t, s.health()+"/livez"); status != http.StatusOK {
		t.Errorf("/livez answers %d", status)
	}
	if status, body := get(t, s.health()+"/metrics"); status != http.StatusOK || !strings.Contains(body, "acequia_official_ready 1") {
		t.Errorf("/metrics answers %d, %s", status, body)
	}
	engine := s.lives()[0]
	for _, want := range []string{"--client-console", "--port=8701", "--log-debug=355", "--max-peers=7", "--access-token=t0ken-of-the-test", "--password=pa55word"} {
		if !slices.Contains(engine.Arguments, want) {
			t.Errorf("no %s in %q", want, engine.Arguments)
		}
	}
	home := "HOME=" + filepath.Join(s.data, "engine")
	if !slices.Contains(engine.Environ, home) || !slices.Contains(engine.Environ, "LANG=C.test") {
		t.Errorf("environment lacks %s or LANG: %q", home, engine.Environ)
	}
	if slices.ContainsFunc(engine.Environ, func(pair string) bool { return strings.HasPrefix(pair, "ACEQUIA_") }) {
		t.Errorf("the engine can read our settings: %q", engine.Environ)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", engine.PID))
	if err != nil || bytes.Contains(raw, []byte("t0ken")) {
		t.Errorf("the command line shows the token: %q, %v", raw, err)
	}
	if info, err := os.Stat(filepath.Join(s.data, "engine", "acestream.conf")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the configuration is %v, %v", info, err)
	}
	s.ask("/test/say?line=asked+for+/webui/app/t0ken-of-the-test/server+by+pa55word")
	s.says("asked for /webui/app/***/server by ***", 1)
	if status := s.stop(); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	if exists(engine.PID) {
		t.Error("the engine is still there")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	log := strings.Join(s.lines, "\n")
	if strings.Contains(log, "t0ken") || strings.Contains(log, "pa55word") {
		t.Error("a secret is in the log")
	}
	if !strings.Contains(log, "stops in order") {
		t.Error("the engine was not asked to stop")
	}
}

// Everything that a person may have wrong ends the program with the status for
// it and a sentence, and starts nothing.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ []string
		flags   []string
		status  int
		want    string
	}{
		{"a bad variable", []string{"CACHE_LIMIT=much"}, nil, 2, "not a number of gigabytes"},
		{"a setting of the other kind", nil, []string{"--engine.window", "64MiB"}, 2, "is a setting of native engines"},
		{"a bad flag", []string{"EXTRA_FLAGS=--client-gtk"}, nil, 1, "something else than an engine"},
		{"no such engine", nil, []string{"--official", "/nowhere/start-engine"}, 1, "find the engine"},
		{"no program", nil, []string{"--official", "/etc/passwd"}, 1, "cannot be run"},
		{"no place for its files", nil, []string{"--official.state_dir", "/proc/nowhere"}, 1, "must be writable"},
		{"no address", nil, []string{"--official.listen", "192.0.2.1:1"}, 1, "official.listen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data := prepared(t, "")
			s := supervise(t, "engine", data, test.environ, test.flags...)
			if status := s.end(); status != test.status {
				t.Errorf("ended with status %d", status)
			}
			if log := strings.Join(s.lines, "\n"); !strings.Contains(log, test.want) {
				t.Errorf("no %q in\n%s", test.want, log)
			}
			if _, err := os.Stat(filepath.Join(data, "engine", "lives")); err == nil {
				t.Error("an engine was started")
			}
		})
	}
}

func TestRestartsAfterACrash(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, ""), nil)
	s.says("engine is ready", 1)
	s.ask("/test/quit")
	s.says("engine is ready", 2)
	s.says("it exited with status 3; its last words: something broke inside", 1)
	if n := len(s.lives()); n != 2 {
		t.Errorf("%d lives", n)
	}
	if _, body := get(t, s.health()+"/metrics"); !strings.Contains(body, `acequia_official_restarts_total{cause="exit"} 1`) {
		t.Error(body)
	}
}

// An engine that is killed is no different.
func TestRestartsAfterAKill(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, ""), nil)
	s.says("engine is ready", 1)
	if err := syscall.Kill(s.lives()[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.says("it was ended by a signal (killed)", 1)
	s.says("engine is ready", 2)
}

// An engine whose process lives and that answers nothing is started again.
func TestRestartsAHangingEngine(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, "stubborn"), nil, "--official.probe_failures", "1", "--official.stop_timeout", "100ms")
	s.says("engine is ready", 1)
	s.ask("/test/deaf")
	s.says("it runs, but did not answer 1 probes in a row", 1)
	s.says("engine did not stop when asked and is killed", 1)
	s.says("engine is ready", 2)
	lives := s.lives()
	if len(lives) != 2 || exists(lives[0].PID) {
		t.Errorf("lives %+v", lives)
	}
}

func TestGivesUpAnEngineThatDoesNotStart(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, "usage"), nil, "--official.restart_limit", "1")
	if status := s.end(); status != 1 {
		t.Errorf("ended with status %d", status)
	}
	want := "acequia: engine: the engine failed 2 times in a row and is given up: it exited with status 2; " +
		"its last words: start-engine: error: unrecognized arguments: --nonsense"
	if last := s.lines[len(s.lines)-1]; last != want {
		t.Errorf("last line %q; want %q", last, want)
	}
	if n := len(s.lives()); n != 2 {
		t.Errorf("%d lives", n)
	}
}

func TestGivesUpAnEngineThatNeverAnswers(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, "mute"), nil, "--official.restart_limit", "0", "--official.start_timeout", "1s")
	s.says("engine starts", 1)
	if status := s.readiness(); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", status)
	}
	if status := s.end(); status != 1 {
		t.Errorf("ended with status %d", status)
	}
	if last := s.lines[len(s.lines)-1]; !strings.Contains(last, "did not answer within 1s of its start") {
		t.Errorf("last line %q", last)
	}
}

// Orphans of the engine are reaped when they end, and ended when it ends,
// whatever group they hide in.
func TestReapsOrphans(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, ""), nil)
	s.says("engine is ready", 1)
	var pids []int
	for text := range strings.Lines(s.ask("/test/strays")) {
		pid, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2 {
		t.Fatalf("orphans %v", pids)
	}
	s.poll("the orphan that ended is reaped", func() bool { return !exists(pids[0]) })
	if !alive(pids[1]) {
		t.Error("an orphan was ended although its engine lives")
	}
	if status := s.stop(); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	s.poll("the other orphan has ended", func() bool { return !alive(pids[1]) })
}

// Without its supervisor, killed without a chance to do anything, no engine
// goes on.
func TestEngineEndsWithItsSupervisor(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, "stubborn"), nil)
	s.says("engine is ready", 1)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	pid := s.lives()[0].PID
	s.poll("the engine has ended", func() bool { return !alive(pid) })
}

func TestForwardsSignals(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, ""), nil)
	s.says("engine is ready", 1)
	for _, sent := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		if err := s.cmd.Process.Signal(sent); err != nil {
			t.Fatal(err)
		}
		s.says(fmt.Sprintf("got the signal %v", sent), 1)
	}
}

// An engine that does not stop is killed, and the program still stops in order.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, "stubborn"), nil, "--official.stop_timeout", "100ms")
	s.says("engine is ready", 1)
	if status := s.stop(); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	if pid := s.lives()[0].PID; exists(pid) {
		t.Error("the engine is still there")
	}
}

// A flood of log lines neither stops the engine nor fills the log.
func TestLogFlood(t *testing.T) {
	t.Parallel()
	s := supervise(t, "engine", prepared(t, ""), nil)
	s.says("engine is ready", 1)
	s.ask("/test/flood") // answers when 72 MB have been taken
	s.poll("lines come through again", func() bool {
		s.ask("/test/say?line=after+the+flood")
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.lines, func(line string) bool { return strings.Contains(line, "after the flood") })
	})
	s.says("engine logs faster than is relayed", 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		if len(line) > 9<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// A cache that is too large when the engine starts is trimmed, the oldest first.
func TestTrimsTheCacheBeforeAStart(t *testing.T) {
	t.Parallel()
	data := prepared(t, "")
	for i := range 4 {
		fill(t, data, fmt.Sprintf("piece%d", i), 8<<20, i)
	}
	s := supervise(t, "engine", data, nil, "--official.extra_flags=--cache-max-bytes=16777216")
	s.says("engine is ready", 1)
	for i, want := range []bool{false, false, false, true} {
		if _, err := os.Stat(filepath.Join(data, "engine-cache", "live", fmt.Sprintf("piece%d", i))); (err == nil) != want {
			t.Errorf("piece %d: %v", i, err)
		}
	}
}

// fill puts a file into the cache that was used some minutes after the epoch.
func fill(t *testing.T, data, name string, size, minute int) {
	t.Helper()
	path := filepath.Join(data, "engine-cache", "live", name)
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	used := time.Unix(0, 0).Add(time.Duration(minute) * time.Minute)
	if err := os.Chtimes(path, used, used); err != nil {
		t.Fatal(err)
	}
}

// A cache that grows too large is cleared through the engine while nobody is
// connected to it.
func TestHasTheCacheCleared(t *testing.T) {
	t.Parallel()
	data := prepared(t, "")
	s := supervise(t, "impatient", data, nil, "--official.extra_flags=--cache-max-bytes=16777216", "--official.cache_interval", "100ms")
	s.says("engine is ready", 1)
	viewer, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, data, "piece", 32<<20, 0)
	s.says("is cleared when nobody plays", 1)
	if _, err := os.Stat(filepath.Join(data, "engine-cache", "live", "piece")); err != nil {
		t.Errorf("the cache was cleared under a viewer: %v", err)
	}
	viewer.Close()
	s.says("engine is told to clear its cache", 1)
	s.poll("the cache is cleared", func() bool {
		_, err := os.Stat(filepath.Join(data, "engine-cache", "live", "piece"))
		return err != nil
	})
	if n := len(s.lives()); n != 1 {
		t.Errorf("%d lives", n)
	}
}

// Where the engine does not clear it, the engine is started again and the files
// are removed in between. That is no failure of the engine.
func TestClearsTheCacheItself(t *testing.T) {
	t.Parallel()
	data := prepared(t, "lazy")
	s := supervise(t, "impatient", data, nil, "--official.extra_flags=--cache-max-bytes=16777216", "--official.cache_interval", "100ms", "--official.restart_limit", "0")
	s.says("engine is ready", 1)
	fill(t, data, "piece", 32<<20, 0)
	s.says("its cache stayed too large", 1)
	s.says("engine is ready", 2)
	if _, err := os.Stat(filepath.Join(data, "engine-cache", "live", "piece")); err == nil {
		t.Error("the file is still there")
	}
}
