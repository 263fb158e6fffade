package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// ErrNone says that there is no such user, key or session.
var ErrNone = errors.New("no such user, key or session")

// User is somebody who logs in with a password.
type User struct {
	Name    string
	Hash    string // of the password, as [HashPassword] writes it
	Scope   Scope
	Changed time.Time // when the password was set
}

// Key is a credential of a program. The secret itself is kept nowhere.
type Key struct {
	ID      string // names the key, and tells nothing of the secret
	Name    string // what the person calls it
	Scope   Scope
	Created time.Time
	Used    time.Time // about when it was used last; zero when never
	Expires time.Time // zero when never
}

// Session is a login.
type Session struct {
	ID      string
	User    string
	Scope   Scope  // of the user, now
	Agent   string // the program that logged in, as it calls itself
	Created time.Time
	Used    time.Time // about when it was used last
	Expires time.Time
}

// Digest is the form in which the secret of a key or session is kept. The
// secrets are random and long, so that no slow hash is needed.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a secret.
func DigestOf(secret string) Digest { return sha256.Sum256([]byte(secret)) }

// Users keeps those who log in with a password.
type Users interface {
	// User returns a user, or ErrNone.
	User(ctx context.Context, name string) (User, error)
	// PutUser adds or replaces a user, and ends the user's sessions.
	PutUser(ctx context.Context, u User) error
}

// Keys keeps the credentials of programs.
type Keys interface {
	// Key returns the key of a secret, or ErrNone.
	Key(ctx context.Context, secret Digest) (Key, error)
	Keys(ctx context.Context) ([]Key, error)
	AddKey(ctx context.Context, k Key, secret Digest) error
	// DropKey ends a key, or returns ErrNone.
	DropKey(ctx context.Context, id string) error
}

// Sessions keeps logins.
type Sessions interface {
	// Session returns the session of a secret, or ErrNone.
	Session(ctx context.Context, secret Digest) (Session, error)
	Sessions(ctx context.Context) ([]Session, error)
	AddSession(ctx context.Context, s Session, secret Digest) error
	// DropSession ends a session, or returns ErrNone.
	DropSession(ctx context.Context, id string) error
}

// Vault keeps all of them. It is safe for concurrent use. What has expired may
// be returned; the caller looks.
type Vault interface {
	Users
	Keys
	Sessions
	// Touch notes, sooner or later, that a key or session was used.
	Touch(id string, at time.Time)
}
