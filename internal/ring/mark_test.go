package ring

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	r := New(10 * blockSize)
	if m, ok := r.Join(0); ok {
		t.Errorf("joined an empty ring at %+v", m)
	}
	r.Append(bytesAt(0, 1000), 0, nil)
	if m, ok := r.Join(0); ok {
		t.Errorf("joined a ring without marks at %+v", m)
	}
	r.Append(bytesAt(1000, 1000), 50, []Mark{{Pos: 1100, Time: 20}, {Pos: 1400, Time: 30}, {Pos: 1700, Time: 40}})
	for _, c := range []struct{ behind, want int64 }{
		{0, 1700}, {10, 1700}, {11, 1400}, {20, 1400}, {29, 1100}, {30, 1100}, {31, 1100}, {1000, 1100}, {-100, 1700},
	} {
		if m, ok := r.Join(c.behind); !ok || m.Pos != c.want {
			t.Errorf("join %d behind: %+v, %v, want position %d", c.behind, m, ok, c.want)
		}
	}
	r.Append(nil, 60, nil)
	if m, _ := r.Join(25); m.Pos != 1400 {
		t.Errorf("join 25 behind 60: %+v, want the mark at 30", m)
	}
	r.Append(nil, 10, nil)
	if got := r.LiveTime(); got != 60 {
		t.Errorf("live time went back to %d", got)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	r := New(10 * blockSize)
	r.Append(bytesAt(0, 1000), 1, []Mark{{Pos: 0}, {Pos: 700}})
	for _, c := range []struct {
		pos, want int64
		ok        bool
	}{{0, 0, true}, {1, 700, true}, {700, 700, true}, {701, 0, false}, {5000, 0, false}} {
		if m, ok := r.Next(c.pos); ok != c.ok || m.Pos != c.want {
			t.Errorf("next at %d: %+v, %v, want %d, %v", c.pos, m, ok, c.want, c.ok)
		}
	}
}

// all returns the marks of a ring.
func all(r *Ring) (list []Mark) {
	for m, ok := r.Next(0); ok; m, ok = r.Next(m.Pos + 1) {
		list = append(list, m)
	}
	return list
}

func TestMarks(t *testing.T) {
	t.Parallel()
	const size = 100
	r := New(2 * blockSize)
	r.Append(bytesAt(0, size), 0, []Mark{{Pos: 50, Time: 5}})
	r.Append(bytesAt(size, size), 0, []Mark{{Pos: 20, Time: 2}, {Pos: 150, Time: 15}})       // one before those there
	r.Append(bytesAt(2*size, size), 0, []Mark{{Pos: 50, Time: 6, Preface: make([]byte, 9)}}) // in place of one
	r.Append(bytesAt(3*size, size), 0, []Mark{{Pos: 4 * size}, {Pos: -1}})                   // outside
	want := []Mark{{Pos: 20, Time: 2}, {Pos: 50, Time: 6, Preface: make([]byte, 9)}, {Pos: 150, Time: 15}}
	if diff := cmp.Diff(want, all(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := r.Size(), blockSize+3*markSize+9; got != want {
		t.Errorf("size %d, want %d", got, want)
	}
	r.Append(bytesAt(4*size, 5*blockSize), 0, []Mark{{Pos: 30}})
	if got := all(r); len(got) != 0 {
		t.Errorf("marks of bytes dropped: %+v", got)
	}
	if got := r.Size(); got != 2*blockSize {
		t.Errorf("size %d without marks, want %d", got, 2*blockSize)
	}
}

func TestBehind(t *testing.T) {
	t.Parallel()
	r := New(1 << 20)
	if got := r.Behind(0); got != 0 {
		t.Errorf("an empty ring is %d behind", got)
	}
	r.Append(make([]byte, 4000), 400, []Mark{{Pos: 1000, Time: 100}, {Pos: 2000, Time: 300}})
	for pos, want := range map[int64]int64{
		0: 300, 1000: 300, 1500: 200, 2000: 100, 3000: 50, 4000: 0, 5000: 0,
	} {
		if got := r.Behind(pos); got != want {
			t.Errorf("position %d is %d behind, want %d", pos, got, want)
		}
	}
}
