package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Settings returns the settings changed while the program ran: texts by key.
func (s *Store) Settings(ctx context.Context) (map[string]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT key, value FROM settings")
	if err != nil {
		return nil, s.explain("read settings", err)
	}
	defer rows.Close()
	texts := make(map[string]string)
	for rows.Next() {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			return nil, s.explain("read settings", err)
		}
		texts[key] = value
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain("read settings", err)
	}
	return texts, nil
}

// ChangeSettings sets and deletes settings, all or none. A key that is nil in
// changes is deleted.
func (s *Store) ChangeSettings(ctx context.Context, changes map[string]*string, at time.Time) error {
	return s.change(ctx, "change settings", func(tx *sql.Tx) error {
		for key, value := range changes {
			var err error
			if value == nil {
				_, err = tx.ExecContext(ctx, "DELETE FROM settings WHERE key = ?", key)
			} else {
				_, err = tx.ExecContext(ctx, `INSERT INTO settings (key, value, at) VALUES (?, ?, ?)
					ON CONFLICT (key) DO UPDATE SET value = excluded.value, at = excluded.at`, key, *value, at.UnixMilli())
			}
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	})
}
