// Package native provides engines that are child processes of this program:
// the same binary run as a native engine, each with ports and a data directory
// of its own, so that a crash or a leak of one is contained.
//
// A child is told to take any free ports. It writes one line of JSON to its
// standard output once it listens,
//
//	{"event":"ready","url":"http://127.0.0.1:41234","p2p_port":51413}
//
// writes its log to standard error, and ends when its standard input is
// closed. The provider holds the other end of that, so that the children end
// with it, however it ends.
package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/provider"
)

// Config says how the engines are run. Executable, Dir and Log are required.
type Config struct {
	// Executable is the path of the program; it is run as
	// "<Executable> engine --engine.http_port 0 --engine.p2p_port 0 --data <dir> <Args>".
	Executable string
	// Args are further flags for every engine.
	Args []string
	// Env is the environment of every engine; nil passes on that of this
	// process.
	Env []string
	// Dir holds one directory per engine. It is made if need be, and used by
	// one provider at a time. An engine's directory goes when the engine is
	// stopped: what it holds is a cache.
	Dir string
	// Log takes what the engines log.
	Log *slog.Logger
	// StopGrace is how long an engine that is stopped may take before it is
	// killed; default 5 s.
	StopGrace time.Duration
}

// Provider runs engines as child processes. It is safe for concurrent use.
type Provider struct {
	config Config
	watch  chan struct{}
	lock   *os.File       // held open while the provider is
	wg     sync.WaitGroup // goroutines of the children

	mu       sync.Mutex
	children map[string]*child // guarded by mu
	closed   bool              // guarded by mu
}

var _ provider.Provider = (*Provider)(nil)

// errClosed says that no engine can be started any more.
var errClosed = errors.New("the program is shutting down")

// Open returns a provider without engines, after removing what an earlier one
// that was killed left in config.Dir. Close must be called.
func Open(config Config) (*Provider, error) {
	if config.StopGrace == 0 {
		config.StopGrace = 5 * time.Second
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("open directory of engines: %w", err)
	}
	config.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of engines: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("lock directory of engines %s: %w", dir, err)
	}
	if err := removeLeftovers(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("remove engines of an earlier run: %w", err), lock.Close())
	}
	return &Provider{
		config:   config,
		watch:    make(chan struct{}, 1),
		lock:     lock,
		children: make(map[string]*child),
	}, nil
}

// marker is a file by which an engine's directory is told from anything else
// that may be in [Config.Dir].
const marker = ".acequia-engine"

// removeLeftovers removes the directories of engines in dir.
func removeLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Lstat(filepath.Join(path, marker)); err != nil {
			continue // not ours
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// Close stops all engines and waits for everything that the provider started.
// Further calls do nothing.
func (p *Provider) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	ids := slices.Collect(maps.Keys(p.children))
	p.mu.Unlock()

	errs := make([]error, len(ids))
	var stops sync.WaitGroup
	for i, id := range ids {
		stops.Go(func() { errs[i] = p.Stop(context.Background(), id) })
	}
	stops.Wait()
	p.wg.Wait()
	return errors.Join(append(errs, p.lock.Close())...)
}

// List implements [provider.Provider].
func (p *Provider) List(ctx context.Context) (provider.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return provider.Inventory{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	inventory := provider.Inventory{CanStart: true, StartsNative: true}
	for _, c := range p.children {
		inventory.Engines = append(inventory.Engines, c.engine)
	}
	slices.SortFunc(inventory.Engines, func(a, b provider.Engine) int { return cmp.Compare(a.ID, b.ID) })
	return inventory, nil
}

// Start implements [provider.Provider].
func (p *Provider) Start(ctx context.Context, spec provider.Spec) (provider.Engine, error) {
	if err := ctx.Err(); err != nil {
		return provider.Engine{}, err
	}
	if !provider.ValidID(spec.ID) {
		return provider.Engine{}, fmt.Errorf("start engine %q: not a valid id", spec.ID)
	}
	c, made, err := p.reserve(spec.ID)
	if err != nil {
		return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, err)
	}
	if !made {
		select {
		case <-c.spawned:
			if c.spawnErr != nil {
				return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, c.spawnErr)
			}
			return p.engineOf(c), nil
		case <-ctx.Done():
			return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, context.Cause(ctx))
		}
	}
	if err := p.spawn(c); err != nil {
		return provider.Engine{}, fmt.Errorf("start engine %s: %w", spec.ID, err)
	}
	p.wake()
	return p.engineOf(c), nil
}

// reserve returns the child of that id, which it makes when there is none.
func (p *Provider) reserve(id string) (c *child, made bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, errClosed
	}
	if c := p.children[id]; c != nil {
		return c, false, nil
	}
	c = newChild(id, filepath.Join(p.config.Dir, id), p.config.Log, p.ready)
	p.children[id] = c
	// Counted from here on, so that Close waits for a start that is under way.
	p.wg.Add(1)
	return c, true, nil
}

// spawn runs the child's process. When that fails, the child is no more.
func (p *Provider) spawn(c *child) error {
	err := c.start(p.config)
	if err != nil {
		err = errors.Join(err, os.RemoveAll(c.dir))
		c.spawnErr = err
		p.mu.Lock()
		delete(p.children, c.engine.ID)
		p.mu.Unlock()
		close(c.ended)
		close(c.spawned)
		p.wg.Done()
		return err
	}
	close(c.spawned)
	go func() { // ends with the process; Close waits for p.wg
		defer p.wg.Done()
		reason := c.wait()
		p.mu.Lock()
		c.engine.State, c.engine.URL, c.engine.Reason = provider.Failed, "", reason
		p.mu.Unlock()
		close(c.ended)
		p.wake()
	}()
	return nil
}

// ready takes in what a child said when it began to listen.
func (p *Provider) ready(c *child, url string, p2pPort int) {
	p.mu.Lock()
	if c.engine.State == provider.Starting {
		c.engine.State, c.engine.URL, c.engine.P2PPort = provider.Running, url, p2pPort
	}
	p.mu.Unlock()
	p.wake()
}

// Stop implements [provider.Provider]. An engine that does not end by itself
// is killed. Where ctx ends first, the stop goes on.
func (p *Provider) Stop(ctx context.Context, id string) error {
	p.mu.Lock()
	c := p.children[id]
	if c == nil {
		p.mu.Unlock()
		return nil
	}
	s := c.stop
	if s == nil {
		s = &stop{done: make(chan struct{})}
		c.stop = s
		p.wg.Go(func() { p.finish(c, s) })
	}
	p.mu.Unlock()

	select {
	case <-s.done:
		if s.err != nil {
			return fmt.Errorf("stop engine %s: %w", id, s.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop engine %s: %w", id, context.Cause(ctx))
	}
}

// finish ends a child and removes what it leaves.
func (p *Provider) finish(c *child, s *stop) {
	<-c.spawned
	c.end(p.config.StopGrace)
	s.err = os.RemoveAll(c.dir)

	p.mu.Lock()
	c.stop = nil
	if s.err == nil && p.children[c.engine.ID] == c {
		delete(p.children, c.engine.ID)
	}
	p.mu.Unlock()
	close(s.done)
	p.wake()
}

// Watch implements [provider.Provider].
func (p *Provider) Watch() <-chan struct{} { return p.watch }

func (p *Provider) wake() {
	select {
	case p.watch <- struct{}{}:
	default:
	}
}

func (p *Provider) engineOf(c *child) provider.Engine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.engine
}

// makeDir makes the data directory of an engine.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.WriteFile(filepath.Join(dir, marker), nil, 0o600)
}
