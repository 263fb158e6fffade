// Command relay measures what it costs to relay a stream, and how late the
// bytes come.
//
// It runs a fake engine, the real acequia serve and a load generator that checks
// every packet as processes of their own, over sockets of loopback; and then, in
// the place of engine and acequia, the floor: a bare program that writes the
// same bytes from memory into as many sockets, at the same rate and in pieces
// as large. What matters is the ratio of the two in one run: seconds differ
// from machine to machine and from minute to minute.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// stdio is what a process talks over. The parts of the benchmark are told what
// to do on in, a line each, and answer on out, a line of JSON each; the end of
// in is the end of the part.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// roles are the parts of the benchmark that are processes of their own.
var roles = map[string]func(ctx context.Context, args []string, io stdio) error{
	"engine": runEngine,
	"floor":  runFloor,
	"load":   runLoad,
}

func run(ctx context.Context, args []string, io stdio) error {
	if len(args) > 0 {
		if role := roles[args[0]]; role != nil {
			return role(ctx, args[1:], io)
		}
	}
	return runBenchmark(ctx, args, io)
}

// options is how the benchmark runs.
type options struct {
	acequia   string        // the program measured
	duration  time.Duration // of a measurement
	settle    time.Duration // between the last viewer's first byte and the measurement
	joins     int           // viewers that join one after the other beside those measured
	chunk     int           // bytes that the engine sends at once
	write     int           // bytes that the floor writes at once; 0 is what acequia was seen to write
	count     int           // runs of each scenario
	json      string        // file for the results; "" is none
	profile   string        // directory for CPU profiles of acequia; "" is none
	flags     []string      // further flags of acequia serve
	scenarios []scenario
}

const defaultScenarios = "1x1@5,1x50@5,1x200@5,1x1000@1,200x1@1"

func runBenchmark(ctx context.Context, args []string, io stdio) error {
	var o options
	var list string
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(io.err)
	flags.StringVar(&o.acequia, "acequia", "bin/acequia", "the acequia `binary` to measure")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure each scenario")
	flags.DurationVar(&o.settle, "settle", 3*time.Second, "how long to wait after the last viewer joined")
	flags.IntVar(&o.joins, "joins", 40, "viewers that join, one by one, beside those of the scenario")
	flags.IntVar(&o.chunk, "chunk", 16<<10, "`bytes` that the engine sends at once")
	flags.IntVar(&o.write, "write", 0, "`bytes` that the floor writes at once; 0 is what acequia was seen to write")
	flags.IntVar(&o.count, "count", 1, "how often to run each scenario")
	flags.StringVar(&o.json, "json", "", "`file` for the results as JSON")
	flags.StringVar(&o.profile, "profile", "", "`directory` for CPU profiles of acequia")
	flags.StringVar(&list, "scenarios", defaultScenarios, "comma-separated, each STREAMSxVIEWERS@MBITS: viewers of each stream, Mbit/s of each stream")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	o.flags = flags.Args()
	for text := range strings.SplitSeq(list, ",") {
		s, err := parseScenario(text)
		if err != nil {
			return err
		}
		o.scenarios = append(o.scenarios, s)
	}
	return measureAll(ctx, o, io)
}

func measureAll(ctx context.Context, o options, io stdio) error {
	var all []result
	for _, s := range o.scenarios {
		for range o.count {
			fmt.Fprintf(io.err, "%s ...\n", s)
			r, err := measure(ctx, s, o, io.err)
			if err != nil {
				return fmt.Errorf("scenario %s: %w", s, err)
			}
			all = append(all, r)
		}
	}
	writeTable(io.out, all)
	if o.json != "" {
		if err := writeJSON(o.json, all); err != nil {
			return err
		}
	}
	return faults(all)
}
