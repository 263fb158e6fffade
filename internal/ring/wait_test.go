package ring

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// over reports whether a channel from Wait is closed.
func over(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	r := New(10 * blockSize)
	first, same, tenth, eleventh := r.Wait(0), r.Wait(0), r.Wait(9), r.Wait(10)
	if over(first) || over(tenth) {
		t.Fatal("wait is over without a byte")
	}
	if first != same {
		t.Error("two readers at one position do not share a channel")
	}
	r.Append(nil, 5, nil)
	if over(first) {
		t.Error("an append of nothing wakes a reader")
	}
	r.Append(bytesAt(0, 9), 0, nil)
	if !over(first) || over(tenth) {
		t.Errorf("after 9 bytes: the first %v, the tenth %v", over(first), over(tenth))
	}
	r.Append(bytesAt(9, 1), 0, nil)
	if !over(tenth) || over(eleventh) {
		t.Errorf("after 10 bytes: the tenth %v, the eleventh %v", over(tenth), over(eleventh))
	}
	if !over(r.Wait(9)) || over(r.Wait(10)) {
		t.Error("wait for a byte that is there, or the end of one that is not")
	}
	far := r.Wait(1 << 40)
	r.Close(nil)
	if !over(eleventh) || !over(far) || !over(r.Wait(1<<50)) {
		t.Error("a closed ring keeps readers waiting")
	}
}

func TestWaitsAreForgotten(t *testing.T) {
	t.Parallel()
	r := New(10 * blockSize)
	for range 100 {
		for n := range 20 {
			r.Wait(r.End() + int64(n))
		}
		r.Append(bytesAt(r.End(), 20), 0, nil)
	}
	if len(r.waits) != 0 || len(r.ready) != 0 {
		t.Errorf("%d waits and %d wake-ups kept", len(r.waits), len(r.ready))
	}
}

// TestBatching has a reader that wants 1000 bytes at once, but no byte later than 50 ms.
func TestBatching(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(10 * blockSize)
		begin := time.Now()
		type arrival struct {
			at   time.Duration
			size int
		}
		var got []arrival
		done := make(chan struct{})
		go func() {
			defer close(done)
			for pos := int64(0); ; {
				<-r.Wait(pos)
				select {
				case <-r.Wait(pos + 999):
				case <-time.After(50 * time.Millisecond):
				}
				_, n, err := r.Read(nil, pos, blockSize)
				if err != nil {
					return
				}
				got = append(got, arrival{time.Since(begin), n})
				pos += int64(n)
			}
		}()
		send := func(after time.Duration, n int) {
			time.Sleep(after)
			r.Append(bytesAt(r.End(), n), 0, nil)
			synctest.Wait()
		}
		send(10*time.Millisecond, 100) // too few: waits
		send(20*time.Millisecond, 100)
		send(100*time.Millisecond, 600)
		send(10*time.Millisecond, 400) // enough
		send(10*time.Millisecond, 5000)
		r.Close(nil)
		<-done
		want := []arrival{{60 * time.Millisecond, 200}, {140 * time.Millisecond, 1000}, {150 * time.Millisecond, 5000}}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("arrivals %v, want %v", got, want)
		}
	})
}

// follow reads all that is appended from pos on and passes it to f, until the ring ends or ctx does.
func follow(ctx context.Context, r *Ring, pos int64, f func(pos int64, bufs [][]byte) error) error {
	var scratch [8][]byte
	for {
		bufs, n, err := r.Read(scratch[:0], pos, 4*blockSize)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			select {
			case <-r.Wait(pos):
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		if err := f(pos, bufs); err != nil {
			return err
		}
		pos += int64(n)
	}
}

// TestReaders has readers follow a writer, each checking every byte, while others join, lag and leave.
func TestReaders(t *testing.T) {
	t.Parallel()
	const total = 40 * blockSize
	r := New(2 * total)
	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() {
			end := int64(0)
			err := follow(t.Context(), r, 0, func(pos int64, bufs [][]byte) error {
				b := bytes.Join(bufs, nil)
				if !bytes.Equal(b, bytesAt(pos, len(b))) {
					return errors.New("wrong bytes")
				}
				end = pos + int64(len(b))
				return nil
			})
			if err != nil || end != total {
				t.Errorf("ended at %d of %d: %v", end, total, err)
			}
		})
	}
	readers.Go(func() { // asks for everything, all the time
		for r.Err() == nil {
			if m, ok := r.Join(10); ok {
				if _, _, err := r.Read(nil, m.Pos, 100); err != nil && err != ErrBehind {
					t.Errorf("read at a mark: %v", err)
				}
				r.Next(m.Pos + 1)
			}
			r.Tail(nil, 5000)
			r.SetCapacity(2 * total)
			if r.Size() < 0 || r.Start() > r.End() || r.LiveTime() < 0 {
				t.Error("bounds out of order")
			}
			<-r.Wait(r.End())
		}
	})
	for n := 1; r.End() < total; n = n*7%9973 + 1 {
		n := min(n, int(total-r.End()))
		r.Append(bytesAt(r.End(), n), r.End(), []Mark{{Pos: r.End(), Time: r.End()}})
	}
	r.Close(nil)
	readers.Wait()
}

// TestReadAllocations follows a ring as a viewer does, with a buffer of slices of its own.
func TestReadAllocations(t *testing.T) {
	r := New(4 * blockSize)
	r.Append(bytesAt(0, 2*blockSize), 0, nil)
	scratch := make(net.Buffers, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := r.Read(scratch[:0], 10, 2*blockSize); err != nil {
			t.Error(err)
		}
		<-r.Wait(0)
	}); n != 0 {
		t.Errorf("%v allocations per read", n)
	}
}

func TestAddedBytesAreShownByAWakeUp(t *testing.T) {
	t.Parallel()
	r := New(10 * blockSize)
	first, third := r.Wait(0), r.Wait(2)
	r.Add(bytesAt(0, 2), 7, []Mark{{Pos: 1, Time: 7}})
	if over(first) || over(r.Wait(0)) {
		t.Error("Add wakes a reader")
	}
	for pos := range int64(3) {
		if got, err := read(r, pos, 10); err != nil || len(got) > 0 {
			t.Errorf("at %d: %d bytes, %v, before they are shown", pos, len(got), err)
		}
	}
	if m, ok := r.Join(0); !ok || m.Pos != 1 || r.End() != 2 || r.LiveTime() != 7 {
		t.Errorf("mark at %d, %v; end %d at %d", m.Pos, ok, r.End(), r.LiveTime())
	}
	r.Wake()
	if !over(first) || over(third) || !over(r.Wait(1)) {
		t.Errorf("after Wake: the first %v, the third %v", over(first), over(third))
	}
	if got, err := read(r, 0, 10); err != nil || !bytes.Equal(got, bytesAt(0, 2)) {
		t.Errorf("after Wake: %d bytes, %v", len(got), err)
	}
	r.Add(bytesAt(2, 1), 0, nil)
	r.Append(nil, 0, nil)
	if got, _ := read(r, 2, 10); !over(third) || len(got) != 1 {
		t.Error("Append does not show what was added before")
	}
	r.Add(bytesAt(3, 1), 0, nil)
	r.Close(nil)
	if got, err := read(r, 3, 10); len(got) != 1 || err != nil {
		t.Errorf("after Close: %d bytes, %v", len(got), err)
	}
	if _, err := read(r, 4, 10); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Somebody else than the writer wakes the readers: they get everything all the same.
func TestWakeFromElsewhere(t *testing.T) {
	t.Parallel()
	const total = 20 * blockSize
	r := New(2 * total)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			end := int64(0)
			err := follow(t.Context(), r, 0, func(pos int64, bufs [][]byte) error {
				for _, b := range bufs {
					end += int64(len(b))
				}
				return nil
			})
			if err != nil || end != total {
				t.Errorf("ended at %d of %d: %v", end, total, err)
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for r.Err() == nil {
				r.Wake()
			}
		})
	}
	for r.End() < total {
		r.Add(bytesAt(r.End(), blockSize/4), 0, nil)
	}
	r.Close(nil)
	all.Wait()
}
