package official

import (
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Health answers GET /livez, 200 as long as the engine is watched, and GET
// /readyz, 200 while the engine answers and else 503 with the reason.
func (s *Supervisor) Health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if now := s.status(); !now.ready {
			say(w, http.StatusServiceUnavailable, now.state)
			return
		}
		say(w, http.StatusOK, "ok")
	})
	return mux
}

// say answers with one plain line.
func say(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line+"\n") // a client that is gone needs no answer
}

// The metrics of an official engine, as far as it can be seen from outside.
var (
	descReady    = desc("ready", "Whether the official engine answers.")
	descRestarts = desc("restarts_total", "Starts of the official engine after the first, by cause.", "cause")
	descCache    = desc("cache_bytes", "Size of the official engine's cache on disk at the last look.")
	descLimit    = desc("cache_limit_bytes", "Size over which the cache is cleared.")
	descClears   = desc("cache_clears_total", "Times that the official engine was told to clear its cache.")
	descDropped  = desc("log_lines_dropped_total", "Lines of the official engine that came too fast to be relayed.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("acequia_official_"+name, help, labels, nil)
}

// Metrics returns a collector of what is known about the engine, read when it
// is scraped.
func (s *Supervisor) Metrics() prometheus.Collector { return collector{s} }

type collector struct{ supervisor *Supervisor }

// Describe implements [prometheus.Collector].
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReady, descRestarts, descCache, descLimit, descClears, descDropped} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	now := c.supervisor.status()
	ready := 0.0
	if now.ready {
		ready = 1
	}
	ch <- prometheus.MustNewConstMetric(descReady, prometheus.GaugeValue, ready)
	ch <- prometheus.MustNewConstMetric(descCache, prometheus.GaugeValue, float64(now.cache))
	ch <- prometheus.MustNewConstMetric(descLimit, prometheus.GaugeValue, float64(c.supervisor.launch.limit))
	ch <- prometheus.MustNewConstMetric(descClears, prometheus.CounterValue, float64(now.clears))
	ch <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(c.supervisor.relay.left()))
	for _, cause := range slices.Sorted(maps.Keys(now.restarts)) {
		ch <- prometheus.MustNewConstMetric(descRestarts, prometheus.CounterValue, float64(now.restarts[cause]), cause)
	}
}
