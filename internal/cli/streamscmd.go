package cli

import (
	"context"
	"fmt"

	"github.com/acequia-tv/acequia/client"
)

type streamsCommand struct {
	List       streamsList       `cmd:"" default:"withargs" help:"List the streams."`
	Viewers    streamsViewers    `cmd:"" help:"List the viewers."`
	Stop       streamsStop       `cmd:"" help:"Stop a stream; its viewers are sent away."`
	Move       streamsMove       `cmd:"" help:"Move a stream to another engine, without a seam."`
	Disconnect streamsDisconnect `cmd:"" help:"Send a viewer away."`
	Check      streamsCheck      `cmd:"" help:"Ask whether a content can be played now."`
}

// Help is shown by acequia streams --help.
func (*streamsCommand) Help() string {
	return `
Examples:

    acequia streams
    acequia streams move 3f2a6c0d9b1e
    acequia streams check --deep --infohash INFOHASH
` + serverHelp
}

type streamsList struct{ serverFlags }

// Run lists the streams.
func (l *streamsList) Run(ctx context.Context, c *call) error {
	return l.with(ctx, c, func(api *client.Client) error {
		all, err := api.Streams(ctx)
		if err != nil {
			return err
		}
		return l.show(c.process.Stdout, all, func() *table {
			t := &table{head: []string{"STREAM", "STATE", "FOR", "ENGINE", "VIEWERS", "RECEIVED", "SWITCHES", "CONTENT"}}
			for _, s := range all {
				t.add(s.ID, s.State, ago(s.Started), s.Engine, s.Watching, size(s.Received), s.Switches, s.Content)
			}
			return t
		})
	})
}

type streamsViewers struct{ serverFlags }

// Run lists the viewers.
func (v *streamsViewers) Run(ctx context.Context, c *call) error {
	return v.with(ctx, c, func(api *client.Client) error {
		all, err := api.Viewers(ctx)
		if err != nil {
			return err
		}
		return v.show(c.process.Stdout, all, func() *table {
			t := &table{head: []string{"VIEWER", "STREAM", "FORM", "ADDRESS", "FOR", "SENT", "SKIPS", "APP"}}
			for _, one := range all {
				t.add(one.ID, one.Stream, one.Form, one.Addr, ago(one.Since), size(one.Sent), one.Skips, one.App)
			}
			return t
		})
	})
}

// streamArg names a stream.
type streamArg struct {
	serverFlags
	ID string `arg:"" name:"stream" help:"Id of the stream."`
}

type streamsStop struct{ streamArg }

// Run stops a stream.
func (s *streamsStop) Run(ctx context.Context, c *call) error {
	return s.with(ctx, c, func(api *client.Client) error { return api.StopStream(ctx, s.ID) })
}

type streamsMove struct {
	streamArg
	Engine string `arg:"" optional:"" help:"Id of the engine; any other without."`
}

// Run moves a stream.
func (m *streamsMove) Run(ctx context.Context, c *call) error {
	return m.with(ctx, c, func(api *client.Client) error { return api.MoveStream(ctx, m.ID, m.Engine) })
}

type streamsDisconnect struct {
	serverFlags
	Viewer uint64 `arg:"" help:"Id of the viewer."`
}

// Run sends a viewer away.
func (d *streamsDisconnect) Run(ctx context.Context, c *call) error {
	return d.with(ctx, c, func(api *client.Client) error { return api.Disconnect(ctx, d.Viewer) })
}

type streamsCheck struct {
	serverFlags
	ID        string `xor:"content" required:"" help:"Content id."`
	Infohash  string `xor:"content" required:"" help:"Infohash."`
	Magnet    string `xor:"content" required:"" help:"Magnet link."`
	Transport string `name:"transport-url" xor:"content" required:"" help:"URL of a transport file."`
	Deep      bool   `help:"Try it on a free engine."`
}

// Run asks whether a content can be played.
func (k *streamsCheck) Run(ctx context.Context, c *call) error {
	return k.with(ctx, c, func(api *client.Client) error {
		for kind, value := range map[string]string{"id": k.ID, "infohash": k.Infohash, "magnet": k.Magnet, "url": k.Transport} {
			if value == "" {
				continue
			}
			p, err := api.Preflight(ctx, kind, value, k.Deep)
			if err != nil {
				return err
			}
			err = k.show(c.process.Stdout, p, func() *table {
				t := &table{}
				t.add(p.Verdict, p.Message)
				return t
			})
			if err == nil && (p.Verdict == "impossible" || p.Verdict == "unlikely") {
				err = fmt.Errorf("%s: %s", p.Verdict, p.Reason)
			}
			return err
		}
		return nil
	})
}
