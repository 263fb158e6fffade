package official

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
)

// launch is what one engine is started with.
type launch struct {
	arguments []string // one per line of the engine's configuration file
	secrets   []string // never to be logged
	httpPort  int
	ports     []int // of the engine API
	stateDir  string
	cacheDir  string
	limit     int64 // bytes of the cache directory
	token     string
	unknown   []string // flags that no document names
}

// kilobyte is the unit of the engine's speed limits. Its documents say Kb/s;
// the clients that set them reckon in 1024 bytes.
const kilobyte = 1024

// newLaunch works out the flags of an engine from the settings. The token is
// used where none is set.
func newLaunch(c config.Config, token string) (*launch, error) {
	e, o := c.Engine, c.Official
	l := &launch{
		httpPort: e.HTTPPort, limit: int64(e.CacheLimit), token: o.AccessToken,
		stateDir: o.StateDir, cacheDir: o.CacheDir,
	}
	extra, err := parseExtra(o.ExtraFlags)
	if err != nil {
		return nil, fmt.Errorf("official.extra_flags: %w", err)
	}
	httpsPort := e.HTTPSPort
	if err := extra.take(map[string]func(string) error{
		"--http-port":  number(&l.httpPort),
		"--https-port": number(&httpsPort),
		"--port":       number(&e.P2PPort),
		"--state-dir":  text(&l.stateDir),
		"--cache-dir":  text(&l.cacheDir),
		"--cache-limit": func(value string) error {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 1 || n > math.MaxInt64/int64(config.GiB) {
				return fmt.Errorf("%q is not a number of gigabytes", value)
			}
			l.limit = n * int64(config.GiB)
			return nil
		},
		"--cache-max-bytes": func(value string) error {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a number of bytes", value)
			}
			l.limit = n
			return nil
		},
		"--access-token": text(&l.token),
	}); err != nil {
		return nil, fmt.Errorf("official.extra_flags: %w", err)
	}
	if l.token == "" {
		l.token = token
	}
	if l.stateDir == "" {
		l.stateDir = filepath.Join(c.Data, "engine")
	}
	if l.cacheDir == "" {
		l.cacheDir = filepath.Join(c.Data, "engine-cache")
	}
	if err := l.check(httpsPort, e.P2PPort); err != nil {
		return nil, err
	}
	l.add("--http-port", strconv.Itoa(l.httpPort))
	l.ports = []int{l.httpPort}
	if httpsPort != 0 {
		l.add("--https-port", strconv.Itoa(httpsPort))
		l.ports = append(l.ports, httpsPort)
	}
	l.add("--port", strconv.Itoa(e.P2PPort))
	if e.BindAll && !extra.has("--bind-all") {
		l.arguments = append(l.arguments, "--bind-all")
	}
	l.add("--state-dir", l.stateDir)
	l.add("--cache-dir", l.cacheDir)
	l.add("--cache-max-bytes", strconv.FormatInt(l.limit, 10))
	l.addUnless(extra, "--use-internal-buffering", toggle(e.InternalBuffering))
	if e.UploadLimit > 0 {
		l.addUnless(extra, "--upload-limit", speed(e.UploadLimit))
	}
	if e.DownloadLimit > 0 {
		l.addUnless(extra, "--download-limit", speed(e.DownloadLimit))
	}
	l.add("--access-token", l.token)
	l.secrets = []string{l.token}
	l.settings(o, extra)
	l.arguments = append(l.arguments, extra.lines()...)
	l.unknown = extra.unknown()
	return l, nil
}

// check refuses what no engine could run with.
func (l *launch) check(httpsPort, p2pPort int) error {
	for _, port := range []struct {
		name   string
		number int
	}{{"engine.http_port", l.httpPort}, {"engine.p2p_port", p2pPort}} {
		if port.number == 0 {
			return fmt.Errorf("%s: an official engine takes no port of its own choice: name one other than 0", port.name)
		}
	}
	if l.httpPort == p2pPort || l.httpPort == httpsPort || httpsPort == p2pPort {
		return fmt.Errorf("ports %d (HTTP), %d (HTTPS) and %d (peers): each needs its own", l.httpPort, httpsPort, p2pPort)
	}
	for _, dir := range []struct{ name, path string }{{"official.state_dir", l.stateDir}, {"official.cache_dir", l.cacheDir}} {
		if !filepath.IsAbs(dir.path) {
			return fmt.Errorf("%s: %q is relative: write the whole path", dir.name, dir.path)
		}
	}
	// The cache directory is emptied when it grows: nothing else may be in it.
	if within(l.cacheDir, l.stateDir) || filepath.Clean(l.cacheDir) == "/" {
		return fmt.Errorf("official.cache_dir: %s holds more than the cache, and would be emptied with it: name a directory for the cache alone", l.cacheDir)
	}
	return nil
}

// within tells whether a path is dir or below it.
func within(dir, path string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

// settings adds the flags that have a setting, but for those given by hand.
func (l *launch) settings(o config.Official, extra extraFlags) {
	for _, flag := range o.Flags() {
		value, _ := flag.Value.(string)
		if extra.has(flag.Name) {
			value = extra.value(flag.Name)
		} else {
			l.arguments = append(l.arguments, form(flag)...)
		}
		if flag.Secret && flag.Form != config.FlagOwn && value != "" {
			l.secrets = append(l.secrets, value)
		}
	}
}

// form is how the engine takes a flag: bools as 1 and 0, since it ends with a
// usage error at --flag true
// (https://github.com/martinbjeldbak/acestream-http-proxy/issues/39).
func form(flag config.Flag) []string {
	value := ""
	switch v := flag.Value.(type) {
	case bool:
		if v && flag.Form == config.FlagPresent {
			return []string{flag.Name}
		}
	case int:
		if v != 0 {
			value = strconv.Itoa(v)
		}
	case config.Size:
		if v != 0 {
			value = strconv.FormatInt(int64(v), 10)
		}
	case time.Duration:
		if v != 0 {
			value = strconv.Itoa(int(v / time.Second))
		}
	case []string:
		var all []string
		for _, item := range v {
			all = append(all, flag.Name+"="+item)
		}
		return all
	case string:
		value = v
		switch {
		case v == "auto", flag.Form == config.FlagOwn:
			value = ""
		case flag.Form == config.FlagSwitch:
			value = toggle(v == "on")
		}
	}
	if value == "" {
		return nil
	}
	return []string{flag.Name + "=" + value}
}

func (l *launch) add(name, value string) { l.arguments = append(l.arguments, name+"="+value) }

func (l *launch) addUnless(extra extraFlags, name, value string) {
	if !extra.has(name) {
		l.add(name, value)
	}
}

func toggle(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// speed rounds up, since 0 means without a limit.
func speed(s config.Size) string {
	return strconv.FormatInt((int64(s)+kilobyte-1)/kilobyte, 10)
}

func number(to *int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("%q is not a port: write a number from 1 to 65535", value)
		}
		*to = n
		return nil
	}
}

func text(to *string) func(string) error {
	return func(value string) error {
		if value == "" {
			return errors.New("needs a value")
		}
		*to = value
		return nil
	}
}

// extraFlags are flags written by hand.
type extraFlags []extraFlag

type extraFlag struct {
	name     string // with its dashes
	value    string
	hasValue bool
}

// parseExtra splits at blanks, as the shell of other images does, without
// quotes. A word that is no flag is the value of the flag before it.
func parseExtra(written string) (extraFlags, error) {
	var flags extraFlags
	for word := range strings.FieldsSeq(written) {
		if !strings.HasPrefix(word, "-") {
			if len(flags) == 0 || flags[len(flags)-1].hasValue {
				return nil, fmt.Errorf("%q is no flag: write --name or --name=value", word)
			}
			last := &flags[len(flags)-1]
			last.value, last.hasValue = word, true
			continue
		}
		name, value, has := strings.Cut(word, "=")
		if !strings.HasPrefix(name, "--") || len(name) < 3 {
			return nil, fmt.Errorf("%q is no flag: a flag begins with two dashes", word)
		}
		flags = append(flags, extraFlag{name, value, has})
	}
	for _, flag := range flags {
		if err := flag.check(); err != nil {
			return nil, err
		}
	}
	return flags, nil
}

// modes start another program than an engine that plays.
var modes = []string{
	"--client-wx", "--client-gtk", "--stream-source-node", "--stream-source", "--stream-support-node", "--stream-startup-node",
	"--control-node", "--create-transport", "--create-transport-multi", "--create-hls-transport", "--publish-hls-stream",
	"--start-tracker", "--get-infohash", "--get-file-info", "--get-file-info-with-id", "--version", "--help",
}

// plain are documented flags that have no setting of the same name, and how
// they take their value.
var plain = map[string]string{
	"--client-console": config.FlagPresent, "--bind-all": config.FlagPresent, "--use-internal-buffering": config.FlagSwitch,
	"--upload-limit": config.FlagValue, "--download-limit": config.FlagValue,
	"--http-port": config.FlagValue, "--https-port": config.FlagValue, "--port": config.FlagValue,
	"--cache-limit": config.FlagValue, "--cache-max-bytes": config.FlagValue,
}

// documented are the forms of all flags known, by name.
func documented() map[string]string {
	all := maps.Clone(plain)
	for _, flag := range (config.Official{}).Flags() {
		all[flag.Name] = flag.Form
	}
	return all
}

func (f extraFlag) check() error {
	if slices.Contains(modes, f.name) {
		return fmt.Errorf("%s makes the engine something else than an engine that plays: leave it out", f.name)
	}
	switch documented()[f.name] {
	case config.FlagPresent:
		if f.hasValue {
			return fmt.Errorf("%s takes no value: write it alone, or leave it out", f.name)
		}
	case config.FlagSwitch:
		if f.value != "0" && f.value != "1" {
			return fmt.Errorf("%s takes 0 or 1: write %s=1", f.name, f.name)
		}
	case config.FlagValue, config.FlagRepeated, config.FlagOwn:
		if f.value == "" {
			return fmt.Errorf("%s needs a value: write %s=value", f.name, f.name)
		}
	}
	return nil
}

func (e extraFlags) has(name string) bool {
	return slices.ContainsFunc(e, func(f extraFlag) bool { return f.name == name })
}

// value is that of the last flag of a name.
func (e extraFlags) value(name string) string {
	value := ""
	for _, flag := range e {
		if flag.name == name {
			value = flag.value
		}
	}
	return value
}

// take gives the values of some flags to their takers.
func (e extraFlags) take(takers map[string]func(string) error) error {
	for _, flag := range e {
		if take, ok := takers[flag.name]; ok {
			if err := take(flag.value); err != nil {
				return fmt.Errorf("%s: %w", flag.name, err)
			}
		}
	}
	return nil
}

// taken are the flags that the supervisor must know, and writes itself.
var taken = []string{
	"--client-console", "--http-port", "--https-port", "--port", "--state-dir", "--cache-dir", "--cache-limit", "--cache-max-bytes", "--access-token",
}

// lines are the arguments of the flags that are passed on as they are.
func (e extraFlags) lines() []string {
	var all []string
	for _, flag := range e {
		switch {
		case slices.Contains(taken, flag.name):
		case flag.hasValue:
			all = append(all, flag.name+"="+flag.value)
		default:
			all = append(all, flag.name)
		}
	}
	return all
}

// unknown are the flags that no document names.
func (e extraFlags) unknown() []string {
	known := documented()
	var all []string
	for _, flag := range e {
		if _, ok := known[flag.name]; !ok {
			all = append(all, flag.name)
		}
	}
	return all
}
