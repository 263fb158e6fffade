package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/acequia-tv/acequia/internal/telemetry"
)

// Main runs the command line of the real process and returns its exit status.
func Main(apps Apps) int {
	// Two places: the signal that asks, and the one that insists.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return Run(context.Background(), Process{
		Args:     os.Args[1:],
		Environ:  os.Environ(),
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Terminal: isTerminal(os.Stderr),
		Signals:  signals,
		Exit:     os.Exit,
		ReadFile: os.ReadFile,
		Writable: writable,
		Build:    telemetry.ReadBuild(),
		Apps:     apps,
	})
}

// isTerminal takes any character device for a terminal. The other one that
// occurs is the null device, where the form of a log does not matter.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// writable tries, since permissions do not tell the truth about read-only
// mounts and capabilities.
func writable(dir string) bool {
	probe, err := os.CreateTemp(dir, ".acequia-*")
	if err != nil {
		return false
	}
	probe.Close()
	return os.Remove(probe.Name()) == nil
}
