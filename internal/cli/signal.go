package cli

import (
	"context"
	"os"
	"sync"
	"syscall"
)

// SignalError is the cause of a context that a signal has ended.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e SignalError) Error() string { return "stopped by signal: " + e.Signal.String() }

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
				p.tell("acequia: stopping in order; once more stops at once")
			}
			cancel(SignalError{signal})
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
