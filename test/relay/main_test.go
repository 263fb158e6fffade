// Package relay tests what the proxy promises its viewers when engines fail,
// with everything real but the swarm: acequia serve and each engine are
// processes of their own, viewers are sockets, and every packet that a viewer
// gets is checked. The faults themselves are tested one by one, in virtual
// time, beside the code; here it is seen that the whole holds together.
package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/app"
	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

// TestMain lets the test binary be the programs of the tests: acequia serve,
// and a fake engine.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "serve":
		os.Exit(cli.Main(cli.System{
			Args: os.Args, Environ: os.Environ(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
		}, cli.Apps{Serve: app.Serve}))
	case len(os.Args) > 2 && os.Args[1] == "fake-engine":
		if err := runEngine(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "fake engine:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The live contents of every engine.
const (
	contents   = 8
	liveBuffer = 10 * time.Second // what an engine has of a content when it starts to play it
)

// command is what a fake engine is told to do, one per line of its input.
type command struct {
	Set   *enginetest.Fault
	Clear bool
}

// runEngine serves a fake engine at addr until its input ends. It answers its
// address, and to each command its counters, in lines of JSON.
func runEngine(addr string) error {
	fake := enginetest.New(enginetest.Config{
		Contents: playbacktest.Contents(contents),
		Timing:   enginetest.Timing{Burst: liveBuffer, Inactivity: time.Minute},
	})
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: fake.Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	answer := json.NewEncoder(os.Stdout)
	if err := answer.Encode(l.Addr().String()); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		if c.Clear {
			fake.Clear()
		}
		if c.Set != nil {
			fake.Set(*c.Set)
		}
		if err := answer.Encode(fake.Counters()); err != nil {
			return err
		}
	}
	_ = server.Close() // its connections are to break
	<-served
	return nil
}
