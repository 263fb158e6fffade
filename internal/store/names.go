package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/stream"
)

// Names is what is known of the names of contents. It implements
// [stream.Knowledge].
type Names struct{ store *Store }

// Names returns the names of contents that the store keeps.
func (s *Store) Names() Names { return Names{s} }

// Load returns the names that were saved, the longest unsaved first.
func (n Names) Load(ctx context.Context) ([]stream.Name, error) {
	rows, err := n.store.read.QueryContext(ctx, `SELECT kind, value, infohash, mistaken FROM
		(SELECT * FROM names ORDER BY at DESC LIMIT ?) ORDER BY at`, stream.MostNames)
	if err != nil {
		return nil, n.store.explain("read names", err)
	}
	defer rows.Close()
	var names []stream.Name
	for rows.Next() {
		var name stream.Name
		var kind string
		if err := rows.Scan(&kind, &name.Content.Value, &name.Infohash, &name.Mistaken); err != nil {
			return nil, n.store.explain("read names", err)
		}
		name.Content.Kind = content.Kind(kind)
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, n.store.explain("read names", err)
	}
	return names, nil
}

// Save remembers names, each in place of what was known for the same content.
func (n Names) Save(ctx context.Context, names []stream.Name) error {
	now := time.Now().UnixMilli()
	return n.store.change(ctx, "save names", func(tx *sql.Tx) error {
		for _, name := range names {
			if _, err := tx.ExecContext(ctx, `INSERT INTO names (kind, value, infohash, mistaken, at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (kind, value) DO UPDATE SET infohash = excluded.infohash, mistaken = excluded.mistaken, at = excluded.at`,
				string(name.Content.Kind), name.Content.Value, name.Infohash, name.Mistaken, now); err != nil {
				return fmt.Errorf("%s: %w", name.Content, err)
			}
		}
		return nil
	})
}

// Infohash returns the infohash of a content as far as it is known, else the
// empty string.
func (s *Store) Infohash(ctx context.Context, of content.Selector) (string, error) {
	var infohash string
	err := s.read.QueryRowContext(ctx, "SELECT infohash FROM names WHERE kind = ? AND value = ?", string(of.Kind), of.Value).Scan(&infohash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", s.explain("read names", err)
	}
	return infohash, nil
}
