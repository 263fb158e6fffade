package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
)

// schema holds the migrations in order: the file NNNN_name.sql leads from
// version NNNN-1 to NNNN. What was released is never changed.
//
//go:embed schema/*.sql
var schema embed.FS

// migrations returns the text of every migration, the first to version 1.
func migrations() ([]string, error) {
	names, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	texts := make([]string, 0, len(names))
	for _, name := range names {
		text, err := schema.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

// migrate brings the schema to this program's version.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := migrations()
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	return s.migrateBy(ctx, steps)
}

// migrateBy makes those steps that the database has not made, each whole or not
// at all. What was there before is kept in a backup beside the file.
func (s *Store) migrateBy(ctx context.Context, steps []string) error {
	found, err := s.version(ctx)
	if err != nil {
		return err
	}
	switch {
	case found > len(steps):
		return &NewerError{Path: s.path, Found: found, Know: len(steps)}
	case found == len(steps):
		return nil
	case found > 0 && s.Durable():
		backup := fmt.Sprintf("%s.v%d.backup", s.path, found)
		if err := s.backupOnce(ctx, backup); err != nil {
			return fmt.Errorf("back up the database before its migration: %w", err)
		}
		s.cfg.Log.Info("database backed up before its migration", "path", backup, "from", found, "to", len(steps))
	}
	for {
		done, err := s.step(ctx, steps)
		if err != nil || done {
			return err
		}
	}
}

func (s *Store) version(ctx context.Context) (int, error) {
	var v int
	if err := s.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return 0, s.explain("read the version of the database", err)
	}
	return v, nil
}

// step makes the next migration, if there is one. The version is read inside
// the transaction, as another process may be migrating too.
func (s *Store) step(ctx context.Context, steps []string) (done bool, err error) {
	err = s.change(ctx, "migrate the database", func(tx *sql.Tx) error {
		var v int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
			return err
		}
		if v >= len(steps) {
			done = true
			return nil
		}
		if _, err := tx.ExecContext(ctx, steps[v]); err != nil {
			return fmt.Errorf("to version %d: %w", v+1, err)
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", v+1))
		return err
	})
	return done, err
}

// backupOnce writes a backup unless there is one of that name, which an
// attempt that failed later has left.
func (s *Store) backupOnce(ctx context.Context, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	return s.copyTo(ctx, to)
}

// copyTo writes a copy of the database as one file, which must not exist: its
// name appears when it is whole.
func (s *Store) copyTo(ctx context.Context, to string) error {
	part := to + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Named in full, because a database in memory would be copied to memory.
	target := (&url.URL{Scheme: "file", OmitHost: true, Path: part, RawQuery: "vfs=unix"}).String()
	if _, err := s.write.ExecContext(ctx, "VACUUM INTO ?", target); err != nil {
		return errors.Join(s.explain("copy the database", err), removeIfThere(part))
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return err
	}
	return os.Rename(part, to)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Backup opens a consistent copy of the database as it is now. Closing it
// deletes it; size is in bytes.
func (s *Store) Backup(ctx context.Context) (copied *Copy, err error) {
	place := "" // the system's
	if s.Durable() {
		place = filepath.Dir(s.path)
	}
	dir, err := os.MkdirTemp(place, ".acequia-backup-")
	if err != nil {
		return nil, fmt.Errorf("back up the database: %w", err)
	}
	path := filepath.Join(dir, FileName)
	if err := s.copyTo(ctx, path); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("back up the database: %w", err), os.RemoveAll(dir))
	}
	return &Copy{File: f, dir: dir}, nil
}

// Copy is a copy of the database, for one reader.
type Copy struct {
	*os.File
	dir string
}

// Close closes and deletes the copy.
func (c *Copy) Close() error { return errors.Join(c.File.Close(), os.RemoveAll(c.dir)) }
