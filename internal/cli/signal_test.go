package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// process is one with nothing around it, whose signals the test sends.
func process(args ...string) (p Process, signals chan os.Signal, stderr *bytes.Buffer) {
	signals = make(chan os.Signal, 2)
	stderr = &bytes.Buffer{}
	return Process{
		Args:     args,
		Environ:  []string{"HOME=/nowhere"},
		Stdout:   io.Discard,
		Stderr:   stderr,
		Signals:  signals,
		Exit:     func(int) { panic("exit") },
		ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
		Writable: func(string) bool { return false },
	}, signals, stderr
}

func TestSignalStopsInOrder(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p, signals, stderr := process("serve")
			p.Terminal = terminal
			var cause error
			p.Apps.Serve = func(ctx context.Context, _ Invocation) error {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return nil
			}
			signals <- syscall.SIGTERM
			if got := Run(t.Context(), p); got != ExitOK {
				t.Errorf("status %d", got)
			}
			stopped, ok := errors.AsType[SignalError](cause)
			if !ok || stopped.Signal != syscall.SIGTERM {
				t.Errorf("the cause is %v", cause)
			}
			if told := strings.Contains(stderr.String(), "once more stops at once"); told != terminal {
				t.Errorf("terminal %v is told %q", terminal, stderr)
			}
		})
	}
}

func TestSecondSignalExits(t *testing.T) {
	t.Parallel()
	for signal, want := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		synctest.Test(t, func(t *testing.T) {
			p, signals, _ := process("engine")
			exited := make(chan int, 1)
			p.Exit = func(status int) { exited <- status }
			p.Apps.Engine = func(ctx context.Context, _ Invocation) error {
				<-ctx.Done()
				signals <- signal
				if got := <-exited; got != want { // an engine that hangs until the process is gone
					t.Errorf("%v exits with %d; want %d", signal, got, want)
				}
				return nil
			}
			signals <- syscall.SIGINT
			Run(t.Context(), p)
		})
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // a bubble fails on a goroutine that is left
		p, _, stderr := process("demo")
		p.Apps.Demo = func(context.Context, Invocation) error { return errors.New("no clip") }
		if got := Run(t.Context(), p); got != ExitFailed {
			t.Errorf("status %d", got)
		}
		if got := stderr.String(); got != "acequia: no clip\n" {
			t.Errorf("stderr is %q", got)
		}
	})
}

func TestParentContextStopsTheCommand(t *testing.T) {
	t.Parallel()
	p, _, _ := process("serve")
	ctx, cancel := context.WithCancel(t.Context())
	p.Apps.Serve = func(ctx context.Context, _ Invocation) error {
		cancel()
		<-ctx.Done()
		return nil
	}
	if got := Run(ctx, p); got != ExitOK {
		t.Errorf("status %d", got)
	}
}

// TestRealSignals runs a real process, once for each number of signals.
func TestRealSignals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		port    string
		signals []syscall.Signal
		lines   []string // the line to wait for before each signal, and the last
		status  int
	}{
		{"one", portWaits, []syscall.Signal{syscall.SIGTERM}, []string{"serve listen=:2", "stopped by signal: terminated"}, ExitOK},
		{"two", portIgnores, []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, []string{"serve listen=:3", "ignoring"}, 130},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath("acequia") // put there by testscript.Main
			if err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), program, "serve", "--listen", test.port, "--data", filepath.Join(t.TempDir(), "data"))
			command.Env = append(os.Environ(), "GORACE="+quickExit)
			stdout, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			for i, want := range test.lines {
				if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
					t.Errorf("line %d is %q; want %q", i, lines.Text(), want)
				}
				if i < len(test.signals) {
					if err := command.Process.Signal(test.signals[i]); err != nil {
						t.Error(err)
					}
				}
			}
			_ = command.Wait() // the status tells
			if got := command.ProcessState.ExitCode(); got != test.status {
				t.Errorf("status %d; want %d", got, test.status)
			}
		})
	}
}
