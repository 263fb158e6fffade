package app

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
	"github.com/acequia-tv/acequia/internal/official"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

var update = flag.Bool("update", false, "rewrite docs/reference/metrics.md")

// described keeps what is registered, so that it can be listed.
type described struct {
	prometheus.Registerer
	descs []string
}

func (d *described) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		ch := make(chan *prometheus.Desc)
		go func() { c.Describe(ch); close(ch) }()
		for desc := range ch {
			d.descs = append(d.descs, desc.String())
		}
	}
	d.Registerer.MustRegister(cs...)
}

// TestMetricsReference holds docs/reference/metrics.md to the code.
func TestMetricsReference(t *testing.T) {
	const path = "../../docs/reference/metrics.md"
	server := &described{Registerer: prometheus.NewRegistry()}
	newObserver(server, event.NewLog(1), slog.New(slog.DiscardHandler))
	server.MustRegister(poolCollector{reconcile.New(reconcile.Config{})}, hubCollector{stream.NewHub(stream.Config{}, nil, nil, nil)})
	engine := &described{Registerer: prometheus.NewRegistry()}
	engine.MustRegister(native.New(native.Config{}, native.Deps{Backend: vodtest.New(), Logger: slog.New(slog.DiscardHandler)}).Metrics())

	var doc bytes.Buffer
	doc.WriteString("# Metrics\n\nWhat `/metrics` tells, in the Prometheus format. Beside these come the usual\n" +
		"metrics of the Go runtime and of the process, and `acequia_build_info`.\nNo label names a content, a player or an address.\n")
	section(t, &doc, "acequia serve", server.descs)
	section(t, &doc, "acequia engine", engine.descs)
	watched := &described{Registerer: prometheus.NewRegistry()}
	supervisor, err := official.New("start-engine", invocation(t).Config, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	watched.MustRegister(supervisor.Metrics())
	section(t, &doc, "acequia engine --official", watched.descs)
	if *update {
		if err := os.WriteFile(path, doc.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, doc.Bytes()) {
		t.Errorf("%s is stale (%v): run make gen", path, err)
	}
}

func section(t *testing.T, doc *bytes.Buffer, title string, descs []string) {
	t.Helper()
	shape := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]*)", unit: "[^"]*", constLabels: \{\}, variableLabels: \{([^}]*)\}\}$`)
	fmt.Fprintf(doc, "\n## %s\n\n| Metric | Labels | Meaning |\n| --- | --- | --- |\n", title)
	var rows [][]string
	for _, d := range descs {
		m := shape.FindStringSubmatch(d)
		if m == nil {
			t.Fatalf("cannot read %s", d)
		}
		if !strings.HasPrefix(m[1], "acequia_") || !strings.HasSuffix(m[2], ".") {
			t.Errorf("%s: a metric begins with acequia_, its help is a sentence: %q", m[1], m[2])
		}
		rows = append(rows, m[1:])
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	for _, r := range rows {
		labels := "–"
		if r[2] != "" {
			labels = "`" + r[2] + "`"
		}
		fmt.Fprintf(doc, "| `%s` | %s | %s |\n", r[0], labels, r[1])
	}
}

// What is scraped keeps to the conventions of Prometheus.
func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	s := staticServer(t, true, []*enginetest.Fake{fake})
	_, _ = get(t, s.base+"/ace/getstream?infohash=ffffffffffffffffffffffffffffffffffffffff")
	res, body := get(t, s.base+"/metrics")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	for _, want := range []string{`acequia_pool_engines{phase="ready"} 1`, `acequia_stream_starts_total{result="not_found"} 1`, "acequia_build_info", "go_goroutines"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	problems, err := testutil.GatherAndLint(telemetry.NewRegistry(telemetry.Build{}))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
