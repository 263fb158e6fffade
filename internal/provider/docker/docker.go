// Package docker provides engines that are containers, on one or more Docker
// hosts. What an engine is, is written in the labels of its container, so that
// engines outlive this program and the next one adopts them. A container
// without the labels of this instance is never touched: every call that changes
// one looks at its labels first and names it by its id.
//
// # Rights
//
// A socket proxy needs to let these requests through; with
// tecnativa/docker-socket-proxy (https://github.com/Tecnativa/docker-socket-proxy)
// they are PING, EVENTS, IMAGES, CONTAINERS and POST, and VOLUMES for leftovers.
//
//	GET    /_ping
//	GET    /events
//	GET    /containers/json, /containers/{id}/json, /containers/{id}/logs, /containers/{id}/stats
//	POST   /containers/create, /containers/{id}/start, /containers/{id}/stop, /containers/{id}/kill, /containers/{id}/unpause
//	DELETE /containers/{id}
//	GET    /images/{name}/json
//	POST   /images/create             with docker.pull other than never
//	GET    /volumes, DELETE /volumes/{name}   to collect what a container removed by others left
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
)

// Pull says when an image is pulled.
type Pull string

// The pull policies.
const (
	PullMissing Pull = "missing" // when the host does not have it
	PullAlways  Pull = "always"  // each time that a host is connected to
	PullNever   Pull = "never"
)

// The values of [Config.Network] that are not names of networks.
const (
	NetworkAuto    = "auto"    // that of this program's own container, else publish
	NetworkPublish = "publish" // publish a port on the host
)

// PortRange are ports from First to Last, both included.
type PortRange struct{ First, Last int }

// Config says where containers run and what they are. Hosts, Profile, Image,
// Secret, Log and Events are required.
type Config struct {
	Hosts []Host
	// Profile tells how the image takes its settings.
	Profile profile.Profile
	Image   string
	Pull    Pull // default PullMissing

	// Instance tells the containers of this Acequia from those of others; by
	// default it is made from Secret.
	Instance string
	// Secret makes the access tokens of the engines; see [OpenSecret].
	Secret []byte

	Network string    // default NetworkAuto
	Ports   PortRange // host ports to publish the engine API on; default 26878 to 26977
	P2P     PortRange // host ports to publish for peers, one for each engine; none when zero
	Address string    // host address to publish on, instead of the one found out

	Memory     int64 // bytes; 0 for no limit
	NanoCPUs   int64 // thousandths of a millionth of a processor; 0 for no limit
	LogBytes   int64 // most bytes of a container's log; 0 leaves it to the daemon
	CacheBytes int64 // most bytes of an engine's cache; 0 leaves it to the engine
	CacheTmpfs bool  // keep the cache in memory instead of in a volume

	ExtraArgs []string // for the engine
	ExtraEnv  []string // for the container, NAME=value

	Log    *slog.Logger
	Events *event.Log

	// Self returns the ids that this program's own container may have, for
	// tests; default reads them from the kernel.
	Self func() []string
}

func (c *Config) setDefaults() error {
	if c.Pull == "" {
		c.Pull = PullMissing
	}
	if c.Network == "" {
		c.Network = NetworkAuto
	}
	if c.Ports == (PortRange{}) {
		c.Ports = PortRange{26878, 26977}
	}
	if c.Instance == "" {
		c.Instance = instanceOf(c.Secret)
	}
	if c.Self == nil {
		c.Self = selfIDs
	}
	if c.Image == "" {
		c.Image = c.Profile.Image
	}
	switch {
	case len(c.Hosts) == 0:
		return errors.New("no Docker host is named")
	case c.Image == "":
		return errors.New("no image is named: set docker.image")
	case !provider.ValidID(c.Instance):
		return fmt.Errorf("docker.instance %q: use lower-case letters, digits and hyphens", c.Instance)
	}
	if err := c.Profile.Validate(); err != nil {
		return fmt.Errorf("image profile %s: %w", c.Profile.Name, err)
	}
	return nil
}

// Provider runs engines as containers. It is safe for concurrent use.
type Provider struct {
	config Config
	hosts  []*host
	watch  chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines of the hosts

	ids keyedMutex // by engine id: one start or stop at a time

	mu sync.Mutex
	// homes is where each engine is, by its id, as last seen. An id belongs to
	// the host that it was first seen on. Guarded by mu.
	homes map[string]*host
}

var (
	_ provider.Provider  = (*Provider)(nil)
	_ provider.Inspector = (*Provider)(nil)
	_ provider.LogReader = (*Provider)(nil)
	_ provider.Collector = (*Provider)(nil)
)

// Open returns a provider that connects to its hosts in the background. It
// fails only where the configuration makes no sense. Close must be called.
func Open(config Config) (*Provider, error) {
	if err := config.setDefaults(); err != nil {
		return nil, err
	}
	p := &Provider{config: config, watch: make(chan struct{}, 1), homes: make(map[string]*host)}
	for _, h := range config.Hosts {
		made, err := newHost(h, &p.config, p.wake)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("docker host %s: %w", h.Name, err), p.Close())
		}
		if slices.ContainsFunc(p.hosts, func(o *host) bool { return o.name == made.name }) {
			return nil, errors.Join(fmt.Errorf("two docker hosts are called %s: name them as in nas=%s", h.Name, h.URL), made.close(), p.Close())
		}
		p.hosts = append(p.hosts, made)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	for _, h := range p.hosts {
		p.wg.Go(func() { h.run(ctx) })
	}
	return p, nil
}

// Close ends the connections. The engines stay.
func (p *Provider) Close() error {
	if p.cancel != nil {
		p.cancel()
	}
	p.wg.Wait()
	var errs []error
	for _, h := range p.hosts {
		errs = append(errs, h.close())
	}
	return errors.Join(errs...)
}

// Watch implements [provider.Provider].
func (p *Provider) Watch() <-chan struct{} { return p.watch }

func (p *Provider) wake() {
	select {
	case p.watch <- struct{}{}:
	default:
	}
}

// AccessToken returns the token of an engine's private API; "" where the image
// takes none. It follows from the secret, so that nothing needs to be stored.
func (p *Provider) AccessToken(id string) string {
	if !p.config.Profile.TakesToken {
		return ""
	}
	_, label := p.where(id)
	return tokenOf(p.config.Secret, label)
}

// List implements [provider.Provider]. Engines on a host that cannot be reached
// are listed as they were last seen; it fails when no host can be.
func (p *Provider) List(ctx context.Context) (provider.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return provider.Inventory{}, err
	}
	errs := make([]error, len(p.hosts))
	found := make([][]provider.Engine, len(p.hosts))
	var wg sync.WaitGroup
	for i, h := range p.hosts {
		wg.Go(func() { found[i], errs[i] = h.list(ctx) })
	}
	wg.Wait()
	if reached := slices.ContainsFunc(errs, func(err error) bool { return err == nil }); !reached {
		return provider.Inventory{}, errors.Join(errs...)
	}
	inventory := provider.Inventory{CanStart: true, StartsNative: p.config.Profile.Native, Unready: p.unready()}
	p.mu.Lock()
	defer p.mu.Unlock()
	homes := make(map[string]*host)
	for i, h := range p.hosts {
		for _, e := range found[i] {
			if home := p.homes[e.ID]; home == h || home == nil && homes[e.ID] == nil {
				homes[e.ID] = h
			}
		}
	}
	for i, h := range p.hosts {
		for _, e := range found[i] {
			if homes[e.ID] == nil {
				homes[e.ID] = h // its old home has it no more
			}
			if len(p.hosts) > 1 {
				e.Host = h.name
			}
			if homes[e.ID] != h {
				// The same id was given on two hosts that did not know of each
				// other. It is the engine of the first, and this one's goes on
				// under a name that says where it is.
				e.ID += elsewhere + h.name
				homes[e.ID] = h
			}
			inventory.Engines = append(inventory.Engines, e)
		}
	}
	p.homes = homes
	slices.SortFunc(inventory.Engines, func(a, b provider.Engine) int { return cmp.Compare(a.ID, b.ID) })
	return inventory, nil
}

// elsewhere joins an engine's id and its host where the id alone is ambiguous.
const elsewhere = "-at-"

// unready says why no host could start an engine now; "" when one can.
func (p *Provider) unready() string {
	var reasons []string
	for _, h := range p.hosts {
		reason := h.unready()
		if reason == "" {
			return ""
		}
		if len(p.hosts) > 1 {
			reason = h.name + ": " + reason
		}
		reasons = append(reasons, reason)
	}
	return strings.Join(reasons, "; ")
}

// Start implements [provider.Provider]. The engine goes to the ready host with
// the fewest engines.
func (p *Provider) Start(ctx context.Context, spec provider.Spec) (provider.Engine, error) {
	if err := ctx.Err(); err != nil {
		return provider.Engine{}, err
	}
	if !provider.ValidID(spec.ID) {
		return provider.Engine{}, fmt.Errorf("start engine %q: not a valid id", spec.ID)
	}
	unlock, err := p.ids.lock(ctx, spec.ID)
	if err != nil {
		return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, err)
	}
	defer unlock()
	for _, h := range p.hosts {
		e, err := h.find(ctx, spec.ID)
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, provider.ErrUnknown) && (len(p.hosts) == 1 || ctx.Err() != nil) {
			return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, err)
		}
	}
	h := p.emptiest()
	if h == nil {
		return provider.Engine{}, fmt.Errorf("start engine %s: %s", spec.ID, p.unready())
	}
	e, err := h.start(ctx, spec.ID)
	if err != nil {
		return provider.Engine{}, fmt.Errorf("start engine %s on %s: %w", spec.ID, h.name, err)
	}
	p.mu.Lock()
	p.homes[spec.ID] = h
	p.mu.Unlock()
	if len(p.hosts) > 1 {
		e.Host = h.name
	}
	p.wake()
	return e, nil
}

// emptiest returns the ready host with the fewest engines, nil if none is ready.
func (p *Provider) emptiest() *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := make(map[*host]int)
	for _, h := range p.homes {
		count[h]++
	}
	var best *host
	for _, h := range p.hosts {
		if h.unready() == "" && (best == nil || count[h] < count[best]) {
			best = h
		}
	}
	return best
}

// Stop implements [provider.Provider].
func (p *Provider) Stop(ctx context.Context, id string) error {
	unlock, err := p.ids.lock(ctx, id)
	if err != nil {
		return fmt.Errorf("stop engine %s: %w", id, err)
	}
	defer unlock()
	hosts, label := p.where(id)
	for _, h := range hosts {
		if err := h.stop(ctx, label); err != nil {
			return fmt.Errorf("stop engine %s on %s: %w", id, h.name, err)
		}
	}
	p.mu.Lock()
	delete(p.homes, id)
	p.mu.Unlock()
	p.wake()
	return nil
}

// where returns the hosts that may have an engine, and its id there: the one
// that is known to have it, else all of them.
func (p *Provider) where(id string) ([]*host, string) {
	p.mu.Lock()
	home := p.homes[id]
	p.mu.Unlock()
	if home == nil {
		return p.hosts, id
	}
	return []*host{home}, strings.TrimSuffix(id, elsewhere+home.name)
}

// Stats implements [provider.Inspector].
func (p *Provider) Stats(ctx context.Context, id string) (provider.Stats, error) {
	hosts, label := p.where(id)
	err := provider.ErrUnknown
	for _, h := range hosts {
		var s provider.Stats
		if s, err = h.stats(ctx, label); err == nil {
			return s, nil
		}
	}
	return provider.Stats{}, fmt.Errorf("measure engine %s: %w", id, err)
}

// keyedMutex is a mutex for each key, whose waiters give up with a context.
type keyedMutex struct {
	mu   sync.Mutex
	held map[string]chan struct{} // guarded by mu; closed when the key is free
}

func (k *keyedMutex) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		busy := k.held[key]
		if busy == nil {
			if k.held == nil {
				k.held = make(map[string]chan struct{})
			}
			free := make(chan struct{})
			k.held[key] = free
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(free)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// callTimeout bounds one short request to a daemon.
const callTimeout = 15 * time.Second
