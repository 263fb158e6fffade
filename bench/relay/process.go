package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// endTimeout is how long a process may take to end once it was asked to.
const endTimeout = 20 * time.Second

// process is a part of the benchmark that runs by itself. It is owned by one
// goroutine, and lives until end.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

// startRole runs this very program in one of its roles.
func startRole(ctx context.Context, log io.Writer, role string, args ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, append([]string{role}, args...)...)
	cmd.Stderr = log
	p := &process{name: role, cmd: cmd}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ask sends a command and waits for its answer.
func (p *process) ask(answer any, command ...string) error {
	if _, err := fmt.Fprintln(p.in, strings.Join(command, " ")); err != nil {
		return fmt.Errorf("ask %s to %s: %w", p.name, command[0], err)
	}
	return p.answer(answer)
}

// answer waits for the next line that the process says. Without an interest
// in what it says, answer is nil.
func (p *process) answer(answer any) error {
	if !p.out.Scan() {
		return fmt.Errorf("%s ended early: %w", p.name, errors.Join(p.out.Err(), io.ErrUnexpectedEOF))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(p.out.Bytes(), answer); err != nil {
		return fmt.Errorf("%s said %q: %w", p.name, p.out.Text(), err)
	}
	return nil
}

// end lets the process end, and waits for that.
func (p *process) end() error {
	p.in.Close()
	return wait(p.name, p.cmd)
}

// wait waits for a process that was asked to end, and kills one that does not.
func wait(name string, cmd *exec.Cmd) error {
	kill := time.AfterFunc(endTimeout, func() { _ = cmd.Process.Kill() }) // fails where it has just ended
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// listenToCommands calls do for each line of in, until in ends or do fails, and
// says what it answers on out.
func listenToCommands(io stdio, do func(name, arg string) (any, error)) error {
	lines := bufio.NewScanner(io.in)
	for lines.Scan() {
		name, arg, _ := strings.Cut(lines.Text(), " ")
		answer, err := do(name, arg)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := say(io.out, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// say writes one line of JSON.
func say(out io.Writer, v any) error {
	if err := json.NewEncoder(out).Encode(v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
