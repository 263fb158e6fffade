package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/acequia-tv/acequia/internal/privilege"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// System is what the operating system gives to the program's first function,
// which alone reaches for it.
type System struct {
	Args    []string // with the name of the program
	Environ []string
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File
	Exit    func(status int)
}

// Main runs the command line of the real process and returns its exit status.
func Main(system System, apps Apps) int {
	// Two places: the signal that asks, and the one that insists.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return Run(context.Background(), Process{
		Args:     system.Args[1:],
		Environ:  system.Environ,
		Stdin:    system.Stdin,
		Stdout:   system.Stdout,
		Stderr:   system.Stderr,
		Terminal: isTerminal(system.Stderr),
		Signals:  signals,
		Exit:     system.Exit,
		Become:   become,
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

func become(getenv func(string) string, log *slog.Logger, dirs, sockets []string) error {
	user, err := privilege.Chosen(getenv, sockets...)
	if err != nil {
		return usageError{err}
	}
	return privilege.Become(user, log, dirs...)
}
