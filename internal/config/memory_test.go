package config

import "testing"

func TestMemoryBudget(t *testing.T) {
	t.Parallel()
	for machine, want := range map[int64]Size{
		0: 256 * MiB, -1: 256 * MiB, // unknown
		1: 64 * MiB, 128 << 20: 64 * MiB, 256 << 20: 64 * MiB,
		512 << 20: 128 * MiB, 8 << 30: 2 * GiB, 1023<<20 + 7: 255 * MiB,
	} {
		if got := memoryBudget(machine); got != want {
			t.Errorf("of %d: %v, want %v", machine, got, want)
		}
		s, err := loadOnly(Sources{Memory: machine, ReadFile: disk{}.read, Writable: never, Environ: []string{"HOME=/h"}})
		if err != nil || s.Playback.Memory != want {
			t.Errorf("a machine with %d: %v, %v", machine, s.Playback.Memory, err)
		}
	}
}
