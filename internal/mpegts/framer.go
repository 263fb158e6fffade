package mpegts

import (
	"bytes"
	"slices"
)

// syncRun is how many packets in a row must begin with a sync byte before their
// borders are believed: the five of ETSI TR 101 290, 5.2.1.
const syncRun = 5

// headerLook is how much of a packet is looked at for that: its header, and the
// length of its adaptation field.
const headerLook = 5

// A Framer finds the packets in chunks of bytes cut anywhere, drops what is no
// packet, and finds them again after a loss. What it returns in sum depends on the
// bytes only, never on how they were cut.
//
// A packet is returned once a sync byte was seen behind it: one that breaks off, or
// that something else was written into, is none. So at most a packet is held back
// in sync, and less than [syncRun] packets during a search; the last of a stream
// never comes out. The zero Framer is ready for use. It is not safe for concurrent
// use.
type Framer struct {
	buf      []byte // what Push returned last, or scratch, and then the bytes held back
	held     int    // where in buf the bytes held back begin
	synced   bool
	skipped  int64
	searched int64
}

// Push takes the next bytes and returns the packets that they complete: zero or
// more whole packets, each with a sync byte in front and behind.
//
// The result aliases p if p begins with a packet and nothing was held back, else a
// buffer of the Framer: it is valid until the next call, and until p changes. Push
// keeps no reference to p. It allocates only for a p larger than any before.
func (f *Framer) Push(p []byte) []byte {
	f.buf = f.buf[:copy(f.buf, f.buf[f.held:])]
	f.held = 0
	b, own := p, false
	if len(f.buf) > 0 {
		f.buf = append(f.buf, p...)
		b, own = f.buf, true
	}

	start, end := 0, 0 // the run found so far
	at := 0            // how far b is done with
	for f.sync(b, &at) {
		n := leading(b[at:])
		if start == end {
			start, end = at, at+n
		} else { // behind a gap: move them up to those before it
			if !own {
				f.buf = append(f.buf[:0], p...)
				b, own = f.buf, true
			}
			end += copy(b[end:], b[at:at+n])
		}
		at += n
		if len(b)-at <= PacketSize {
			break // what follows it will tell
		}
		f.synced = false
	}

	if own {
		f.held = at
	} else {
		f.buf = append(f.buf, p[at:]...)
	}
	return b[start:end:end]
}

// sync reports whether a packet begins at b[*at], and moves *at there over bytes
// that are none if it has to. If it reports false, what is left of b is to be held back.
func (f *Framer) sync(b []byte, at *int) bool {
	if f.synced {
		return true
	}
	skip, found := search(b[*at:])
	*at += skip
	f.skipped += int64(skip)
	f.searched += int64(skip)
	if found {
		f.synced, f.searched = true, 0
	}
	return found
}

// search returns the offset of the first packet that syncRun-1 others follow. If
// there is none, it returns the offset of the first byte that could still turn out to begin one.
func search(b []byte) (offset int, found bool) {
	for i := 0; i < len(b); i++ {
		j := bytes.IndexByte(b[i:], SyncByte)
		if j < 0 {
			break
		}
		i += j
		k := 1
		for k < syncRun && i+k*PacketSize+headerLook <= len(b) && b[i+k*PacketSize] == SyncByte {
			k++
		}
		if k == syncRun {
			if !packetsAt(b[i:]) {
				continue
			}
			return i, true
		}
		if i+k*PacketSize+headerLook > len(b) {
			return i, false
		}
	}
	return len(b), false
}

// packetsAt reports whether [syncRun] packets may begin at b[0], as sync bytes
// say that they do. A byte that counts, or is the same in every packet, makes a
// row of sync bytes as well; but what follows it are no headers (ISO/IEC 13818-1,
// 2.4.3.2), or, if it happens to look like some, they are of as many streams.
func packetsAt(b []byte) bool {
	var pids [syncRun]uint16
	again := false
	for k := range syncRun {
		p := b[k*PacketSize:]
		adaptation := p[3] >> 4 & 3
		if p[1]&0x80 != 0 || adaptation == 0 || adaptation > 1 && p[4] > PacketSize-5 {
			return false
		}
		pids[k] = uint16(p[1]&0x1f)<<8 | uint16(p[2])
		again = again || slices.Contains(pids[:k], pids[k])
	}
	return again
}

// leading returns how many bytes of b, which begins with a packet, are packets with a
// sync byte behind them.
func leading(b []byte) int {
	n := 0
	for n+PacketSize < len(b) && b[n+PacketSize] == SyncByte {
		n += PacketSize
	}
	return n
}

// Synced reports whether the last bytes pushed were packets.
func (f *Framer) Synced() bool { return f.synced }

// Skipped returns how many bytes have been dropped so far.
func (f *Framer) Skipped() int64 { return f.skipped }

// Searched returns how many bytes have been dropped since the last packet, or since
// the beginning: once this is more than some thousands, the bytes are no transport stream.
func (f *Framer) Searched() int64 { return f.searched }

// Reset forgets the bytes held back, and searches anew: the next bytes come from
// elsewhere. The count of bytes skipped goes on, and includes what is forgotten.
func (f *Framer) Reset() {
	f.skipped += int64(len(f.buf) - f.held)
	f.buf, f.held = f.buf[:0], 0
	f.synced, f.searched = false, 0
}
