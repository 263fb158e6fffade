package cli

import (
	"context"
	"strings"
)

type demoCommand struct {
	settingFlags
}

// Help is shown by acequia demo --help.
func (*demoCommand) Help() string {
	return `
Shares a short clip over BitTorrent on the loopback interface, serves it through a pool of native engines, and prints a URL to play in VLC, mpv or ffprobe. It needs no network, and keeps running until SIGINT or SIGTERM.

Examples:

    acequia demo
    acequia demo --listen 127.0.0.1:7000 --log.level debug
` + settingsHelp
}

func (*demoCommand) shows(key string) bool {
	return !strings.HasPrefix(key, "engine.") && !strings.HasPrefix(key, "static.") && !strings.HasPrefix(key, "orchestrator.") && key != "pool.provider"
}

// Run plays the demonstration until ctx ends.
func (d *demoCommand) Run(ctx context.Context, c *call) error {
	inv, err := d.invocation(c)
	if err != nil {
		return err
	}
	return c.process.Apps.Demo(ctx, inv)
}
