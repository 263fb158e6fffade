package store

import (
	"context"
	"database/sql"
	"time"
)

// What a [Play] is about.
const (
	PlayStart  = "start"  // a content was asked for
	PlayTry    = "try"    // an engine failed to start it, whatever came of the start as a whole
	PlaySource = "source" // an engine failed while it played
)

// ResultOK is the result of a start that brought a picture.
const ResultOK = "ok"

// Play is what came of playing a content on an engine.
type Play struct {
	At        time.Time
	Content   string // the selector, as text
	Engine    string // id; empty where none was reached
	What      string // PlayStart, PlayTry or PlaySource
	Result    string // ResultOK, or the code of the error or failure
	FirstByte time.Duration
}

// KeepPlay queues a play for keeping.
func (s *Store) KeepPlay(p Play) {
	var first any
	if p.What == PlayStart && p.Result == ResultOK {
		first = p.FirstByte.Milliseconds()
	}
	s.enqueue(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO plays (at, content, engine, what, result, first_byte) VALUES (?, ?, ?, ?, ?, ?)`,
			p.At.UnixMilli(), p.Content, p.Engine, p.What, p.Result, first)
		return err
	})
}

// Record sums up the plays of one content, or on one engine.
type Record struct {
	Name        string // of the content or engine
	Starts      int    // that went well
	Failures    int    // starts that did not
	Losses      int    // times that an engine failed under it
	First, Last time.Time
	LastResult  string // of the newest start
	// FirstByte is the mean and the worst time to the first byte of the starts
	// that went well; zero where there are none.
	FirstByte, SlowestFirstByte time.Duration
}

// ContentRecords sums up the plays of each content, the one played last first.
func (s *Store) ContentRecords(ctx context.Context, limit, offset int) ([]Record, error) {
	return s.records(ctx, "content", PlayStart, "", limit, offset)
}

// ContentRecord sums up the plays of one content. It has no plays where nothing
// is known.
func (s *Store) ContentRecord(ctx context.Context, content string) (Record, error) {
	return one(s.records(ctx, "content", PlayStart, content, 1, 0))
}

// EngineRecords sums up the plays on each engine, the one used last first.
func (s *Store) EngineRecords(ctx context.Context, limit, offset int) ([]Record, error) {
	return s.records(ctx, "engine", PlayTry, "", limit, offset)
}

// EngineRecord sums up the plays on one engine.
func (s *Store) EngineRecord(ctx context.Context, engine string) (Record, error) {
	return one(s.records(ctx, "engine", PlayTry, engine, 1, 0))
}

func one(all []Record, err error) (Record, error) {
	if err != nil || len(all) == 0 {
		return Record{}, err
	}
	return all[0], nil
}

// records groups plays by a column, which is one of ours and no input. Those of
// the kind failing and without success are its failures; only limits it to one value.
func (s *Store) records(ctx context.Context, column, failing, only string, limit, offset int) ([]Record, error) {
	rows, err := s.read.QueryContext(ctx, `
		SELECT `+column+`, sum(what = 'start' AND result = 'ok'), sum(what = :failing AND result <> 'ok'), sum(what = 'source'),
			min(at), max(at), coalesce(avg(first_byte), 0), coalesce(max(first_byte), 0),
			coalesce((SELECT n.result FROM plays n WHERE n.what IN ('start', :failing) AND n.`+column+` = plays.`+column+` ORDER BY n.id DESC LIMIT 1), '')
		FROM plays WHERE `+column+` <> '' AND (:only = '' OR `+column+` = :only)
		GROUP BY `+column+` ORDER BY max(id) DESC LIMIT :limit OFFSET :offset`,
		sql.Named("failing", failing), sql.Named("only", only), sql.Named("limit", limit), sql.Named("offset", offset))
	if err != nil {
		return nil, s.explain("read the history", err)
	}
	defer rows.Close()
	var all []Record
	for rows.Next() {
		var r Record
		var first, last, slowest int64
		var mean float64
		if err := rows.Scan(&r.Name, &r.Starts, &r.Failures, &r.Losses, &first, &last, &mean, &slowest, &r.LastResult); err != nil {
			return nil, s.explain("read the history", err)
		}
		r.First, r.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		r.FirstByte = time.Duration(mean * float64(time.Millisecond)).Round(time.Millisecond)
		r.SlowestFirstByte = time.Duration(slowest) * time.Millisecond
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain("read the history", err)
	}
	return all, nil
}
