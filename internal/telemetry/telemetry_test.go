package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestChooseForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		format   string
		terminal bool
		env      map[string]string
		want     Form
	}{
		{"auto", true, nil, Colored},
		{"auto", true, map[string]string{"NO_COLOR": "1"}, Text},
		{"auto", true, map[string]string{"TERM": "dumb"}, Text},
		{"auto", false, nil, JSON},
		{"text", true, nil, Colored},
		{"text", false, nil, Text},
		{"json", true, nil, JSON},
		{"json", false, nil, JSON},
	}
	for _, test := range tests {
		got := ChooseForm(test.format, test.terminal, func(name string) string { return test.env[name] })
		if got != test.want {
			t.Errorf("ChooseForm(%s, %v, %v) = %v; want %v", test.format, test.terminal, test.env, got, test.want)
		}
	}
}

func TestNewLoggerForms(t *testing.T) {
	t.Parallel()
	write := func(form Form) string {
		var out bytes.Buffer
		log := NewLogger(&out, form, slog.LevelInfo)
		log.Debug("hidden")
		log.Info("stream started", KeyStream, "abc", KeyErr, errors.New("none"))
		return out.String()
	}

	var line map[string]any
	if err := json.Unmarshal([]byte(write(JSON)), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	want := map[string]any{"level": "INFO", "msg": "stream started", "stream": "abc", "err": "none"}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
	if text := write(Text); !strings.HasSuffix(text, " INF stream started stream=abc err=none\n") || strings.Contains(text, "\x1b") {
		t.Errorf("text is %q", text)
	}
	if text := write(Colored); !strings.Contains(text, "\x1b[") || !strings.Contains(text, "stream started") {
		t.Errorf("colored text is %q", text)
	}
}

func TestParseLevel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got, err := ParseLevel(text); got != want || err != nil {
			t.Errorf("ParseLevel(%s) = %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
}

func TestNewBuild(t *testing.T) {
	t.Parallel()
	stamped := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
			{Key: "vcs.time", Value: "2026-11-22T10:00:00Z"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	tests := []struct {
		name    string
		version string
		info    *debug.BuildInfo
		want    string
	}{
		{"stamped", "", stamped, "acequia v1.2.3 (commit 0123456789ab, modified, 2026-11-22T10:00:00Z) go1.26.8 linux/arm64"},
		{"release", "v2.0.0", stamped, "acequia v2.0.0 (commit 0123456789ab, modified, 2026-11-22T10:00:00Z) go1.26.8 linux/arm64"},
		{"test", "", &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}}, "acequia devel go1.26.8 linux/arm64"},
		{"nothing known", "", &debug.BuildInfo{GoVersion: "go1.26.8"}, "acequia devel go1.26.8 linux/arm64"},
	}
	for _, test := range tests {
		build := newBuild(test.version, test.info)
		build.Platform = "linux/arm64"
		if got := build.String(); got != test.want {
			t.Errorf("%s: %q; want %q", test.name, got, test.want)
		}
	}
}

func TestReadBuildKnowsItsToolchain(t *testing.T) {
	t.Parallel()
	build := ReadBuild()
	if !strings.HasPrefix(build.Go, "go") || !strings.Contains(build.Platform, "/") || build.Version == "" {
		t.Errorf("build is %+v", build)
	}
}

func get(t *testing.T, handler http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return recorder
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := NewRegistry(Build{Version: "v1.2.3", Revision: "abc", Go: "go1.26.8"})
	answer := get(t, MetricsHandler(registry, slog.New(slog.DiscardHandler)), "/metrics")
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d", answer.Code)
	}
	for _, want := range []string{
		`acequia_build_info{goversion="go1.26.8",revision="abc",version="v1.2.3"} 1`,
		"\ngo_goroutines ",
		"\nprocess_start_time_seconds ",
	} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	problems, err := testutil.GatherAndLint(registry, "acequia_build_info")
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// broken is a collector that cannot collect.
type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}
func (broken) Collect(metrics chan<- prometheus.Metric) {
	desc := prometheus.NewDesc("acequia_broken", "Never there.", nil, nil)
	metrics <- prometheus.NewInvalidMetric(desc, errors.New("out of order"))
}

func TestBrokenMetricLeavesTheOthers(t *testing.T) {
	t.Parallel()
	registry := NewRegistry(Build{})
	registry.MustRegister(broken{})
	var logged bytes.Buffer
	answer := get(t, MetricsHandler(registry, NewLogger(&logged, Text, slog.LevelInfo)), "/metrics")
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "acequia_build_info") {
		t.Errorf("status %d, metrics %.200s", answer.Code, answer.Body)
	}
	if !strings.Contains(logged.String(), "WRN metrics incomplete") || !strings.Contains(logged.String(), "out of order") {
		t.Errorf("the log says %q", &logged)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	handler := ProfileHandler()
	for path, want := range map[string]string{
		ProfilePath:                       "Types of profiles available",
		ProfilePath + "goroutine?debug=1": "goroutine profile:",
		ProfilePath + "symbol":            "num_symbols",
	} {
		answer := get(t, handler, path)
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s answers %d without %q", path, answer.Code, want)
		}
	}
	if answer := get(t, handler, "/"); answer.Code != http.StatusNotFound {
		t.Errorf("/ answers %d", answer.Code)
	}
}
