package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// valid is the defaults with a data directory.
func valid(t *testing.T) Config {
	t.Helper()
	settings, err := Load(from(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return settings.Config
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"defaults", func(*Config) {}, nil},
		{"several at once", func(c *Config) { c.Listen, c.Pool.Max, c.Log.Level = "6878", 0, "inf" }, []string{
			`listen: "6878" is only a port: write ":6878"`,
			`log.level: "inf" is not one of debug, info, warn, error; did you mean info?`,
			`pool.max: 0 is too small: the least is 1`,
			`pool.min: 2 is more than pool.max, which is 0 (default)`,
		}},
		{"no data directory", func(c *Config) { c.Data = "" }, []string{
			"data: no directory: there is neither a home directory nor /config here, so name one with --data",
		}},
		{"bounds of each kind", func(c *Config) {
			c.ShutdownTimeout, c.Playback.Buffer, c.Engine.HTTPPort = -time.Second, 5*GiB, 70000
		}, []string{
			"shutdown_timeout: -1s is too small: the least is 0",
			"playback.buffer: 5GiB is too large: the most is 4GiB",
			"engine.http_port: 70000 is too large: the most is 65535",
		}},
		{"control characters", func(c *Config) { c.Data = "/a\nb" }, []string{
			`data: "/a\nb" contains characters that cannot be printed`,
		}},
		{"docker without a host", func(c *Config) { c.Pool.Provider, c.Docker.Hosts = "docker", nil }, []string{
			"docker.hosts: no Docker host is named: the usual one is unix:///var/run/docker.sock",
		}},
		{"docker with a cache larger than the memory it is in", func(c *Config) {
			c.Docker.Image, c.Docker.Cache, c.Docker.CacheSize = "acequia", "tmpfs", 2<<30
		}, []string{"docker.memory: 2GiB has no room for a cache of docker.cache_size in memory, which is 2GiB (default)"}},
		{"docker with ports for two things", func(c *Config) {
			c.Pool.Provider, c.Docker.P2PPorts = "docker", "26977-26999"
		}, []string{"docker.p2p_ports: 26977-26999 and docker.ports, which is 26878-26977 (default), share ports"}},
		{"docker of a kind nobody described", func(c *Config) { c.Pool.Provider, c.Docker.Profile = "docker", "custom" }, []string{
			"docker.image: a custom profile needs the image that it describes",
		}},
		{"static without engines", func(c *Config) { c.Pool.Provider = "static" }, []string{
			"pool.provider: static needs engines: name them in static.engines, such as http://host:6878",
		}},
		{"engines", func(c *Config) {
			c.Static.Engines = []string{"http://a:1", "a:1", "ftp://b:1", "http://c", "http://d:1/ace", "http://u:secret@e:1", "http://A:1/", "http://f:0", "http://[::1]:6878", "http://:1"}
		}, []string{
			`static.engines: "a:1" is not the URL of an engine: write http://host:port`,
			`static.engines: "ftp://b:1" is not the URL of an engine: write http://host:port`,
			`static.engines: "http://c" names no port: the usual one is http://c:6878`,
			`static.engines: "http://d:1/ace" goes on after the port: write only http://host:port`,
			`static.engines: the URL of an engine cannot carry a user name: engines have no log-in`,
			`static.engines: "0" is not a port: write a number from 1 to 65535`,
			`static.engines: "http://:1" is not the URL of an engine: write http://host:port`,
			`static.engines: "http://a:1" and "http://A:1/" are the same engine`,
		}},
		{"orchestrator", func(c *Config) { c.Orchestrator.URL = "ftp://b:1" }, []string{
			`orchestrator.url: "ftp://b:1" is not the address of a server: write http://host:port`,
		}},
		{"orchestrator with a password", func(c *Config) { c.Orchestrator.URL = "http://u:secret@e:1" }, []string{
			`orchestrator.url: the address of a server cannot carry a user name: set orchestrator.key`,
		}},
		{"orchestrator with a query", func(c *Config) { c.Orchestrator.URL = "https://e/acequia/?x=1" }, []string{
			`orchestrator.url: "https://e/acequia/?x=1" goes on after the path: write only http://host:port`,
		}},
		{"listen", func(c *Config) { c.Listen = "0.0.0.0:99999" }, []string{
			`listen: "99999" is not a port: write a number from 0 to 65535`,
		}},
		{"listen without a port", func(c *Config) { c.Listen = "localhost" }, []string{
			`listen: "localhost" is not an address: write host:port, or :port for every interface`,
		}},
		{"peers", func(c *Config) { c.Engine.Peers = []string{"[::1]:1", "::1", ":8621", "a:+1", "b:8621"} }, []string{
			`engine.peers: "::1" is not an address: write host:port, with an IPv6 address in brackets`,
			`engine.peers: ":8621" is not an address: write host:port, with an IPv6 address in brackets`,
			`engine.peers: "+1" is not a port: write a number from 1 to 65535`,
		}},
		{"ports collide", func(c *Config) { c.Engine.HTTPSPort, c.Engine.P2PPort = 6878, 6878 }, []string{
			"engine.https_port: port 6878 is also engine.http_port: each needs its own",
			"engine.p2p_port: port 6878 is also engine.https_port: each needs its own",
		}},
		{"any free ports", func(c *Config) { c.Engine.HTTPPort, c.Engine.P2PPort = 0, 0 }, nil},
		{"certificate alone", func(c *Config) { c.Engine.HTTPSPort, c.Engine.HTTPSCert = 1, "/c" }, []string{
			"engine.https_cert: a certificate needs its key: set engine.https_key too",
		}},
		{"key alone", func(c *Config) { c.Engine.HTTPSPort, c.Engine.HTTPSKey = 1, "/k" }, []string{
			"engine.https_key: a key needs its certificate: set engine.https_cert too",
		}},
		{"certificate without TLS", func(c *Config) { c.Engine.HTTPSCert, c.Engine.HTTPSKey = "/c", "/k" }, []string{
			"engine.https_cert: TLS is off: set engine.https_port too",
		}},
		{"window over the cache", func(c *Config) { c.Engine.CacheLimit = 64 * MiB }, []string{
			"engine.window: 128MiB is more than engine.cache_limit, which is 64MiB (default)",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := valid(t)
			test.change(&c)
			err := c.Validate()
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if diff := cmp.Diff(test.want, texts(t, err)); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("the error shows a password")
			}
		})
	}
}

func TestProblemsTellTheOriginOfBothSides(t *testing.T) {
	t.Parallel()
	_, err := Load(from(disk{homeFile: "pool:\n  min: 9\n"}, []string{"ACEQUIA_POOL_MAX=4"}))
	want := []string{"pool.min (" + homeFile + ":2): 9 is more than pool.max, which is 4 (environment ACEQUIA_POOL_MAX)"}
	if diff := cmp.Diff(want, texts(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		provider string
		engines  []string
		want     string
	}{
		{"auto", nil, "native"},
		{"auto", []string{"http://a:1"}, "static"},
		{"native", []string{"http://a:1"}, "native"},
		{"static", []string{"http://a:1"}, "static"},
	} {
		c := Config{Pool: Pool{Provider: test.provider}, Static: Static{Engines: test.engines}}
		if got := c.Provider(); got != test.want {
			t.Errorf("%s with %v is %s; want %s", test.provider, test.engines, got, test.want)
		}
	}
}
