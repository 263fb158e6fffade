package cli

import (
	"context"
	"strings"

	"github.com/acequia-tv/acequia/internal/official"
)

type engineCommand struct {
	settingFlags
	Official string `name:"official" placeholder:"PATH" help:"Run the official engine whose start-engine this is, and watch it, in place of a native one."`
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

With --official it starts an official engine in its place, relays its log, reaps its children, bounds its cache, and starts it again when it crashes or hangs; it takes the settings official.* and those of engine.* that both kinds of engine have. In containers of official engines it is the first process, and there it also reads HTTP_PORT, HTTPS_PORT, P2P_PORT, INTERNAL_BUFFERING, CACHE_LIMIT, BIND_ALL and EXTRA_FLAGS, as the image acestream-http-proxy does:

    acequia engine --official /opt/acestream/start-engine
    P2P_PORT=8700 CACHE_LIMIT=5 acequia engine --official /opt/acestream/start-engine
    acequia engine --official /opt/acestream/start-engine --official.live_buffer_time 20s --official.access_token_file /run/secrets/token
` + settingsHelp
}

func (*engineCommand) shows(key string) bool {
	return key == "data" || key == "shutdown_timeout" ||
		strings.HasPrefix(key, "engine.") || strings.HasPrefix(key, "official.") || strings.HasPrefix(key, "log.") || strings.HasPrefix(key, "debug.")
}

// Run serves the engine until ctx ends.
func (e *engineCommand) Run(ctx context.Context, c *call) error {
	if e.Official != "" {
		c.aliases = official.Aliases()
	}
	inv, err := e.invocation(c)
	if err != nil {
		return err
	}
	if err := inv.Settings.For(e.Official != ""); err != nil {
		return usageError{err}
	}
	inv.Official, inv.Environ = e.Official, c.process.Environ
	return c.process.Apps.Engine(ctx, inv)
}
