package reconcile

import (
	"context"
	"log/slog"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
)

// The types of event that a pool publishes. Their attributes are "engine",
// its id, and what the comments name.
const (
	EventFound       = "engine.found"        // it is there, and was not started by this pool
	EventStarting    = "engine.starting"     // cause, reason
	EventStartFailed = "engine.start_failed" // cause, reason, advice
	EventReady       = "engine.ready"        // kind, version
	EventDegraded    = "engine.degraded"     // reason
	EventUnhealthy   = "engine.unhealthy"    // reason
	EventRecovered   = "engine.recovered"
	EventLost        = "engine.lost"     // reason
	EventDraining    = "engine.draining" // cause, reason
	EventUndrained   = "engine.undrained"
	EventCleaning    = "engine.cleaning"     // cause, reason
	EventCleanFailed = "engine.clean_failed" // reason
	EventLeftBehind  = "pool.collected"      // what, a thing that an engine left behind
	EventQuarantined = "content.quarantined" // content
	EventStopping    = "engine.stopping"     // cause, reason
	EventStopFailed  = "engine.stop_failed"  // reason
	EventStopped     = "engine.stopped"

	EventBlind   = "pool.blind"  // the provider does not list its engines
	EventSeeing  = "pool.seeing" // it does again
	EventPaused  = "pool.paused"
	EventResumed = "pool.resumed"
	EventScaled  = "pool.scaled" // engines, their number or "auto"
)

// logLine is an event that is still to be logged.
type logLine struct {
	level slog.Level
	event event.Event
}

// publish adds an event to the log of events, and to the lines that are logged
// as soon as p.mu, which is held, is free: writing a log is I/O. The attributes
// are pairs of key and value.
func (p *Pool) publish(now time.Time, level slog.Level, kind, engine, message string, attrs ...string) {
	e := event.Event{Time: now, Type: kind, Message: message, Attrs: make(map[string]string)}
	if engine != "" {
		e.Attrs["engine"] = engine
	}
	for i := 0; i+1 < len(attrs); i += 2 {
		e.Attrs[attrs[i]] = attrs[i+1]
	}
	p.config.Events.Publish(e)
	p.logs = append(p.logs, logLine{level, e})
}

// unlock releases p.mu and writes what has to be logged.
func (p *Pool) unlock() {
	lines := p.logs
	p.logs = nil
	p.mu.Unlock()
	for _, l := range lines {
		attrs := make([]slog.Attr, 0, 2)
		if engine, ok := l.event.Attrs["engine"]; ok {
			attrs = append(attrs, slog.String("engine", engine))
		}
		p.config.Log.LogAttrs(context.Background(), l.level, l.event.Message, append(attrs, slog.String("event", l.event.Type))...)
	}
}
