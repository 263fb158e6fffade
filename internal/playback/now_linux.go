package playback

import (
	"errors"

	"golang.org/x/sys/unix"
)

// canWriteNow tells that writeNow does something.
const canWriteNow = true

// writeNow writes parts to a socket as far as it takes them at once, and returns
// how many bytes that were.
func writeNow(fd uintptr, parts [][]byte) (n int, err error) {
	for {
		n, err = unix.Writev(int(fd), parts)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		default:
			return max(n, 0), err
		}
	}
}
