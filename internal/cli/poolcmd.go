package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/client"
)

type poolCommand struct {
	Show   poolShow   `cmd:"" default:"withargs" help:"Show the pool."`
	Plan   poolPlan   `cmd:"" help:"Show what the pool is about to do, and why."`
	Scale  poolScale  `cmd:"" help:"Hold the pool at a number of engines."`
	Auto   poolAuto   `cmd:"" help:"Let the demand say how many engines there are."`
	Pause  poolPause  `cmd:"" help:"Start and stop nothing by itself."`
	Resume poolResume `cmd:"" help:"End a pause."`
}

// Help is shown by acequia pool --help.
func (*poolCommand) Help() string { return serverHelp }

// showPool writes the pool.
func (f *serverFlags) showPool(c *call, p client.Pool, err error) error {
	if err != nil {
		return err
	}
	return f.show(c.process.Stdout, p, func() *table {
		t := &table{}
		t.add("engines", fmt.Sprintf("%d, %d ready", p.Engines, p.Ready))
		t.add("wanted", fmt.Sprintf("%d: %s", p.Target, p.TargetReason))
		t.add("slots", fmt.Sprintf("%d of %d taken, %d requests wait", p.Used, p.Slots, p.Waiting))
		t.add("limits", fmt.Sprintf("%d to %d", p.Min, p.Max))
		if p.Paused {
			t.add("paused", "nothing is started or stopped by itself")
		}
		if p.Scale != nil {
			t.add("held at", *p.Scale)
		}
		for _, why := range []string{p.Blind, p.Unready} {
			if why != "" {
				t.add("trouble", why)
			}
		}
		return t
	})
}

type poolShow struct{ serverFlags }

// Run shows the pool.
func (s *poolShow) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		p, err := api.Pool(ctx)
		return s.showPool(c, p, err)
	})
}

type poolPlan struct{ serverFlags }

// Run shows the plan.
func (s *poolPlan) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		p, err := api.Plan(ctx)
		if err != nil {
			return err
		}
		return s.show(c.process.Stdout, p, func() *table {
			t := &table{head: []string{"WHEN", "WHAT", "ENGINE", "WHY"}}
			t.add("always", fmt.Sprintf("keep %d", p.Target), "", p.TargetReason)
			for _, a := range p.Actions {
				t.add("now", a.Op, a.Engine, a.Reason)
			}
			for _, a := range p.Later {
				t.add("later", a.Op, a.Engine, a.Reason)
			}
			return t
		})
	})
}

type poolScale struct {
	serverFlags
	Engines int `arg:"" help:"How many."`
}

// Run scales the pool.
func (s *poolScale) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		p, err := api.Scale(ctx, &s.Engines)
		return s.showPool(c, p, err)
	})
}

type poolAuto struct{ serverFlags }

// Run ends a scaling.
func (s *poolAuto) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		p, err := api.Scale(ctx, nil)
		return s.showPool(c, p, err)
	})
}

type poolPause struct{ serverFlags }

// Run pauses the pool.
func (s *poolPause) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		p, err := api.Pause(ctx)
		return s.showPool(c, p, err)
	})
}

type poolResume struct{ serverFlags }

// Run ends a pause.
func (s *poolResume) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		p, err := api.Resume(ctx)
		return s.showPool(c, p, err)
	})
}

type eventsCommand struct {
	serverFlags
	Type   string        `placeholder:"PREFIX" help:"Only types that begin so, as engine. or stream.failed."`
	Since  time.Duration `placeholder:"DURATION" help:"Only what happened within that time."`
	Limit  int           `short:"n" default:"50" help:"How many of the newest."`
	Follow bool          `short:"f" help:"Go on with what happens."`
}

// Help is shown by acequia events --help.
func (*eventsCommand) Help() string {
	return `
Shows what happened, the newest last.

Examples:

    acequia events
    acequia events --type engine. --since 2h
    acequia events --follow --json
` + serverHelp
}

// Run tells what happened.
func (e *eventsCommand) Run(ctx context.Context, c *call) error {
	return e.with(ctx, c, func(api *client.Client) error {
		q := client.EventQuery{Type: e.Type, Limit: e.Limit}
		if e.Since > 0 {
			q.Since = time.Now().Add(-e.Since)
		}
		page, err := api.Events(ctx, q)
		if err != nil {
			return err
		}
		for i := len(page.Events) - 1; i >= 0; i-- {
			if err := e.tell(c, page.Events[i]); err != nil {
				return err
			}
		}
		if !e.Follow {
			return nil
		}
		return e.follow(ctx, c, api)
	})
}

// follow tells what happens until ctx ends.
func (e *eventsCommand) follow(ctx context.Context, c *call, api *client.Client) error {
	for m, err := range api.Follow(ctx, "", "summary") {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if m.Kind != "ev" {
			continue
		}
		var happened client.Event
		if err := json.Unmarshal(m.Data, &happened); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if len(happened.Type) < len(e.Type) || happened.Type[:len(e.Type)] != e.Type {
			continue
		}
		if err := e.tell(c, happened); err != nil {
			return err
		}
	}
	return errors.New("the live stream ended")
}

// tell writes one event on one line.
func (e *eventsCommand) tell(c *call, happened client.Event) error {
	if e.JSON {
		return json.NewEncoder(c.process.Stdout).Encode(happened)
	}
	_, err := fmt.Fprintf(c.process.Stdout, "%s  %-20s  %s\n",
		happened.Time.Local().Format(time.DateTime), happened.Type, printable(happened.Message))
	return err
}
