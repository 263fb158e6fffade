package config

// memoryKey is a key whose default depends on the machine.
const memoryKey = "playback.memory"

// memoryBudget works out the default of playback.memory from the memory of the
// machine, or of the container, in bytes; 0 is unknown. A quarter, because the
// garbage collector lets memory grow to twice what is in use, and the
// engines live on the same machine; and on the smallest machine as much as two
// streams with the default buffer.
func memoryBudget(machine int64) Size {
	const least, unknown = 64 * MiB, 256 * MiB
	if machine <= 0 {
		return unknown
	}
	return max(least, (Size(machine) / 4).roundDown(MiB))
}

// roundDown makes s a whole number of units.
func (s Size) roundDown(unit Size) Size { return s - s%unit }
