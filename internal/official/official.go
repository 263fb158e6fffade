// Package official runs and watches one official AceStream engine: the first
// process of a container, in place of a shell script.
//
// It writes the engine's flags to a file, starts it, relays its output, reaps
// what it leaves behind, asks it whether it lives, and starts it again when it
// crashed or hangs. It bounds the cache on disk. An engine that does not stay
// up is given up with a sentence, for whoever runs the container to see.
//
// What opens of content come to is not judged here: this process does not see
// them. Who opens content does (package health), and has the engine replaced.
// What can be seen from here is requests that nobody waits for any more and
// that hang all the same; see [config.Official.AbandonedLimit].
package official

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/acequia-tv/acequia/internal/backoff"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine"
)

// configFile is the file in the state directory that the engine reads its flags
// from, one on a line: a command line shows its secrets to everybody.
const configFile = "acestream.conf"

// outputDelay is how long the output of an engine that has ended may stay open.
const outputDelay = 2 * time.Second

// Supervisor runs one engine after the other. Its methods are safe for
// concurrent use; Run is called once.
type Supervisor struct {
	path    string
	environ []string
	launch  *launch
	policy  policy
	stop    time.Duration // between asking the engine to stop and killing it
	probe   time.Duration
	measure time.Duration
	log     *slog.Logger
	client  *engine.Client
	relay   *relay
	reaper  *reaper
	lives   lives // owned by Run

	mu       sync.Mutex
	state    string           // what /readyz says while the engine is not ready; guarded by mu
	ready    bool             // guarded by mu
	restarts map[string]int64 // by cause; guarded by mu
	cache    int64            // bytes of the cache at the last look; guarded by mu
	clears   int64            // how often the engine was told to clear it; guarded by mu
}

// retry paces the starts of an engine that fails.
var retry = backoff.Policy{Min: time.Second, Max: time.Minute}

// New prepares an engine: path is its start-engine, environ the environment
// (NAME=value) it gets besides HOME. The error says which setting to change.
func New(path string, c config.Config, environ []string, log *slog.Logger) (*Supervisor, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l, err := newLaunch(c, rand.Text())
	if err != nil {
		return nil, err
	}
	for _, flag := range l.unknown {
		log.Warn("flag is not documented and passed on as it is: an engine that does not know it ends at once", "flag", flag)
	}
	client, err := engine.NewClient(fmt.Sprintf("http://127.0.0.1:%d", l.httpPort), engine.WithAccessToken(l.token))
	if err != nil {
		return nil, err
	}
	o := c.Official
	return &Supervisor{
		path: path, environ: engineEnvironment(environ, l.stateDir), launch: l, log: log, client: client,
		policy: policy{
			startTimeout: o.StartTimeout, probeFailures: o.ProbeFailures,
			abandonedLimit: o.AbandonedLimit, cacheLimit: l.limit, idle: idleTime,
		},
		stop: o.StopTimeout, probe: o.ProbeInterval, measure: o.CacheInterval,
		relay: newRelay(log, l.secrets), reaper: newReaper(),
		lives: lives{limit: o.RestartLimit, backoff: retry},
		state: "the engine has not been started", restarts: make(map[string]int64),
	}, nil
}

// engineEnvironment is the environment without our settings, which may hold
// secrets, and with the state directory as the home of the engine.
func engineEnvironment(environ []string, home string) []string {
	var kept []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "ACEQUIA_") && !strings.HasPrefix(pair, "HOME=") {
			kept = append(kept, pair)
		}
	}
	return append(kept, "HOME="+home)
}

// Run keeps an engine running until ctx ends, and returns when everything that
// belongs to it has ended. It fails when the engine does not stay up.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	if err := adoptOrphans(); err != nil {
		return err
	}
	// The kernel ends the engine with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	reaping, done := context.WithCancel(context.WithoutCancel(ctx))
	var reaper sync.WaitGroup
	reaper.Go(func() { s.reaper.run(reaping) })
	defer func() { done(); reaper.Wait() }()
	for {
		end := s.live(ctx)
		s.become(false, "the engine is not running")
		if ctx.Err() != nil {
			return nil
		}
		if end.fatal != nil {
			return end.fatal
		}
		s.count(end.cause)
		delay, again := s.lives.next(end.cause == causeCache, end.steady)
		if !again {
			return fmt.Errorf("the engine failed %d times in a row and is given up: %s", s.lives.failures, end.how)
		}
		s.log.Warn("engine is started again", "cause", end.cause, "reason", end.how, "delay", delay)
		if !wait(ctx, delay) {
			return nil
		}
	}
}

// prepare makes the directories and the engine's configuration.
func (s *Supervisor) prepare() error {
	if info, err := os.Stat(s.path); err != nil {
		return fmt.Errorf("find the engine: %w", err)
	} else if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s cannot be run: name the file start-engine of the engine", s.path)
	}
	for _, dir := range []string{s.launch.stateDir, s.launch.cacheDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make a directory of the engine (it must be writable for user %d): %w", os.Geteuid(), err)
		}
	}
	text := strings.Join(s.launch.arguments, "\n") + "\n"
	name := filepath.Join(s.launch.stateDir, configFile)
	if err := errors.Join(os.WriteFile(name, []byte(text), 0o600), os.Chmod(name, 0o600)); err != nil {
		return fmt.Errorf("write the engine's configuration: %w", err)
	}
	return nil
}

// Causes of restarts, as labels.
const (
	causeExit  = "exit"
	causeHang  = "hang"
	causeCache = "cache"
)

// ending is how one life of the engine came to its end.
type ending struct {
	cause  string
	how    string        // for a person
	steady time.Duration // how long the engine was ready
	fatal  error         // no engine can be started
}

// live runs one engine from its start to its end.
func (s *Supervisor) live(ctx context.Context) ending {
	policy := s.policy
	full := s.trim()
	e, copies, err := s.start()
	if err != nil {
		return ending{fatal: fmt.Errorf("start the engine: %w", err)}
	}
	s.become(false, "the engine starts")
	s.log.Info("engine starts", "path", s.path, "pid", e.cmd.Process.Pid, "http_port", s.launch.httpPort)
	w := &watch{policy: policy, started: time.Now(), giveUp: full}
	watching, done := context.WithCancel(ctx)
	verdicts := make(chan ending, 1)
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(watching, w, verdicts) })
	end, status, exited := s.await(ctx, e, verdicts)
	if !exited {
		status = s.end(e)
	}
	e.signal(syscall.SIGKILL)
	s.reaper.sweep()
	done()
	watcher.Wait()
	copies()
	if end.cause == "" {
		end = ending{cause: causeExit, how: withWords(describe(status), s.relay.lastWords())}
	}
	if w.ready {
		end.steady = time.Since(w.wasReady)
	}
	s.relay.forget()
	s.log.Info("engine has ended", "how", describe(status))
	return end
}

// await returns when the engine has exited, the watch condemned it, or ctx
// ended. Signals that are not about stopping are passed on meanwhile.
func (s *Supervisor) await(ctx context.Context, e *process, verdicts <-chan ending) (end ending, status syscall.WaitStatus, exited bool) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	for {
		select {
		case status = <-e.ended:
			return ending{}, status, true
		case end = <-verdicts:
			return end, 0, false
		case <-ctx.Done():
			return ending{}, 0, false
		case received := <-signals:
			if number, ok := received.(syscall.Signal); ok {
				e.signal(number)
			}
		}
	}
}

// end asks the engine to stop and returns when it has ended, by itself or
// killed.
func (s *Supervisor) end(e *process) syscall.WaitStatus {
	e.signal(syscall.SIGTERM)
	timer := time.NewTimer(s.stop)
	defer timer.Stop()
	select {
	case status := <-e.ended:
		return status
	case <-timer.C:
	}
	s.log.Warn("engine did not stop when asked and is killed", "grace", s.stop)
	e.signal(syscall.SIGKILL)
	return <-e.ended
}

// start runs the engine. The function it returns waits for the end of its
// output.
func (s *Supervisor) start() (*process, func(), error) {
	// Not tied to a context, which would wait for the process: the reaper does.
	cmd := exec.Command(s.path, "--client-console", "@"+filepath.Join(s.launch.stateDir, configFile)) //nolint:noctx // see above
	cmd.Dir = s.launch.stateDir
	cmd.Env = s.environ
	cmd.SysProcAttr = attributes()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, errors.Join(err, stdout.Close())
	}
	ended, err := s.reaper.start(cmd)
	if err != nil {
		return nil, nil, err // the pipes are closed
	}
	copied := make(chan struct{})
	var copies sync.WaitGroup
	copies.Go(func() { s.relay.copy("stdout", stdout) })
	copies.Go(func() { s.relay.copy("stderr", stderr) })
	go func() { copies.Wait(); close(copied) }()
	return &process{cmd: cmd, ended: ended}, func() { drain(copied, stdout, stderr) }, nil
}

// drain waits until the outputs have been read to their end, and closes them
// where somebody holds them open.
func drain(copied <-chan struct{}, outputs ...io.Closer) {
	timer := time.NewTimer(outputDelay)
	defer timer.Stop()
	select {
	case <-copied:
	case <-timer.C:
	}
	for _, output := range outputs {
		output.Close()
	}
	<-copied
}

// become notes how the engine is, for those who ask.
func (s *Supervisor) become(ready bool, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.state = ready, state
}

func (s *Supervisor) count(cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts[cause]++
}

// status is what the outside may know.
type status struct {
	ready    bool
	state    string
	restarts map[string]int64
	cache    int64
	clears   int64
}

func (s *Supervisor) status() status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return status{s.ready, s.state, maps.Clone(s.restarts), s.cache, s.clears}
}

// wait waits, and tells whether ctx still goes on.
func wait(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
