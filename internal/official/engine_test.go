package official_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/acequia-tv/acequia/internal/app"
	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// The test binary is also the program, an engine, and what an engine leaves
// behind, by the name or the first argument it is run with.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "start-engine" {
		os.Exit(standIn())
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "engine":
			os.Exit(cli.Main(system(), cli.Apps{Engine: app.Engine}))
		case "impatient":
			os.Exit(cli.Main(system(), cli.Apps{Engine: impatient}))
		}
	}
	os.Exit(m.Run())
}

func system() cli.System {
	args := append([]string{os.Args[0], "engine"}, os.Args[2:]...)
	return cli.System{Args: args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit}
}

// standIn is an engine: it records its arguments in the directory it is run in
// and serves the engine API. The file "manner" there says how it behaves.
func standIn() int {
	if len(os.Args) > 1 && os.Args[1] == "stray" {
		return stray(os.Args[2:])
	}
	manner, _ := os.ReadFile("manner")
	arguments, err := readArguments(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	record(life{PID: os.Getpid(), Arguments: arguments, Environ: os.Environ()})
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	switch string(manner) {
	case "usage":
		fmt.Fprintln(os.Stderr, "start-engine: error: unrecognized arguments: --nonsense")
		return 2
	case "mute": // runs and never listens
		<-terminated
		return 0
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	}
	port := value(arguments, "--http-port")
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	e := &standInEngine{
		fake: enginetest.New(enginetest.Config{}), cache: value(arguments, "--cache-dir"),
		token: value(arguments, "--access-token"), lazy: string(manner) == "lazy",
		deaf: make(chan struct{}), quit: make(chan int, 1),
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for s := range signals {
			fmt.Printf("got the signal %v\n", s)
		}
	}()
	go func() { _ = http.Serve(listener, e) }()
	select {
	case <-terminated:
		fmt.Println("stops in order")
		return 0
	case status := <-e.quit:
		fmt.Fprintln(os.Stderr, "something broke inside")
		return status
	}
}

// life is what an engine records of itself.
type life struct {
	PID       int
	Arguments []string
	Environ   []string
}

func record(l life) {
	raw, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile("lives", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	_, _ = file.Write(append(raw, '\n'))
}

// readArguments is what Python's argparse makes of a command line with files.
func readArguments(args []string) ([]string, error) {
	var all []string
	for _, arg := range args {
		name, ok := strings.CutPrefix(arg, "@")
		if !ok {
			all = append(all, arg)
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")...)
	}
	return all, nil
}

func value(arguments []string, name string) string {
	for _, arg := range arguments {
		if v, ok := strings.CutPrefix(arg, name+"="); ok {
			return v
		}
	}
	return ""
}

type standInEngine struct {
	fake         *enginetest.Fake
	cache, token string
	lazy         bool          // does not clear its cache when told
	deaf         chan struct{} // closed when it answers no more
	quit         chan int
}

// ServeHTTP lets tests break the engine from within.
func (e *standInEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-e.deaf:
		select {} // for ever, as a thread that hangs
	default:
	}
	switch r.URL.Path {
	case "/test/deaf":
		close(e.deaf)
	case "/test/quit": // after the answer
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		e.quit <- 3
	case "/test/say":
		fmt.Fprintln(os.Stderr, r.URL.Query().Get("line"))
	case "/test/flood":
		line := append(bytes.Repeat([]byte("flood "), 4000), '\n')
		for range 3000 {
			_, _ = os.Stderr.Write(line)
		}
	case "/test/strays":
		e.strays(w)
	case "/webui/app/" + e.token + "/cmd/clearcache":
		if !e.lazy {
			_ = os.RemoveAll(filepath.Join(e.cache, "live"))
		}
		fmt.Fprint(w, `{"result":true,"error":null}`)
	default:
		e.fake.Handler().ServeHTTP(w, r)
	}
}

// strays leaves two orphans behind: one that ends, and one in a session of its
// own that does not. It answers with their process ids.
func (e *standInEngine) strays(w http.ResponseWriter) {
	out, err := exec.Command(os.Args[0], "stray", "parent").Output()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(out)
}

func stray(args []string) int {
	switch args[0] {
	case "parent":
		for _, kind := range []string{"short", "long"} {
			child := exec.Command(os.Args[0], "stray", kind)
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := child.Start(); err != nil {
				return 1
			}
			fmt.Println(child.Process.Pid)
		}
	case "long":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		select {}
	}
	return 0
}

// alive tells whether a process exists and has not ended.
func alive(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	return fields[0] != "Z"
}

// exists tells whether a process has not been reaped.
func exists(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}
