package ring

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A model says what a ring must hold. It keeps nothing of the bytes: bytesAt knows them.
type model struct {
	ring     *Ring
	capacity int
	end      int64
	live     int64
	marks    []Mark // by position
	readers  [3]int64
}

func (m *model) append(t *rapid.T) {
	n := rapid.IntRange(0, 2*blockSize).Draw(t, "bytes")
	now := rapid.Int64Range(0, 1000).Draw(t, "time")
	start, from, to := m.ring.Start(), max(0, m.end-2*blockSize), m.end+int64(n)
	var marks []Mark
	for range rapid.IntRange(0, 3).Draw(t, "marks") {
		pos := rapid.Int64Range(from, to).Draw(t, "mark")
		marks = append(marks, Mark{Pos: pos, Time: rapid.Int64Range(0, now).Draw(t, "mark time"), Preface: make([]byte, 376)})
	}
	m.ring.Append(bytesAt(m.end, n), now, marks)
	m.end, m.live = to, max(m.live, now)
	for _, k := range marks {
		if k.Pos >= start && k.Pos < to {
			m.marks = slices.DeleteFunc(m.marks, func(o Mark) bool { return o.Pos == k.Pos })
			m.marks = append(m.marks, k)
		}
	}
	slices.SortFunc(m.marks, func(a, b Mark) int { return cmp.Compare(a.Pos, b.Pos) })
}

func (m *model) resize(t *rapid.T) {
	m.capacity = rapid.IntRange(0, 5*blockSize).Draw(t, "capacity")
	m.ring.SetCapacity(m.capacity)
}

// read has a reader go on, and one that was too slow go on at a mark.
func (m *model) read(t *rapid.T) {
	reader := &m.readers[rapid.IntRange(0, len(m.readers)-1).Draw(t, "reader")]
	size := rapid.IntRange(1, 2*blockSize).Draw(t, "max")
	got, err := read(m.ring, *reader, size)
	if *reader < m.ring.Start() {
		if err != ErrBehind || len(got) > 0 {
			t.Fatalf("read at %d of %d to %d: %d bytes, %v", *reader, m.ring.Start(), m.end, len(got), err)
		}
		*reader = m.ring.Start()
		if k, ok := m.ring.Join(100); ok {
			*reader = k.Pos
		}
		return
	}
	if want := bytesAt(*reader, int(min(int64(size), m.end-*reader))); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read at %d: %d bytes, %v, want %d bytes", *reader, len(got), err, len(want))
	}
	*reader += int64(len(got))
}

func (m *model) join(t *rapid.T) {
	behind := rapid.Int64Range(0, 1000).Draw(t, "behind")
	var want Mark
	for i, k := range m.marks {
		if i == 0 || k.Time <= m.live-behind {
			want = k
		}
	}
	got, ok := m.ring.Join(behind)
	if diff := gocmp.Diff(want, got); diff != "" || ok != (len(m.marks) > 0) {
		t.Fatalf("join %d behind %d: %v (-want +got):\n%s", behind, m.live, ok, diff)
	}
}

// check is what holds at any time.
func (m *model) check(t *rapid.T) {
	start, end := m.ring.Start(), m.ring.End()
	if end != m.end || start > end || m.ring.LiveTime() != m.live {
		t.Fatalf("from %d to %d at %d, want to %d at %d", start, end, m.ring.LiveTime(), m.end, m.live)
	}
	m.marks = slices.DeleteFunc(m.marks, func(k Mark) bool { return k.Pos < start })
	if diff := gocmp.Diff(m.marks, all(m.ring), gocmp.Transformer("empty", func(l []Mark) int { return len(l) })); diff != "" {
		t.Fatalf("marks (-want +got):\n%s", diff)
	}
	size := m.ring.Size()
	if end-start > blockSize && size >= m.capacity+blockSize || size > max(m.capacity, len(m.marks)*(markSize+376))+blockSize {
		t.Fatalf("size %d for %d bytes and %d marks with a capacity of %d", size, end-start, len(m.marks), m.capacity)
	}
}

// TestModel runs a ring beside a model of it.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(0, 5*blockSize).Draw(t, "capacity")
		m := &model{ring: New(capacity), capacity: capacity}
		t.Repeat(map[string]func(*rapid.T){"append": m.append, "resize": m.resize, "read": m.read, "join": m.join, "": m.check})
	})
}
