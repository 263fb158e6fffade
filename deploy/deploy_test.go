// Package deploy holds what people install: images, compose files, a unit of
// systemd, a dashboard. Its tests hold them to the program.
package deploy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/official"
)

// compose is as much of a compose file as is looked at.
type compose struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Environment map[string]string `yaml:"environment"`
		Volumes     []string          `yaml:"volumes"`
		CapDrop     []string          `yaml:"cap_drop"`
		CapAdd      []string          `yaml:"cap_add"`
		SecurityOpt []string          `yaml:"security_opt"`
		ReadOnly    bool              `yaml:"read_only"`
	} `yaml:"services"`
}

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readCompose(t *testing.T, name string) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(read(t, name)), &c); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

func composeFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("compose*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("compose files %v, %v", files, err)
	}
	return files
}

// variables are all that our images read.
func variables() []string {
	all := []string{"TZ", "PUID", "PGID", "HOME", "ACEQUIA_CONFIG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
	for _, key := range config.Keys() {
		all = append(all, key.Env())
		if key.Secret {
			all = append(all, key.Env()+"_FILE")
		}
	}
	for _, alias := range official.Aliases() {
		all = append(all, alias.Variable)
	}
	return all
}

func TestComposeNamesSettingsThatExist(t *testing.T) {
	t.Parallel()
	known := variables()
	for _, file := range composeFiles(t) {
		for name, service := range readCompose(t, file).Services {
			if name != "acequia" && !strings.Contains(service.Image, "acequia") {
				continue
			}
			for variable := range service.Environment {
				if !slices.Contains(known, variable) {
					t.Errorf("%s: service %s: no setting %s", file, name, variable)
				}
			}
		}
	}
}

// The first contact fits a screen.
func TestComposeIsShort(t *testing.T) {
	t.Parallel()
	if n := strings.Count(read(t, "compose.yaml"), "\n"); n > 25 {
		t.Errorf("compose.yaml has %d lines; at most 25 are allowed", n)
	}
	acequia := readCompose(t, "compose.yaml").Services["acequia"]
	if !slices.Contains(acequia.Volumes, "./config:/config") || !acequia.ReadOnly || !slices.Contains(acequia.CapDrop, "ALL") {
		t.Errorf("%+v", acequia)
	}
}

func TestComposeAgrees(t *testing.T) {
	t.Parallel()
	if err := exec.Command("docker", "compose", "version").Run(); err != nil {
		t.Skip("docker compose is not installed")
	}
	for _, files := range [][]string{{"compose.yaml"}, {"compose.native.yaml"}, {"compose.engine.yaml"}, {"compose.yaml", "compose.monitoring.yaml"}, {"compose.yaml", "compose.socket-proxy.yaml"}} {
		args := []string{"compose"}
		for _, file := range files {
			args = append(args, "-f", file)
		}
		if out, err := exec.Command("docker", append(args, "config", "-q")...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v %s", files, err, out)
		}
	}
}

// instructions are the lines of a Dockerfile's last stage, or of one with a name.
func instructions(t *testing.T, file, stage string) []string {
	t.Helper()
	var lines []string
	for scanner := bufio.NewScanner(strings.NewReader(read(t, file))); scanner.Scan(); {
		line := scanner.Text()
		switch {
		case strings.HasPrefix(line, "FROM ") && stage != "" && !strings.HasSuffix(line, " AS "+stage):
			if lines != nil {
				return lines
			}
		case strings.HasPrefix(line, "FROM "):
			lines = []string{}
		case lines != nil && line != "" && line[0] >= 'A' && line[0] <= 'Z' && !strings.HasPrefix(line, "COPY "):
			lines = append(lines, line)
		}
	}
	return lines
}

// An image is the same however it is built.
func TestImagesFromSourceAreTheSame(t *testing.T) {
	t.Parallel()
	for stage, file := range map[string]string{"serve": "Dockerfile", "engine": "engine.Dockerfile"} {
		want := instructions(t, file, "")
		if len(want) < 6 {
			t.Fatalf("%s: %q", file, want)
		}
		if diff := cmp.Diff(want, instructions(t, "source.Dockerfile", stage)); diff != "" {
			t.Errorf("%s and stage %s of source.Dockerfile (-%[1]s +stage):\n%[3]s", file, stage, diff)
		}
	}
}

func TestImagesNameSettingsThatExist(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*Dockerfile")
	if err != nil || len(files) != 4 {
		t.Fatalf("Dockerfiles %v, %v", files, err)
	}
	known := variables()
	for _, file := range files {
		found := 0
		for line := range strings.Lines(read(t, file)) {
			pairs, ok := strings.CutPrefix(line, "ENV ")
			if !ok {
				continue
			}
			for pair := range strings.FieldsSeq(pairs) {
				found++
				if name, _, _ := strings.Cut(pair, "="); !slices.Contains(known, name) {
					t.Errorf("%s: no setting %s", file, name)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s sets nothing", file)
		}
	}
}

func TestUnitNamesSettingsThatExist(t *testing.T) {
	t.Parallel()
	known, found := variables(), 0
	for _, m := range regexp.MustCompile(`(?m)^Environment=([A-Z_]+)=`).FindAllStringSubmatch(read(t, "acequia.service"), -1) {
		found++
		if !slices.Contains(known, m[1]) {
			t.Errorf("no setting %s", m[1])
		}
	}
	if found == 0 {
		t.Error("the unit names no directory for data")
	}
}

func TestUnitIsValid(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	// It looks for the program, which is not installed where tests run.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "acequia.service")
	text := strings.Replace(read(t, "acequia.service"), "/usr/local/bin/acequia", self, 1)
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), unit) {
		t.Errorf("%v\n%s", err, out)
	}
}

// reference is what docs/reference/metrics.md lists: labels by metric.
func reference(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	row := regexp.MustCompile("^\\| `(acequia_\\w+)` \\| (`([\\w,]+)`|–) \\|")
	for line := range strings.Lines(read(t, "../docs/reference/metrics.md")) {
		if m := row.FindStringSubmatch(line); m != nil {
			all[m[1]] = strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' })
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d metrics found", len(all))
	}
	return all
}

var (
	metricName   = regexp.MustCompile(`\b(acequia|process|go)_\w+|\bup\b`)
	labelMatcher = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping     = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// checkQuery tells what a query names that does not exist.
func checkQuery(known map[string][]string, query string) error {
	labels := []string{"job", "instance", "le"}
	names := metricName.FindAllString(query, -1)
	for _, name := range names {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		own, ok := known[base]
		// These come from the libraries of Prometheus, and from it itself.
		library := strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "go_") || name == "up" || name == "acequia_build_info"
		if !ok && !library {
			return fmt.Errorf("no metric %s", name)
		}
		labels = append(labels, own...)
	}
	if len(names) == 0 {
		return fmt.Errorf("it names no metric")
	}
	var used []string
	for _, m := range labelMatcher.FindAllStringSubmatch(query, -1) {
		used = append(used, m[1])
	}
	for _, m := range grouping.FindAllStringSubmatch(query, -1) {
		used = append(used, strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	for _, label := range used {
		if !slices.Contains(labels, label) {
			return fmt.Errorf("its metrics have no label %s", label)
		}
	}
	return nil
}

func TestDashboardShowsMetricsThatExist(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		UID    string
		Panels []struct {
			ID          int
			Title       string
			Description string
			GridPos     struct{ X, Y, W, H int }
			Datasource  struct{ UID string }
			Targets     []struct {
				Expr       string
				Datasource struct{ UID string }
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	known, shown := reference(t), ""
	ids := make(map[int]bool)
	for i, panel := range dashboard.Panels {
		if panel.Title == "" || panel.Description == "" || ids[panel.ID] || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d: %+v", i, panel)
		}
		ids[panel.ID] = true
		for _, other := range dashboard.Panels[:i] {
			a, b := panel.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s lies over %s", panel.Title, other.Title)
			}
		}
		for _, target := range panel.Targets {
			shown += target.Expr + "\n"
			if err := checkQuery(known, target.Expr); err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: data source %q", panel.Title, target.Datasource.UID)
			}
		}
	}
	if len(dashboard.Panels) < 10 || dashboard.UID != "acequia" {
		t.Errorf("%d panels, uid %q", len(dashboard.Panels), dashboard.UID)
	}
	for name := range known {
		if (strings.HasPrefix(name, "acequia_pool_") || strings.HasPrefix(name, "acequia_official_restarts")) && !strings.Contains(shown, name) {
			t.Errorf("nothing shows %s", name)
		}
	}
}

func TestAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yml")), &alerts); err != nil {
		t.Fatal(err)
	}
	known, count := reference(t), 0
	for _, group := range alerts.Groups {
		for _, rule := range group.Rules {
			count++
			if err := checkQuery(known, rule.Expr); err != nil {
				t.Errorf("%s: %v", rule.Alert, err)
			}
			if rule.Alert == "" || rule.Annotations["summary"] == "" {
				t.Errorf("rule %+v says nothing", rule)
			}
		}
	}
	if count == 0 {
		t.Error("no rules")
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		return
	}
	if out, err := exec.Command("promtool", "check", "config", "prometheus/prometheus.yml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The check itself finds what is wrong.
func TestCheckQuery(t *testing.T) {
	t.Parallel()
	known := map[string][]string{"acequia_a_total": {"cause"}, "acequia_b": nil}
	for query, ok := range map[string]bool{
		`sum by (cause) (rate(acequia_a_total{job="x"}[5m]))`:     true,
		`histogram_quantile(0.5, sum by (le) (acequia_b_bucket))`: true,
		`up{job="acequia"} == 0`:                                  true,
		`acequia_c`:                                               false,
		`acequia_b{cause="x"}`:                                    false,
		`sum by (content) (acequia_a_total)`:                      false,
		`sum by (cause, le) (acequia_a_total)`:                    true,
		`1 > 0`:                                                   false,
	} {
		if err := checkQuery(known, query); (err == nil) != ok {
			t.Errorf("%s: %v", query, err)
		}
	}
}
