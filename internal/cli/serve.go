package cli

import (
	"context"
	"strings"
)

type serveCommand struct {
	settingFlags
	DryRun bool `name:"dry-run" help:"Show which engines would be started and stopped now, and why, and end."`
}

// Help is shown by acequia serve --help.
func (*serveCommand) Help() string {
	return `
Keeps a pool of engines ready and plays content from them on one port. Viewers of one content share one stream. Runs until SIGINT or SIGTERM, and then stops in order.

Examples:

    acequia serve
    acequia serve --listen :8000 --pool.min 3
    acequia serve --static.engines http://tv-box:6878,http://nas:6878
    ACEQUIA_POOL_MIN=3 acequia serve
    acequia serve --config /etc/acequia.yaml
    acequia serve --dry-run

Then play http://HOST:6878/ace/getstream?id=CONTENT_ID; GET /readyz answers 200 once that can work.
` + settingsHelp
}

// settingsHelp ends the help of every command that loads the settings.
const settingsHelp = `
Settings come from defaults, the settings file, the environment (ACEQUIA_POOL_MIN) and flags (--pool.min); later ones win. There are more than the ones below: "acequia config reference" lists them, "acequia config print" shows their values.
`

func (*serveCommand) shows(key string) bool {
	return !strings.HasPrefix(key, "engine.") && !strings.HasPrefix(key, "official.") && !strings.HasPrefix(key, "orchestrator.")
}

// Run serves until ctx ends.
func (s *serveCommand) Run(ctx context.Context, c *call) error {
	inv, err := s.invocation(c)
	if err != nil {
		return err
	}
	if s.DryRun {
		return c.process.Apps.Plan(ctx, inv)
	}
	return c.process.Apps.Serve(ctx, inv)
}
