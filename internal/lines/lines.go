// Package lines cuts the output of another program into lines of bounded
// length.
package lines

import (
	"bytes"
	"strings"
)

// Writer calls Line for every line written to it that is not blank, without
// blanks around it and as valid UTF-8. It is owned by one goroutine.
type Writer struct {
	Max  int          // bytes of a line; what exceeds them is cut off
	Line func(string) // not nil

	buf []byte // the line so far, at most Max bytes
}

// Write takes everything and returns no error.
func (w *Writer) Write(b []byte) (int, error) {
	n := len(b)
	for {
		head, tail, found := bytes.Cut(b, []byte{'\n'})
		w.buf = append(w.buf, head[:min(len(head), w.Max-len(w.buf))]...)
		if !found {
			return n, nil
		}
		w.Flush()
		b = tail
	}
}

// Flush ends the line.
func (w *Writer) Flush() {
	line := strings.TrimSpace(strings.ToValidUTF8(string(w.buf), "?"))
	w.buf = w.buf[:0]
	if line != "" {
		w.Line(line)
	}
}
