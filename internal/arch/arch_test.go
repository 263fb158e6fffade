// Package arch holds the rules of the house as tests: what may import what,
// what must be documented, how large a file may grow. They parse the sources
// themselves, so that no cache hides a violation.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/acequia-tv/acequia"

// layers are the floors of the house, lowest first. A package imports only
// packages of lower floors, and of its own floor where the rule says so.
var layers = []struct {
	name     string
	packages []string // patterns below internal/, as path.Match; "x/..." is x and all below
	within   bool     // packages of this floor may import each other
	pure     bool     // the standard library only, no clock, no randomness
}{
	{name: "leaves and decisions", pure: true, packages: []string{
		"content", "mpegts", "ring", "event", "backoff", "health", "pool", "message", "lines", "player", "provider/docker/profile", "native/bencode", "native/live/swarm",
	}},
	{name: "formats", pure: true, within: true, packages: []string{"hls", "native/live/channel", "native/live/unit", "native/live/wire"}},
	{name: "settings", packages: []string{"config"}},
	{name: "protocols", packages: []string{"native/disco"}},
	{name: "ports", packages: []string{"engine", "provider", "telemetry", "native/vod"}},
	{name: "contracts", packages: []string{"engine/enginetest", "provider/providertest", "native/vod/vodtest", "telemetry/telemetrytest", "hls/hlstest", "provider/docker/dockertest", "native/live/swarm/swarmtest"}},
	{name: "machinery", within: true, packages: []string{
		"upstream", "stream", "timeshift", "reconcile", "provider/...", "native", "native/...", "demo", "official", "privilege",
		"auth", "store", "lease", "remote",
	}},
	{name: "surfaces", within: true, packages: []string{"playback", "playback/playbacktest", "compat", "native/api", "cli", "api", "live"}},
	{name: "composition", packages: []string{"app"}},
}

// planes never meet: the data plane declares what it needs, and the
// composition root passes something that has it.
var planes = map[string][]string{
	"data":    {"ring", "mpegts", "hls", "upstream", "stream", "timeshift", "playback", "remote"},
	"control": {"pool", "health", "reconcile", "provider/...", "provider", "lease"},
}

// vendors may be imported by their adapter alone.
var vendors = map[string][]string{
	"github.com/anacrolix/":               {"native/vod", "native/disco", "native/seed"},
	"github.com/goccy/go-yaml":            {"config"},
	"github.com/alecthomas/kong":          {"cli"},
	"github.com/prometheus/client_golang": {"telemetry", "app", "native", "official"},
	"github.com/lmittmann/tint":           {"telemetry"},
	"github.com/danielgtaylor/huma":       {"api"},
	"modernc.org/sqlite":                  {"store"},
	"golang.org/x/crypto":                 {"auth"},
	"github.com/asticode/go-astits":       {},
	"github.com/moby/":                    {"provider/docker"},
	"github.com/containerd/":              {"provider/docker"},
	"github.com/rogpeppe/go-internal":     {},
	"pgregory.net/rapid":                  {},
}

type source struct {
	path string // relative to the root, with slashes
	pkg  string // relative to internal/, "" for what is elsewhere
	file *ast.File
	test bool
	size int // lines
	text string
}

func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "node_modules" || (strings.HasPrefix(name, ".") && strings.Trim(name, ".") != "")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, raw, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		pkg := ""
		if below, ok := strings.CutPrefix(path.Dir(rel), "internal/"); ok {
			pkg = below
		}
		all = append(all, source{
			path: rel, pkg: pkg, file: f, text: string(raw),
			test: strings.HasSuffix(name, "_test.go"),
			size: strings.Count(string(raw), "\n"),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d sources found: the test looks in the wrong place", len(all))
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

// matches tells whether a package is meant by a pattern.
func matches(pattern, pkg string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(pkg, below+"/")
	}
	return pattern == pkg
}

// floor returns the index of a package's layer: the one that names it exactly,
// or else the first whose pattern covers it; -1 if there is none.
func floor(pkg string) int {
	covered := -1
	for i, layer := range layers {
		if slices.Contains(layer.packages, pkg) {
			return i
		}
		if covered < 0 && slices.ContainsFunc(layer.packages, func(p string) bool { return matches(p, pkg) }) {
			covered = i
		}
	}
	return covered
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test || s.pkg == "" || s.pkg == "arch" {
			continue
		}
		from := floor(s.pkg)
		if from < 0 {
			t.Errorf("%s: package %s is on no floor of the house; give it one in this test", s.path, s.pkg)
			continue
		}
		for _, imp := range s.imports() {
			target, ours := strings.CutPrefix(imp, module+"/internal/")
			if !ours {
				continue
			}
			to := floor(target)
			if to > from || (to == from && !layers[from].within) {
				t.Errorf("%s (%s) imports %s (%s): imports point down", s.path, layers[from].name, target, layers[max(to, 0)].name)
			}
		}
	}
}

// Package client is for programs of others: it needs nothing of ours, and no
// library.
func TestClientStandsAlone(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.path, "client/") {
			continue
		}
		for _, imp := range s.imports() {
			if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
				t.Errorf("%s imports %s: who uses the client would get it too", s.path, imp)
			}
		}
	}
}

func TestPlanesDoNotMeet(t *testing.T) {
	t.Parallel()
	in := func(plane, pkg string) bool {
		return slices.ContainsFunc(planes[plane], func(p string) bool { return matches(p, pkg) })
	}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imp := range s.imports() {
			target, ours := strings.CutPrefix(imp, module+"/internal/")
			if !ours {
				continue
			}
			if in("data", s.pkg) && in("control", target) || in("control", s.pkg) && in("data", target) {
				t.Errorf("%s imports %s: the data plane and the control plane do not know each other", s.path, target)
			}
		}
	}
}

func TestLeavesArePure(t *testing.T) {
	t.Parallel()
	impure := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|AfterFunc|NewTimer|NewTicker|Tick)\(|\brand\.`)
	for _, s := range sources(t) {
		at := floor(s.pkg)
		if s.test || s.pkg == "" || at < 0 || !layers[at].pure {
			continue
		}
		for _, imp := range s.imports() {
			if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !strings.HasPrefix(imp, module+"/internal/") {
				t.Errorf("%s imports %s: leaves and decisions use the standard library only", s.path, imp)
			}
		}
		if found := impure.FindString(s.text); found != "" {
			t.Errorf("%s uses %s: time and randomness are inputs of leaves and decisions", s.path, found)
		}
	}
}

func TestVendorsStayInTheirAdapter(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test || s.pkg == "" {
			continue
		}
		for _, imp := range s.imports() {
			for vendor, allowed := range vendors {
				if strings.HasPrefix(imp, vendor) && !slices.Contains(allowed, s.pkg) && !strings.HasSuffix(s.pkg, "test") {
					t.Errorf("%s imports %s, which belongs to %v", s.path, imp, allowed)
				}
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	t.Parallel()
	docs := make(map[string]string)
	for _, s := range sources(t) {
		dir := path.Dir(s.path)
		if _, there := docs[dir]; !there {
			docs[dir] = ""
		}
		if s.file.Doc != nil {
			docs[dir] += s.file.Doc.Text()
		}
	}
	for dir, doc := range docs {
		if !strings.HasPrefix(doc, "Package ") && !strings.HasPrefix(doc, "Acequia ") && !strings.HasPrefix(doc, "Command ") {
			t.Errorf("%s: no package comment that begins with \"Package\" or \"Command\"", dir)
		}
	}
}

func TestPackageNamesSayWhatIsInside(t *testing.T) {
	t.Parallel()
	empty := []string{"util", "utils", "common", "helpers", "helper", "types", "models", "manager", "misc", "base"}
	for _, s := range sources(t) {
		if slices.Contains(empty, s.file.Name.Name) || slices.Contains(empty, strings.TrimSuffix(path.Base(s.path), ".go")) {
			t.Errorf("%s: the name says nothing", s.path)
		}
	}
}

// largest is the size in lines over which a file holds more than one concept.
const largest = 600

func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !s.test && s.size > largest && !ast.IsGenerated(s.file) {
			t.Errorf("%s has %d lines, more than %d: split it along a concept", s.path, s.size, largest)
		}
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	sleep := regexp.MustCompile(`\btime\.Sleep\(`)
	bubbles := make(map[string]bool)
	for _, s := range sources(t) {
		if s.test && strings.Contains(s.text, `"testing/synctest"`) {
			bubbles[s.pkg] = true
		}
	}
	for _, s := range sources(t) {
		// Inside a synctest bubble sleeping takes no time and is exact.
		if s.test && sleep.MatchString(s.text) && !bubbles[s.pkg] {
			t.Errorf("%s sleeps: wait for the condition instead", s.path)
		}
		if !s.test && sleep.MatchString(s.text) {
			t.Errorf("%s sleeps: use a timer that a context can end", s.path)
		}
	}
}

func TestNoProcessStateInside(t *testing.T) {
	t.Parallel()
	state := regexp.MustCompile(`\bos\.(Args|Getenv|LookupEnv|Environ|Exit|Stdin|Stdout|Stderr)\b|\blog\.(Fatal|Print)|\bslog\.(Default|Info|Warn|Error|Debug)\(`)
	for _, s := range sources(t) {
		if s.test || s.pkg == "" {
			continue
		}
		if found := state.FindString(s.text); found != "" {
			t.Errorf("%s uses %s: process state comes in through cmd", s.path, found)
		}
	}
}
