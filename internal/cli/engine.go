package cli

import (
	"context"
	"strings"
)

type engineCommand struct {
	settingFlags
}

// Help is shown by acequia engine --help.
func (*engineCommand) Help() string {
	return `
Runs one native engine: it plays BitTorrent content by infohash, magnet link or transport file over the HTTP API that AceStream engines have. Runs until SIGINT or SIGTERM.

Examples:

    acequia engine
    acequia engine --engine.http_port 6900 --engine.cache_limit 4GiB --engine.disk_cache
    acequia engine --engine.bind_all --engine.upload_limit 1MB

Then play http://127.0.0.1:6878/ace/getstream?infohash=INFOHASH. The API has no password: --engine.bind_all opens it to everybody who reaches this machine.
` + settingsHelp
}

func (*engineCommand) shows(key string) bool {
	return key == "data" || key == "shutdown_timeout" ||
		strings.HasPrefix(key, "engine.") || strings.HasPrefix(key, "log.") || strings.HasPrefix(key, "debug.")
}

// Run serves the engine until ctx ends.
func (e *engineCommand) Run(ctx context.Context, c *call) error {
	inv, err := e.invocation(c)
	if err != nil {
		return err
	}
	return c.process.Apps.Engine(ctx, inv)
}
