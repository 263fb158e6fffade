package store

import (
	"context"
	"time"
)

// limits bound every table that grows by itself.
var limits = []struct {
	table string
	order string        // the column that is smallest for what goes first
	most  int           // rows
	age   time.Duration // by the column at; 0 keeps for ever
}{
	{"events", "id", 50_000, 90 * 24 * time.Hour},
	{"plays", "id", 50_000, 90 * 24 * time.Hour},
	{"names", "at", 16_384, 0},
}

// prune deletes what is too old or too much. Trouble is logged: the next hour
// brings another try.
func (s *Store) prune(ctx context.Context) {
	now := time.Now()
	for _, l := range limits {
		if l.age > 0 {
			s.pruneBy(ctx, "DELETE FROM "+l.table+" WHERE at < ?", now.Add(-l.age).UnixMilli())
		}
		s.pruneBy(ctx, "DELETE FROM "+l.table+" WHERE "+l.order+
			" < (SELECT "+l.order+" FROM "+l.table+" ORDER BY "+l.order+" DESC LIMIT 1 OFFSET ?)", l.most-1)
	}
	s.pruneBy(ctx, "DELETE FROM sessions WHERE expires < ?", now.UnixMilli())
	s.pruneBy(ctx, "DELETE FROM keys WHERE expires < ?", now.UnixMilli())
}

func (s *Store) pruneBy(ctx context.Context, query string, args ...any) {
	if _, err := s.exec(ctx, "prune the database", query, args...); err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("old rows of the database are not deleted", "err", err)
	}
}
