package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// floorHeader is the answer to any request.
const floorHeader = "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"

// runFloor writes a broadcast from memory into every socket that comes, until
// its input ends. One goroutine writes to all of them, in turn: nothing
// could be cheaper that gives every viewer its own write.
func runFloor(ctx context.Context, args []string, stdio stdio) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	rate := flags.Int("rate", 625_000, "bytes per second")
	write := flags.Int("write", 64<<10, "bytes written at once")
	lasts := flags.Duration("lasts", 20*time.Second, "how long the bytes last")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, err := enginetest.NewBroadcast(infohash(0), *rate)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f := &floor{b: b, step: max(1, *write/enginetest.PacketSize) * enginetest.PacketSize}
	f.render(*lasts)
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { f.accept(l) })
	work.Go(func() { f.write(ctx) })
	err = untilInputEnds(stdio, addresses{Engine: "http://" + l.Addr().String()})
	cancel()
	err = errors.Join(err, l.Close())
	work.Wait()
	return err
}

// floor is the bytes to come and those who get them.
type floor struct {
	b     *enginetest.Broadcast
	step  int
	start int64 // offset in the broadcast of bytes
	bytes []byte

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

// render prepares what the broadcast sends from now on.
func (f *floor) render(lasts time.Duration) {
	f.start = f.b.Offset(time.Since(enginetest.DefaultEpoch))
	f.start -= f.start % enginetest.PacketSize
	f.bytes = make([]byte, f.b.Offset(lasts))
	_, _ = f.b.ReadAt(f.bytes, f.start) // fails for negative offsets only
}

// accept greets each viewer and has it join the others.
func (f *floor) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, floorHeader); err != nil {
			conn.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, conn)
		f.mu.Unlock()
	}
}

// write gives all viewers a step as soon as the broadcast is through with it.
func (f *floor) write(ctx context.Context) {
	defer f.close()
	for pos := 0; pos+f.step <= len(f.bytes); pos += f.step {
		due := f.sent(f.start + int64(pos+f.step))
		if pause(ctx, time.Until(due)) != nil {
			return
		}
		p := f.bytes[pos : pos+f.step]
		f.mu.Lock()
		conns := f.conns
		f.mu.Unlock()
		for _, conn := range conns {
			_, _ = conn.Write(p) // who has left is missed by nobody
		}
	}
	<-ctx.Done()
}

// sent is when the broadcast has sent everything up to an offset.
func (f *floor) sent(offset int64) time.Time {
	rate := f.b.Rate()
	at := time.Duration(offset/rate)*time.Second + time.Duration(offset%rate)*time.Second/time.Duration(rate)
	return enginetest.DefaultEpoch.Add(at)
}

func (f *floor) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		conn.Close()
	}
}
