package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/official"
)

// maxAnswer is how much of an answer is shown.
const maxAnswer = 512

type healthcheckCommand struct {
	settingFlags
	URL     string        `name:"url" help:"URL to ask in place of the one that follows from the setting listen."`
	Live    bool          `name:"live" help:"Ask whether it lives (/livez) rather than whether it is ready (/readyz)."`
	Engine  bool          `name:"engine" help:"Ask the engine of acequia engine, official or native, for its version."`
	Timeout time.Duration `name:"timeout" default:"3s" help:"How long the answer may take."`
}

// Help is shown by acequia healthcheck --help.
func (*healthcheckCommand) Help() string {
	return `
Asks the server of this machine, and says what is wrong if it does not answer 200.

Examples:

    acequia healthcheck
    acequia healthcheck --live --timeout 1s
    acequia healthcheck --engine
    acequia healthcheck --url http://127.0.0.1:8000/readyz

In a Dockerfile:

    HEALTHCHECK CMD ["acequia", "healthcheck"]
    HEALTHCHECK CMD ["acequia", "healthcheck", "--engine"]

Exit status: 0 healthy, 1 not healthy.
`
}

// Run asks. Every error has the same status, as Docker reserves 2:
// https://docs.docker.com/reference/dockerfile/#healthcheck
func (h *healthcheckCommand) Run(ctx context.Context, c *call) error {
	if err := h.check(ctx, c); err != nil {
		return statusError{err, ExitFailed}
	}
	return nil
}

func (h *healthcheckCommand) check(ctx context.Context, c *call) error {
	target := h.URL
	if target == "" {
		var err error
		if target, err = h.target(c); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("no answer within %s", h.Timeout))
	defer cancel()
	if err := ask(ctx, target); err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	_, err := fmt.Fprintln(c.process.Stdout, "healthy")
	return err
}

// target is the URL that follows from the settings.
func (h *healthcheckCommand) target(c *call) (string, error) {
	if h.Engine {
		c.aliases = official.Aliases()
	}
	settings, err := h.load(c)
	switch {
	case err != nil:
		return "", err
	case h.Engine:
		return healthURL(":"+strconv.Itoa(settings.Config.Engine.HTTPPort), "/webui/api/service?method=get_version")
	case h.Live:
		return healthURL(settings.Config.Listen, "/livez")
	default:
		return healthURL(settings.Config.Listen, "/readyz")
	}
}

// healthURL is how this machine reaches a server that listens on an address.
func healthURL(listen, path string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", listen, err)
	}
	if port == "0" {
		return "", errors.New("the server takes any free port (listen has port 0): name its URL with --url")
	}
	if host == "" {
		host = "127.0.0.1"
	} else if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port) + path, nil
}

// ask returns nil where the answer is 200. It goes straight to the server: no
// proxy of the environment, no redirect.
func ask(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("ask %s: %w", target, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // the status alone says enough
	return fmt.Errorf("%s answers %s: %s", target, response.Status, strings.TrimSpace(string(body)))
}
