//go:build !linux

package playback

// canWriteNow tells that there is no writeNow here: each viewer is sent its
// bytes by its own goroutine.
const canWriteNow = false

func writeNow(uintptr, [][]byte) (n int, err error) { return 0, nil }
