package ring

import (
	"cmp"
	"slices"
	"unsafe"
)

// A Mark is a position at which a decoder can start.
type Mark struct {
	// Pos is the absolute position of the first byte.
	Pos int64
	// Time is the media time at Pos, in the unit of the ring's writer.
	Time int64
	// Preface goes before the byte at Pos when a reader starts there: the
	// program tables in force. It is shared by readers and marks, and
	// never changes.
	Preface []byte
}

// markSize is what a mark costs besides its preface.
const markSize = int(unsafe.Sizeof(Mark{}))

// marks are the marks of a ring, by position.
type marks struct {
	list []Mark
	size int // memory accounted for, in bytes
}

// insert adds m. Marks come in order but for a few.
func (ms *marks) insert(m Mark) {
	i := len(ms.list)
	for i > 0 && ms.list[i-1].Pos > m.Pos {
		i--
	}
	if i > 0 && ms.list[i-1].Pos == m.Pos {
		ms.size += len(m.Preface) - len(ms.list[i-1].Preface)
		ms.list[i-1] = m
		return
	}
	ms.list = slices.Insert(ms.list, i, m)
	ms.size += markSize + len(m.Preface)
}

// drop removes the marks before pos.
func (ms *marks) drop(pos int64) {
	k := 0
	for k < len(ms.list) && ms.list[k].Pos < pos {
		ms.size -= markSize + len(ms.list[k].Preface)
		k++
	}
	ms.list = slices.Delete(ms.list, 0, k)
}

// Join returns where a reader should start to be at least behind, in media time,
// behind live: the newest mark that is old enough, or the oldest one if none
// is. ok is false if the ring holds no mark.
func (r *Ring) Join(behind int64) (m Mark, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.marks.list
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Time <= r.live-behind {
			return list[i], true
		}
	}
	if len(list) == 0 {
		return Mark{}, false
	}
	return list[0], true
}

// Behind returns how much media time there is from pos to the end, as far as the
// marks tell: between two of them it is taken to pass evenly. It is 0 where that is
// not known, as before the first mark.
func (r *Ring) Behind(pos int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.marks.list
	if len(list) == 0 || pos >= r.end {
		return 0
	}
	next := Mark{Pos: r.end, Time: r.live}
	i, _ := slices.BinarySearchFunc(list, pos, func(m Mark, pos int64) int { return cmp.Compare(m.Pos, pos) })
	if i < len(list) {
		next = list[i]
	}
	if i == 0 || next.Pos == pos {
		return max(0, r.live-next.Time)
	}
	last := list[i-1]
	passed := float64(pos-last.Pos) / float64(next.Pos-last.Pos) * float64(next.Time-last.Time)
	return max(0, r.live-last.Time-int64(passed))
}

// Next returns the first mark at or after pos. ok is false if there is none yet.
func (r *Ring) Next(pos int64) (m Mark, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.marks.list
	i, _ := slices.BinarySearchFunc(list, pos, func(m Mark, pos int64) int { return cmp.Compare(m.Pos, pos) })
	if i == len(list) {
		return Mark{}, false
	}
	return list[i], true
}
