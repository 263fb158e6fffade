package official

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/config"
)

// load reads settings as acequia engine --official does.
func load(environ []string, flags ...config.Setting) (config.Config, error) {
	settings, err := config.Load(config.Sources{
		Environ: environ, Aliases: Aliases(),
		Flags:    append([]config.Setting{{Name: "data", Text: "/data"}}, flags...),
		ReadFile: os.ReadFile, Writable: func(string) bool { return false },
	})
	if err != nil {
		return config.Config{}, err
	}
	return settings.Config, nil
}

// usual is what every engine gets.
var usual = []string{
	"--http-port=6878", "--port=8621", "--state-dir=/data/engine", "--cache-dir=/data/engine-cache",
	"--cache-max-bytes=1073741824", "--use-internal-buffering=0", "--access-token=made-up",
	"--live-cache-type=memory", "--log-stderr", "--log-stderr-level=error",
}

func TestFlagsByDefault(t *testing.T) {
	t.Parallel()
	c, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLaunch(c, "made-up")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(usual, l.arguments); diff != "" {
		t.Error(diff)
	}
}

// The variables of other images mean here what they mean there.
func TestVariablesOfOtherImages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variable string
		want     []string // lines that are there besides or instead of the usual ones
	}{
		{"HTTP_PORT=6900", []string{"--http-port=6900"}},
		{"HTTPS_PORT=6901", []string{"--https-port=6901"}},
		{"P2P_PORT=51413", []string{"--port=51413"}},
		{"INTERNAL_BUFFERING=1", []string{"--use-internal-buffering=1"}},
		{"INTERNAL_BUFFERING=0", []string{"--use-internal-buffering=0"}},
		{"INTERNAL_BUFFERING=60", []string{"--use-internal-buffering=1"}},
		{"INTERNAL_BUFFERING=true", []string{"--use-internal-buffering=1"}},
		{"CACHE_LIMIT=5", []string{"--cache-max-bytes=5368709120"}},
		{"BIND_ALL=1", []string{"--bind-all"}},
		{"BIND_ALL=any text", []string{"--bind-all"}},
		{"BIND_ALL=", nil},
		{"ALLOW_REMOTE_ACCESS=yes", []string{"--bind-all"}},
		{"ALLOW_REMOTE_ACCESS=no", nil},
		{"EXTRA_FLAGS=--log-debug 355  --check-live-pos-interval=5", []string{"--log-debug=355", "--check-live-pos-interval=5"}},
		// As in the example of a program that bundles such an image.
		{
			"EXTRA_FLAGS=--cache-dir /tmp/c --cache-limit 2 --cache-auto 1 --log-stderr --log-stderr-level error",
			[]string{"--cache-dir=/tmp/c", "--cache-max-bytes=2147483648", "--cache-auto=1", "--log-stderr", "--log-stderr-level=error"},
		},
		{"EXTRA_FLAGS=--http-port=7000 --port 7001 --access-token mine", []string{"--http-port=7000", "--port=7001", "--access-token=mine"}},
		{"EXTRA_FLAGS=--bind-all --client-console", []string{"--bind-all"}},
		{"EXTRA_FLAGS=--live-cache-type disk", []string{"--live-cache-type=disk"}},
	} {
		c, err := load([]string{test.variable})
		if err != nil {
			t.Errorf("%s: %v", test.variable, err)
			continue
		}
		l, err := newLaunch(c, "made-up")
		if err != nil {
			t.Errorf("%s: %v", test.variable, err)
			continue
		}
		if diff := cmp.Diff(replaced(test.want), sorted(l.arguments)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.variable, diff)
		}
		if len(l.ports) == 0 || l.ports[0] != l.httpPort {
			t.Errorf("%s: ports %v", test.variable, l.ports)
		}
	}
}

// replaced is the usual lines with others in place of those of the same flag.
func replaced(lines []string) []string {
	name := func(line string) string { n, _, _ := strings.Cut(line, "="); return n }
	var all []string
	for _, line := range usual {
		if !slices.ContainsFunc(lines, func(other string) bool { return name(other) == name(line) }) {
			all = append(all, line)
		}
	}
	return sorted(append(all, lines...))
}

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

// Every flag has a value with which its line is known.
func TestEveryFlag(t *testing.T) {
	t.Parallel()
	tested := make(map[string]bool)
	for key, want := range map[string]struct{ text, line string }{
		"access_token":                                 {"t0ken", "--access-token=t0ken"},
		"service_access_token":                         {"s3cret", "--service-access-token=s3cret"},
		"login":                                        {"ana", "--login=ana"},
		"password":                                     {"pass word", "--password=pass word"},
		"service_remote_access":                        {"true", "--service-remote-access"},
		"service_remote_allow_cors":                    {"1", "--service-remote-allow-cors=1"},
		"make_default_access_token":                    {"off", "--make-default-access-token=0"},
		"allow_user_config":                            {"true", "--allow-user-config"},
		"user_agent":                                   {"A/1", "--user-agent=A/1"},
		"state_dir":                                    {"/s", "--state-dir=/s"},
		"cache_dir":                                    {"/c", "--cache-dir=/c"},
		"metadata_dir":                                 {"/m", "--metadata-dir=/m"},
		"pid_file_dir":                                 {"/p", "--pid-file-dir=/p"},
		"cache_auto":                                   {"on", "--cache-auto=1"},
		"live_cache_type":                              {"disk", "--live-cache-type=disk"},
		"live_mem_cache_size":                          {"100MiB", "--live-mem-cache-size=104857600"},
		"live_disk_cache_size":                         {"1GB", "--live-disk-cache-size=1000000000"},
		"live_cache_auto_size":                         {"on", "--live-cache-auto-size=1"},
		"live_cache_auto_size_reserve":                 {"64MiB", "--live-cache-auto-size-reserve=67108864"},
		"live_cache_max_memory_percent":                {"20", "--live-cache-max-memory-percent=20"},
		"live_buffer_time":                             {"1m", "--live-buffer-time=60"},
		"live_max_buffer_time":                         {"90s", "--live-max-buffer-time=90"},
		"live_adjust_buffer_time":                      {"off", "--live-adjust-buffer-time=0"},
		"live_disable_multiple_read_threads":           {"on", "--live-disable-multiple-read-threads=1"},
		"live_stop_main_read_thread":                   {"on", "--live-stop-main-read-thread=1"},
		"vod_cache_type":                               {"memory", "--vod-cache-type=memory"},
		"disk_cache_limit":                             {"2GiB", "--disk-cache-limit=2147483648"},
		"memory_cache_limit":                           {"256MiB", "--memory-cache-limit=268435456"},
		"disk_cache_cleanup_interval_active":           {"30", "--disk-cache-cleanup-interval-active=30"},
		"disk_cache_cleanup_interval_inactive":         {"60", "--disk-cache-cleanup-interval-inactive=60"},
		"delete_pieces_before_playback":                {"1", "--delete-pieces-before-playback=1"},
		"delete_pieces_before_playback_max_iterations": {"2", "--delete-pieces-before-playback-max-iterations=2"},
		"delete_chunks_before_playback":                {"1", "--delete-chunks-before-playback=1"},
		"delete_chunks_before_playback_max_iterations": {"2", "--delete-chunks-before-playback-max-iterations=2"},
		"api_port":                                     {"62063", "--api-port=62063"},
		"max_connections":                              {"500", "--max-connections=500"},
		"max_peers":                                    {"60", "--max-peers=60"},
		"max_peers_limit":                              {"100", "--max-peers-limit=100"},
		"max_upload_slots":                             {"8", "--max-upload-slots=8"},
		"min_upload_slots":                             {"2", "--min-upload-slots=2"},
		"fix_upload_slots":                             {"1", "--fix-upload-slots=1"},
		"fix_upload_slots_interval":                    {"10", "--fix-upload-slots-interval=10"},
		"wanted_slots_factor":                          {"1.5", "--wanted-slots-factor=1.5"},
		"startup_slots_factor":                         {"2", "--startup-slots-factor=2"},
		"startup_upload_slots":                         {"4", "--startup-upload-slots=4"},
		"startup_max_peers":                            {"20", "--startup-max-peers=20"},
		"slots_manager_use_cpu_limit":                  {"on", "--slots-manager-use-cpu-limit=1"},
		"slots_manager_cpu_low_limit":                  {"50", "--slots-manager-cpu-low-limit=50"},
		"slots_manager_cpu_high_limit":                 {"80", "--slots-manager-cpu-high-limit=80"},
		"slots_manager_cpu_low_limit_per_core":         {"50", "--slots-manager-cpu-low-limit-per-core=50"},
		"slots_manager_cpu_high_limit_per_core":        {"80", "--slots-manager-cpu-high-limit-per-core=80"},
		"slots_manager_min_slots":                      {"1", "--slots-manager-min-slots=1"},
		"upnp_enabled":                                 {"0", "--upnp-enabled=0"},
		"private_node":                                 {"on", "--private-node=1"},
		"upload_to":                                    {"10.0.0.1:1,10.0.0.2:2", "--upload-to=10.0.0.1:1 --upload-to=10.0.0.2:2"},
		"download_from":                                {"10.0.0.3:3", "--download-from=10.0.0.3:3"},
		"monitor_node_ip":                              {"10.0.0.4", "--monitor-node-ip=10.0.0.4"},
		"ip_filter_config":                             {"/f", "--ip-filter-config=/f"},
		"close_connections_from_same_peer":             {"on", "--close-connections-from-same-peer=1"},
		"log_stdout":                                   {"true", "--log-stdout"},
		"log_stdout_level":                             {"debug", "--log-stdout-level=debug"},
		"log_stderr":                                   {"true", "--log-stderr"},
		"log_stderr_level":                             {"any", "--log-stderr-level=any"},
		"log_file":                                     {"/l", "--log-file=/l"},
		"log_file_mode":                                {"a", "--log-file-mode=a"},
		"log_max_size":                                 {"1MB", "--log-max-size=1000000"},
		"log_backup_count":                             {"3", "--log-backup-count=3"},
		"log_modules":                                  {"root:D", "--log-modules=root:D"},
		"log_debug":                                    {"355", "--log-debug=355"},
		"stats_report_interval":                        {"2m", "--stats-report-interval=120"},
		"stats_report_peers":                           {"true", "--stats-report-peers"},
		"sync_regular_interval":                        {"60", "--sync-regular-interval=60"},
		"sync_error_interval":                          {"5", "--sync-error-interval=5"},
	} {
		c, err := load(nil, config.Setting{Name: "official." + key, Text: want.text})
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		l, err := newLaunch(c, "made-up")
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		for i, line := range strings.Split(want.line, " --") {
			if i > 0 {
				line = "--" + line
			}
			if !slices.Contains(l.arguments, line) {
				t.Errorf("%s=%s: no line %q in %q", key, want.text, line, l.arguments)
			}
		}
		tested[key] = true
	}
	for _, flag := range (config.Official{}).Flags() {
		if !tested[strings.TrimPrefix(flag.Key, "official.")] {
			t.Errorf("%s is not tested", flag.Key)
		}
	}
}

// Everything that official documents list for an engine that plays has a
// setting, or is one of the settings that both kinds of engine have.
func TestEveryDocumentedFlagHasASetting(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/documented.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := documented()
	for line := range strings.Lines(string(raw)) {
		if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "#") && known[name] == "" {
			t.Errorf("no setting for %s", name)
		}
	}
}

func TestSharedSettingsBecomeFlags(t *testing.T) {
	t.Parallel()
	c, err := load(nil,
		config.Setting{Name: "engine.upload_limit", Text: "1025"}, config.Setting{Name: "engine.download_limit", Text: "2MiB"},
		config.Setting{Name: "engine.internal_buffering", Text: "true"}, config.Setting{Name: "engine.bind_all", Text: "true"},
		config.Setting{Name: "engine.https_port", Text: "6900"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLaunch(c, "made-up")
	if err != nil {
		t.Fatal(err)
	}
	want := replaced([]string{"--upload-limit=2", "--download-limit=2048", "--use-internal-buffering=1", "--bind-all", "--https-port=6900"})
	if diff := cmp.Diff(want, sorted(l.arguments)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{6878, 6900}, l.ports); diff != "" {
		t.Error(diff)
	}
}

// What no engine could run with is refused in words that say what to do.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		environ []string
		flags   []config.Setting
		want    string
	}{
		{environ: []string{"HTTP_PORT=http"}, want: `engine.http_port (environment HTTP_PORT): "http" is not a whole number`},
		{environ: []string{"HTTP_PORT=70000"}, want: "70000 is too large: the most is 65535"},
		{environ: []string{"HTTP_PORT=0"}, want: "engine.http_port: an official engine takes no port of its own choice"},
		{environ: []string{"P2P_PORT=6878"}, want: "each needs its own"},
		{environ: []string{"HTTPS_PORT=6878"}, want: "each needs its own"},
		{environ: []string{"CACHE_LIMIT=5GB"}, want: `"5GB" is not a number of gigabytes: write one such as 5, or use ACEQUIA_ENGINE_CACHE_LIMIT with a unit`},
		{environ: []string{"CACHE_LIMIT=0"}, want: "not a number of gigabytes"},
		{environ: []string{"CACHE_LIMIT=99999999999"}, want: "too large"},
		{environ: []string{"BIND_ALL=false"}, want: "any text means on; leave it empty for off"},
		{environ: []string{"INTERNAL_BUFFERING=maybe"}, want: "write true or false"},
		{environ: []string{"EXTRA_FLAGS=verbose"}, want: `official.extra_flags: "verbose" is no flag: write --name or --name=value`},
		{environ: []string{"EXTRA_FLAGS=-v"}, want: "a flag begins with two dashes"},
		{environ: []string{"EXTRA_FLAGS=--log-debug 1 2"}, want: `"2" is no flag`},
		{environ: []string{"EXTRA_FLAGS=@/etc/passwd"}, want: "is no flag"},
		{environ: []string{"EXTRA_FLAGS=--client-gtk"}, want: "something else than an engine that plays"},
		{environ: []string{"EXTRA_FLAGS=--use-internal-buffering true"}, want: "--use-internal-buffering takes 0 or 1: write --use-internal-buffering=1"},
		{environ: []string{"EXTRA_FLAGS=--bind-all true"}, want: "--bind-all takes no value"},
		{environ: []string{"EXTRA_FLAGS=--max-peers"}, want: "--max-peers needs a value"},
		{environ: []string{"EXTRA_FLAGS=--http-port x"}, want: `--http-port: "x" is not a port`},
		{environ: []string{"EXTRA_FLAGS=--cache-limit x"}, want: "not a number of gigabytes"},
		{environ: []string{"EXTRA_FLAGS=--cache-max-bytes x"}, want: "not a number of bytes"},
		{flags: []config.Setting{{Name: "official.cache_dir", Text: "cache"}}, want: "official.cache_dir: \"cache\" is relative: write the whole path"},
		{flags: []config.Setting{{Name: "official.cache_dir", Text: "/data"}}, want: "holds more than the cache"},
		{flags: []config.Setting{{Name: "official.cache_dir", Text: "/data/engine"}}, want: "holds more than the cache"},
		{flags: []config.Setting{{Name: "official.cache_dir", Text: "//"}}, want: "holds more than the cache"},
		{flags: []config.Setting{{Name: "official.live_cache_type", Text: "ram"}}, want: `"ram" is not one of auto, memory, disk, hybrid`},
		{flags: []config.Setting{{Name: "official.login", Text: "a\n--bind-all"}}, want: "cannot be printed"},
	} {
		c, err := load(test.environ, test.flags...)
		if err == nil {
			_, err = newLaunch(c, "made-up")
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v %v: %v; want %s", test.environ, test.flags, err, test.want)
		}
	}
}

func TestUndocumentedFlagsAreTold(t *testing.T) {
	t.Parallel()
	c, err := load([]string{"EXTRA_FLAGS=--max-peers 5 --webrtc-allow-outgoing-connections 1 --disable-sentry"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLaunch(c, "made-up")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"--webrtc-allow-outgoing-connections", "--disable-sentry"}, l.unknown); diff != "" {
		t.Error(diff)
	}
}

// Secrets are known wherever they were written, so that they are never logged.
func TestSecretsAreKnown(t *testing.T) {
	t.Parallel()
	c, err := load([]string{"EXTRA_FLAGS=--password=two --access-token one", "ACEQUIA_OFFICIAL_SERVICE_ACCESS_TOKEN=three"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLaunch(c, "made-up")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "three", "two"}, sorted(l.secrets)); diff != "" {
		t.Error(diff)
	}
}

// What a flag cannot say is nothing: the zero value of every setting leaves it
// to the engine.
func TestZeroLeavesItToTheEngine(t *testing.T) {
	t.Parallel()
	for _, flag := range (config.Official{}).Flags() {
		switch v := flag.Value.(type) {
		case bool, int, string, []string, config.Size, time.Duration:
			if lines := form(flag); len(lines) > 0 && flag.Form != config.FlagSwitch {
				t.Errorf("%s of %v is %q", flag.Name, v, lines)
			}
		default:
			t.Errorf("%s has a value of type %T", flag.Name, v)
		}
	}
}
