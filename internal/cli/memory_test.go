package cli

import (
	"io/fs"
	"testing"
)

func TestMachineMemory(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:        8000000 kB\nMemFree:          1 kB\n"
	for name, tt := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing known":  {map[string]string{}, 0},
		"a machine":      {map[string]string{"/proc/meminfo": meminfo}, 8000000 << 10},
		"no limit":       {map[string]string{"/proc/meminfo": meminfo, "/sys/fs/cgroup/memory.max": "max\n"}, 8000000 << 10},
		"a container":    {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		"a service":      {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/system.slice/acequia.service\n", "/sys/fs/cgroup/system.slice/memory.max": "268435456\n", "/sys/fs/cgroup/system.slice/acequia.service/memory.max": "max\n"}, 256 << 20},
		"version 1":      {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "4:memory:/docker/abc\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n"}, 128 << 20},
		"1, no limit":    {map[string]string{"/proc/meminfo": meminfo, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8000000 << 10},
		"paths that lie": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/../../..\n"}, 8000000 << 10},
		"nonsense":       {map[string]string{"/proc/meminfo": "MemTotal: many kB\nMemTotal:\n", "/sys/fs/cgroup/memory.max": "-5"}, 0},
	} {
		got := machineMemory(func(name string) ([]byte, error) {
			if text, ok := tt.files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
