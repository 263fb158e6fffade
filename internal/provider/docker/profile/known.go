package profile

// The names of the known profiles, and of the one that settings describe.
const (
	AcequiaEngine   = "acequia-engine"
	AcequiaOfficial = "acequia-engine-official"
	HTTPProxy       = "acestream-http-proxy"
	HTTPProxyFork   = "acestream-http-proxy-krinkuto11"
	NanoAce         = "nano-ace"
	AceServe        = "aceserve"
	Custom          = "custom"
)

// apiPath is asked for an engine's version
// (https://docs.acestream.net/developers/start-playback/).
const apiPath = "/webui/api/service?method=get_version"

// usual are the ports that an engine has by itself
// (https://docs.acestream.net/developers/engine-command-line-options/).
const usualHTTP, usualP2P = 6878, 8621

// Known returns the profiles that are known. The caller owns them.
func Known() []Profile {
	return []Profile{acequiaEngine(), acequiaOfficial(), httpProxy(), httpProxyFork(), nanoAce(), aceServe()}
}

// acequiaEngine is deploy/Dockerfile run as a native engine.
func acequiaEngine() Profile {
	return Profile{
		Name:   AcequiaEngine,
		Images: []string{"ghcr.io/acequia-tv/acequia-engine", "acequia-engine", "ghcr.io/acequia-tv/acequia", "acequia"},
		Image:  "ghcr.io/acequia-tv/acequia-engine",
		Source: "deploy/Dockerfile",
		Native: true,

		HTTPPort: usualHTTP, P2PPort: usualP2P, HealthPath: apiPath,
		Args: []string{
			"engine", "--engine.bind_all", "--engine.http_port={http_port}", "--engine.p2p_port={p2p_port}",
			"--engine.cache_limit={cache_bytes}", "--engine.window=64MiB", "--engine.disk_cache", "--data={cache_dir}",
		},
		CacheDir: "/config", Scratch: []string{"/tmp"},
		ReadOnly: true, User: "65532:65532",
	}
}

// acequiaOfficial is AceStream Engine under our supervisor. It takes the
// variables of acestream-http-proxy, and further flags of the engine.
func acequiaOfficial() Profile {
	return Profile{
		Name:          AcequiaOfficial,
		Images:        []string{"ghcr.io/acequia-tv/acequia-engine-official", "acequia-engine-official"},
		Image:         "ghcr.io/acequia-tv/acequia-engine-official",
		Source:        "deploy/",
		Architectures: []string{"amd64"},

		HTTPPort: usualHTTP, P2PPort: usualP2P, HealthPath: apiPath,
		Env: []string{
			"HTTP_PORT={http_port}", "P2P_PORT={p2p_port}", "BIND_ALL=true", "CACHE_LIMIT={cache_gb}",
			"EXTRA_FLAGS=--access-token={token}",
		},
		FlagsEnv: "EXTRA_FLAGS",
		CacheDir: "/data", Scratch: []string{"/tmp"},
		ReadOnly: true, User: "65532:65532", TakesToken: true,
	}
}

// httpProxy keeps its live cache in memory, runs as uid 1000 under catatonit,
// and passes on EXTRA_FLAGS
// (https://github.com/martinbjeldbak/acestream-http-proxy: Dockerfile,
// entrypoint.sh). Options that take a value are written with "=": apart, a
// value ends the engine
// (https://github.com/martinbjeldbak/acestream-http-proxy/issues/39).
func httpProxy() Profile {
	return Profile{
		Name:          HTTPProxy,
		Images:        []string{"ghcr.io/martinbjeldbak/acestream-http-proxy", "martinbjeldbak/acestream-http-proxy"},
		Image:         "ghcr.io/martinbjeldbak/acestream-http-proxy",
		Source:        "https://github.com/martinbjeldbak/acestream-http-proxy",
		Architectures: []string{"amd64"},

		HTTPPort: usualHTTP, P2PPort: usualP2P, HealthPath: apiPath,
		Env: []string{
			"ALLOW_REMOTE_ACCESS=yes",
			"EXTRA_FLAGS=--http-port={http_port} --port={p2p_port} --access-token={token}",
		},
		FlagsEnv: "EXTRA_FLAGS", TakesToken: true,
		CacheDir: "/home/appuser/.ACEStream", User: "1000:1000",
	}
}

// httpProxyFork writes the variables to the engine's file of settings in /app,
// which is therefore left writable. BIND_ALL is on with any text
// (https://github.com/krinkuto11/acestream-http-proxy: README.md, entrypoint.sh). Further
// flags have no way in.
func httpProxyFork() Profile {
	return Profile{
		Name:          HTTPProxyFork,
		Images:        []string{"ghcr.io/krinkuto11/acestream-http-proxy", "krinkuto11/acestream-http-proxy"},
		Image:         "ghcr.io/krinkuto11/acestream-http-proxy",
		Source:        "https://github.com/krinkuto11/acestream-http-proxy",
		Architectures: []string{"amd64"},

		HTTPPort: usualHTTP, P2PPort: usualP2P, HealthPath: apiPath,
		Env: []string{
			"HTTP_PORT={http_port}", "P2P_PORT={p2p_port}", "BIND_ALL=true", "CACHE_LIMIT={cache_gb}",
		},
		Init: true,
	}
}

// nanoAce has no shell: its command is the engine's
// (https://github.com/krinkuto11/nano-ace: Dockerfile.3.2.11-py3.10), and
// nothing in it can check its health.
func nanoAce() Profile {
	return Profile{
		Name:          NanoAce,
		Images:        []string{"ghcr.io/krinkuto11/nano-ace", "krinkuto11/nano-ace"},
		Image:         "ghcr.io/krinkuto11/nano-ace",
		Source:        "https://github.com/krinkuto11/nano-ace",
		Architectures: []string{"amd64"},

		HTTPPort: usualHTTP, P2PPort: usualP2P, HealthPath: apiPath,
		Args: []string{
			"/acestream/start-engine", "--client-console", "--bind-all", "--http-port={http_port}", "--port={p2p_port}",
			"--live-cache-type=memory", "--cache-dir={cache_dir}", "--cache-limit={cache_gb}", "--access-token={token}",
		},
		CacheDir: "/acestream/.ACEStream", Init: true, TakesToken: true,
	}
}

// aceServe is the engine of Android on Alpine, with its home in /dev/shm, which
// by default has too little room for its cache
// (https://github.com/jopsis/docker-acestream-aceserve: README.md, main.py).
// It does not run on kernels with pages of 16 KiB (issue 1 there).
func aceServe() Profile {
	return Profile{
		Name:          AceServe,
		Images:        []string{"jopsis/aceserve", "jopsis/acestream", "ghcr.io/krinkuto11/acestream", "ghcr.io/krinkuto11/aceserve"},
		Image:         "jopsis/aceserve",
		Source:        "https://github.com/jopsis/docker-acestream-aceserve",
		Architectures: []string{"amd64", "arm64", "arm"},

		HTTPPort: usualHTTP, P2PPort: usualP2P, HealthPath: apiPath,
		Args: []string{
			"python", "main.py", "--bind-all", "--http-port={http_port}", "--port={p2p_port}", "--live-cache-type=memory",
			"--live-mem-cache-size=104857600", "--disable-sentry", "--log-stdout", "--disable-upnp",
		},
		Shm: 1 << 30, Init: true,
	}
}
