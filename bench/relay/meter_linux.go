package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// costOf returns what a process has spent since it began.
func costOf(pid int) (cost, error) {
	var c cost
	var err error
	if c.CPU, err = cpuTime(pid); err != nil {
		return c, err
	}
	// Go writes to sockets with write and writev, which count here; what it
	// reads does not matter.
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return c, fmt.Errorf("writes of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(raw)) {
		_, _ = fmt.Sscanf(line, "syscw: %d", &c.Writes) // fails on the other lines
		_, _ = fmt.Sscanf(line, "wchar: %d", &c.Bytes)
	}
	return c, nil
}

// cpuTime reads the CPU clock of another process, which counts nanoseconds,
// where /proc/<pid>/stat counts hundredths of a second. The clock's number is
// made as clock_getcpuclockid(3) makes it.
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2
	clock := int32(^pid<<3 | schedClock)
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// enoughFiles tells whether a process may open n files. The Go runtime has
// raised the limit to what the system allows already.
func enoughFiles(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Max < uint64(n) {
		return fmt.Errorf("a process may open %d files here, and needs %d: raise it with ulimit -Hn %d", limit.Max, n, n)
	}
	return nil
}
