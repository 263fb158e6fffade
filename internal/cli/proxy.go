package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/acequia-tv/acequia/internal/config"
)

type proxyCommand struct {
	settingFlags
	Orchestrator string `name:"orchestrator" placeholder:"URL" help:"Address of the server that has the engines; short for --orchestrator.url."`
	KeyFile      string `name:"key-file" placeholder:"FILE" help:"File that holds a key of it with the scope operate; short for the setting orchestrator.key_file."`
}

// Help is shown by acequia proxy --help.
func (*proxyCommand) Help() string {
	return `
Plays content like acequia serve, and has no engines: it borrows slots on those of another Acequia, and plays from them directly. The addresses that the other one has of its engines must lead to them from here too: so they do on one Docker network, with static engines, and where docker.address is an address of the host; native engines answer on their own machine only. Several proxies share one pool.

What plays goes on while the other one restarts or does not answer.

Examples:

    acequia proxy --orchestrator http://nas:6878 --key-file /run/secrets/acequia
    ACEQUIA_ORCHESTRATOR_URL=http://nas:6878 ACEQUIA_ORCHESTRATOR_KEY=... acequia proxy
` + settingsHelp
}

func (*proxyCommand) shows(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	switch section {
	case "pool":
		return key == "pool.wait"
	case "engine", "official", "static", "docker":
		return false
	}
	return true
}

// Run plays until ctx ends.
func (p *proxyCommand) Run(ctx context.Context, c *call) error {
	if p.Orchestrator != "" {
		c.settings = append(c.settings, config.Setting{Name: "orchestrator.url", Text: p.Orchestrator})
	}
	if p.KeyFile != "" {
		c.settings = append(c.settings, config.Setting{Name: "orchestrator.key_file", Text: p.KeyFile})
	}
	inv, err := p.invocation(c)
	if err != nil {
		return err
	}
	if inv.Config.Orchestrator.URL == "" {
		return usageError{errors.New("whose engines? Name a server with --orchestrator, as in http://nas:6878")}
	}
	return c.process.Apps.Proxy(ctx, inv)
}
