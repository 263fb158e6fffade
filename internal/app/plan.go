package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

// Plan writes what Serve would do first to the engines, and why. It starts and
// stops nothing.
func Plan(ctx context.Context, inv cli.Invocation) error {
	s := &server{front: front{cfg: inv.Config, log: inv.Log}}
	engines, err := s.openProvider()
	if err != nil {
		return err
	}
	p := reconcile.New(reconcile.Config{
		Provider: engines, Probe: probe, Events: event.NewLog(1), Log: inv.Log, Policy: poolPolicy(inv.Config.Pool),
	})
	decision, snapshot, err := p.Preview(ctx)
	if err == nil {
		err = writePlan(inv.Stdout, decision, snapshot)
	}
	if s.provider != nil {
		err = errors.Join(err, s.provider.Close())
	}
	return err
}

// writePlan writes a plan for a person.
func writePlan(out io.Writer, d pool.Decision, s reconcile.Snapshot) error {
	var text strings.Builder
	fmt.Fprintf(&text, "wanted: %s\nthere: %d\n", d.Target, len(s.Engines))
	for _, e := range s.Engines {
		fmt.Fprintf(&text, "  %s is %s", e.ID, e.Phase)
		if e.Reason != "" {
			fmt.Fprintf(&text, ": %s", e.Reason)
		}
		text.WriteByte('\n')
	}
	text.WriteString("now:\n")
	if len(d.Actions) == 0 {
		text.WriteString("  nothing\n")
	}
	for _, a := range d.Actions {
		fmt.Fprintf(&text, "  %s\n", a)
	}
	for _, h := range d.Held {
		fmt.Fprintf(&text, "%s\n", h)
	}
	_, err := io.WriteString(out, text.String())
	return err
}
