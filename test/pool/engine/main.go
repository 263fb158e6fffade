// Command engine is the engine of the tests in test/pool, made to run in a
// container: a fake one whose live contents every viewer can check. It listens
// where an engine does, and ends when it is told to.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/playback/playbacktest"
)

// contents is how many live contents there are, and buffer what the engine has
// of one when it starts to play it.
const (
	contents = 12
	buffer   = 10 * time.Second
)

func main() {
	if err := serve(":6878"); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

// serve serves the engine until the process is told to end.
func serve(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fake := enginetest.New(enginetest.Config{
		Contents: playbacktest.Contents(contents),
		Timing:   enginetest.Timing{Burst: buffer, Inactivity: time.Minute},
	})
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: fake.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := context.AfterFunc(ctx, func() { _ = server.Close() }) // its connections are to break
	defer ended()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
