//go:build unix

package vod_test

import (
	"context"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

// cpuTime of this process, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryOf this process in bytes: VmRSS or VmHWM; 0 where there is no /proc.
func memoryOf(b *testing.B, what string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	return 0
}

func benchAdd(b *testing.B, magnet string, peer netip.AddrPort) (*vod.Client, vod.Torrent) {
	c := open(b, vod.Config{})
	src := vod.Source{Magnet: magnet}
	if peer.IsValid() {
		// Only by way of the relay.
		u, err := url.Parse(magnet)
		if err != nil {
			b.Fatal(err)
		}
		src = vod.Source{Infohash: strings.TrimPrefix(u.Query().Get("xt"), "urn:btih:"), Peers: []netip.AddrPort{peer}}
	}
	tor, err := c.Add(context.Background(), src)
	if err != nil {
		b.Fatal(err)
	}
	return c, tor
}

// BenchmarkThroughput reads 1 GiB over loopback from a seeder in another
// process: bytes per second, CPU seconds of this process per GB, and how much
// memory it used beyond the window.
func BenchmarkThroughput(b *testing.B) {
	for _, pl := range []int64{256 << 10, 1 << 20, 4 << 20} {
		b.Run(strconv.FormatInt(pl>>10, 10)+"KiB", func(b *testing.B) {
			const size = 1 << 30
			magnet := startSeeder(b, size, pl)
			b.SetBytes(size)
			b.ReportAllocs()
			var cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				c, tor := benchAdd(b, magnet, netip.AddrPort{})
				r := reader(b, tor, 0)
				before := cpuTime(b)
				b.StartTimer()
				n, err := io.CopyBuffer(onlyWriter{io.Discard}, r, make([]byte, 64<<10))
				b.StopTimer()
				cpu += cpuTime(b) - before
				if n != size || err != nil {
					b.Fatalf("read %d bytes: %v", n, err)
				}
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(cpu.Seconds()/float64(b.N)/(size/1e9), "cpu-s/GB")
			b.ReportMetric(float64(memoryOf(b, "VmHWM")-vod.DefaultWindow)/(1<<20), "MiB-over-window")
		})
	}
}

type onlyWriter struct{ io.Writer }

// BenchmarkFirstByte measures from the moment the description is known to the
// first byte, and from a seek to its first byte, at several round-trip times.
func BenchmarkFirstByte(b *testing.B) {
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
		b.Run("rtt="+rtt.String(), func(b *testing.B) {
			const size = 1 << 30
			magnet := startSeeder(b, size, 1<<20)
			u, err := url.Parse(magnet)
			if err != nil {
				b.Fatal(err)
			}
			peer := delay(b, netip.MustParseAddrPort(u.Query().Get("x.pe")), rtt)
			var first, seek, long time.Duration
			for b.Loop() {
				c, tor := benchAdd(b, magnet, peer)
				start := time.Now()
				r := reader(b, tor, 0)
				one := make([]byte, 1)
				if _, err := io.ReadFull(r, one); err != nil {
					b.Fatal(err)
				}
				first += time.Since(start)
				if _, err := io.CopyN(onlyWriter{io.Discard}, r, 8<<20); err != nil {
					b.Fatal(err)
				}
				start = time.Now()
				if _, err := r.Seek(size/2+12345, io.SeekStart); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(r, one); err != nil {
					b.Fatal(err)
				}
				seek += time.Since(start)
				start = time.Now()
				if _, err := io.CopyN(onlyWriter{io.Discard}, r, 128<<20); err != nil {
					b.Fatal(err)
				}
				long += time.Since(start)
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
			}
			ms := func(d time.Duration) float64 { return float64(d.Milliseconds()) / float64(b.N) }
			b.ReportMetric(ms(first), "first-ms")
			b.ReportMetric(ms(seek), "seek-ms")
			b.ReportMetric(128*1.048576*float64(b.N)/long.Seconds(), "MB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
