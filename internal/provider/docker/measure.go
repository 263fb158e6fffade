package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/provider"
)

// stats measures an engine.
func (h *host) stats(ctx context.Context, id string) (provider.Stats, error) {
	c, err := h.owned(ctx, id)
	if err != nil {
		return provider.Stats{}, err
	}
	result, err := h.client.ContainerStats(ctx, c.ID, client.ContainerStatsOptions{})
	if err != nil {
		return provider.Stats{}, err
	}
	defer result.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(result.Body).Decode(&s); err != nil {
		return provider.Stats{}, fmt.Errorf("read the statistics: %w", err)
	}
	return provider.Stats{
		Time: s.Read, CPUTime: time.Duration(s.CPUStats.CPUUsage.TotalUsage),
		Memory: memoryOf(s.MemoryStats), MemoryLimit: c.HostConfig.Memory, Cache: -1,
	}, nil
}

// memoryOf returns the memory in use without the files that the kernel keeps
// only while there is room, as "docker stats" counts it: cgroup v2 calls them
// inactive_file, v1 total_inactive_file.
func memoryOf(m container.MemoryStats) int64 {
	if m.Usage == 0 {
		return -1
	}
	for _, name := range []string{"total_inactive_file", "inactive_file"} {
		if spare, ok := m.Stats[name]; ok && spare < m.Usage {
			return int64(m.Usage - spare)
		}
	}
	return int64(m.Usage)
}

// Logs implements [provider.LogReader].
func (p *Provider) Logs(ctx context.Context, id string, tail int, follow bool) (io.ReadCloser, error) {
	hosts, label := p.where(id)
	err := provider.ErrUnknown
	for _, h := range hosts {
		var r io.ReadCloser
		if r, err = h.logs(ctx, label, tail, follow); err == nil {
			return r, nil
		}
	}
	return nil, fmt.Errorf("read the log of engine %s: %w", id, err)
}

func (h *host) logs(ctx context.Context, id string, tail int, follow bool) (io.ReadCloser, error) {
	c, err := h.owned(ctx, id)
	if err != nil {
		return nil, err
	}
	return h.output(ctx, c.ID, tail, follow)
}

// output returns what a container wrote, both of its streams in one.
func (h *host) output(ctx context.Context, container string, tail int, follow bool) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	raw, err := h.client.ContainerLogs(ctx, container, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: follow, Tail: strconv.Itoa(max(0, tail)),
	})
	if err != nil {
		cancel()
		return nil, err
	}
	r, w := io.Pipe()
	o := &output{PipeReader: r, cancel: cancel, raw: raw, done: make(chan struct{})}
	go func() { // ends with raw, which Close closes and then waits for this
		defer close(o.done)
		_, err := stdcopy.StdCopy(w, w, raw)
		w.CloseWithError(err)
	}()
	return o, nil
}

// output is the log of a container being read.
type output struct {
	*io.PipeReader
	cancel context.CancelFunc
	raw    io.Closer
	done   chan struct{}
}

// Close ends the reading and waits until it has ended.
func (o *output) Close() error {
	o.cancel()
	err := o.PipeReader.Close()
	_ = o.raw.Close() // it was cancelled, so its error says nothing
	<-o.done
	return err
}
