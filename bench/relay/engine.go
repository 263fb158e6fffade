package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// minRate is the lowest rate of a broadcast, in bytes per second.
const minRate = enginetest.MinBitrate

// addresses is what engine and floor answer once they serve.
type addresses struct {
	Engine    string `json:"engine"`
	Reference string `json:"reference,omitempty"` // of a second engine, for who reads from an engine directly
}

// infohash names the contents of the benchmark, from 0 on.
func infohash(i int) string { return fmt.Sprintf("%040x", i+1) }

// runEngine serves live contents until its input ends.
func runEngine(ctx context.Context, args []string, io stdio) error {
	flags := flag.NewFlagSet("engine", flag.ContinueOnError)
	contents := flags.Int("contents", 1, "live contents")
	rate := flags.Int("rate", 625_000, "bytes per second of each")
	chunk := flags.Int("chunk", 16<<10, "bytes sent at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	clock := pace{step: time.Duration(*chunk) * time.Second / time.Duration(*rate)}
	serve := func(n int) (string, func() error, error) {
		cfg := enginetest.Config{Clock: clock}
		for i := range n {
			cfg.Contents = append(cfg.Contents, enginetest.Content{Infohash: infohash(i), Name: "live", Live: true, Bitrate: *rate})
		}
		return serveOnLoopback(ctx, enginetest.New(cfg).Handler())
	}
	var at addresses
	var err error
	var endEngine, endReference func() error
	if at.Engine, endEngine, err = serve(*contents); err != nil {
		return err
	}
	if at.Reference, endReference, err = serve(1); err != nil {
		return errors.Join(err, endEngine())
	}
	err = untilInputEnds(io, at)
	return errors.Join(err, endReference(), endEngine())
}

// untilInputEnds says where the part serves, and waits for its end.
func untilInputEnds(stdio stdio, at addresses) error {
	if err := say(stdio.out, at); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, stdio.in)
	return err
}

// serveOnLoopback serves on a free port. The returned function ends that.
func serveOnLoopback(ctx context.Context, handler http.Handler) (url string, end func() error, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	end = func() error {
		err := server.Close()
		if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
			err = errors.Join(err, failed)
		}
		return err
	}
	return "http://" + l.Addr().String(), end, nil
}

// readerTick is the pause between two writes of a fake engine to its reader.
const readerTick = 100 * time.Millisecond

// pace is a real clock on which that pause takes step instead: as long as a
// chunk of the content lasts, so that the fake sends chunks of that size.
type pace struct{ step time.Duration }

// Now implements [enginetest.Clock].
func (pace) Now() time.Time { return time.Now() }

// AfterFunc implements [enginetest.Clock].
func (p pace) AfterFunc(d time.Duration, f func()) func() bool {
	if d == readerTick {
		d = p.step
	}
	return time.AfterFunc(d, f).Stop
}
