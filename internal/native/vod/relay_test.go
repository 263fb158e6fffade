package vod_test

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// delay relays TCP connections to an address and holds every byte back for
// half of rtt each way, without a limit on the rate.
func delay(tb testing.TB, to netip.AddrPort, rtt time.Duration) netip.AddrPort {
	tb.Helper()
	if rtt == 0 {
		return to
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to.String())
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, in, out)
			mu.Unlock()
			wg.Go(func() { relay(in, out, rtt/2) })
			wg.Go(func() { relay(out, in, rtt/2) })
		}
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// relay copies from one to the other, each byte a while after it came.
func relay(from, to net.Conn, late time.Duration) {
	type chunk struct {
		due time.Time
		b   []byte
	}
	queue := make(chan chunk, 64<<10)
	go func() {
		defer close(queue)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if n > 0 {
				queue <- chunk{time.Now().Add(late), bytes.Clone(b[:n])}
			}
			if err != nil {
				return
			}
		}
	}()
	defer from.Close()
	defer to.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for c := range queue {
		if d := time.Until(c.due); d > 0 {
			timer.Reset(d)
			<-timer.C
		}
		if _, err := to.Write(c.b); err != nil {
			_ = from.Close()
			for range queue {
			}
			return
		}
	}
}
