package vod

import (
	"container/list"
	"math/bits"
)

// blockSize is what peers are asked for at a time (BEP 3 calls it a slice;
// every client uses 16 KiB).
const blockSize = 16 << 10

// place says where the bytes of a piece are.
type place int

const (
	inMemory place = iota
	leaving        // in memory, queued to be written to disk
	onDisk
)

// piece is one piece that a [store] holds, whole or in part. It is guarded by
// the mutex of the cache.
type piece struct {
	index    int
	length   int
	at       place
	buf      *buffer // nil once on disk
	blocks   []uint64
	missing  int  // blocks not written yet
	verified bool // the hash was right
	gone     bool // the store has dropped it
	elem     *list.Element
}

func newPiece(index, length int, buf *buffer) *piece {
	n := (length + blockSize - 1) / blockSize
	return &piece{index: index, length: length, buf: buf, blocks: make([]uint64, (n+63)/64), missing: n}
}

// wrote marks the blocks that lie wholly in [off, off+n), or reach the end of
// the piece.
func (p *piece) wrote(off, n int) {
	end := off + n
	for b := (off + blockSize - 1) / blockSize; b*blockSize < end; b++ {
		if min((b+1)*blockSize, p.length) > end {
			break
		}
		if bit := uint64(1) << (b % 64); p.blocks[b/64]&bit == 0 {
			p.blocks[b/64] |= bit
			p.missing--
		}
	}
}

// has tells whether every block that [off, off+n) touches was written.
func (p *piece) has(off, n int) bool {
	if p.missing == 0 {
		return true
	}
	for b := off / blockSize; b*blockSize < off+n; b++ {
		if p.blocks[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

// empty tells whether no block was written yet.
func (p *piece) empty() bool {
	for _, w := range p.blocks {
		if bits.OnesCount64(w) > 0 {
			return false
		}
	}
	return true
}
