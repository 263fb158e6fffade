// Package config is the one tree of settings: it loads them from a file, the
// environment and flags, checks them, and explains them.
//
// Every setting is a field of [Config], and its name is the path of yaml tags
// that leads to it. One name takes three forms: pool.min in the file,
// ACEQUIA_POOL_MIN in the environment, --pool.min on the command line. A later
// place overrides an earlier one: defaults, file, environment, flags.
//
// The tags of a field are all that there is to say about a setting:
//
//	yaml     its name within its section
//	default  its default, written as a person would write it
//	auto     how the default is worked out, where that depends on the machine
//	doc      what it does, in one or more sentences
//	enum     the words allowed, separated by commas
//	min, max the bounds, both allowed themselves
//	format   the form of the text or of each item; see formats
//	secret   "true" keeps the value out of print and adds NAME_file
//	reload   "true" where a running server takes a new value at once
//
// One walk over those tags ([Keys]) feeds the loader, the checks, the printed
// settings, the reference and the JSON schema, so that they cannot disagree.
package config

import "time"

// Values of pool.provider.
const (
	ProviderAuto   = "auto"
	ProviderNative = "native"
	ProviderStatic = "static"
	ProviderDocker = "docker"
)

// Values of log.format.
const (
	LogAuto = "auto"
	LogText = "text"
	LogJSON = "json"
)

// Config holds every setting. It is a plain value: whoever loads it owns it,
// and copies share nothing but the backing arrays of its lists, which nobody
// changes after [Load].
type Config struct {
	Listen          string        `yaml:"listen" default:":6878" format:"listen" doc:"Address (host:port) of the one port that players and people use. No host means every interface; port 0 takes any free port."`
	Data            string        `yaml:"data" auto:"/config where it exists and is writable (a container), else $XDG_DATA_HOME/acequia, else ~/.local/share/acequia" doc:"Directory for everything kept on disk. A file acequia.yaml in it is the settings file unless --config names another."`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" default:"10s" min:"0s" max:"10m" doc:"How long an orderly stop may take before what is left is cut off. 0 cuts at once."`

	Auth         Auth         `yaml:"auth" doc:"Who may do what. The admin API and the dashboard always need a key or a login; these settings say which, and who may play."`
	Log          Log          `yaml:"log" doc:"What is logged, and how."`
	Debug        Debug        `yaml:"debug" doc:"Looking inside a running process."`
	Pool         Pool         `yaml:"pool" doc:"The engines kept ready."`
	Docker       Docker       `yaml:"docker" doc:"Engines in containers, for pool.provider docker."`
	Static       Static       `yaml:"static" doc:"Engines that run elsewhere, for pool.provider static."`
	Orchestrator Orchestrator `yaml:"orchestrator" doc:"Whose engines acequia proxy plays on."`
	Playback     Playback     `yaml:"playback" doc:"How content reaches players."`
	Engine       Engine       `yaml:"engine" doc:"The native engine: of acequia engine, and of each engine that the native provider starts. The provider chooses the ports and the data directory of the engines it starts."`
	Official     Official     `yaml:"official" doc:"The official engine that acequia engine --official runs, besides engine.http_port, https_port, p2p_port, bind_all, cache_limit, internal_buffering, upload_limit and download_limit, which both kinds of engine have."`
}

// Values of auth.playback and auth.metrics.
const (
	AccessOpen = "open"
	AccessLAN  = "lan"
	AccessKey  = "key"
)

// Auth says who may do what.
type Auth struct {
	AdminPassword    string        `yaml:"admin_password" secret:"true" format:"password" doc:"Password of the user admin. Without it one is made at the first start and shown once in the log; acequia auth password makes another."`
	AdminKey         string        `yaml:"admin_key" secret:"true" format:"api_key" doc:"A key that may do everything, for programs. More keys are made with acequia auth key add."`
	OperateKey       string        `yaml:"operate_key" secret:"true" format:"api_key" doc:"A key that may see everything and act on engines, streams and viewers."`
	ReadKey          string        `yaml:"read_key" secret:"true" format:"api_key" doc:"A key that may see everything and change nothing; for monitoring."`
	PlaybackKey      string        `yaml:"playback_key" secret:"true" format:"api_key" doc:"A key that may play and nothing else; goes into the address as token=KEY."`
	Playback         string        `yaml:"playback" default:"lan" enum:"open,lan,key" reload:"true" doc:"Who plays without a key: open is everybody, lan is this machine and the local network (private, loopback and link-local addresses), key is nobody."`
	PlaybackNetworks []string      `yaml:"playback_networks" format:"network" reload:"true" doc:"More networks (CIDR or addresses) that play without a key under auth.playback lan, such as 100.64.0.0/10 for a VPN."`
	Metrics          string        `yaml:"metrics" default:"lan" enum:"open,lan,key" reload:"true" doc:"Who reads /metrics without a key, in the words of auth.playback. With a key it takes one that may read."`
	TrustedNetworks  []string      `yaml:"trusted_networks" format:"network" reload:"true" doc:"Networks (CIDR or addresses) that use the admin API and the dashboard without a login, with the rights of auth.trusted_scope. None by default: everybody there is admin."`
	TrustedScope     string        `yaml:"trusted_scope" default:"admin" enum:"read,operate,admin" reload:"true" doc:"What auth.trusted_networks may do."`
	TrustedProxies   []string      `yaml:"trusted_proxies" format:"network" reload:"true" doc:"Reverse proxies (CIDR or addresses) that tell in X-Forwarded-For whom they speak for. Requests through any other proxy count as coming from outside the local network."`
	Session          time.Duration `yaml:"session" default:"720h" min:"5m" max:"8760h" reload:"true" doc:"How long a login lasts."`
}

// Log says what is logged and in which form.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error" reload:"true" doc:"The least important level that is logged."`
	Format string `yaml:"format" default:"auto" enum:"auto,text,json" doc:"text for people, json for collectors; auto writes text on a terminal and json elsewhere."`
}

// Debug opens windows into the process.
type Debug struct {
	Pprof bool `yaml:"pprof" default:"false" doc:"Serve Go profiles under /debug/pprof/. Profiles tell a lot about a process: leave it off where strangers reach the port."`
}

// Pool says how many engines there are and where they come from.
type Pool struct {
	Provider         string        `yaml:"provider" default:"auto" enum:"auto,native,static,docker" doc:"Where engines come from: native starts child processes of this program, docker starts containers as docker.* says, static uses the engines of static.engines; auto is static where static.engines is set, docker where docker.image is set, else native: containers need an image that is not on every machine, and a socket that is as good as root, so nobody gets them unasked."`
	Min              int           `yaml:"min" default:"2" min:"0" max:"1000" reload:"true" doc:"Engines kept ready with nobody watching."`
	Max              int           `yaml:"max" default:"6" min:"1" max:"1000" reload:"true" doc:"Most engines at any time."`
	StreamsPerEngine int           `yaml:"streams_per_engine" default:"2" min:"1" max:"1000" doc:"Most streams on one engine at a time."`
	OpensPerEngine   int           `yaml:"opens_per_engine" default:"2" min:"1" max:"1000" doc:"Most contents being opened on one engine at a time. Engines have been seen to hang when many are."`
	Spare            int           `yaml:"spare" default:"0" min:"0" max:"1000" doc:"Streams for which there is always room on a ready engine, beyond those that play. Engines are started beforehand to keep it so."`
	LookAhead        int           `yaml:"look_ahead" default:"1" min:"0" max:"1000" doc:"The same, only while somebody is watching: the next one to sit down does not wait for an engine to start."`
	Wait             time.Duration `yaml:"wait" default:"10s" min:"0s" max:"5m" doc:"How long a playback waits for room on an engine before it is refused."`
	StartTimeout     time.Duration `yaml:"start_timeout" default:"60s" min:"1s" max:"1h" doc:"How long a new engine may take to become ready before it is given up."`
	IdleTTL          time.Duration `yaml:"idle_ttl" default:"5m" min:"0s" max:"168h" doc:"How long an engine that is not needed must be unused before it is stopped."`
	Cooldown         time.Duration `yaml:"cooldown" default:"1m" min:"0s" max:"24h" doc:"How long after the start of an engine none is stopped for being idle."`
	DrainTimeout     time.Duration `yaml:"drain_timeout" default:"5m" min:"0s" max:"24h" doc:"How long an engine that somebody removes may keep the streams that cannot move elsewhere. 0 waits for them."`
	UnhealthyTTL     time.Duration `yaml:"unhealthy_ttl" default:"15s" min:"0s" max:"1h" doc:"How long an engine may not answer, after that was noticed, before it is replaced."`
	DegradedTTL      time.Duration `yaml:"degraded_ttl" default:"1m" min:"0s" max:"24h" doc:"How long an engine on which contents fail must be unused before it is replaced."`
	MaxAge           time.Duration `yaml:"max_age" default:"24h" min:"0s" max:"8760h" doc:"An unused engine older than this is replaced, since engines grow and slow down with time. 0 lets them grow old."`
	MaxMemory        Size          `yaml:"max_memory" default:"0" doc:"An unused engine with this much memory in use is replaced, where the provider can measure it. 0 leaves that to the limit of its container, of which nine tenths count."`
	MaxCache         Size          `yaml:"max_cache" default:"8GiB" doc:"An unused engine whose cache is this large has it cleared, or is replaced. 0 lets caches grow."`
	Inspect          time.Duration `yaml:"inspect" default:"30s" min:"1s" max:"1h" doc:"How often engines are looked at for their network, cache, memory and leftovers."`
	Quarantine       time.Duration `yaml:"quarantine" default:"10m" min:"0s" max:"24h" doc:"How long content is kept away from engines after pool.quarantine_after of them died while it was playing."`
	LeaseTTL         time.Duration `yaml:"lease_ttl" default:"15s" min:"3s" max:"10m" doc:"How long a slot stays with another process (acequia proxy) that borrowed it and has not been heard of. It is heard of every third of that."`
	QuarantineAfter  int           `yaml:"quarantine_after" default:"3" min:"0" max:"1000" doc:"How many engines must have died with the same content playing. 0 keeps nothing away."`
}

// Docker says where containers run and what they are.
type Docker struct {
	Hosts     []string `yaml:"hosts" default:"unix:///var/run/docker.sock" format:"docker_host" doc:"Docker hosts to run engines on: unix:///path, tcp://host:2375 (a socket proxy), tls://host:2376, ssh://user@host (by the ssh of this system). A name may go before it, as in nas=ssh://me@192.168.1.5."`
	TLSDir    string   `yaml:"tls_dir" doc:"Directory with ca.pem, cert.pem and key.pem for tls:// hosts."`
	Image     string   `yaml:"image" doc:"Image of the engines. Empty takes the usual one of docker.profile."`
	Profile   string   `yaml:"profile" default:"auto" enum:"auto,acequia-engine,acequia-engine-official,acestream-http-proxy,acestream-http-proxy-krinkuto11,nano-ace,aceserve,custom" doc:"How the image takes its settings: that of a known image, or custom, as docker.custom.* describes it. auto goes by the name of docker.image."`
	Pull      string   `yaml:"pull" default:"missing" enum:"missing,always,never" doc:"When the image is pulled: when a host does not have it, each time that a host is connected to, or never."`
	Instance  string   `yaml:"instance" doc:"Name by which containers of this installation are told from those of others on the same host, in lower-case letters, digits and hyphens. Empty takes one that follows from a secret in the data directory."`
	Network   string   `yaml:"network" default:"auto" doc:"Docker network that engines join and are reached on. auto joins that of the container that Acequia runs in, and publishes ports where it runs in none; publish always publishes ports; anything else is the name of a network."`
	Address   string   `yaml:"address" format:"ip" doc:"Address of the Docker host that ports are published on. Empty is 127.0.0.1 for the local daemon, else the address that the host is reached by. Engines have no password."`
	Ports     string   `yaml:"ports" default:"26878-26977" format:"ports" doc:"Ports of the Docker host that engine APIs are published on, where they are; one for each engine."`
	P2PPorts  string   `yaml:"p2p_ports" format:"ports" doc:"Ports of the Docker host that are published for peers, one for each engine, on every interface. Empty publishes none: engines connect to peers, and peers cannot connect to them."`
	Memory    Size     `yaml:"memory" default:"2GiB" doc:"Most memory of one engine, with its cache where docker.cache is tmpfs. 0 means no limit."`
	CPUs      string   `yaml:"cpus" default:"0" format:"cpus" doc:"Most processors that one engine may keep busy, such as 1.5. 0 means no limit."`
	Cache     string   `yaml:"cache" default:"volume" enum:"volume,tmpfs" doc:"Where an engine keeps what it caches on disk: in a volume that goes with its container, or in memory."`
	CacheSize Size     `yaml:"cache_size" default:"2GiB" doc:"Most bytes of one engine's cache, as far as the image can be told. 0 leaves it to the engine."`
	LogSize   Size     `yaml:"log_size" default:"10MiB" doc:"Most bytes of one container's log. 0 leaves it to the daemon."`
	Args      []string `yaml:"args" doc:"Further flags for the engine."`
	Env       []string `yaml:"env" format:"variable" doc:"Further variables (NAME=value) for the container."`

	Custom DockerCustom `yaml:"custom" doc:"The image that docker.profile custom describes. In args and env stand {http_port}, {p2p_port}, {cache_dir}, {cache_bytes}, {cache_gb} and {token} for what they name."`
}

// DockerCustom describes an image that is not known.
type DockerCustom struct {
	HTTPPort int      `yaml:"http_port" default:"6878" min:"1" max:"65535" doc:"Port of the engine API inside the container."`
	P2PPort  int      `yaml:"p2p_port" default:"8621" min:"0" max:"65535" doc:"Port for peers inside the container."`
	Native   bool     `yaml:"native" default:"false" doc:"The image holds a native engine, which plays no content ids."`
	Args     []string `yaml:"args" doc:"Command of the container. Empty leaves that of the image."`
	Env      []string `yaml:"env" format:"variable" doc:"Variables (NAME=value) of the container."`
	FlagsEnv string   `yaml:"flags_env" doc:"Variable that takes the flags of docker.args. Empty adds them to the command."`
	CacheDir string   `yaml:"cache_dir" doc:"Directory of the cache inside the container. Empty says that there is none."`
	Scratch  []string `yaml:"scratch" doc:"Further directories that are written to, for docker.custom.read_only."`
	ReadOnly bool     `yaml:"read_only" default:"false" doc:"Run with a root that cannot be written."`
	Shm      Size     `yaml:"shm" default:"0" doc:"Size of /dev/shm. 0 is the daemon's."`
	Init     bool     `yaml:"init" default:"true" doc:"Run a small process 1 that reaps, for an image that brings none."`
	Caps     []string `yaml:"caps" doc:"Capabilities that the image cannot do without; all others are dropped."`
	User     string   `yaml:"user" doc:"User (uid:gid) that owns the cache and the scratch directories. Empty is root."`
}

// Orchestrator says whose engines acequia proxy plays on.
type Orchestrator struct {
	URL string `yaml:"url" format:"server_url" doc:"Address of the Acequia whose engines acequia proxy plays on. The addresses that it has of them must lead to them from the proxy too."`
	Key string `yaml:"key" secret:"true" format:"api_key" doc:"A key of that server with the scope operate: acequia auth key add makes one there."`
}

// Static names engines that somebody else runs.
type Static struct {
	Engines []string `yaml:"engines" format:"engine_url" doc:"URLs of the engines, each http://host:port. On the command line and in the environment separate them with commas."`
}

// Playback holds the times and sizes of the way from an engine to a player.
type Playback struct {
	Linger       time.Duration `yaml:"linger" default:"15s" min:"0s" max:"24h" doc:"How long a stream goes on after its last viewer left, so that coming back is instant."`
	StartTimeout time.Duration `yaml:"start_timeout" default:"30s" min:"100ms" max:"1h" doc:"How long a player waits for the first byte, over all engines tried, before it gets an error."`
	StallTimeout time.Duration `yaml:"stall_timeout" default:"5s" min:"100ms" max:"1h" doc:"How long a running stream may deliver nothing before its source counts as failed."`
	Burst        time.Duration `yaml:"burst" default:"3s" min:"0s" max:"1m" doc:"How far behind live a viewer joins a running stream. That much is sent at once, so that the picture is there at once and survives small gaps."`
	Hedge        time.Duration `yaml:"hedge" default:"10s" min:"0s" max:"1h" doc:"When an engine has sent nothing for this long while a stream starts, the content is opened on a second engine too, and the first to deliver wins. 0 never opens a second."`
	Outage       time.Duration `yaml:"outage" default:"60s" min:"0s" max:"1h" doc:"How long viewers are kept while every engine has lost the content, in case it comes back."`
	Buffer       Size          `yaml:"buffer" default:"32MiB" min:"1MiB" max:"4GiB" doc:"Memory for one stream, shared by all its viewers. A viewer further behind than this skips ahead."`
	Memory       Size          `yaml:"memory" auto:"a quarter of the memory of the machine or container, at least 64MiB" doc:"Memory for the buffers of all streams together. Where it does not suffice for playback.buffer each, buffers shrink evenly, down to what playback.burst needs; after that, new streams are refused. 0 means no limit."`
	MaxViewers   int           `yaml:"max_viewers" default:"1000" min:"0" doc:"Most viewers of one stream: connections and HLS sessions. More are refused, so that a player run wild cannot take the stream from the others. 0 means no limit."`
	MaxStreams   int           `yaml:"max_streams" default:"0" min:"0" doc:"Most streams at once. One more ends a stream that nobody watches any more, or is refused. 0 means as many as the engines take."`
	WriteTimeout time.Duration `yaml:"write_timeout" default:"60s" min:"1s" max:"1h" doc:"How long a viewer may take nothing before its connection is closed."`
	HLSSegment   time.Duration `yaml:"hls_segment" default:"3s" min:"2s" max:"10s" doc:"How long HLS segments are made, as closely as the key frames of the content allow."`
	HLSWindow    int           `yaml:"hls_window" default:"8" min:"6" max:"60" doc:"How many segments an HLS playlist lists."`
	HLSPart      time.Duration `yaml:"hls_part" default:"500ms" min:"200ms" max:"1s" doc:"How long the parts of segments are at most, for players that ask for low latency."`

	Timeshift      time.Duration `yaml:"timeshift" default:"0s" min:"0s" max:"24h" doc:"How much of each live stream is kept on disk, in the data directory, so that players can begin that far back (seekback=600 in the address). 0 keeps nothing: they can go back as far as playback.buffer reaches. It is removed with the stream."`
	TimeshiftLimit Size          `yaml:"timeshift_limit" default:"16GiB" min:"64MiB" doc:"Most disk space that playback.timeshift takes, for all streams together. Where it is short, the oldest goes first, of whichever stream. 1 GiB of the disk, or a tenth of a small one, is left free in any case."`
}

// Engine holds the settings of one native engine.
type Engine struct {
	HTTPPort          int           `yaml:"http_port" default:"6878" min:"0" max:"65535" doc:"TCP port of the engine API and of playback. 0 takes any free port."`
	HTTPSPort         int           `yaml:"https_port" default:"0" min:"0" max:"65535" doc:"TCP port of the same over TLS. 0 turns TLS off."`
	HTTPSCert         string        `yaml:"https_cert" doc:"PEM file with the TLS certificate and its chain. Without one, a self-signed certificate is made once and kept in the data directory."`
	HTTPSKey          string        `yaml:"https_key" doc:"PEM file with the private key of engine.https_cert."`
	P2PPort           int           `yaml:"p2p_port" default:"8621" min:"0" max:"65535" doc:"TCP and UDP port for peers. 0 takes any free port."`
	P2PHost           string        `yaml:"p2p_host" format:"ip" doc:"Address that engine.p2p_port binds to. Empty is every interface, which is what peers need; 127.0.0.1 keeps to this machine."`
	BindAll           bool          `yaml:"bind_all" default:"false" doc:"Serve the engine API on every interface instead of on loopback only. The API has no password."`
	Hosts             []string      `yaml:"hosts" doc:"DNS names by which clients call the engine API, beside IP addresses, localhost and names of the local network. Others are refused, so that no web page can reach the engine through a name of its own."`
	CacheLimit        Size          `yaml:"cache_limit" default:"1GiB" min:"16MiB" doc:"Most bytes of content kept, over all content together. The least recently played goes first; what plays stays."`
	Window            Size          `yaml:"window" default:"128MiB" min:"16MiB" doc:"Most memory for the pieces around the place where one content is played."`
	DiskCache         bool          `yaml:"disk_cache" default:"false" doc:"Keep content on disk in the data directory behind the memory window, up to engine.cache_limit."`
	InternalBuffering bool          `yaml:"internal_buffering" default:"false" doc:"Hold playback back until engine.buffer of content is there."`
	Buffer            time.Duration `yaml:"buffer" default:"3s" min:"0s" max:"5m" doc:"How much content engine.internal_buffering waits for, in playing time."`
	UploadLimit       Size          `yaml:"upload_limit" default:"0" doc:"Most bytes per second sent to peers. 0 means no limit."`
	DownloadLimit     Size          `yaml:"download_limit" default:"0" doc:"Most bytes per second received from peers. 0 means no limit."`
	DHT               bool          `yaml:"dht" default:"true" doc:"Find peers through the distributed hash table."`
	PEX               bool          `yaml:"pex" default:"true" doc:"Find peers by asking peers (peer exchange)."`
	LSD               bool          `yaml:"lsd" default:"true" doc:"Find peers on the local network (local service discovery)."`
	HTTPTrackers      bool          `yaml:"http_trackers" default:"true" doc:"Find peers through the HTTP and HTTPS trackers that content names."`
	UDPTrackers       bool          `yaml:"udp_trackers" default:"true" doc:"Find peers through the UDP trackers that content names."`
	Metadata          bool          `yaml:"metadata" default:"true" doc:"Ask peers for the description of content that is given by infohash or magnet link. Off, only .torrent files play."`
	Webseeds          bool          `yaml:"webseeds" default:"false" doc:"Fetch pieces from the web servers that content names. Off, because content could name servers of the network behind the engine."`
	UTP               bool          `yaml:"utp" default:"false" doc:"Exchange data over uTP (UDP) besides TCP. Off, because nearly every peer takes TCP, and the implementation that needs no C compiler is the less tried one."`
	UPnP              bool          `yaml:"upnp" default:"false" doc:"Ask the router to forward engine.p2p_port."`
	Peers             []string      `yaml:"peers" format:"hostport" doc:"Peers (host:port) that are dialled for every content, besides those found."`
	StartTimeout      time.Duration `yaml:"start_timeout" default:"20s" min:"100ms" max:"1h" doc:"How long opening content may take until its metadata is there."`
	Supervised        bool          `yaml:"supervised" default:"false" doc:"Stop when standard input ends. For programs that run the engine as a child: it never outlives them."`
	AllowPrivateURLs  bool          `yaml:"allow_private_urls" default:"false" doc:"Fetch transport files from URLs at private, loopback and link-local addresses too. Off, nobody can use the engine to reach into the network behind it."`
}
