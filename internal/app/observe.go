package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/store"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/upstream"
)

// observer turns what happens to streams into events and metrics. It is safe
// for concurrent use.
type observer struct {
	events *event.Log
	log    *slog.Logger
	keep   func(store.Play) // keeps what came of playing; nil keeps nothing

	starts   *prometheus.CounterVec   // by result
	first    prometheus.Histogram     // seconds
	stages   *prometheus.HistogramVec // seconds, by stage
	waits    *prometheus.HistogramVec // seconds, by stream
	failures *prometheus.CounterVec   // by failure
	switches *prometheus.CounterVec   // by seamless
	refused  *prometheus.CounterVec   // by reason
	gaps     prometheus.Histogram     // seconds
	degraded *prometheus.CounterVec   // by reason
	settled  *prometheus.CounterVec   // by reason
	viewers  prometheus.Counter
	skips    prometheus.Counter
	unkept   prometheus.Counter
}

func newObserver(registry prometheus.Registerer, events *event.Log, log *slog.Logger) *observer {
	counters := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "acequia_" + name, Help: help}, []string{label})
		registry.MustRegister(v)
		return v
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "acequia_" + name, Help: help})
		registry.MustRegister(c)
		return c
	}
	o := &observer{
		events: events, log: log,
		starts:   counters("stream_starts_total", "Starts of streams, by result: ok or the code of the error.", "result"),
		failures: counters("stream_source_failures_total", "Sources that failed under a running stream, by how.", "failure"),
		switches: counters("stream_switches_total", "Streams that went on from another engine, by whether a packet was lost.", "seamless"),
		degraded: counters("stream_degradations_total", "Times that an engine played a stream badly and another one was looked for, by reason.", "reason"),
		settled:  counters("stream_content_faults_total", "Times that engine after engine showed the same fault of a content, by reason.", "reason"),
		gaps: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "acequia_stream_switch_gap_seconds",
			Help:    "Time without anything new for viewers when a stream went on from another engine.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 20, 60},
		}),
		refused: counters("stream_refused_total", "Viewers that were kept out, by reason: a limit, or the shutdown.", "reason"),
		viewers: counter("stream_viewers_total", "Viewers that joined a stream."),
		skips:   counter("stream_viewer_skips_total", "Times that a viewer was too slow and skipped ahead."),
		unkept:  counter("timeshift_losses_total", "Times that what time shift kept of a stream was lost: the disk was full, failed or too slow."),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "acequia_stream_start_duration_seconds",
			Help:    "Time from the first request for a content to its first bytes.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 60},
		}),
	}
	o.stages = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "acequia_stream_start_stage_seconds",
		Help:    "Time that a stage of a start took, on the engine that plays: engine (a slot), resolve, open, prebuffer, join (the first byte to a viewer).",
		Buckets: []float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30},
	}, []string{"stage"})
	o.waits = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "acequia_viewer_first_byte_seconds",
		Help:    "Time from a viewer's request to its first byte, by whether the stream was starting or running.",
		Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30},
	}, []string{"stream"})
	registry.MustRegister(o.first, o.stages, o.waits, o.gaps)
	return o
}

// attributes are what the event log is told of e beside a sentence.
func attributes(e stream.Event) map[string]string {
	attrs := map[string]string{"stream": e.Stream.Name()}
	if e.Engine != "" {
		attrs["engine"] = e.Engine
	}
	if e.Err != nil {
		attrs["err"] = e.Err.Error()
	}
	if e.Reason != "" {
		attrs["reason"] = string(e.Reason)
	}
	if e.Start != nil {
		if tries := lost(e.Start); tries != "" {
			attrs["lost"] = tries
		}
	}
	return attrs
}

// observe is told what happens to streams.
func (o *observer) observe(e stream.Event) {
	if e.Kind == stream.EventRefused {
		o.refused.WithLabelValues(string(stream.CodeOf(e.Err))).Inc()
		return
	}
	name, attrs := e.Stream.Name(), attributes(e)
	o.keepPlays(e)
	var message string
	switch e.Kind {
	case stream.EventJoined:
		o.viewers.Inc()
		return
	case stream.EventLeft:
		return
	case stream.EventFirstByte:
		o.firstByte(e)
		return
	case stream.EventSkipped:
		o.skips.Inc()
		return
	case stream.EventStarted:
		o.starts.WithLabelValues("ok").Inc()
		o.first.Observe(e.After.Seconds())
		won, _ := e.Start.Winner()
		for i, d := range won.Took {
			if stage := stream.Stage(i); stage != stream.StageJoin {
				o.stages.WithLabelValues(stage.String()).Observe(d.Seconds())
			}
		}
		attrs["after"], attrs["stages"] = e.After.Round(time.Millisecond).String(), won.Took.String()
		o.log.Info("stream plays", "stream", name, "engine", e.Engine, "after", e.After.Round(time.Millisecond), "stages", won.Took)
		message = "The stream plays."
	case stream.EventFailed:
		o.starts.WithLabelValues(string(stream.CodeOf(e.Err))).Inc()
		message = "The content does not play."
	case stream.EventSource:
		o.failures.WithLabelValues(string(upstream.FailureOf(e.Err))).Inc()
		message = "The engine failed under the stream."
	case stream.EventDegraded:
		o.degraded.WithLabelValues(string(e.Reason)).Inc()
		message = "The engine plays the stream badly; another one is looked for."
	case stream.EventSettled:
		o.settled.WithLabelValues(string(e.Reason)).Inc()
		message = "Engine after engine shows the same fault: it is the content's own."
	case stream.EventSwitched:
		o.switches.WithLabelValues(yesNo(e.Seamless)).Inc()
		o.gaps.Observe(e.Gap.Seconds())
		message = "The stream goes on from another engine."
	case stream.EventUnkept:
		o.unkept.Inc()
		message = "Time shift lost what it kept of the stream, and begins anew."
	case stream.EventEnded:
		o.log.Info("stream ended", "stream", name, "err", e.Err)
		message = "The stream ended."
	}
	o.events.Publish(event.Event{Time: time.Now(), Type: "stream." + string(e.Kind), Message: message, Attrs: attrs})
}

// keepPlays keeps what came of a start or of an engine, for the history.
func (o *observer) keepPlays(e stream.Event) {
	if o.keep == nil {
		return
	}
	play := store.Play{At: time.Now(), Content: e.Stream.Name(), Engine: e.Engine, What: store.PlayStart}
	switch e.Kind {
	case stream.EventStarted:
		play.Result, play.FirstByte = store.ResultOK, e.After
	case stream.EventFailed:
		play.Result = string(stream.CodeOf(e.Err))
	case stream.EventSource:
		play.What, play.Result = store.PlaySource, string(upstream.FailureOf(e.Err))
	default:
		return
	}
	o.keep(play)
	if e.Start == nil {
		return
	}
	for _, t := range e.Start.Tries {
		if t.Err != nil && t.Engine != "" {
			o.keep(store.Play{At: play.At, Content: play.Content, Engine: t.Engine, What: store.PlayTry, Result: string(stream.CodeOf(t.Err))})
		}
	}
}

// firstByte measures what a viewer waited for.
func (o *observer) firstByte(e stream.Event) {
	if e.Start == nil {
		o.waits.WithLabelValues("running").Observe(e.After.Seconds())
		return
	}
	o.waits.WithLabelValues("starting").Observe(e.After.Seconds())
	if won, ok := e.Start.Winner(); ok && e.First {
		o.stages.WithLabelValues(stream.StageJoin.String()).Observe(won.Took[stream.StageJoin].Seconds())
	}
}

// lost tells in one line which attempts of a start did not play, and why.
func lost(start *stream.Start) string {
	var tries []string
	for _, t := range start.Tries {
		if t.Err != nil {
			tries = append(tries, fmt.Sprintf("%s in %s: %v", cmp.Or(t.Engine, "no engine"), t.Stage, t.Err))
		}
	}
	return strings.Join(tries, "; ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("acequia_"+name, help, labels, nil)
}

// poolCollector measures the pool when it is asked.
type poolCollector struct{ pool *reconcile.Pool }

var (
	descEngines = desc("pool_engines", "Engines, by phase.", "phase")
	descWanted  = desc("pool_engines_wanted", "Engines that there should be, by the demand.")
	descSlots   = desc("pool_slots", "Slots of engines that take playbacks.")
	descUsed    = desc("pool_slots_used", "Slots in use.")
	descWaiting = desc("pool_waiting", "Playbacks that wait for a slot.")
	descStarts  = desc("pool_engine_starts_total", "Engines started, by cause.", "cause")
	descStops   = desc("pool_engine_stops_total", "Engines stopped, by cause.", "cause")
	descLost    = desc("pool_engines_lost_total", "Engines that ended by themselves.")
	descNoSlot  = desc("pool_unavailable_total", "Playbacks that got no slot, by reason.", "reason")
)

// Describe implements [prometheus.Collector].
func (c poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descEngines, descWanted, descSlots, descUsed, descWaiting, descStarts, descStops, descLost, descNoSlot,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.pool.Snapshot()
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	phases := make(map[string]int)
	slots, used := 0, 0
	for _, e := range s.Engines {
		phases[string(e.Phase)]++
		slots += e.Slots
		used += e.Used
	}
	for phase, n := range phases {
		gauge(descEngines, n, phase)
	}
	gauge(descWanted, s.Target.Engines)
	gauge(descSlots, slots)
	gauge(descUsed, used)
	gauge(descWaiting, s.Waiting)
	for cause, n := range s.Counters.Starts {
		counter(descStarts, n, string(cause))
	}
	for cause, n := range s.Counters.Stops {
		counter(descStops, n, string(cause))
	}
	for reason, n := range s.Counters.Unavailable {
		counter(descNoSlot, n, string(reason))
	}
	counter(descLost, s.Counters.Lost)
}

// hubCollector measures the streams when it is asked.
type hubCollector struct{ hub *stream.Hub }

var (
	descStreams  = desc("streams", "Streams, by state.", "state")
	descViewers  = desc("viewers", "Viewers now.")
	descBuffered = desc("stream_buffer_bytes", "Memory of all streams' buffers.")
	descKept     = desc("timeshift_bytes", "What time shift keeps on disk, of all streams.")
)

// Describe implements [prometheus.Collector].
func (c hubCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- descStreams
	ch <- descViewers
	ch <- descBuffered
	ch <- descKept
}

// Collect implements [prometheus.Collector].
func (c hubCollector) Collect(ch chan<- prometheus.Metric) {
	states := make(map[stream.State]int)
	viewers, buffered, kept := 0, 0, int64(0)
	for _, s := range c.hub.Snapshot() {
		states[s.State]++
		viewers += len(s.Viewers)
		buffered += s.Buffered
		kept += s.Kept.Size
	}
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(descStreams, prometheus.GaugeValue, float64(n), string(state))
	}
	ch <- prometheus.MustNewConstMetric(descViewers, prometheus.GaugeValue, float64(viewers))
	ch <- prometheus.MustNewConstMetric(descBuffered, prometheus.GaugeValue, float64(buffered))
	ch <- prometheus.MustNewConstMetric(descKept, prometheus.GaugeValue, float64(kept))
}
