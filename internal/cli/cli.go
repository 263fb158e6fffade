// Package cli is what a person types: it reads the command line, loads the
// settings, runs one command and turns its outcome into an exit status.
//
// Commands do their small work here; the long-running ones are given by the
// caller ([Apps]). Everything around the process is in [Process], so that tests
// run whole commands without one.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// Exit statuses.
const (
	ExitOK     = 0 // done, or stopped in order
	ExitFailed = 1 // tried and failed
	ExitUsage  = 2 // not tried: wrong command line or settings
)

// Apps are the commands that run until they are stopped. Each starts its parts,
// returns when ctx ends and they have ended, and returns nil for an orderly
// stop. [context.Cause] of ctx tells why it ended.
type Apps struct {
	Serve  func(ctx context.Context, inv Invocation) error
	Plan   func(ctx context.Context, inv Invocation) error // writes what Serve would do, and ends
	Proxy  func(ctx context.Context, inv Invocation) error // plays on the engines of another server
	Engine func(ctx context.Context, inv Invocation) error
	Demo   func(ctx context.Context, inv Invocation) error
}

// Invocation is what a command line and its settings come to.
type Invocation struct {
	Config   config.Config
	Settings *config.Settings // Config with the origin of each value
	Log      *slog.Logger     // by log.level and log.format, to standard error
	Level    *slog.LevelVar   // of Log, which changes with it; may be nil
	Build    telemetry.Build
	Stdin    io.Reader
	Stdout   io.Writer // for results; logs go elsewhere

	Official string   // start-engine of the official engine to run; empty for a native one
	Environ  []string // of the process, for the official engine
}

// Process is everything that a command sees of the process it runs in.
type Process struct {
	Args     []string // without the name of the program
	Environ  []string // NAME=value pairs
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Terminal bool // people read Stderr on a terminal

	// Signals delivers requests to stop. The first one cancels the context of
	// the command; the second calls Exit, which need not return.
	Signals <-chan os.Signal
	Exit    func(status int)

	// Become gives up the rights of root for the user that the environment
	// names, if it does, who gets the directories and may write to the sockets.
	// Nil where nobody has any.
	Become func(getenv func(string) string, log *slog.Logger, dirs, sockets []string) error

	ReadFile func(name string) ([]byte, error)
	Writable func(dir string) bool // tells whether a directory exists and can be written

	Build telemetry.Build
	Apps  Apps
}

// Run runs the command of p.Args and returns the exit status. It returns after
// everything it started has ended.
func Run(ctx context.Context, p Process) int {
	command, err := parse(&p)
	if err != nil || command == nil {
		return p.finish(err)
	}
	ctx, stop := p.watchSignals(ctx)
	defer stop()
	return p.finish(command(ctx))
}

// usageError is a command line that cannot be run.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// finish tells the error, if any, and returns the exit status.
func (p *Process) finish(err error) int {
	if err == nil {
		return ExitOK
	}
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		p.tell(explainSettings(invalid))
	} else {
		p.tell("acequia: " + err.Error())
	}
	if withStatus, ok := errors.AsType[statusError](err); ok {
		return withStatus.status
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return ExitUsage
	}
	return ExitFailed
}

// tell writes a line for the person at Stderr. Where that fails, there is
// nobody left to tell it to.
func (p *Process) tell(text string) { _, _ = fmt.Fprintln(p.Stderr, text) }

func explainSettings(invalid *config.InvalidError) string {
	what := "a problem"
	if count := len(invalid.Problems); count > 1 {
		what = fmt.Sprintf("%d problems", count)
	}
	return fmt.Sprintf("acequia: %s in the settings:\n\n%v\n\n%s", what, invalid,
		`"acequia config reference" explains every setting.`)
}

// getenv returns an environment variable; the last of several counts.
func (p *Process) getenv(name string) string {
	value := ""
	for _, pair := range p.Environ {
		if len(pair) > len(name) && pair[len(name)] == '=' && pair[:len(name)] == name {
			value = pair[len(name)+1:]
		}
	}
	return value
}
