// Package static provides engines that someone else runs, by their addresses.
package static

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/acequia-tv/acequia/internal/provider"
)

// Provider lists the engines it was given. It starts and stops none. It never
// changes, so it is safe for concurrent use.
type Provider struct {
	engines []provider.Engine
	watch   chan struct{}
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider of the engines whose HTTP APIs have these base
// addresses ("http://host:6878"). Their ids are "static-1", "static-2" and so
// on, in the order given.
func New(addresses []string) (*Provider, error) {
	p := &Provider{watch: make(chan struct{}, 1)}
	given := make(map[string]bool)
	for i, address := range addresses {
		base, err := parse(address)
		if err != nil {
			return nil, fmt.Errorf("engine address %q: %w", address, err)
		}
		if given[base] {
			return nil, fmt.Errorf("engine address %q: given twice, and an engine has its slots only once", address)
		}
		given[base] = true
		p.engines = append(p.engines, provider.Engine{
			ID:    "static-" + strconv.Itoa(i+1),
			State: provider.Running,
			URL:   base,
		})
	}
	slices.SortFunc(p.engines, func(a, b provider.Engine) int { return strings.Compare(a.ID, b.ID) })
	return p, nil
}

// parse returns the address as the base of an engine's API.
func parse(address string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", fmt.Errorf("not of the form http://host:6878")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("has more than a host, a port and a path")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// List returns the engines. Whether they run is not known here.
func (p *Provider) List(ctx context.Context) (provider.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return provider.Inventory{}, err
	}
	return provider.Inventory{Engines: slices.Clone(p.engines)}, nil
}

// Start always fails.
func (p *Provider) Start(_ context.Context, spec provider.Spec) (provider.Engine, error) {
	return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, provider.ErrUnsupported)
}

// Stop fails for the engines that exist.
func (p *Provider) Stop(_ context.Context, id string) error {
	if slices.ContainsFunc(p.engines, func(e provider.Engine) bool { return e.ID == id }) {
		return fmt.Errorf("stop engine %s: %w", id, provider.ErrUnsupported)
	}
	return nil
}

// Watch returns a channel that never receives.
func (p *Provider) Watch() <-chan struct{} { return p.watch }
