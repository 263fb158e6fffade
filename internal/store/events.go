package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"time"

	"github.com/acequia-tv/acequia/internal/event"
)

// Event is one that was kept, with the process that told it.
type Event struct {
	Boot string
	event.Event
}

// KeepEvent queues an event for keeping. Events of one process are queued in
// their order.
func (s *Store) KeepEvent(boot string, e event.Event) {
	attrs, err := json.Marshal(e.Attrs)
	if err != nil || e.Attrs == nil {
		attrs = []byte("{}") // a map of strings can be marshalled
	}
	s.enqueue(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO events (boot, seq, at, type, message, attrs) VALUES (?, ?, ?, ?, ?, ?)`,
			boot, int64(e.Seq), e.Time.UnixMilli(), e.Type, e.Message, string(attrs))
		return err
	})
}

// EventQuery selects events.
type EventQuery struct {
	// Boot and Seq name the event before which to look; no Boot looks from the
	// newest.
	Boot string
	Seq  uint64
	// Type is the beginning of the types wanted, such as "engine."; empty is
	// all.
	Type string
	// Since and Until bound the time; zero does not.
	Since, Until time.Time
	Limit        int // most events returned
}

// Events returns kept events, the newest first.
func (s *Store) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.Since.IsZero() {
		since = q.Since.UnixMilli()
	}
	if !q.Until.IsZero() {
		until = q.Until.UnixMilli()
	}
	rows, err := s.read.QueryContext(ctx, `
		SELECT boot, seq, at, type, message, attrs FROM events
		WHERE id < CASE WHEN :boot = '' THEN 9223372036854775807
			ELSE coalesce((SELECT min(id) FROM events WHERE boot = :boot AND seq >= :seq), 9223372036854775807) END
		AND substr(type, 1, length(:type)) = :type AND at >= :since AND at < :until
		ORDER BY id DESC LIMIT :limit`,
		sql.Named("boot", q.Boot), sql.Named("seq", int64(min(q.Seq, math.MaxInt64))), sql.Named("type", q.Type),
		sql.Named("since", since), sql.Named("until", until), sql.Named("limit", q.Limit))
	if err != nil {
		return nil, s.explain("read events", err)
	}
	defer rows.Close()
	var events []Event
	for rows.Next() {
		var e Event
		var at int64
		var attrs string
		if err := rows.Scan(&e.Boot, &e.Seq, &at, &e.Type, &e.Message, &attrs); err != nil {
			return nil, s.explain("read events", err)
		}
		if err := json.Unmarshal([]byte(attrs), &e.Attrs); err != nil {
			return nil, s.explain("read events", err)
		}
		e.Time = time.UnixMilli(at).UTC()
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain("read events", err)
	}
	return events, nil
}
