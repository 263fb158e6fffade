package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Official holds the settings of an official engine that this program runs and
// watches (acequia engine --official). What both kinds of engine know is in
// [Engine].
//
// A field with the tag flag is passed to the engine as the flag of the same
// name, with dashes for underscores. Its value says how:
//
//	value    --name=VALUE; nothing for the zero value and for auto
//	present  --name where true
//	switch   --name=1 where on, --name=0 where off, nothing where auto
//	repeated --name=VALUE for each item
//	own      passed on by hand, not by this tag
//
// The flags are those of https://docs.acestream.net/developers/running-engine/
// and of the parameters common to all nodes in
// https://docs.acestream.net/broadcasting/reference/, the ones that are named
// there without an explanation included.
type Official struct {
	Listen         string        `yaml:"listen" default:":6877" format:"optional_listen" doc:"Address (host:port) that answers /livez, /readyz and /metrics about the engine and what watches it. Empty answers nowhere."`
	StartTimeout   time.Duration `yaml:"start_timeout" default:"60s" min:"1s" max:"1h" doc:"How long the engine may take after its start until it answers; then it is started again."`
	StopTimeout    time.Duration `yaml:"stop_timeout" default:"5s" min:"0s" max:"10m" doc:"How long the engine may take to stop when asked; then it is killed with everything it started. Keep it below shutdown_timeout."`
	ProbeInterval  time.Duration `yaml:"probe_interval" default:"5s" min:"100ms" max:"10m" doc:"How often the engine is asked for its version."`
	ProbeFailures  int           `yaml:"probe_failures" default:"3" min:"1" max:"1000" doc:"After how many probes in a row without an answer the engine counts as hanging and is started again."`
	AbandonedLimit int           `yaml:"abandoned_limit" default:"4" min:"0" max:"10000" doc:"How many requests may hang in the engine 2 minutes after their clients gave up. With more of them, and nobody playing, the engine is started again, although it still tells its version. 0 does not look."`
	RestartLimit   int           `yaml:"restart_limit" default:"5" min:"0" max:"1000" doc:"How many times in a row an engine that failed within a minute is started again before the program gives up. 0 gives up at the first failure."`
	CacheInterval  time.Duration `yaml:"cache_interval" default:"1m" min:"100ms" max:"24h" doc:"How often the size of the cache directory is looked at. While nobody plays, a cache larger than engine.cache_limit is cleared."`
	ExtraFlags     string        `yaml:"extra_flags" doc:"More flags of the engine, separated by blanks, as in --log-debug=355 --check-live-pos-interval=5. They go before the settings of the same meaning."`

	AccessToken            string `yaml:"access_token" secret:"true" flag:"own" doc:"The token of the engine's private pages, by which its cache is cleared. Without one a new one is made at each start."`
	ServiceAccessToken     string `yaml:"service_access_token" secret:"true" flag:"value" doc:"The token of the engine's monitoring pages."`
	Login                  string `yaml:"login" flag:"value" doc:"Name of an AceStream account."`
	Password               string `yaml:"password" secret:"true" flag:"value" doc:"Password of that account."`
	ServiceRemoteAccess    bool   `yaml:"service_remote_access" default:"false" flag:"present" doc:"Let others than this machine reach the engine's monitoring pages."`
	ServiceRemoteAllowCORS string `yaml:"service_remote_allow_cors" flag:"value" doc:"Value of --service-remote-allow-cors, which is passed on as it is: it is not documented."`
	MakeDefaultAccessToken string `yaml:"make_default_access_token" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Let the engine make up an access token where it has none. auto leaves it to the engine."`
	AllowUserConfig        bool   `yaml:"allow_user_config" default:"false" flag:"present" doc:"Let the engine read settings of its user from its state directory."`
	UserAgent              string `yaml:"user_agent" flag:"value" doc:"What the engine calls itself in its requests. Empty leaves it to the engine."`

	StateDir    string `yaml:"state_dir" flag:"own" doc:"Directory of the engine's own files. Empty is the directory engine in the data directory."`
	CacheDir    string `yaml:"cache_dir" flag:"own" doc:"Directory of the engine's cache, and of nothing else: what is in it is deleted when it grows too large. Empty is the directory engine-cache in the data directory."`
	MetadataDir string `yaml:"metadata_dir" flag:"value" doc:"Directory of the engine's metadata. Empty leaves it to the engine."`
	PidFileDir  string `yaml:"pid_file_dir" flag:"value" doc:"Directory in which the engine writes its process id. Empty leaves it to the engine."`
	CacheAuto   string `yaml:"cache_auto" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Let the engine choose the size of its cache by the space that is free. auto leaves it to the engine."`

	LiveCacheType                  string        `yaml:"live_cache_type" default:"memory" enum:"auto,memory,disk,hybrid" flag:"value" doc:"Where live content is kept. memory spares the disk, on which every live byte is written otherwise; auto leaves it to the engine, which takes the disk."`
	LiveMemCacheSize               Size          `yaml:"live_mem_cache_size" default:"0" flag:"value" doc:"Most memory for one live content. 0 leaves it to the engine."`
	LiveDiskCacheSize              Size          `yaml:"live_disk_cache_size" default:"0" flag:"value" doc:"Most disk for one live content. 0 leaves it to the engine."`
	LiveCacheAutoSize              string        `yaml:"live_cache_auto_size" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Let the engine choose the size of the live cache by the memory of the machine. auto leaves it to the engine."`
	LiveCacheAutoSizeReserve       Size          `yaml:"live_cache_auto_size_reserve" default:"0" flag:"value" doc:"Memory to leave free when it does. 0 leaves it to the engine."`
	LiveCacheMaxMemoryPercent      int           `yaml:"live_cache_max_memory_percent" default:"0" min:"0" max:"100" flag:"value" doc:"Most memory for it, in hundredths of the machine's. 0 leaves it to the engine."`
	LiveBufferTime                 time.Duration `yaml:"live_buffer_time" default:"0s" min:"0s" max:"1h" flag:"value" doc:"How much live content is fetched before it plays, in whole seconds. 0 leaves it to the engine."`
	LiveMaxBufferTime              time.Duration `yaml:"live_max_buffer_time" default:"0s" min:"0s" max:"1h" flag:"value" doc:"Most live content held ahead, in whole seconds. 0 leaves it to the engine."`
	LiveAdjustBufferTime           string        `yaml:"live_adjust_buffer_time" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Let the engine change official.live_buffer_time as it goes. auto leaves it to the engine."`
	LiveDisableMultipleReadThreads string        `yaml:"live_disable_multiple_read_threads" default:"auto" enum:"auto,on,off" flag:"switch" doc:"One reader for each live content. auto leaves it to the engine."`
	LiveStopMainReadThread         string        `yaml:"live_stop_main_read_thread" default:"auto" enum:"auto,on,off" flag:"switch" doc:"--live-stop-main-read-thread, which is not documented. auto leaves it to the engine."`
	VodCacheType                   string        `yaml:"vod_cache_type" default:"auto" enum:"auto,memory,disk" flag:"value" doc:"Where files are kept. auto leaves it to the engine, which takes the disk."`
	DiskCacheLimit                 Size          `yaml:"disk_cache_limit" default:"0" flag:"value" doc:"Most disk for all content. 0 leaves it to engine.cache_limit."`
	MemoryCacheLimit               Size          `yaml:"memory_cache_limit" default:"0" flag:"value" doc:"Most memory for all content. 0 leaves it to the engine."`
	DiskCacheCleanupActive         string        `yaml:"disk_cache_cleanup_interval_active" flag:"value" doc:"Value of --disk-cache-cleanup-interval-active, which is passed on as it is: it is not documented."`
	DiskCacheCleanupInactive       string        `yaml:"disk_cache_cleanup_interval_inactive" flag:"value" doc:"Value of --disk-cache-cleanup-interval-inactive, which is passed on as it is: it is not documented."`
	DeletePiecesBeforePlayback     string        `yaml:"delete_pieces_before_playback" flag:"value" doc:"Value of --delete-pieces-before-playback, which is passed on as it is: it is not documented."`
	DeletePiecesBeforePlaybackMax  string        `yaml:"delete_pieces_before_playback_max_iterations" flag:"value" doc:"Value of --delete-pieces-before-playback-max-iterations, which is passed on as it is: it is not documented."`
	DeleteChunksBeforePlayback     string        `yaml:"delete_chunks_before_playback" flag:"value" doc:"Value of --delete-chunks-before-playback, which is passed on as it is: it is not documented."`
	DeleteChunksBeforePlaybackMax  string        `yaml:"delete_chunks_before_playback_max_iterations" flag:"value" doc:"Value of --delete-chunks-before-playback-max-iterations, which is passed on as it is: it is not documented."`

	APIPort             int      `yaml:"api_port" default:"0" min:"0" max:"65535" flag:"value" doc:"TCP port of the engine's old line protocol. 0 leaves it to the engine, which takes 62062."`
	MaxConnections      int      `yaml:"max_connections" default:"0" min:"0" flag:"value" doc:"Most connections to peers, those that are being made included. 0 leaves it to the engine, which takes 1000."`
	MaxPeers            int      `yaml:"max_peers" default:"0" min:"0" flag:"value" doc:"Most connected peers of one content. 0 leaves it to the engine, which takes 50."`
	MaxPeersLimit       int      `yaml:"max_peers_limit" default:"0" min:"0" flag:"value" doc:"--max-peers-limit, which is not documented. 0 leaves it to the engine."`
	MaxUploadSlots      int      `yaml:"max_upload_slots" default:"0" min:"0" flag:"value" doc:"Most peers that are sent to at a time. 0 leaves it to the engine."`
	MinUploadSlots      int      `yaml:"min_upload_slots" default:"0" min:"0" flag:"value" doc:"Least peers that are sent to at a time. 0 leaves it to the engine."`
	FixUploadSlots      string   `yaml:"fix_upload_slots" flag:"value" doc:"Value of --fix-upload-slots, which is passed on as it is: it is not documented."`
	FixUploadInterval   string   `yaml:"fix_upload_slots_interval" flag:"value" doc:"Value of --fix-upload-slots-interval, which is passed on as it is: it is not documented."`
	WantedSlotsFactor   string   `yaml:"wanted_slots_factor" flag:"value" doc:"Value of --wanted-slots-factor, which is passed on as it is: it is not documented."`
	StartupSlotsFactor  string   `yaml:"startup_slots_factor" flag:"value" doc:"Value of --startup-slots-factor, which is passed on as it is: it is not documented."`
	StartupUploadSlots  string   `yaml:"startup_upload_slots" flag:"value" doc:"Value of --startup-upload-slots, which is passed on as it is: it is not documented."`
	StartupMaxPeers     string   `yaml:"startup_max_peers" flag:"value" doc:"Value of --startup-max-peers, which is passed on as it is: it is not documented."`
	SlotsUseCPULimit    string   `yaml:"slots_manager_use_cpu_limit" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Let the load of the processor bound the upload slots. auto leaves it to the engine."`
	SlotsCPULow         string   `yaml:"slots_manager_cpu_low_limit" flag:"value" doc:"Value of --slots-manager-cpu-low-limit, which is passed on as it is: it is not documented."`
	SlotsCPUHigh        string   `yaml:"slots_manager_cpu_high_limit" flag:"value" doc:"Value of --slots-manager-cpu-high-limit, which is passed on as it is: it is not documented."`
	SlotsCPULowPerCore  string   `yaml:"slots_manager_cpu_low_limit_per_core" flag:"value" doc:"Value of --slots-manager-cpu-low-limit-per-core, which is passed on as it is: it is not documented."`
	SlotsCPUHighPerCore string   `yaml:"slots_manager_cpu_high_limit_per_core" flag:"value" doc:"Value of --slots-manager-cpu-high-limit-per-core, which is passed on as it is: it is not documented."`
	SlotsMin            string   `yaml:"slots_manager_min_slots" flag:"value" doc:"Value of --slots-manager-min-slots, which is passed on as it is: it is not documented."`
	UPnPEnabled         string   `yaml:"upnp_enabled" flag:"value" doc:"Value of --upnp-enabled, which is passed on as it is: it is not documented."`
	PrivateNode         string   `yaml:"private_node" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Exchange data with the nodes of official.upload_to and official.download_from only. auto leaves it to the engine."`
	UploadTo            []string `yaml:"upload_to" format:"hostport" flag:"repeated" doc:"Addresses (host:port) of nodes that the engine may send to."`
	DownloadFrom        []string `yaml:"download_from" format:"hostport" flag:"repeated" doc:"Addresses (host:port) of nodes that the engine may fetch from."`
	MonitorNodeIP       string   `yaml:"monitor_node_ip" format:"ip" flag:"value" doc:"Address of the node that may watch a private node."`
	IPFilterConfig      string   `yaml:"ip_filter_config" flag:"value" doc:"Value of --ip-filter-config, which is passed on as it is: it is not documented."`
	CloseSamePeer       string   `yaml:"close_connections_from_same_peer" default:"auto" enum:"auto,on,off" flag:"switch" doc:"Close the older of two connections of one peer. auto leaves it to the engine."`

	LogStdout           bool          `yaml:"log_stdout" default:"false" flag:"present" doc:"Let the engine log to its standard output, which is relayed to the log like its standard error."`
	LogStdoutLevel      string        `yaml:"log_stdout_level" default:"auto" enum:"auto,error,info,debug,any" flag:"value" doc:"What the engine logs to its standard output. auto leaves it to the engine."`
	LogStderr           bool          `yaml:"log_stderr" default:"true" flag:"present" doc:"Let the engine log to its standard error, which is relayed to the log."`
	LogStderrLevel      string        `yaml:"log_stderr_level" default:"error" enum:"auto,error,info,debug,any" flag:"value" doc:"What the engine logs to its standard error. auto leaves it to the engine."`
	LogFile             string        `yaml:"log_file" flag:"value" doc:"File to which the engine logs besides."`
	LogFileMode         string        `yaml:"log_file_mode" default:"auto" enum:"auto,w,a" flag:"value" doc:"Whether that file is begun anew (w) or goes on (a). auto leaves it to the engine."`
	LogMaxSize          Size          `yaml:"log_max_size" default:"0" flag:"value" doc:"Largest size of that file. 0 leaves it to the engine."`
	LogBackupCount      int           `yaml:"log_backup_count" default:"0" min:"0" flag:"value" doc:"How many full ones of it are kept. 0 leaves it to the engine."`
	LogModules          string        `yaml:"log_modules" flag:"value" doc:"Levels of parts of the engine: root:D logs most."`
	LogDebug            int           `yaml:"log_debug" default:"0" min:"0" flag:"value" doc:"What is logged at the level debug, as a bit mask: 355 is much."`
	StatsReportInterval time.Duration `yaml:"stats_report_interval" default:"0s" min:"0s" max:"24h" flag:"value" doc:"How often the engine counts for its statistics, in whole seconds. 0 leaves it to the engine, which takes a minute."`
	StatsReportPeers    bool          `yaml:"stats_report_peers" default:"false" flag:"present" doc:"Count peers too."`
	SyncRegularInterval string        `yaml:"sync_regular_interval" flag:"value" doc:"Value of --sync-regular-interval, which is passed on as it is: it is not documented."`
	SyncErrorInterval   string        `yaml:"sync_error_interval" flag:"value" doc:"Value of --sync-error-interval, which is passed on as it is: it is not documented."`
}

// Forms of a flag of the official engine.
const (
	FlagValue    = "value"
	FlagPresent  = "present"
	FlagSwitch   = "switch"
	FlagRepeated = "repeated"
	FlagOwn      = "own"
)

// Flag is a flag of the official engine that has a setting.
type Flag struct {
	Name   string // with its dashes, as in --max-peers
	Key    string // its setting, as in official.max_peers
	Form   string // one of the forms above
	Secret bool   // never to be shown
	Value  any    // of the setting: bool, int, string, time.Duration, Size or []string
}

// Flags lists the flags of the engine that have settings in o, in their order.
func (o Official) Flags() []Flag {
	var flags []Flag
	value := reflect.ValueOf(o)
	for i := range value.NumField() {
		tag := value.Type().Field(i).Tag
		form := tag.Get("flag")
		if form == "" {
			continue
		}
		name := tag.Get("yaml")
		flags = append(flags, Flag{
			Name: "--" + strings.ReplaceAll(name, "_", "-"), Key: "official." + name,
			Form: form, Secret: tag.Get("secret") == "true", Value: value.Field(i).Interface(),
		})
	}
	return flags
}

func (v *validator) official(c *Config) {
	o := c.Official
	if o.StopTimeout > c.ShutdownTimeout && c.ShutdownTimeout > 0 {
		v.failf("official.stop_timeout", "%s is more than shutdown_timeout, which is %s: the engine would be cut off before", o.StopTimeout, c.ShutdownTimeout)
	}
	for _, flag := range o.Flags() {
		if d, ok := flag.Value.(time.Duration); ok && d%time.Second != 0 {
			v.failf(flag.Key, "%s is not a whole number of seconds, which is what the engine takes", d)
		}
	}
}

// Alias is a variable of another program's making that stands for a key. One
// that is set to nothing is not set.
type Alias struct {
	Variable string
	Key      string
	// Text is the text of the key for a text of the variable; nil takes it as it is.
	Text func(string) (string, error)
}

// aliases reads the variables that have other names here. They are weaker than
// our own ones.
func (l *loader) aliases() []assignment {
	var found []assignment
	for _, alias := range l.src.Aliases {
		text := l.getenv(alias.Variable)
		if text == "" {
			continue
		}
		origin := Origin{Layer: Environment, Name: alias.Variable}
		if alias.Text != nil {
			var err error
			if text, err = alias.Text(text); err != nil {
				l.problems.add(alias.Key, origin, "", err)
				continue
			}
		}
		found = append(found, assignment{name: alias.Key, text: text, origin: origin})
	}
	return found
}

// For tells which settings were said to one kind of engine and mean something
// to the other kind only; the error is [*InvalidError]. The settings file is
// not looked at, as several programs may share it.
func (s *Settings) For(official bool) error {
	var found problems
	for _, key := range Keys() {
		origin := s.Origin(key.Name)
		if origin.Layer != Environment && origin.Layer != Flags {
			continue
		}
		switch {
		case official && strings.HasPrefix(key.Name, "engine.") && !shared[key.Name]:
			found.add(key.Name, origin, "", errors.New("is a setting of native engines: leave it out, or leave out --official"))
		case !official && strings.HasPrefix(key.Name, "official."):
			found.add(key.Name, origin, "", fmt.Errorf("is a setting of official engines: leave it out, or name the engine with --official"))
		}
	}
	return found.err()
}

// shared are the settings in [Engine] that both kinds of engine have.
var shared = map[string]bool{
	"engine.http_port": true, "engine.https_port": true, "engine.p2p_port": true, "engine.bind_all": true,
	"engine.cache_limit": true, "engine.internal_buffering": true, "engine.upload_limit": true, "engine.download_limit": true,
}
