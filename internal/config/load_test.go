package config

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// disk is the files that a test lets the loader see.
type disk map[string]string

func (d disk) read(name string) ([]byte, error) {
	text, ok := d[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func never(string) bool { return false }

// from is sources with a home directory and these files.
func from(files disk, environ []string, flags ...Setting) Sources {
	return Sources{
		Environ:  append([]string{"HOME=/home/ana"}, environ...),
		Flags:    flags,
		ReadFile: files.read,
		Writable: never,
	}
}

const homeFile = "/home/ana/.local/share/acequia/acequia.yaml"

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	settings, err := Load(from(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if settings.File != "" {
		t.Errorf("read the file %s", settings.File)
	}
	want := Config{
		Listen: ":6878", Data: "/home/ana/.local/share/acequia", ShutdownTimeout: 10 * time.Second,
		Auth: Auth{
			Playback: "lan", PlaybackNetworks: []string{}, Metrics: "lan", TrustedNetworks: []string{}, TrustedScope: "admin",
			TrustedProxies: []string{}, Session: 30 * 24 * time.Hour,
		},
		Log:  Log{Level: "info", Format: "auto"},
		Pool: defaultPool(),
		Docker: Docker{
			Hosts: []string{"unix:///var/run/docker.sock"}, Profile: "auto", Pull: "missing", Network: "auto",
			Ports: "26878-26977", Memory: 2 << 30, CPUs: "0", Cache: "volume", CacheSize: 2 << 30, LogSize: 10 << 20,
			Args: []string{}, Env: []string{},
			Custom: DockerCustom{
				HTTPPort: 6878, P2PPort: 8621, Init: true, Args: []string{}, Env: []string{}, Scratch: []string{}, Caps: []string{},
			},
		},
		Static: Static{Engines: []string{}},
		Playback: Playback{
			Linger: 15 * time.Second, StartTimeout: 30 * time.Second, StallTimeout: 5 * time.Second,
			Burst: 3 * time.Second, Hedge: 10 * time.Second, Outage: time.Minute, Buffer: 32 * MiB, Memory: 256 * MiB, MaxViewers: 1000, WriteTimeout: time.Minute,
			HLSSegment: 3 * time.Second, HLSWindow: 8, HLSPart: 500 * time.Millisecond, TimeshiftLimit: 16 * GiB,
		},
		Engine: Engine{
			HTTPPort: 6878, P2PPort: 8621, CacheLimit: GiB, Window: 128 * MiB, Buffer: 3 * time.Second,
			DHT: true, PEX: true, LSD: true, HTTPTrackers: true, UDPTrackers: true, Metadata: true, Peers: []string{}, Hosts: []string{}, StartTimeout: 20 * time.Second,
		},
		Official: Official{
			Listen: ":6877", StartTimeout: time.Minute, StopTimeout: 5 * time.Second, ProbeInterval: 5 * time.Second, ProbeFailures: 3,
			AbandonedLimit: 4, RestartLimit: 5, CacheInterval: time.Minute, LiveCacheType: "memory", VodCacheType: "auto",
			UploadTo: []string{}, DownloadFrom: []string{}, LogStderr: true, LogStderrLevel: "error",
			LogStdoutLevel: "auto", LogFileMode: "auto", MakeDefaultAccessToken: "auto", CacheAuto: "auto",
			LiveCacheAutoSize: "auto", LiveAdjustBufferTime: "auto", LiveDisableMultipleReadThreads: "auto",
			LiveStopMainReadThread: "auto", SlotsUseCPULimit: "auto", PrivateNode: "auto", CloseSamePeer: "auto",
		},
	}
	if diff := cmp.Diff(want, settings.Config); diff != "" {
		t.Error(diff)
	}
}

func TestLoadPrecedence(t *testing.T) {
	t.Parallel()
	files := disk{homeFile: "pool:\n  min: 3\n  max: 7\n  streams_per_engine: 4\n"}
	environ := []string{"ACEQUIA_POOL_MAX=8", "ACEQUIA_POOL_STREAMS_PER_ENGINE=5", "ACEQUIA_POOL_START_TIMEOUT="}
	settings, err := Load(from(files, environ, Setting{"pool.streams_per_engine", "6"}, Setting{"pool.streams_per_engine", "9"}))
	if err != nil {
		t.Fatal(err)
	}
	want := defaultPool()
	want.Min, want.Max, want.StreamsPerEngine = 3, 8, 9
	if diff := cmp.Diff(want, settings.Config.Pool); diff != "" {
		t.Error(diff)
	}
	for key, origin := range map[string]string{
		"pool.provider":           "default",
		"pool.min":                homeFile + ":2",
		"pool.max":                "environment ACEQUIA_POOL_MAX",
		"pool.streams_per_engine": "flag --pool.streams_per_engine",
		"pool.start_timeout":      "default",
	} {
		if got := settings.Origin(key).String(); got != origin {
			t.Errorf("%s comes from %s; want %s", key, got, origin)
		}
	}
}

func TestLoadFindsTheFile(t *testing.T) {
	t.Parallel()
	const text = "pool.min: 5\n"
	tests := []struct {
		name  string
		files disk
		src   func(*Sources)
		want  string
	}{
		{"none", nil, func(*Sources) {}, ""},
		{"data directory", disk{homeFile: text}, func(*Sources) {}, homeFile},
		{"container", disk{"/config/acequia.yaml": text}, func(s *Sources) {
			s.Writable = func(dir string) bool { return dir == "/config" }
		}, "/config/acequia.yaml"},
		{"data by environment", disk{"/d/acequia.yaml": text, homeFile: "no: such key"}, func(s *Sources) {
			s.Environ = append(s.Environ, "ACEQUIA_DATA=/d")
		}, "/d/acequia.yaml"},
		{"data by flag", disk{"/d/acequia.yaml": text}, func(s *Sources) {
			s.Environ = append(s.Environ, "ACEQUIA_DATA=/e")
			s.Flags = append(s.Flags, Setting{"data", "/d"})
		}, "/d/acequia.yaml"},
		{"by environment", disk{"/etc/a.yaml": text, homeFile: "no: such key"}, func(s *Sources) {
			s.Environ = append(s.Environ, "ACEQUIA_CONFIG=/etc/a.yaml")
		}, "/etc/a.yaml"},
		{"by flag", disk{"/etc/a.yaml": text}, func(s *Sources) {
			s.Environ = append(s.Environ, "ACEQUIA_CONFIG=/etc/b.yaml")
			s.File = "/etc/a.yaml"
		}, "/etc/a.yaml"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			src := from(test.files, nil)
			test.src(&src)
			settings, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if settings.File != test.want {
				t.Errorf("read %q; want %q", settings.File, test.want)
			}
			want := 2
			if test.want != "" {
				want = 5
			}
			if settings.Config.Pool.Min != want {
				t.Errorf("pool.min = %d; want %d", settings.Config.Pool.Min, want)
			}
		})
	}
}

func TestFileMayMoveTheDataDirectory(t *testing.T) {
	t.Parallel()
	settings, err := Load(from(disk{homeFile: "data: /big/disk\n"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if settings.Config.Data != "/big/disk" {
		t.Errorf("data = %s", settings.Config.Data)
	}
}

func TestLoadLists(t *testing.T) {
	t.Parallel()
	both := []string{"http://a:1", "http://b:2"}
	for name, src := range map[string]Sources{
		"yaml block":     from(disk{homeFile: "static:\n  engines:\n    - http://a:1\n    - \"http://b:2\"\n"}, nil),
		"yaml brackets":  from(disk{homeFile: "static:\n  engines: [http://a:1, http://b:2]\n"}, nil),
		"yaml flow":      from(disk{homeFile: "static: {engines: [\"http://a:1\", 'http://b:2']}\n"}, nil),
		"yaml text":      from(disk{homeFile: "static.engines: http://a:1, http://b:2\n"}, nil),
		"environment":    from(nil, []string{"ACEQUIA_STATIC_ENGINES= http://a:1 ,,http://b:2,"}),
		"flag":           from(nil, nil, Setting{"static.engines", "http://a:1,http://b:2"}),
		"repeated flags": from(nil, nil, Setting{"static.engines", "http://a:1"}, Setting{"static.engines", "http://b:2"}),
		"override":       from(disk{homeFile: "static.engines: http://c:3\n"}, nil, Setting{"static.engines", "http://a:1,http://b:2"}),
	} {
		settings, err := Load(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(both, settings.Config.Static.Engines); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLoadProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		src  Sources
		want []string
	}{
		{"unknown key in a section", from(disk{homeFile: "pool:\n  mim: 3\n"}, nil), []string{
			"pool.mim (" + homeFile + ":2): unknown key; did you mean pool.min?\n     2 |   mim: 3",
		}},
		{"unknown section", from(disk{homeFile: "\npol:\n  min: 3\n  max: 4\n"}, nil), []string{
			"pol (" + homeFile + ":2): unknown key; did you mean pool?\n     2 | pol:",
		}},
		{"unknown key like nothing", from(disk{homeFile: "wallpaper: blue\n"}, nil), []string{
			"wallpaper (" + homeFile + ":1): unknown key; acequia config reference lists them all\n     1 | wallpaper: blue",
		}},
		{"unknown variable", from(nil, []string{"ACEQUIA_POOL_MIM=3"}), []string{
			"ACEQUIA_POOL_MIM (environment variable): unknown key; did you mean ACEQUIA_POOL_MIN?",
		}},
		{"mistyped name of the file", from(nil, []string{"ACEQUIA_CONFG=/x"}), []string{
			"ACEQUIA_CONFG (environment variable): unknown key; did you mean ACEQUIA_CONFIG?",
		}},
		{"unknown flag", from(nil, nil, Setting{"pool.mim", "3"}), []string{
			"pool.mim (flag --pool.mim): unknown key; did you mean pool.min?",
		}},
		{"bad values everywhere", from(disk{homeFile: "pool:\n  min: few\n"},
			[]string{"ACEQUIA_PLAYBACK_LINGER=15"}, Setting{"engine.window", "128M"}, Setting{"engine.dht", "maybe"}), []string{
			`pool.min (` + homeFile + `:2): "few" is not a whole number` + "\n     2 |   min: few",
			`playback.linger (environment ACEQUIA_PLAYBACK_LINGER): "15" has no unit: write 15s for seconds, or use ms, m or h`,
			`engine.window (flag --engine.window): "M" is not a unit of size: use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB`,
			`engine.dht (flag --engine.dht): "maybe" is not a boolean: write true or false`,
		}},
		{"bad value that is overridden", from(disk{homeFile: "pool.min: few\n"}, nil, Setting{"pool.min", "3"}), []string{
			`pool.min (` + homeFile + `:1): "few" is not a whole number` + "\n     1 | pool.min: few",
		}},
		{"given twice", from(disk{homeFile: "pool:\n  min: 3\npool.min: 4\n"}, nil), []string{
			"pool.min (" + homeFile + ":3): given twice: also at " + homeFile + ":2\n     3 | pool.min: 4",
		}},
		{"section as a value", from(disk{homeFile: "log: debug\n"}, nil), []string{
			"log (" + homeFile + ":1): a section, not a value: its keys are level, format\n     1 | log: debug",
		}},
		{"value as a section", from(disk{homeFile: "listen:\n  port: 3\n"}, nil), []string{
			"listen (" + homeFile + ":1): a mapping where a value or a list of values belongs; inside { } put a text with a colon in quotes\n     1 | listen:",
		}},
		{"text with a colon in braces", from(disk{homeFile: "\nstatic: {engines: [http://a:1]}\n"}, nil), []string{
			"static.engines (" + homeFile + ":2): a mapping where a value or a list of values belongs; inside { } put a text with a colon in quotes\n     2 | static: {engines: [http://a:1]}",
		}},
		{"list for one value", from(disk{homeFile: "listen: [a, b]\n"}, nil), []string{
			"listen (" + homeFile + ":1): takes one value, not a list\n     1 | listen: [a, b]",
		}},
		{"no value", from(disk{homeFile: "listen:\n"}, nil), []string{
			"listen (" + homeFile + ":1): no value: write one (or \"\" for an empty one), or remove the line\n     1 | listen:",
		}},
		{"alias", from(disk{homeFile: "listen: &a \":1\"\ndata: *a\n"}, nil), []string{
			"listen (" + homeFile + ":1): anchors (&), aliases (*) and tags (!) are not supported: write the value out\n     1 | listen: &a \":1\"",
			"data (" + homeFile + ":2): anchors (&), aliases (*) and tags (!) are not supported: write the value out\n     2 | data: *a",
		}},
		{"two documents", from(disk{homeFile: "listen: \":1\"\n---\ndata: x\n"}, nil), []string{
			homeFile + ":3: a second document: the settings are one YAML document\n     3 | data: x",
		}},
		{"not a mapping", from(disk{homeFile: "- a\n"}, nil), []string{
			homeFile + ":1: the settings are a mapping of keys to values, as in listen: \":6878\"\n     1 | - a",
		}},
		{"missing file", func() Sources {
			src := from(nil, nil)
			src.File = "/etc/a.yaml"
			return src
		}(), []string{"flag --config: read the settings file: open /etc/a.yaml: file does not exist"}},
		{"missing file of the environment", from(nil, []string{"ACEQUIA_CONFIG=/etc/a.yaml"}), []string{
			"environment ACEQUIA_CONFIG: read the settings file: open /etc/a.yaml: file does not exist",
		}},
		{"something else", from(disk{homeFile: strings.Repeat("#", maxFile+1)}, nil), []string{
			homeFile + ": more than 64KiB: this is not a settings file",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(test.src)
			if diff := cmp.Diff(test.want, texts(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// texts lists the problems of an error.
func texts(t *testing.T, err error) []string {
	t.Helper()
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok {
		t.Fatalf("error %v (%T) is no InvalidError", err, err)
	}
	var lines []string
	for _, problem := range invalid.Problems {
		lines = append(lines, problem.String())
	}
	return lines
}

func TestSyntaxErrorShowsTheLine(t *testing.T) {
	t.Parallel()
	_, err := Load(from(disk{homeFile: "pool:\n  min: [1\nlisten: \":1\"\n"}, nil))
	text := fmt.Sprint(err)
	if !strings.HasPrefix(text, homeFile+":") || !strings.Contains(text, ": syntax: ") || !strings.Contains(text, " | ") {
		t.Errorf("the error does not show the place: %v", err)
	}
}

func TestDeepFileIsAnError(t *testing.T) {
	t.Parallel()
	for _, open := range []string{"[", "{a: ", "- "} {
		_, err := Load(from(disk{homeFile: strings.Repeat(open, 1024)}, nil))
		if err == nil {
			t.Errorf("a file of only %q is accepted", open)
		}
	}
}

func TestEnvironmentOfKubernetesIsIgnored(t *testing.T) {
	t.Parallel()
	_, err := Load(from(nil, []string{
		"ACEQUIA_SERVICE_HOST=10.0.0.1", "ACEQUIA_SERVICE_PORT=6878", "ACEQUIA_SERVICE_PORT_HTTP=6878",
		"ACEQUIA_PORT=tcp://10.0.0.1:6878", "ACEQUIA_PORT_6878_TCP=tcp://10.0.0.1:6878",
		"ACEQUIA_PORT_6878_TCP_PROTO=tcp", "ACEQUIA_PORT_6878_TCP_PORT=6878", "ACEQUIA_PORT_6878_TCP_ADDR=10.0.0.1",
		"ACEQUIA_ENGINE_SERVICE_HOST=10.0.0.1", "ACEQUIA_ENGINE_PORT=tcp://10.0.0.1:6878",
	}))
	if err != nil {
		t.Error(err)
	}
	_, err = Load(from(nil, []string{"ACEQUIA_ENGINE_HTP_PORT=80"}))
	want := []string{"ACEQUIA_ENGINE_HTP_PORT (environment variable): unknown key; did you mean ACEQUIA_ENGINE_HTTP_PORT?"}
	if diff := cmp.Diff(want, texts(t, err)); diff != "" {
		t.Error(diff)
	}
}

// vault is a tree with a secret.
type vault struct {
	Door struct {
		Code string `yaml:"code" secret:"true" doc:"The code of the door."`
		PIN  int    `yaml:"pin" secret:"true" default:"0" min:"0" max:"9999" doc:"The number."`
	} `yaml:"door" doc:"The door."`
}

func loadVault(src Sources) (vault, map[string]Origin, error) {
	var v vault
	l := &loader{tree: newTree(reflect.TypeFor[vault]()), src: src, root: reflect.ValueOf(&v).Elem()}
	_, err := l.load()
	return v, l.origins, err
}

func TestSecretsByFile(t *testing.T) {
	t.Parallel()
	files := disk{"/run/secrets/code": "s3same\n"}
	with := func(yaml string) disk { return disk{"/run/secrets/code": "s3same\n", homeFile: yaml} }
	for name, src := range map[string]Sources{
		"file key":           from(with("door:\n  code_file: /run/secrets/code\n"), nil),
		"variable":           from(files, []string{"ACEQUIA_DOOR_CODE_FILE=/run/secrets/code"}),
		"flag":               from(files, nil, Setting{"door.code_file", "/run/secrets/code"}),
		"plain":              from(files, nil, Setting{"door.code", "s3same"}),
		"file over plain":    from(with("door:\n  code: other\n"), []string{"ACEQUIA_DOOR_CODE_FILE=/run/secrets/code"}),
		"plain over a file":  from(with("door:\n  code_file: /run/secrets/code\n"), nil, Setting{"door.code", "s3same"}),
		"quoted, with equal": from(with("\"door\":\n  'code': \"s3same\"\n"), nil),
	} {
		v, _, err := loadVault(src)
		if err != nil || v.Door.Code != "s3same" {
			t.Errorf("%s: code %q, %v", name, v.Door.Code, err)
		}
	}
}

func TestSecretProblemsKeepTheSecret(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		src  Sources
		want []string
	}{
		{"both at once", from(disk{"/f": "s3same"}, []string{"ACEQUIA_DOOR_CODE=s3same", "ACEQUIA_DOOR_CODE_FILE=/f"}), []string{
			"door.code (environment ACEQUIA_DOOR_CODE_FILE): given twice: also at environment ACEQUIA_DOOR_CODE",
		}},
		{"no file", from(nil, []string{"ACEQUIA_DOOR_CODE_FILE=/f"}), []string{
			"door.code (environment ACEQUIA_DOOR_CODE_FILE): read the secret: open /f: file does not exist",
		}},
		{"not a number", from(disk{homeFile: "door: {pin: s3same}\n"}, nil), []string{
			"door.pin (" + homeFile + ":1): not a value of this key (it is secret and not shown)",
		}},
		{"mistyped", from(disk{homeFile: "door:\n  cod: s3same\n"}, nil), []string{
			"door.cod (" + homeFile + ":2): unknown key; did you mean door.code?",
		}},
		{"given twice", from(disk{homeFile: "door:\n  code: s3same\n  code: s3same\n"}, nil), []string{
			"door.code (" + homeFile + ":3): given twice: also at " + homeFile + ":2",
		}},
		{"mask", from(disk{homeFile: "door:\n  code: \"" + mask + "\"\n"}, nil), []string{
			"door.code (" + homeFile + ":2): this is the mask that config print shows in place of a secret",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := loadVault(test.src)
			lines := texts(t, err)
			if diff := cmp.Diff(test.want, lines); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(strings.Join(lines, "\n"), "s3same") {
				t.Error("the problem shows the secret")
			}
		})
	}
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	v, origins, err := loadVault(from(disk{homeFile: "door:\n  code: s3same\n"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	v.Door.PIN = 4711
	var out strings.Builder
	if err := writeYAML(&out, newTree(reflect.TypeFor[vault]()), reflect.ValueOf(v), origins); err != nil {
		t.Fatal(err)
	}
	want := "\ndoor:\n  code: \"********\"  # " + homeFile + ":2\n  pin: \"********\"   # default\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestReferenceOfSecrets(t *testing.T) {
	t.Parallel()
	secrets := newTree(reflect.TypeFor[vault]())
	var reference, schema strings.Builder
	if err := errors.Join(writeReference(&reference, secrets), writeSchema(&schema, secrets)); err != nil {
		t.Fatal(err)
	}
	if want := "`door.code_file`, `ACEQUIA_DOOR_CODE_FILE` and `--door.code_file` name a file"; !strings.Contains(reference.String(), want) {
		t.Errorf("the reference does not say %q:\n%s", want, &reference)
	}
	for _, want := range []string{`"writeOnly": true`, `"code_file": {`} {
		if !strings.Contains(schema.String(), want) {
			t.Errorf("the schema lacks %s:\n%s", want, &schema)
		}
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	upper := func(text string) (string, error) {
		if text == "bad" {
			return "", errors.New("is bad: write something else")
		}
		return text + "0", nil
	}
	aliases := []Alias{{Variable: "PORT", Key: "engine.http_port", Text: upper}, {Variable: "PEERS", Key: "engine.p2p_port"}}
	for _, test := range []struct {
		name    string
		environ []string
		file    string
		want    int // engine.http_port
		origin  string
		problem string
	}{
		{name: "stands for the key", environ: []string{"PORT=690"}, want: 6900, origin: "environment PORT"},
		{name: "set to nothing", environ: []string{"PORT="}, want: 6878, origin: "default"},
		{name: "over the file", environ: []string{"PORT=690"}, file: "engine: {http_port: 1}", want: 6900, origin: "environment PORT"},
		{name: "below our own", environ: []string{"PORT=690", "ACEQUIA_ENGINE_HTTP_PORT=7"}, want: 7, origin: "environment ACEQUIA_ENGINE_HTTP_PORT"},
		{name: "refused by its text", environ: []string{"PORT=bad"}, problem: "engine.http_port (environment PORT): is bad: write something else"},
		{name: "refused by the key", environ: []string{"PEERS=x"}, problem: `engine.p2p_port (environment PEERS): "x" is not a whole number`},
	} {
		files := disk{}
		if test.file != "" {
			files[homeFile] = test.file
		}
		src := from(files, test.environ)
		src.Aliases = aliases
		settings, err := Load(src)
		if test.problem != "" {
			if err == nil || err.Error() != test.problem {
				t.Errorf("%s: %v; want %s", test.name, err, test.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, origin := settings.Config.Engine.HTTPPort, settings.Origin("engine.http_port").String(); got != test.want || origin != test.origin {
			t.Errorf("%s: %d from %s; want %d from %s", test.name, got, origin, test.want, test.origin)
		}
	}
}

// A setting that the engine at hand does not have is refused, unless it comes
// from a file that other programs share.
func TestForOneKindOfEngine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		official bool
		file     string
		environ  []string
		flags    []Setting
		wrong    bool
	}{
		{official: true, environ: []string{"ACEQUIA_ENGINE_HTTP_PORT=1"}, flags: []Setting{{"official.max_peers", "5"}}},
		{official: true, environ: []string{"ACEQUIA_ENGINE_WINDOW=16MiB"}, wrong: true},
		{official: true, flags: []Setting{{"engine.dht", "false"}}, wrong: true},
		{official: true, file: "engine: {window: 16MiB}"},
		{official: false, environ: []string{"ACEQUIA_ENGINE_WINDOW=16MiB"}},
		{official: false, flags: []Setting{{"official.max_peers", "5"}}, wrong: true},
		{official: false, file: "official: {max_peers: 5}"},
	} {
		files := disk{}
		if test.file != "" {
			files[homeFile] = test.file
		}
		settings, err := Load(from(files, test.environ, test.flags...))
		if err != nil {
			t.Fatal(err)
		}
		if err := settings.For(test.official); (err != nil) != test.wrong {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// Every setting that both kinds of engine share exists.
func TestSharedSettingsExist(t *testing.T) {
	t.Parallel()
	for name := range shared {
		if _, ok := configTree.find(name); !ok {
			t.Errorf("no setting %s", name)
		}
	}
}

func TestOfficialFlagsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Load(from(nil, nil, Setting{"official.live_buffer_time", "1500ms"}, Setting{"official.stop_timeout", "30s"}))
	if err == nil || !strings.Contains(err.Error(), "whole number of seconds") || !strings.Contains(err.Error(), "more than shutdown_timeout") {
		t.Errorf("got %v", err)
	}
}

func defaultPool() Pool {
	return Pool{
		Provider: "auto", Min: 2, Max: 6, StreamsPerEngine: 2, OpensPerEngine: 2, LookAhead: 1,
		Wait: 10 * time.Second, StartTimeout: time.Minute, IdleTTL: 5 * time.Minute, Cooldown: time.Minute,
		DrainTimeout: 5 * time.Minute, UnhealthyTTL: 15 * time.Second, DegradedTTL: time.Minute,
		MaxAge: 24 * time.Hour, MaxCache: 8 * GiB, Inspect: 30 * time.Second,
		Quarantine: 10 * time.Minute, QuarantineAfter: 3, LeaseTTL: 15 * time.Second,
	}
}
