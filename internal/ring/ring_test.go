package ring

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// pattern is what tests write, over and over. Its size has no factor in common with that of a block.
var pattern = func() []byte {
	b := make([]byte, 1_000_003)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// bytesAt returns the n bytes that tests write from pos on.
func bytesAt(pos int64, n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		at := int((pos + int64(len(b))) % int64(len(pattern)))
		b = append(b, pattern[at:min(at+n-len(b), len(pattern))]...)
	}
	return b
}

// read returns a copy of what Read gives.
func read(r *Ring, pos int64, max int) ([]byte, error) {
	bufs, n, err := r.Read(nil, pos, max)
	b := bytes.Join(bufs, nil)
	if len(b) != n {
		return nil, errors.New("Read counts other bytes than it returns")
	}
	return b, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	r := New(10 * blockSize)
	const size = 2*blockSize + 1000
	r.Append(bytesAt(0, size), 0, nil)
	for _, c := range []struct {
		name      string
		pos       int64
		max, want int
		err       error
	}{
		{"all", 0, size, size, nil},
		{"more than there is", 0, 10 * size, size, nil},
		{"within a block", 500, 100, 100, nil},
		{"over a border", blockSize - 1, 2, 2, nil},
		{"up to a border", blockSize - 10, 10, 10, nil},
		{"the last byte", size - 1, 10, 1, nil},
		{"at the end", size, 10, 0, nil},
		{"nothing", 10, 0, 0, nil},
		{"behind the end", size + 1, 10, 0, ErrAhead},
		{"before the beginning", -1, 10, 0, ErrBehind},
	} {
		got, err := read(r, c.pos, c.max)
		if err != c.err || !bytes.Equal(got, bytesAt(c.pos, c.want)) {
			t.Errorf("%s: %d bytes, %v, want %d bytes, %v", c.name, len(got), err, c.want, c.err)
		}
	}
	first := bytesAt(0, 3)
	bufs, n, err := r.Read([][]byte{first}, 3, 7)
	if err != nil || n != 7 || len(bufs) != 2 || &bufs[0][0] != &first[0] {
		t.Errorf("Read does not add to its argument: %d slices, %d bytes, %v", len(bufs), n, err)
	}
	if cap(bufs[1]) != 7 {
		t.Error("a reader can grow its slice into bytes of others")
	}
}

func TestReadOfEmpty(t *testing.T) {
	t.Parallel()
	r := New(blockSize)
	r.Append(nil, 0, nil)
	if got, err := read(r, 0, 10); len(got) != 0 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if r.Start() != 0 || r.End() != 0 || r.Size() != 0 || len(r.Tail(nil, 10)) != 0 {
		t.Error("an empty ring is not empty")
	}
}

func TestSlicesStayValid(t *testing.T) {
	t.Parallel()
	r := New(2 * blockSize)
	r.Append(bytesAt(0, 1000), 0, nil)
	bufs, _, err := r.Read(nil, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r.Append(bytesAt(r.End(), blockSize), 0, nil)
	}
	if _, err := read(r, 0, 1000); err != ErrBehind {
		t.Fatalf("read of dropped bytes: %v", err)
	}
	if !bytes.Equal(bytes.Join(bufs, nil), bytesAt(0, 1000)) {
		t.Error("bytes have changed after they were dropped")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	cause := errors.New("source gone")
	for _, c := range []struct{ give, want error }{{cause, cause}, {nil, io.EOF}} {
		r := New(blockSize)
		r.Append(bytesAt(0, 10), 0, nil)
		if r.Err() != nil {
			t.Errorf("open ring: %v", r.Err())
		}
		r.Close(c.give)
		r.Close(errors.New("second"))
		if got, err := read(r, 0, 100); len(got) != 10 || err != nil {
			t.Errorf("what is left: %d bytes, %v", len(got), err)
		}
		if _, err := read(r, 10, 100); err != c.want {
			t.Errorf("at the end: %v, want %v", err, c.want)
		}
		if r.Err() != c.want {
			t.Errorf("Err: %v, want %v", r.Err(), c.want)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("append after close does not panic")
				}
			}()
			r.Append([]byte{1}, 0, nil)
		}()
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	r := New(4 * blockSize)
	r.Append(bytesAt(0, blockSize+100), 0, nil)
	for _, n := range []int{0, 1, 100, 101, blockSize + 100} {
		want := append([]byte("x"), bytesAt(r.End()-int64(n), n)...)
		if got := r.Tail([]byte("x"), n); !bytes.Equal(got, want) {
			t.Errorf("tail of %d bytes: %d bytes", n, len(got))
		}
	}
	if got := r.Tail(nil, 10*blockSize); len(got) != blockSize+100 {
		t.Errorf("tail of more than there is: %d bytes", len(got))
	}
}

func TestSetCapacity(t *testing.T) {
	t.Parallel()
	r := New(8 * blockSize)
	r.Append(bytesAt(0, 8*blockSize), 0, nil)
	if r.Start() != 0 {
		t.Fatalf("start %d, want all bytes held", r.Start())
	}
	r.SetCapacity(3 * blockSize)
	if r.Start() != 5*blockSize || r.Size() != 3*blockSize {
		t.Errorf("start %d, size %d", r.Start(), r.Size())
	}
	for _, b := range r.blocks[len(r.blocks):cap(r.blocks)] {
		if b != nil {
			t.Error("a block dropped is not let go of")
		}
	}
	r.SetCapacity(0)
	if got, err := read(r, 7*blockSize, blockSize); err != nil || !bytes.Equal(got, bytesAt(7*blockSize, blockSize)) {
		t.Errorf("without capacity: %d bytes, %v, want the last block", len(got), err)
	}
	r.SetCapacity(2 * blockSize)
	r.Append(bytesAt(8*blockSize, 10*blockSize), 0, nil)
	if r.Size() != 2*blockSize {
		t.Errorf("size %d after growing again", r.Size())
	}
}

// TestBounds holds the ring to the memory it may take and to the bytes it must keep.
func TestBounds(t *testing.T) {
	t.Parallel()
	const capacity = 5*blockSize + 1234
	r := New(capacity)
	for n := 1; r.End() < 50*blockSize; n = n*7%9973 + 1 {
		r.Append(bytesAt(r.End(), n), 0, nil)
		if r.Size() >= capacity+blockSize {
			t.Fatalf("size %d with a capacity of %d", r.Size(), capacity)
		}
		if held := r.End() - r.Start(); held < min(r.End(), capacity-blockSize) {
			t.Fatalf("%d bytes held with a capacity of %d", held, capacity)
		}
	}
}

// TestMarksCount has marks whose prefaces take more memory than the bytes.
func TestMarksCount(t *testing.T) {
	t.Parallel()
	const capacity = 4 * blockSize
	r := New(capacity)
	for range 100 {
		pos := r.End()
		r.Append(bytesAt(pos, blockSize/4), 0, []Mark{{Pos: pos, Preface: make([]byte, blockSize/2)}})
		if r.Size() >= capacity+blockSize {
			t.Fatalf("size %d with a capacity of %d", r.Size(), capacity)
		}
	}
}
