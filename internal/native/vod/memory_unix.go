//go:build unix

package vod

import "syscall"

// mapMemory returns n zero bytes outside the garbage-collected heap. A window
// on the heap would be counted twice: the collector lets the heap grow to a
// multiple of what lives on it.
func mapMemory(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func unmapMemory(b []byte) {
	// Only a slice that is not a mapping can fail here, and memory holds none.
	_ = syscall.Munmap(b)
}
