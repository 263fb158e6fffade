package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// server is acequia serve under measurement.
type server struct {
	cmd    *exec.Cmd
	base   string
	data   string
	logged chan struct{} // closed when the log has ended
	said   string        // the log's last line; for who has seen logged closed
}

// startServer runs acequia serve with one engine and waits until it is ready.
func startServer(ctx context.Context, o options, engineURL string, streams int) (*server, error) {
	data, err := os.MkdirTemp("", "acequia-bench-")
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data", data, "--pool.provider", "static", "--static.engines", engineURL,
		"--pool.streams_per_engine", strconv.Itoa(max(2, streams)), "--log.format", "json", "--debug.pprof",
		"--auth.trusted_networks", "127.0.0.1",
	}, o.flags...)
	s := &server{cmd: exec.CommandContext(ctx, o.acequia, args...), data: data, logged: make(chan struct{})}
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.acequia, err), os.RemoveAll(data))
	}
	ready := make(chan string, 1)
	go s.follow(log, ready)
	timeout := time.NewTimer(joinPatience)
	defer timeout.Stop()
	select {
	case s.base = <-ready:
		if s.base != "" {
			return s, nil
		}
		<-s.logged
		err = fmt.Errorf("acequia ended before it was ready to play, with %q", s.said)
	case <-timeout.C:
		err = errors.New("acequia is not ready to play")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, errors.Join(err, s.end())
}

// follow reads the log, and tells the address when the server is ready to play,
// or "" when it ends before.
func (s *server) follow(log io.Reader, ready chan<- string) {
	defer close(s.logged)
	defer close(ready)
	lines := bufio.NewScanner(log)
	told := false
	for lines.Scan() {
		s.said = lines.Text()
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "ready to play" && !told {
			told = true
			ready <- "http://" + entry.Address
		}
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// end stops the server, and waits for that.
func (s *server) end() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-s.logged
	return errors.Join(err, wait("acequia", s.cmd), os.RemoveAll(s.data))
}

// memory is what a process takes.
type memory struct {
	RSS        int64 `json:"rss"`        // bytes
	Rings      int64 `json:"rings"`      // bytes of the streams' buffers, part of RSS
	Goroutines int   `json:"goroutines"` //
}

func (s *server) memory(ctx context.Context) (memory, error) {
	var m memory
	text, err := s.fetch(ctx, "/metrics")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue // a comment
		}
		switch name {
		case "process_resident_memory_bytes":
			m.RSS = int64(v)
		case "acequia_stream_buffer_bytes":
			m.Rings = int64(v)
		case "go_goroutines":
			m.Goroutines = int(v)
		}
	}
	if m.RSS == 0 || m.Goroutines == 0 {
		return m, errors.New("the metrics tell neither memory nor goroutines")
	}
	return m, nil
}

// profile saves a CPU profile of the time to come.
func (s *server) profile(ctx context.Context, d time.Duration, file string) error {
	raw, err := s.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds())-1)))
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return os.WriteFile(file, raw, 0o644)
}

func (s *server) fetch(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return io.ReadAll(res.Body)
}
