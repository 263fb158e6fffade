package telemetry

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry that knows the Go runtime, the process and
// the build. Parts register what they measure with it.
func NewRegistry(build Build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newBuildInfo(build),
	)
	return registry
}

// newBuildInfo is the usual metric of the constant 1 whose labels are the news.
func newBuildInfo(build Build) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "acequia_build_info",
		Help: "Which build runs; the value is always 1.",
		ConstLabels: prometheus.Labels{
			"version":   build.Version,
			"revision":  build.Revision,
			"goversion": build.Go,
		},
	})
	info.Set(1)
	return info
}

// MetricsHandler serves what registry holds in the Prometheus and OpenMetrics
// formats. A metric that cannot be collected is logged and left out; the
// others are served.
func MetricsHandler(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:          metricsLog{log},
		ErrorHandling:     promhttp.ContinueOnError,
		Registry:          registry,
		EnableOpenMetrics: true,
	})
}

// metricsLog turns what promhttp prints into log lines.
type metricsLog struct{ log *slog.Logger }

func (l metricsLog) Println(v ...any) {
	l.log.Warn("metrics incomplete", KeyErr, fmt.Sprint(v...))
}
