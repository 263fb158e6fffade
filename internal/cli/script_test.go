package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite docs/reference/config.md")

// TestMain makes the test binary stand for acequia itself in the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"acequia": func() {
			os.Exit(Main(System{os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr, os.Exit}, actors()))
		},
	})
}

// quickExit spares every process under the race detector its second of waiting
// for reports of threads that are still running.
const quickExit = "atexit_sleep_ms=0"

// actors stand for the real commands. Each tells what it was given on standard
// output; the port says what it does then.
func actors() Apps {
	return Apps{Serve: actor("serve"), Plan: actor("plan"), Proxy: actor("proxy"), Engine: actor("engine"), Demo: actor("demo")}
}

// The ports that have a meaning for an actor.
const (
	portFails   = ":1" // returns an error
	portWaits   = ":2" // returns when its context ends
	portIgnores = ":3" // does not return when its context ends, but when the test does
)

func actor(name string) func(context.Context, Invocation) error {
	return func(ctx context.Context, inv Invocation) error {
		c := inv.Config
		inv.Log.Debug("a detail")
		inv.Log.Info("acting", "as", name)
		fmt.Fprintf(inv.Stdout, "%s listen=%s min=%d engines=%v provider=%s window=%s\n",
			name, c.Listen, c.Pool.Min, c.Static.Engines, c.Provider(), c.Engine.Window)
		switch c.Listen {
		case portFails:
			return errors.New("listen on :1: permission denied")
		case portWaits:
			<-ctx.Done()
			fmt.Fprintln(inv.Stdout, context.Cause(ctx))
		case portIgnores:
			<-ctx.Done()
			fmt.Fprintln(inv.Stdout, "ignoring")
			select {}
		}
		return nil
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			// The machine's own /config, if it has one, is not the script's.
			env.Setenv("ACEQUIA_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("GORACE", quickExit)
			env.Setenv("HEALTH", server.URL)
			env.Setenv("HEALTH_ADDRESS", server.Listener.Addr().String())
			return os.Mkdir(filepath.Join(env.WorkDir, "data"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// answer is a server that lives but is not ready.
func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/livez", "/fine":
		fmt.Fprintln(w, "ok")
	case "/moved":
		http.Redirect(w, r, "/fine", http.StatusFound)
	case "/hangs":
		<-r.Context().Done()
	default:
		http.Error(w, "no engine is ready", http.StatusServiceUnavailable)
	}
}

// status N COMMAND... runs a command that must end with the exit status N.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exits with %d; want %d", strings.Join(args[1:], " "), got, want)
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if status := Run(t.Context(), Process{Args: []string{"config", "reference"}, Stdout: &out, Stderr: t.Output()}); status != ExitOK {
		t.Fatalf("config reference exits with %d", status)
	}
	path := filepath.Join("..", "..", "docs", "reference", "config.md")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != out.String() {
		t.Errorf("%s is stale: run go test ./internal/cli -update", path)
	}
}
