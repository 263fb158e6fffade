package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"
)

// scenario is what is played: so many streams, each with so many viewers.
type scenario struct {
	Streams int `json:"streams"`
	Viewers int `json:"viewers"` // of each stream
	Rate    int `json:"rate"`    // bytes per second of each stream
}

func (s scenario) String() string {
	return fmt.Sprintf("%dx%d@%g", s.Streams, s.Viewers, float64(s.Rate)*8/1e6)
}

// parseScenario reads STREAMSxVIEWERS@MBITS.
func parseScenario(text string) (scenario, error) {
	var s scenario
	var mbits float64
	var rest string
	n, _ := fmt.Sscanf(text, "%dx%d@%g%s", &s.Streams, &s.Viewers, &mbits, &rest)
	s.Rate = int(mbits * 1e6 / 8)
	if n != 3 || s.Streams < 1 || s.Viewers < 1 || s.Rate < minRate {
		return s, fmt.Errorf("scenario %q: want STREAMSxVIEWERS@MBITS, as 1x50@5, of at least %g Mbit/s", text, float64(minRate)*8/1e6)
	}
	return s, nil
}

// cost is what a process spent over a measurement.
type cost struct {
	CPU    time.Duration `json:"cpu"`
	Writes int64         `json:"writes"` // system calls
	Bytes  int64         `json:"bytes"`  // written
}

// perGB is the CPU time for 10^9 bytes that reached the viewers.
func (c cost) perGB(delivered int64) float64 {
	return c.CPU.Seconds() / float64(delivered) * 1e9
}

// result is one run of a scenario.
type result struct {
	Scenario   string  `json:"scenario"`
	Relay      side    `json:"relay"`
	Floor      side    `json:"floor"`
	Ratio      float64 `json:"ratio"` // of the CPU times per byte
	Joins      joins   `json:"joins"`
	Idle       memory  `json:"idle"`   // acequia before the first viewer
	Loaded     memory  `json:"loaded"` // and at the end
	FloorWrite int     `json:"floor_write"`
}

// side is what was measured of acequia, or of the floor.
type side struct {
	Cost     cost    `json:"cost"`
	PerGB    float64 `json:"cpu_seconds_per_gb"`
	Watched  watched `json:"watched"`
	PerWrite int     `json:"bytes_per_write"`
}

func measure(ctx context.Context, s scenario, o options, log io.Writer) (result, error) {
	if err := enoughFiles(s.Streams*s.Viewers + s.Streams + o.joins + 100); err != nil {
		return result{}, err
	}
	r := result{Scenario: s.String()}
	if err := measureRelay(ctx, s, o, log, &r); err != nil {
		return r, err
	}
	r.FloorWrite = o.write
	if r.FloorWrite == 0 {
		r.FloorWrite = r.Relay.PerWrite
	}
	if err := measureFloor(ctx, s, o, log, &r); err != nil {
		return r, fmt.Errorf("floor: %w", err)
	}
	if r.Floor.PerGB > 0 {
		r.Ratio = r.Relay.PerGB / r.Floor.PerGB
	}
	return r, nil
}

func measureRelay(ctx context.Context, s scenario, o options, log io.Writer, r *result) (err error) {
	eng, err := startRole(ctx, log, "engine", "-contents", strconv.Itoa(s.Streams), "-rate", strconv.Itoa(s.Rate), "-chunk", strconv.Itoa(o.chunk))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.end()) }()
	var at addresses
	if err := eng.answer(&at); err != nil {
		return err
	}
	srv, err := startServer(ctx, o, at.Engine, s.Streams)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.end()) }()
	if r.Idle, err = srv.memory(ctx); err != nil {
		return err
	}
	load, err := startRole(ctx, log, "load", append(loadFlags(s, srv.base), "-reference", at.Reference)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, load.end()) }()
	profile := func() error { return nil }
	if o.profile != "" {
		profile = func() error {
			return srv.profile(ctx, o.duration, filepath.Join(o.profile, "cpu-"+s.String()+".pprof"))
		}
	}
	if r.Relay, err = window(ctx, o, load, srv.pid(), profile); err != nil {
		return err
	}
	if r.Loaded, err = srv.memory(ctx); err != nil {
		return err
	}
	return load.ask(&r.Joins, "join", strconv.Itoa(o.joins))
}

func measureFloor(ctx context.Context, s scenario, o options, log io.Writer, r *result) (err error) {
	// The bytes must last for the run, which begins when the floor is up.
	lasts := o.duration + o.settle + joinPatience
	floor, err := startRole(ctx, log, "floor", "-rate", strconv.Itoa(s.Rate), "-write", strconv.Itoa(r.FloorWrite), "-lasts", lasts.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.end()) }()
	var at addresses
	if err := floor.answer(&at); err != nil {
		return err
	}
	one := scenario{Streams: 1, Viewers: s.Streams * s.Viewers, Rate: s.Rate}
	load, err := startRole(ctx, log, "load", loadFlags(one, at.Engine)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, load.end()) }()
	r.Floor, err = window(ctx, o, load, floor.pid(), func() error { return nil })
	return err
}

func loadFlags(s scenario, base string) []string {
	return []string{
		"-base", base, "-contents", strconv.Itoa(s.Streams), "-viewers", strconv.Itoa(s.Viewers), "-rate", strconv.Itoa(s.Rate),
	}
}

// window waits until all viewers play, and measures.
func window(ctx context.Context, o options, load *process, pid int, meanwhile func() error) (side, error) {
	var all side
	if err := load.ask(nil, "joined"); err != nil {
		return all, err
	}
	if err := pause(ctx, o.settle); err != nil {
		return all, err
	}
	before, err := costOf(pid)
	if err != nil {
		return all, err
	}
	if err := load.ask(nil, "begin"); err != nil {
		return all, err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- meanwhile() }()
	if err := errors.Join(pause(ctx, o.duration), load.ask(&all.Watched, "end")); err != nil {
		return all, err
	}
	after, err := costOf(pid)
	if err := errors.Join(err, <-profiled); err != nil {
		return all, err
	}
	all.Cost = cost{CPU: after.CPU - before.CPU, Writes: after.Writes - before.Writes, Bytes: after.Bytes - before.Bytes}
	if all.Watched.Bytes > 0 {
		all.PerGB = all.Cost.perGB(all.Watched.Bytes)
	}
	if all.Cost.Writes > 0 {
		all.PerWrite = int(all.Cost.Bytes / all.Cost.Writes)
	}
	return all, nil
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
