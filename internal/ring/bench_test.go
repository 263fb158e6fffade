package ring

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkAppend appends chunks of 16 KiB, as they come from a socket, with readers that follow. The writer
// waits for the readers after each chunk, so that all of them sleep when the next one comes: it is the time of a
// chunk from the writer to the last reader.
func BenchmarkAppend(b *testing.B) {
	for _, readers := range []int{0, 1, 100, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			r := New(4 << 20)
			chunk := make([]byte, 16<<10)
			var got atomic.Int64
			all := make(chan struct{})
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var done sync.WaitGroup
			for range readers {
				done.Go(func() {
					_ = follow(ctx, r, 0, func(_ int64, bufs [][]byte) error {
						n := 0
						for _, buf := range bufs {
							n += len(buf)
						}
						if got.Add(int64(n)) == int64(readers*len(chunk)) {
							got.Store(0)
							all <- struct{}{}
						}
						return nil
					})
				})
			}
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				r.Append(chunk, 0, nil)
				if readers > 0 {
					<-all
				}
			}
			r.Close(nil)
			done.Wait()
		})
	}
}

func BenchmarkRead(b *testing.B) {
	r := New(8 << 20)
	r.Append(make([]byte, 8<<20), 0, nil)
	start, end := r.Start(), r.End()
	scratch := make([][]byte, 0, 8)
	pos := start
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		_, n, err := r.Read(scratch[:0], pos, 64<<10)
		if err != nil {
			b.Fatal(err)
		}
		if pos += int64(n); pos == end {
			pos = start
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	r := New(8 << 20)
	for i := range int64(100) {
		r.Append(make([]byte, 64<<10), i, []Mark{{Pos: i * 64 << 10, Time: i}})
	}
	for b.Loop() {
		r.Join(3)
	}
}
