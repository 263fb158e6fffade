// Package store keeps what should outlive the process, in one SQLite file:
// settings changed while it runs, events, names of contents, what came of
// playing them, users and keys.
//
// Nothing here is needed to play. Where the file cannot be used, [Open] says
// why, and [Memory] returns a store that works the same and forgets with the
// process. Writes that nobody waits for go through a bounded queue ([Store.Run])
// and are dropped, and counted, rather than waited for.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// FileName is the name of the database in the data directory.
const FileName = "acequia.db"

// readers is how many connections read at the same time. In WAL mode they do
// not wait for the writer.
const readers = 4

// pragmas of every connection. NORMAL loses the last transactions with the
// power and none with the process, and never the file's integrity
// (https://www.sqlite.org/pragma.html#pragma_synchronous).
const pragmas = "_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=synchronous(NORMAL)&_txlock=immediate"

// Config is what a [Store] stands on.
type Config struct {
	Log *slog.Logger
	// Trouble is told when queued writes begin to fail, with why, and with nil
	// when they go well again. It must not block. Nil tells nobody.
	Trouble func(err error)
}

// Store is an open database. It is safe for concurrent use, also by several
// processes with the same file.
type Store struct {
	cfg    Config
	path   string // empty in memory
	write  *sql.DB
	read   *sql.DB
	keeper *sql.Conn // keeps a database in memory from vanishing; else nil
	queue  chan job
	counts struct{ written, dropped atomic.Uint64 }

	failing bool // owned by Run: the last batch was not written
}

// NewerError says that a newer version of the program wrote the database.
type NewerError struct {
	Path        string
	Found, Know int // versions of the schema
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s was written by a newer version of this program (schema %d, this one knows %d)", e.Path, e.Found, e.Know)
}

// DamagedError says that the file is not a sound database.
type DamagedError struct {
	Path   string
	Detail string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged: %s", e.Path, e.Detail)
}

// Open opens the database at path, makes it where there is none, and brings it
// to this version's schema, after a backup. The error is a [*NewerError], a
// [*DamagedError], or tells what the system said.
func Open(ctx context.Context, path string, cfg Config) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	// Made here so that nobody else can read it: it holds hashes of keys. The
	// log beside it gets the same permissions.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	name := (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}).String() + "?" + pragmas + "&_pragma=journal_mode(WAL)"
	s := newStore(cfg, path)
	if s.write, err = sql.Open("sqlite", name); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", name+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// memories tells databases in memory apart.
var memories atomic.Uint64

// Memory returns a store that is gone with the process.
func Memory(ctx context.Context, cfg Config) (*Store, error) {
	s := newStore(cfg, "")
	name := fmt.Sprintf("file:/acequia-%d?vfs=memdb&%s", memories.Add(1), pragmas)
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("open a database in memory: %w", err)
	}
	// One connection for everything, beside the keeper's: without a log, readers
	// and writers would wait for each other anyway.
	db.SetMaxOpenConns(2)
	s.write, s.read = db, db
	if s.keeper, err = db.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open a database in memory: %w", err), db.Close())
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newStore(cfg Config, path string) *Store {
	return &Store{cfg: cfg, path: path, queue: make(chan job, queueSize)}
}

// prepare checks an opened file and brings it up to date.
func (s *Store) prepare(ctx context.Context) error {
	var verdict string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return s.explain("check the database", err)
	}
	if verdict != "ok" {
		return &DamagedError{Path: s.path, Detail: verdict}
	}
	return s.migrate(ctx)
}

// Path returns the file of the database, empty where there is none.
func (s *Store) Path() string { return s.path }

// Durable tells whether the store outlives the process.
func (s *Store) Durable() bool { return s.path != "" }

// Close closes the database. Queued writes that [Store.Run] has not made are
// lost.
func (s *Store) Close() error {
	var errs []error
	if s.keeper != nil {
		errs = append(errs, s.keeper.Close())
	}
	errs = append(errs, s.read.Close())
	if s.write != s.read {
		errs = append(errs, s.write.Close())
	}
	return errors.Join(errs...)
}

// change runs a transaction that writes.
func (s *Store) change(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.explain(what, err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // SQLite has done it already where the disk is full
		return s.explain(what, err)
	}
	if err := tx.Commit(); err != nil {
		return s.explain(what, err)
	}
	return nil
}

// exec runs one statement that writes, and tells how many rows it changed.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	result, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, s.explain(what, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, s.explain(what, err)
	}
	return n, nil
}

// ms and moment turn times into columns and back. The zero time is null.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func moment(column sql.NullInt64) time.Time {
	if !column.Valid {
		return time.Time{}
	}
	return time.UnixMilli(column.Int64).UTC()
}
