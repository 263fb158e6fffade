// Package app composes the parts into programs: the server, one native engine,
// and the demonstration. It is the one package that sees all others, and holds
// no logic but how they fit together and in which order they start and stop.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// runAll runs parts until ctx ends or one of them fails, and then ends them
// one after the other, the last first, each waiting for the one before it. It
// fails when they have not all ended within grace.
func runAll(ctx context.Context, grace time.Duration, log *slog.Logger, parts ...part) error {
	type running struct {
		cancel context.CancelFunc
		done   chan struct{}
		err    error // set before done is closed
	}
	all := make([]*running, len(parts))
	failed := make(chan struct{}, len(parts))
	for i, p := range parts {
		life, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{cancel: cancel, done: make(chan struct{})}
		all[i] = r
		go func() {
			defer close(r.done)
			if r.err = p.run(life); r.err != nil || life.Err() == nil {
				failed <- struct{}{}
			}
		}()
	}
	select {
	case <-ctx.Done():
		log.Info("stopping", "reason", context.Cause(ctx))
	case <-failed:
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	var errs []error
	for i := len(parts) - 1; i >= 0; i-- {
		all[i].cancel()
		select {
		case <-all[i].done:
			if err := all[i].err; err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", parts[i].name, err))
			}
		case <-late.C:
			for _, r := range all[:i] {
				r.cancel()
			}
			return errors.Join(append(errs, fmt.Errorf("%s did not stop within %v", parts[i].name, grace))...)
		}
	}
	return errors.Join(errs...)
}
