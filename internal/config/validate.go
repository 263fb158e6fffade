package config

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// Validate tells everything that is wrong with c; the error is [*InvalidError].
func (c Config) Validate() error { return validate(&c, nil) }

// validate checks every value by its tags, then what no single value can tell.
func validate(c *Config, origins map[string]Origin) error {
	v := validator{origins: origins}
	v.values(configTree, reflect.ValueOf(c).Elem())
	v.general(c)
	v.pool(c)
	v.engine(c)
	v.official(c)
	return v.problems.err()
}

type validator struct {
	origins  map[string]Origin
	problems problems
}

func (v *validator) values(t *tree, root reflect.Value) {
	for _, key := range t.keys {
		err := key.check(key.get(root))
		if err != nil && key.Secret {
			err = errors.New("not a value of this key (it is secret and not shown)")
			if f, ok := formats[key.Format]; ok {
				err = fmt.Errorf("%w: it takes a %s", err, f.doc)
			}
		}
		v.problems.add(key.Name, v.origins[key.Name], "", err)
	}
}

func (v *validator) failf(key, format string, args ...any) {
	v.problems.add(key, v.origins[key], "", fmt.Errorf(format, args...))
}

func (v *validator) general(c *Config) {
	if c.Data == "" {
		v.failf("data", "no directory: there is neither a home directory nor /config here, so name one with --data")
	}
}

func (v *validator) pool(c *Config) {
	if c.Pool.Min > c.Pool.Max {
		v.failf("pool.min", "%d is more than pool.max, which is %d (%s)", c.Pool.Min, c.Pool.Max, v.origins["pool.max"])
	}
	switch {
	case c.Provider() == ProviderDocker:
		v.docker(c.Docker)
	case c.Pool.Provider == ProviderStatic && len(c.Static.Engines) == 0:
		v.failf("pool.provider", "static needs engines: name them in static.engines, such as http://host:6878")
	}
	seen := make(map[string]string)
	for _, engine := range c.Static.Engines {
		u, err := url.Parse(engine)
		if err != nil {
			continue // told already
		}
		same := strings.ToLower(u.Host)
		if before, ok := seen[same]; ok {
			v.failf("static.engines", "%q and %q are the same engine", before, engine)
		}
		seen[same] = engine
	}
}

// docker checks what no single value can tell of containers.
func (v *validator) docker(d Docker) {
	if len(d.Hosts) == 0 {
		v.failf("docker.hosts", "no Docker host is named: the usual one is unix:///var/run/docker.sock")
	}
	if d.Ports == "" {
		v.failf("docker.ports", "no ports to publish engines on: write a range such as 26878-26977")
	}
	if d.Profile == "custom" && d.Image == "" {
		v.failf("docker.image", "a custom profile needs the image that it describes")
	}
	if d.Cache == "tmpfs" && d.CacheSize == 0 {
		v.failf("docker.cache_size", "a cache in memory needs a limit")
	}
	if d.Cache == "tmpfs" && d.Memory != 0 && d.Memory <= d.CacheSize {
		v.failf("docker.memory", "%s has no room for a cache of docker.cache_size in memory, which is %s (%s)", d.Memory, d.CacheSize, v.origins["docker.cache_size"])
	}
	api, apiLast, err := ParsePorts(d.Ports)
	peers, peersLast, peersErr := ParsePorts(d.P2PPorts)
	if err == nil && peersErr == nil && d.P2PPorts != "" && api <= peersLast && peers <= apiLast {
		v.failf("docker.p2p_ports", "%s and docker.ports, which is %s (%s), share ports", d.P2PPorts, d.Ports, v.origins["docker.ports"])
	}
}

func (v *validator) engine(c *Config) {
	e := c.Engine
	ports := map[int]string{}
	for _, port := range []struct {
		key    string
		number int
	}{{"engine.http_port", e.HTTPPort}, {"engine.https_port", e.HTTPSPort}, {"engine.p2p_port", e.P2PPort}} {
		if before, ok := ports[port.number]; ok && port.number != 0 {
			v.failf(port.key, "port %d is also %s: each needs its own", port.number, before)
		}
		ports[port.number] = port.key
	}
	switch {
	case e.HTTPSCert != "" && e.HTTPSKey == "":
		v.failf("engine.https_cert", "a certificate needs its key: set engine.https_key too")
	case e.HTTPSCert == "" && e.HTTPSKey != "":
		v.failf("engine.https_key", "a key needs its certificate: set engine.https_cert too")
	case e.HTTPSCert != "" && e.HTTPSPort == 0:
		v.failf("engine.https_cert", "TLS is off: set engine.https_port too")
	}
	if e.Window > e.CacheLimit {
		v.failf("engine.window", "%s is more than engine.cache_limit, which is %s (%s)", e.Window, e.CacheLimit, v.origins["engine.cache_limit"])
	}
}

// Provider is pool.provider with auto settled: [ProviderNative],
// [ProviderDocker] or [ProviderStatic] in a valid Config.
func (c Config) Provider() string {
	switch {
	case c.Pool.Provider != ProviderAuto:
		return c.Pool.Provider
	case len(c.Static.Engines) > 0:
		return ProviderStatic
	case c.Docker.Image != "":
		return ProviderDocker
	default:
		return ProviderNative
	}
}
