package cli

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Stopped is the cause of a context that a signal has ended.
type Stopped struct{ Signal os.Signal }

// Error names the signal.
func (s Stopped) Error() string { return "stopped by signal: " + s.Signal.String() }

// watchSignals returns a context that ends with the first signal, and a
// function that ends the watch and waits for its goroutine.
func (p *Process) watchSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	finished := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case signal := <-p.Signals:
			if p.Terminal {
				fmt.Fprintln(p.Stderr, "acequia: stopping in order; once more stops at once")
			}
			cancel(Stopped{signal})
		case <-finished:
			return
		}
		select {
		case signal := <-p.Signals:
			p.Exit(signalStatus(signal))
		case <-finished:
		}
	})
	return ctx, func() {
		close(finished)
		watch.Wait()
		cancel(context.Canceled)
	}
}

// signalStatus is the exit status that shells give to a process ended by a signal.
func signalStatus(signal os.Signal) int {
	if number, ok := signal.(syscall.Signal); ok {
		return 128 + int(number)
	}
	return ExitFailed
}
