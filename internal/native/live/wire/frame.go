package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// MaxFrame bounds a frame, without the 4 bytes of its length.
const MaxFrame = 64 << 10

// extended is the message id of the extension protocol (BEP 10).
const extended = 20

// HelloID is the extended id of the extension protocol's own handshake.
const HelloID = 0

// Frame is one message of BitTorrent.
type Frame struct {
	// KeepAlive says that the frame is empty: it has no id.
	KeepAlive bool
	// Foreign is the id of a message of BitTorrent's own, which a live link does not
	// use; 0 if Extended is set.
	Foreign byte
	// Extended says that the message is one of the extension protocol.
	Extended bool
	ID       byte   // which one, by the ids of the receiver
	Payload  []byte // without any id
}

// BeginFrame begins an extended message with the id that its receiver gave it.
// What is appended to the result is the payload; [EndFrame] completes it.
func BeginFrame(b []byte, id byte) []byte { return append(b, 0, 0, 0, 0, extended, id) }

// EndFrame completes the frame that begins at byte start of b.
func EndFrame(b []byte, start int) ([]byte, error) {
	size := len(b) - start - 4
	if size > MaxFrame {
		return b[:start], fmt.Errorf("%w: a frame of %d bytes, at most %d", ErrMalformed, size, MaxFrame)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(size))
	return b, nil
}

// AppendFrame writes an extended message with the id that its receiver gave it.
func AppendFrame(b []byte, id byte, payload []byte) ([]byte, error) {
	start := len(b)
	return EndFrame(append(BeginFrame(b, id), payload...), start)
}

// Reader reads frames. It is owned by one goroutine.
type Reader struct {
	r   io.Reader
	buf []byte
}

// NewReader returns a reader of the frames in r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next reads the next frame. Its payload is valid until the call after. Memory is
// taken as bytes arrive, not as a length promises them. The error is io.EOF where the
// input ends between frames.
func (r *Reader) Next() (Frame, error) {
	var length [4]byte
	if _, err := io.ReadFull(r.r, length[:]); err != nil {
		return Frame{}, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	if size == 0 {
		return Frame{KeepAlive: true}, nil
	}
	if size > MaxFrame {
		return Frame{}, malformed("a frame of %d bytes, at most %d", size, MaxFrame)
	}
	if err := r.fill(int(size)); err != nil {
		return Frame{}, err
	}
	switch {
	case r.buf[0] != extended:
		return Frame{Foreign: r.buf[0], Payload: r.buf[1:]}, nil
	case size < 2:
		return Frame{}, malformed("an extended message without an id")
	}
	return Frame{Extended: true, ID: r.buf[1], Payload: r.buf[2:]}, nil
}

// fill reads n bytes into the buffer, which it grows in steps.
func (r *Reader) fill(n int) error {
	const step = 4 << 10
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		if len(r.buf) == cap(r.buf) {
			grown := make([]byte, len(r.buf), min(n, max(step, 2*cap(r.buf))))
			copy(grown, r.buf)
			r.buf = grown
		}
		at := len(r.buf)
		r.buf = r.buf[:min(n, cap(r.buf))]
		if _, err := io.ReadFull(r.r, r.buf[at:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
