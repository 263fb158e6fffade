package native

import "github.com/prometheus/client_golang/prometheus"

// The metrics of an engine.
var (
	descSessions  = desc("sessions", "Sessions open now.")
	descReaders   = desc("readers", "Connections that read content now.")
	descOpened    = desc("sessions_opened_total", "Sessions opened.")
	descFailed    = desc("opens_failed_total", "Opens of content that failed.")
	descExpired   = desc("sessions_expired_total", "Sessions that ended because nobody used them.")
	descServed    = desc("served_bytes_total", "Bytes of content given to readers.")
	descTorrents  = desc("torrents", "Torrents held, idle ones included.")
	descPeers     = desc("peers", "Peers connected, over all torrents.")
	descCacheUsed = desc("cache_bytes", "Bytes of pieces held, in memory and on disk.")
	descCacheMax  = desc("cache_limit_bytes", "Most bytes of pieces that are kept.")
)

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("acequia_engine_"+name, help, nil, nil)
}

// Metrics returns a collector of the engine's figures, read when it is scraped.
func (e *Engine) Metrics() prometheus.Collector { return collector{e} }

type collector struct{ engine *Engine }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, ch)
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	l := c.engine.Load()
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descSessions, int64(l.Sessions))
	gauge(descReaders, int64(l.Readers))
	gauge(descTorrents, int64(l.Backend.Torrents))
	gauge(descPeers, int64(l.Backend.Peers))
	gauge(descCacheUsed, l.Backend.CacheUsed)
	gauge(descCacheMax, l.Backend.CacheLimit)
	counter(descOpened, l.Opened)
	counter(descFailed, l.Failed)
	counter(descExpired, l.Expired)
	counter(descServed, l.Served)
}
