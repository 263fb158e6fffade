package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/app"
	"github.com/acequia-tv/acequia/internal/cli"
)

// TestMain lets the test binary be the programs that the benchmark runs: its
// own parts, and acequia.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(cli.Main(cli.System{
			Args: os.Args, Environ: os.Environ(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
		}, cli.Apps{Serve: app.Serve}))
	}
	os.Exit(m.Run())
}

// A second of two viewers: every figure is there, every packet came. How fast
// is not for a test to judge.
func TestSmoke(t *testing.T) {
	t.Parallel()
	if _, err := costOf(os.Getpid()); err != nil {
		t.Skip(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "result.json")
	var out bytes.Buffer
	err = run(ctx, []string{
		"-acequia", exe, "-scenarios", "1x2@1,2x1@1", "-duration", "1s", "-settle", "100ms", "-joins", "2", "-json", file,
	}, stdio{strings.NewReader(""), &out, t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", out.String())
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var results []result
	if err := json.Unmarshal(raw, &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[0].Scenario != "1x2@1" || results[1].Scenario != "2x1@1" {
		t.Fatalf("%s", raw)
	}
	for _, r := range results {
		// The burst alone is 3 s of 125 kB/s; in the second measured about a
		// second's worth comes, unless the machine is very busy.
		if r.Relay.Watched.Bytes == 0 || r.Relay.Watched.Packets < 2000 || r.Relay.Watched.AgeP99 == 0 || r.Relay.Watched.EngineP99 == 0 ||
			r.Relay.PerWrite == 0 || r.Ratio == 0 || r.Floor.Watched.Bytes == 0 || r.Floor.Watched.Packets == 0 {
			t.Errorf("figures are missing: %+v", r)
		}
		if r.Joins.Count != 2 || r.Joins.P50 <= 0 || r.Idle.RSS == 0 || r.Loaded.Rings == 0 || r.Loaded.Goroutines <= r.Idle.Goroutines {
			t.Errorf("figures are missing: %+v", r)
		}
	}
}

func TestParseScenario(t *testing.T) {
	t.Parallel()
	s, err := parseScenario("2x30@0.5")
	if want := (scenario{Streams: 2, Viewers: 30, Rate: 62_500}); err != nil || s != want || s.String() != "2x30@0.5" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "1x1", "0x1@5", "1x0@5", "1x1@0.1", "1x1@5x", "1@5"} {
		if s, err := parseScenario(text); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for i := range 100 {
		h.add(time.Duration(i) * time.Millisecond)
	}
	h.add(time.Hour)
	h.add(-time.Second)
	if p50, p99, last := h.quantile(0.5), h.quantile(0.99), h.quantile(1); p50 != 49.2 || p99 != 99.2 || last != milliseconds(histogramSpan) {
		t.Errorf("%v %v %v", p50, p99, last)
	}
	h.reset()
	if h.quantile(1) != 0 {
		t.Error("reset left something")
	}
}

// A viewer's report is an error of the benchmark, not a figure of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	good := result{Floor: side{Watched: watched{Lost: 5}}}
	if err := faults([]result{good}); err != nil {
		t.Error(err)
	}
	for _, bad := range []result{
		{Relay: side{Watched: watched{Lost: 1}}},
		{Relay: side{Watched: watched{Wrong: 1}}},
		{Relay: side{Watched: watched{Closed: 1}}},
		{Joins: joins{Bad: 1}},
	} {
		if faults([]result{good, bad}) == nil {
			t.Errorf("no error: %+v", bad)
		}
	}
}
