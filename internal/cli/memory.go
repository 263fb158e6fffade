package cli

import (
	"math"
	"path"
	"strconv"
	"strings"
)

// machineMemory returns how many bytes of memory this process may have: those
// of the machine, or of the container or service where that has a limit. It is 0
// where that is unknown, as it is outside Linux.
func machineMemory(readFile func(name string) ([]byte, error)) int64 {
	least := int64(math.MaxInt64)
	note := func(n int64, ok bool) {
		if ok && n > 0 {
			least = min(least, n)
		}
	}
	number := func(name string) (int64, bool) {
		data, err := readFile(name)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // not where it says "max"
		return n, err == nil
	}
	if data, err := readFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			// "MemTotal:        8040344 kB" (proc_meminfo(5))
			if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
				n, err := strconv.ParseInt(f[1], 10, 53)
				note(n<<10, err == nil)
			}
		}
	}
	// Version 2 of control groups: the group of this process and those around it;
	// in a container that has its own view, the root is its group
	// (https://docs.kernel.org/admin-guide/cgroup-v2.html).
	group := "/"
	if data, err := readFile("/proc/self/cgroup"); err == nil {
		for line := range strings.Lines(string(data)) {
			if own, ok := strings.CutPrefix(line, "0::"); ok {
				group = path.Clean("/" + strings.TrimSpace(own))
			}
		}
	}
	for ; ; group = path.Dir(group) {
		note(number(path.Join("/sys/fs/cgroup", group, "memory.max")))
		if group == "/" {
			break
		}
	}
	// Version 1, in a container.
	note(number("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
