package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/telemetry"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

// TestMain lets the test binary be the program: the native provider runs its
// own executable as "<executable> engine ...", and so does the test of a proxy
// that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "engine" || os.Args[1] == "proxy") {
		os.Exit(cli.Main(cli.System{
			Args: os.Args, Environ: os.Environ(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
		}, cli.Apps{Engine: Engine, Proxy: Proxy}))
	}
	os.Exit(m.Run())
}

// patience bounds every wait of these tests, which run on real time.
const patience = time.Minute

// invocation is a command line with settings given as on the command line.
func invocation(t *testing.T, flags ...config.Setting) cli.Invocation {
	t.Helper()
	settings, err := config.Load(config.Sources{
		Flags:    append([]config.Setting{{Name: "data", Text: t.TempDir()}}, flags...),
		ReadFile: os.ReadFile,
		Writable: func(string) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	return cli.Invocation{
		Config: settings.Config, Settings: settings, Log: telemetrytest.Logger(t),
		Build: telemetry.Build{Version: "test"}, Stdin: eof{}, Stdout: io.Discard,
	}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// serving is a running server.
type serving struct {
	*server
	base string
	stop func() error // ends the server and returns what run returned
}

// serve runs a server until the test ends, and waits until it can play if
// ready is set.
func serve(t *testing.T, inv cli.Invocation, ready bool) *serving {
	t.Helper()
	s, err := newServer(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	greeted := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- s.runThen(ctx, func() { close(greeted) }) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel(errors.New("test is over"))
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("server ended with: %v", err)
		}
	})
	if ready {
		select {
		case <-greeted:
		case <-time.After(patience):
			t.Fatal("no engine became ready")
		}
	}
	return &serving{server: s, base: "http://" + s.listener.Addr().String(), stop: stop}
}

// get fetches a URL to its end.
func get(t *testing.T, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: after %d bytes: %v", url, len(body), err)
	}
	return res, body
}

// deadAddress is an address on which nothing listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
