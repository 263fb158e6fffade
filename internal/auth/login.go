package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// mostAgent bounds what is kept of the name a program gives itself, in bytes.
const mostAgent = 200

// Login checks a password and begins a session, whose secret is returned with
// it. The error is a [*Denied], or one of the vault.
func (g *Guard) Login(r *http.Request, user, password string) (Session, string, error) {
	u, err := g.attempt(r, user, password)
	if err != nil {
		return Session{}, "", err
	}
	return g.begin(r.Context(), u, r.UserAgent(), g.policy.Load().SessionLife)
}

// attempt is check for a client that has not guessed too often.
func (g *Guard) attempt(r *http.Request, name, password string) (User, error) {
	addr := client(r, g.policy.Load().Proxies)
	if wait := g.guesses.wait(addr); wait > 0 {
		return User{}, &Denied{Reason: TooMany, RetryAfter: wait}
	}
	u, err := g.check(r.Context(), name, password)
	if denied, ok := errors.AsType[*Denied](err); ok && denied.Reason == BadPassword {
		g.guesses.take(addr)
		g.log.Warn("login refused", "addr", addr)
	}
	return u, err
}

// check returns the user of a name and password.
func (g *Guard) check(ctx context.Context, name, password string) (User, error) {
	u, err := g.vault.User(ctx, name)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNone) {
		return User{}, fmt.Errorf("look up a user: %w", err)
	}
	if !known {
		u.Hash = g.decoy
	}
	select {
	case g.hashing <- struct{}{}:
		defer func() { <-g.hashing }()
	case <-ctx.Done():
		return User{}, context.Cause(ctx)
	}
	right, err := CheckPassword(u.Hash, password)
	switch {
	case err != nil:
		return User{}, err
	case !right || !known:
		return User{}, &Denied{Reason: BadPassword}
	}
	return u, nil
}

func (g *Guard) begin(ctx context.Context, u User, agent string, life time.Duration) (Session, string, error) {
	now := time.Now().UTC()
	s := Session{
		ID: newID(), User: u.Name, Scope: u.Scope, Agent: agent[:min(len(agent), mostAgent)],
		Created: now, Used: now, Expires: now.Add(life),
	}
	secret := newSecret(sessionPrefix)
	if err := g.vault.AddSession(ctx, s, DigestOf(secret)); err != nil {
		return Session{}, "", err
	}
	return s, secret, nil
}

// Cookie holds a session's secret for a browser; an empty one takes it away. It
// is no use to scripts, is not sent along with requests that other sites make,
// and works over plain HTTP, which is what a local network has; over TLS it
// stays there.
func Cookie(r *http.Request, secret string, expires time.Time) http.Cookie {
	c := http.Cookie{
		Name: CookieName, Value: secret, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

// Logout ends the session of a principal. One that is over already is no error.
func (g *Guard) Logout(ctx context.Context, who Principal) error {
	if who.Via != BySession {
		return nil
	}
	if err := g.vault.DropSession(ctx, who.ID); err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	return nil
}

// ChangePassword sets a user's password, who must know the old one, and ends
// all sessions of the user. The error is as of Login, or [ErrPassword].
func (g *Guard) ChangePassword(r *http.Request, name, old, fresh string) error {
	u, err := g.attempt(r, name, old)
	if err != nil {
		return err
	}
	return SetPassword(r.Context(), g.vault, u.Name, u.Scope, fresh)
}

// SetPassword sets the password of a user, who is added if need be. The error is
// [ErrPassword] or one of the vault.
func SetPassword(ctx context.Context, vault Users, name string, scope Scope, password string) error {
	hash, err := HashPassword(password)
	if err != nil {
		return err
	}
	return vault.PutUser(ctx, User{Name: name, Hash: hash, Scope: scope, Changed: time.Now().UTC()})
}

// EnsureAdmin sees to it that the admin can log in: with the password that the
// settings hold, if they do, or else with one made now if there is no admin
// yet, which is returned and kept nowhere.
func EnsureAdmin(ctx context.Context, vault Users, configured string) (made string, err error) {
	admin, err := vault.User(ctx, AdminUser)
	exists := err == nil
	if err != nil && !errors.Is(err, ErrNone) {
		return "", err
	}
	if configured != "" {
		if exists {
			if same, err := CheckPassword(admin.Hash, configured); err == nil && same {
				return "", nil // setting it again would end the sessions
			}
		}
		return "", SetPassword(ctx, vault, AdminUser, Admin, configured)
	}
	if exists {
		return "", nil
	}
	made = NewPassword()
	return made, SetPassword(ctx, vault, AdminUser, Admin, made)
}

// NewKey makes a key and returns its secret, which is kept nowhere.
func NewKey(ctx context.Context, vault Keys, name string, scope Scope, expires time.Time) (Key, string, error) {
	k := Key{ID: newID(), Name: name, Scope: scope, Created: time.Now().UTC(), Expires: expires}
	secret := newSecret(keyPrefix)
	if err := vault.AddKey(ctx, k, DigestOf(secret)); err != nil {
		return Key{}, "", err
	}
	return k, secret, nil
}
