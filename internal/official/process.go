//go:build unix

package official

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reaper waits for every child of this process: for the engine, and for what
// the engine's children leave behind, which becomes ours where this process is
// the first of its container or a subreaper. Nothing else in the process may
// wait for children, as [os/exec.Cmd.Wait] does. Safe for concurrent use.
type reaper struct {
	mu     sync.Mutex
	ended  map[int]chan syscall.WaitStatus // by the engine's process id; guarded by mu
	reaped chan struct{}                   // closed and replaced after every child; guarded by mu
	strays int                             // children reaped that were no engine; guarded by mu
}

func newReaper() *reaper {
	return &reaper{ended: make(map[int]chan syscall.WaitStatus), reaped: make(chan struct{})}
}

// run reaps until ctx ends.
func (r *reaper) run(ctx context.Context) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	for {
		r.reap() // those that ended before anybody listened, too
		select {
		case <-children:
		case <-ctx.Done():
			return
		}
	}
}

// reap takes every child that has ended.
func (r *reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ended, ok := r.ended[pid]; ok {
			delete(r.ended, pid)
			ended <- status
		} else {
			r.strays++
		}
		close(r.reaped)
		r.reaped = make(chan struct{})
	}
}

// start runs a command. What comes out of the channel says how it ended. The
// lock is held while the process is made, so that it cannot be reaped before
// it is known.
func (r *reaper) start(cmd *exec.Cmd) (<-chan syscall.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	r.ended[cmd.Process.Pid] = ended
	return ended, nil
}

// sweepRounds bounds how often children are looked for after the engine has
// ended: each that is killed may leave children of its own.
const (
	sweepRounds = 10
	sweepWait   = time.Second // for one round of them to be reaped
)

// sweep kills what the engine left behind, in whatever group it is.
func (r *reaper) sweep() {
	for range sweepRounds {
		r.mu.Lock()
		reaped := r.reaped
		r.mu.Unlock()
		left := children(os.Getpid())
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			// It is a child until it is reaped, so the number is still its own.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		timer := time.NewTimer(sweepWait)
		select {
		case <-reaped:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// children lists the living children of a process, where /proc tells.
func children(parent int) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // a bad pattern is the only error
	var found []int
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; what follows it does not.
		text := string(raw)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// process is one running engine, the leader of a group of its own.
type process struct {
	cmd   *exec.Cmd
	ended <-chan syscall.WaitStatus
}

// signal sends a signal to the engine and all of its group: start-engine may be
// a shell that passes nothing on. What is left of the group after the engine has
// ended gets it too; its number is not used again while it has members.
func (e *process) signal(s syscall.Signal) { _ = syscall.Kill(-e.cmd.Process.Pid, s) }

// describe says how a process ended.
func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("it was ended by a signal (%v)", status.Signal())
	}
	return fmt.Sprintf("it exited with status %d", status.ExitStatus())
}
