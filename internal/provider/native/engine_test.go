package native_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/native"
)

// The test binary stands in for the program: with this variable in its
// environment it behaves as an engine, in the way its flags ask for.
const roleVariable = "ACEQUIA_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "engine":
		os.Exit(engine(os.Args[1:]))
	case "parent":
		os.Exit(parent(os.Args[1]))
	}
	os.Exit(m.Run())
}

// engine is a child. Its last flag names what it does wrong.
func engine(args []string) int {
	fault := args[len(args)-1]
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	orphaned := contextOf(os.Stdin).Done()

	switch fault {
	case "--test=usage":
		fmt.Fprintln(os.Stderr, "acequia: error: unknown flag --test")
		return 2
	case "--test=silent":
		<-terminated
		return 0
	case "--test=deaf":
		select {}
	case "--test=heir": // outlives the engine that started it, with its output open
		<-orphaned
		return 0
	case "--test=family":
		heir := exec.Command(os.Args[0], "--test=heir")
		heir.Env = environment("engine")
		heir.Stdin, heir.Stdout, heir.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := heir.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "--test=garbage":
		fmt.Println("hello")
		fmt.Println(`{"event":"ready","url":`)
		fmt.Println(`{"event":"ready","url":"ftp://elsewhere","p2p_port":1}`)
		fmt.Println(`{"event":"ready","url":"http://x","p2p_port":70000}`)
		fmt.Println(`{"event":"progress","url":"http://127.0.0.1:1"}`)
		fmt.Println(strings.Repeat("x", 1<<20))
	case "--test=logs":
		log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
		log.Warn("disk is slow", "content", "abc", "engine", "impostor")
		fmt.Fprintln(os.Stderr, "a plain line")
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /args", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Join(args, "\n"))
	})
	mux.HandleFunc("GET /pid", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getpid())
	})
	mux.HandleFunc("GET /hold", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "held\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) {
		go panic("a bug")
	})
	go func() { _ = http.Serve(listener, mux) }()
	// Split in two writes, the second of which brings more than the line.
	fmt.Printf(`{"event":"ready","url":"http://%s",`, listener.Addr())
	fmt.Printf("\"p2p_port\":51413}\nmore\n")
	if fault == "--test=flood" {
		for range 1000 {
			fmt.Println(strings.Repeat("flood ", 1000))
		}
	}
	select {
	case <-terminated:
	case <-orphaned:
	}
	return 0
}

// parent runs a provider with one engine, tells its URL, and waits to be killed.
func parent(dir string) int {
	p, err := native.Open(native.Config{
		Executable: os.Args[0],
		Args:       []string{"--test=none"},
		Env:        environment("engine"),
		Dir:        dir,
		Log:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := contextOf(os.Stdin)
	if _, err := p.Start(ctx, provider.Spec{ID: "engine-1"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		inventory, err := p.List(ctx)
		if err != nil {
			return 1
		}
		if e := inventory.Engines[0]; e.State == provider.Running {
			fmt.Println(e.URL)
			break
		}
		<-p.Watch()
	}
	<-ctx.Done()
	return 0
}

// environment returns the environment of a process with the given role.
func environment(role string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, roleVariable+"=") })
	// The race detector would keep each process for another second at its end.
	return append(env, roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
}

// contextOf returns a context that ends with the input.
func contextOf(r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx
}
