package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/acequia-tv/acequia/internal/auth"
)

var _ auth.Vault = (*Store)(nil)

// User implements [auth.Users].
func (s *Store) User(ctx context.Context, name string) (auth.User, error) {
	u := auth.User{Name: name}
	var scope string
	var changed sql.NullInt64
	err := s.read.QueryRowContext(ctx, "SELECT hash, scope, changed FROM users WHERE name = ?", name).Scan(&u.Hash, &scope, &changed)
	if err != nil {
		return auth.User{}, s.missing("read a user", err)
	}
	u.Scope, u.Changed = auth.Scope(scope), moment(changed)
	return u, nil
}

// PutUser implements [auth.Users].
func (s *Store) PutUser(ctx context.Context, u auth.User) error {
	return s.change(ctx, "write a user", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO users (name, hash, scope, changed) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scope = excluded.scope, changed = excluded.changed`,
			u.Name, u.Hash, string(u.Scope), u.Changed.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE user = ?", u.Name)
		return err
	})
}

const keyColumns = "id, name, scope, created, used, expires"

// Key implements [auth.Keys].
func (s *Store) Key(ctx context.Context, secret auth.Digest) (auth.Key, error) {
	k, err := scanKey(s.read.QueryRowContext(ctx, "SELECT "+keyColumns+" FROM keys WHERE hash = ?", secret[:]).Scan)
	if err != nil {
		return auth.Key{}, s.missing("read a key", err)
	}
	return k, nil
}

// Keys implements [auth.Keys].
func (s *Store) Keys(ctx context.Context) ([]auth.Key, error) {
	return list(ctx, s, "SELECT "+keyColumns+" FROM keys ORDER BY created, id", scanKey)
}

func scanKey(scan func(...any) error) (auth.Key, error) {
	var k auth.Key
	var scope string
	var created, used, expires sql.NullInt64
	if err := scan(&k.ID, &k.Name, &scope, &created, &used, &expires); err != nil {
		return auth.Key{}, err
	}
	k.Scope, k.Created, k.Used, k.Expires = auth.Scope(scope), moment(created), moment(used), moment(expires)
	return k, nil
}

// AddKey implements [auth.Keys].
func (s *Store) AddKey(ctx context.Context, k auth.Key, secret auth.Digest) error {
	_, err := s.exec(ctx, "write a key", "INSERT INTO keys (id, name, scope, hash, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
		k.ID, k.Name, string(k.Scope), secret[:], k.Created.UnixMilli(), ms(k.Expires))
	return err
}

// DropKey implements [auth.Keys].
func (s *Store) DropKey(ctx context.Context, id string) error {
	return s.drop(ctx, "delete a key", "DELETE FROM keys WHERE id = ?", id)
}

const sessionQuery = `SELECT s.id, s.user, u.scope, s.agent, s.created, s.used, s.expires
	FROM sessions s JOIN users u ON u.name = s.user `

// Session implements [auth.Sessions].
func (s *Store) Session(ctx context.Context, secret auth.Digest) (auth.Session, error) {
	session, err := scanSession(s.read.QueryRowContext(ctx, sessionQuery+"WHERE s.hash = ?", secret[:]).Scan)
	if err != nil {
		return auth.Session{}, s.missing("read a session", err)
	}
	return session, nil
}

// Sessions implements [auth.Sessions].
func (s *Store) Sessions(ctx context.Context) ([]auth.Session, error) {
	return list(ctx, s, sessionQuery+"ORDER BY s.created, s.id", scanSession)
}

func scanSession(scan func(...any) error) (auth.Session, error) {
	var v auth.Session
	var scope string
	var created, used, expires sql.NullInt64
	if err := scan(&v.ID, &v.User, &scope, &v.Agent, &created, &used, &expires); err != nil {
		return auth.Session{}, err
	}
	v.Scope, v.Created, v.Used, v.Expires = auth.Scope(scope), moment(created), moment(used), moment(expires)
	return v, nil
}

// AddSession implements [auth.Sessions].
func (s *Store) AddSession(ctx context.Context, v auth.Session, secret auth.Digest) error {
	_, err := s.exec(ctx, "write a session", "INSERT INTO sessions (id, user, hash, agent, created, used, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
		v.ID, v.User, secret[:], v.Agent, v.Created.UnixMilli(), v.Used.UnixMilli(), v.Expires.UnixMilli())
	return err
}

// DropSession implements [auth.Sessions].
func (s *Store) DropSession(ctx context.Context, id string) error {
	return s.drop(ctx, "delete a session", "DELETE FROM sessions WHERE id = ?", id)
}

// Touch implements [auth.Vault]. Ids of keys and sessions differ.
func (s *Store) Touch(id string, at time.Time) {
	s.enqueue(func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE keys SET used = ? WHERE id = ?", at.UnixMilli(), id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE sessions SET used = ? WHERE id = ?", at.UnixMilli(), id)
		return err
	})
}

func (s *Store) drop(ctx context.Context, what, query, id string) error {
	n, err := s.exec(ctx, what, query, id)
	if err == nil && n == 0 {
		err = auth.ErrNone
	}
	return err
}

// missing turns no row into the word for it.
func (s *Store) missing(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return auth.ErrNone
	}
	return s.explain(what, err)
}

// list reads all rows of a query.
func list[T any](ctx context.Context, s *Store, query string, scan func(func(...any) error) (T, error)) ([]T, error) {
	rows, err := s.read.QueryContext(ctx, query)
	if err != nil {
		return nil, s.explain("read the database", err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, s.explain("read the database", err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain("read the database", err)
	}
	return all, nil
}
