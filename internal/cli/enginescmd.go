package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/acequia-tv/acequia/client"
)

type enginesCommand struct {
	List    enginesList    `cmd:"" default:"withargs" help:"List the engines."`
	Show    enginesShow    `cmd:"" help:"Show one engine, and what it uses of its machine."`
	Start   enginesStart   `cmd:"" help:"Start engines beyond what the pool needs."`
	Drain   enginesDrain   `cmd:"" help:"Take an engine out of service; its streams move."`
	Undrain enginesUndrain `cmd:"" help:"Bring a drained engine back."`
	Restart enginesRestart `cmd:"" help:"Replace an engine by a new one; its streams move."`
	Remove  enginesRemove  `cmd:"" help:"Remove an engine; its streams move."`
	Logs    enginesLogs    `cmd:"" help:"Read the log of an engine."`
}

// Help is shown by acequia engines --help.
func (*enginesCommand) Help() string {
	return `
Examples:

    acequia engines
    acequia engines drain engine-2
    acequia engines logs engine-2 --follow
` + serverHelp
}

type enginesList struct{ serverFlags }

// Run lists the engines.
func (l *enginesList) Run(ctx context.Context, c *call) error {
	return l.with(ctx, c, func(api *client.Client) error {
		all, err := api.Engines(ctx)
		if err != nil {
			return err
		}
		return l.show(c.process.Stdout, all, func() *table {
			t := &table{head: []string{"ENGINE", "STATE", "FOR", "SLOTS", "KIND", "VERSION", "MEMORY", "CACHE", "REASON"}}
			for _, e := range all {
				t.add(e.ID, e.State, ago(e.Since), fmt.Sprintf("%d/%d", e.Used, e.Slots), e.Kind, e.Version, sizeOf(e.Memory), sizeOf(e.Cache), e.Reason)
			}
			return t
		})
	})
}

// engineArg names an engine.
type engineArg struct {
	serverFlags
	ID string `arg:"" name:"engine" help:"Id of the engine."`
}

type enginesShow struct{ engineArg }

// Run shows an engine.
func (s *enginesShow) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		e, err := api.Engine(ctx, s.ID)
		if err != nil {
			return err
		}
		stats, err := api.EngineStats(ctx, s.ID)
		if refused, ok := errors.AsType[*client.Error](err); err != nil && (!ok || refused.Code != "unsupported") {
			return err
		}
		if s.JSON {
			return s.show(c.process.Stdout, struct {
				client.Engine
				Stats client.EngineStats `json:"stats"`
			}{e, stats}, nil)
		}
		return s.show(c.process.Stdout, e, func() *table {
			t := &table{}
			for _, row := range [][2]string{
				{"engine", e.ID},
				{"url", e.URL},
				{"kind", e.Kind},
				{"version", e.Version},
				{"state", e.State + " for " + ago(e.Since)},
				{"reason", e.Reason},
				{"last error", e.LastError},
				{"slots", fmt.Sprintf("%d of %d taken", e.Used, e.Slots)},
				{"streams", strings.Join(e.Streams, " ")},
				{"memory", sizeOf(stats.Memory)},
				{"cache", sizeOf(stats.Cache)},
			} {
				t.add(row[0], row[1])
			}
			if !stats.Time.IsZero() {
				t.add("processor", fmt.Sprintf("%.0f s", stats.CPUSeconds))
			}
			return t
		})
	})
}

type enginesStart struct {
	serverFlags
	Count int `short:"n" default:"1" help:"How many."`
}

// Run starts engines.
func (s *enginesStart) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error {
		started, err := api.StartEngines(ctx, s.Count)
		if err != nil {
			return err
		}
		return s.show(c.process.Stdout, started, func() *table {
			t := &table{}
			for _, id := range started.IDs {
				t.add(id)
			}
			return t
		})
	})
}

type enginesDrain struct{ engineArg }

// Run drains an engine.
func (d *enginesDrain) Run(ctx context.Context, c *call) error {
	return d.with(ctx, c, func(api *client.Client) error { return api.DrainEngine(ctx, d.ID) })
}

type enginesUndrain struct{ engineArg }

// Run brings an engine back.
func (u *enginesUndrain) Run(ctx context.Context, c *call) error {
	return u.with(ctx, c, func(api *client.Client) error { return api.UndrainEngine(ctx, u.ID) })
}

type enginesRestart struct{ engineArg }

// Run replaces an engine.
func (r *enginesRestart) Run(ctx context.Context, c *call) error {
	return r.with(ctx, c, func(api *client.Client) error { return api.RestartEngine(ctx, r.ID) })
}

type enginesRemove struct {
	engineArg
	Force bool `help:"At once, streams or not."`
}

// Run removes an engine.
func (r *enginesRemove) Run(ctx context.Context, c *call) error {
	return r.with(ctx, c, func(api *client.Client) error { return api.RemoveEngine(ctx, r.ID, r.Force) })
}

type enginesLogs struct {
	engineArg
	Tail   int  `short:"n" default:"200" help:"How many of the newest lines."`
	Follow bool `short:"f" help:"Go on with the lines to come."`
}

// Run copies an engine's log.
func (l *enginesLogs) Run(ctx context.Context, c *call) error {
	return l.with(ctx, c, func(api *client.Client) error {
		lines, err := api.EngineLogs(ctx, l.ID, l.Tail, l.Follow)
		if err != nil {
			return err
		}
		defer lines.Close()
		if _, err := io.Copy(c.process.Stdout, lines); err != nil && ctx.Err() == nil {
			return fmt.Errorf("read the log of engine %s: %w", l.ID, err)
		}
		return nil
	})
}
