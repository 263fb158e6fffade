// Package pool tests what the pool promises, with a real Docker daemon and
// everything real but the swarm: acequia serve is a process, each engine a
// container, viewers are sockets, and every packet that a viewer gets is
// checked. The parts are tested beside their code; here it is seen that the
// whole holds together.
package pool

import (
	"os"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/app"
	"github.com/acequia-tv/acequia/internal/cli"
)

// TestMain lets the test binary be acequia serve.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(cli.Main(cli.System{
			Args: os.Args, Environ: os.Environ(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
		}, cli.Apps{Serve: app.Serve}))
	}
	os.Exit(m.Run())
}

const (
	// patience bounds every wait: for what takes seconds, where a loaded machine
	// may take many times as long.
	patience = 2 * time.Minute
	// stall is playback.stall_timeout of these tests, and slack what a busy
	// machine may add to it and to the start on another engine.
	stall = 2 * time.Second
	slack = 6 * time.Second
	// calm is how much media viewers are to get after something happened: more
	// than what an engine's burst would hide.
	calm = 7 * time.Second
)
