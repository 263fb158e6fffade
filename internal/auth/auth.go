// Package auth says who may do what: it knows people by passwords and sessions,
// programs by keys, and networks by address.
//
// It decides about requests and answers none: how a refusal looks is for each
// surface to say. Secrets are kept as hashes, compared in constant time, and
// never logged, but for the first password, which is told once.
package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// AdminUser is the user that there always is.
const AdminUser = "admin"

// CookieName is the name of the cookie that holds a session.
const CookieName = "acequia_session"

// Principal is who makes a request.
type Principal struct {
	Name  string // of the user, key, setting or network
	Scope Scope
	Via   Via
	ID    string // of the key or session; else empty
}

// Via is how a principal is known.
type Via string

// The ways.
const (
	ByNothing Via = "nothing"
	ByKey     Via = "key"
	BySession Via = "session"
	BySetting Via = "setting" // a key that the settings hold
	ByNetwork Via = "network" // a trusted one
)

// Reason is why a request is refused.
type Reason string

// The reasons.
const (
	LoginNeeded  Reason = "login_needed"  // no key and no session, or one that is over
	BadKey       Reason = "bad_key"       // a key that is none
	BadPassword  Reason = "bad_password"  // or a user that is none
	Forbidden    Reason = "forbidden"     // known, and not allowed that
	TooMany      Reason = "rate_limited"  // too many requests, or attempts at guessing
	CrossOrigin  Reason = "cross_origin"  // a page of another site makes a browser ask
	UnknownProxy Reason = "unknown_proxy" // open to the local network, and a proxy hides who asks
)

// Denied says that a request is refused.
type Denied struct {
	Reason     Reason
	Needed     Scope         // what the request needs
	RetryAfter time.Duration // of TooMany
}

func (d *Denied) Error() string { return "denied: " + string(d.Reason) }

// Rates of requests. An address that guesses is slowed down long before it
// gets anywhere; a family behind one address is not.
const (
	requestEvery, requestBurst = 20 * time.Millisecond, 200
	guessEvery, guessBurst     = 6 * time.Second, 10
	// hashings is how many passwords are hashed at the same time, each with 19
	// MiB of memory.
	hashings = 2
	// touchEvery is how exactly the last use of a key is known.
	touchEvery = time.Minute
)

// Guard decides about requests. It is safe for concurrent use.
type Guard struct {
	vault    Vault
	log      *slog.Logger
	policy   atomic.Pointer[Policy]
	origin   *http.CrossOriginProtection
	requests *limiter
	guesses  *limiter
	hashing  chan struct{}
	decoy    string // a hash to check where there is no user, so that both take as long
}

// New returns a guard over what vault keeps.
func New(vault Vault, policy Policy, log *slog.Logger) *Guard {
	g := &Guard{
		vault: vault, log: log, origin: http.NewCrossOriginProtection(),
		requests: newLimiter(requestEvery, requestBurst), guesses: newLimiter(guessEvery, guessBurst),
		hashing: make(chan struct{}, hashings),
	}
	g.decoy, _ = HashPassword(NewPassword())
	g.SetPolicy(policy)
	return g
}

// SetPolicy changes who may do what, from the next request on.
func (g *Guard) SetPolicy(p Policy) { g.policy.Store(&p) }

// Admit decides about a request of the API that needs a scope, and tells who
// makes it. Nobody needs no scope. The error is a [*Denied], or one of the
// vault.
func (g *Guard) Admit(r *http.Request, needed Scope) (Principal, error) {
	policy := g.policy.Load()
	addr := client(r, policy.Proxies)
	if wait := g.requests.take(addr); wait > 0 {
		return Principal{}, &Denied{Reason: TooMany, Needed: needed, RetryAfter: wait}
	}
	if g.origin.Check(r) != nil {
		return Principal{}, &Denied{Reason: CrossOrigin, Needed: needed}
	}
	if needed == Nobody {
		return Principal{Via: ByNothing}, nil
	}
	who, err := g.identify(r, policy)
	if err != nil {
		return Principal{}, g.slowDown(r, err)
	}
	switch {
	case who.Scope.Covers(needed):
		return who, nil
	case who.Via == ByNothing:
		return Principal{}, &Denied{Reason: LoginNeeded, Needed: needed}
	}
	return Principal{}, &Denied{Reason: Forbidden, Needed: needed}
}

// AdmitPlayback decides about a request to play. The error is as of Admit.
func (g *Guard) AdmitPlayback(r *http.Request) error {
	policy := g.policy.Load()
	return g.admitByRule(r, policy, policy.Playback, policy.PlaybackNetworks, Play)
}

// AdmitMetrics decides about a request for metrics. The error is as of Admit.
func (g *Guard) AdmitMetrics(r *http.Request) error {
	policy := g.policy.Load()
	return g.admitByRule(r, policy, policy.Metrics, nil, Read)
}

func (g *Guard) admitByRule(r *http.Request, policy *Policy, rule Rule, more []netip.Prefix, needed Scope) error {
	if rule == Open {
		return nil
	}
	addr := client(r, policy.Proxies)
	if rule == LAN && addr.IsValid() && (onLAN(addr) || inside(more, addr)) {
		return nil
	}
	who, err := g.identify(withToken(r), policy)
	switch {
	case err != nil:
		return g.slowDown(r, err)
	case who.Scope.Covers(needed):
		return nil
	case rule == LAN && !addr.IsValid():
		return &Denied{Reason: UnknownProxy, Needed: needed}
	case who.Via == ByNothing:
		return &Denied{Reason: LoginNeeded, Needed: needed}
	}
	return &Denied{Reason: Forbidden, Needed: needed}
}

// withToken has a key in the address count as one in the header: a player takes
// an address and nothing else. The API takes none there, because addresses end
// up in logs and histories.
func withToken(r *http.Request) *http.Request {
	token := r.URL.Query().Get("token")
	if token == "" || secretOf(r) != "" {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Set("X-API-Key", token)
	return r
}

// slowDown counts an attempt with a wrong key, and says no more than that there
// were too many of them once there were.
func (g *Guard) slowDown(r *http.Request, err error) error {
	denied, ok := errors.AsType[*Denied](err)
	if !ok || denied.Reason != BadKey {
		return err
	}
	if wait := g.guesses.take(client(r, g.policy.Load().Proxies)); wait > 0 {
		return &Denied{Reason: TooMany, Needed: denied.Needed, RetryAfter: wait}
	}
	return err
}

// identify finds out who makes a request. A key that is wrong is an error; a
// session that is over is nobody, as the browser that sends it cannot know.
func (g *Guard) identify(r *http.Request, policy *Policy) (Principal, error) {
	if secret := secretOf(r); secret != "" {
		return g.byKey(r.Context(), policy, secret)
	}
	if cookie, err := r.Cookie(CookieName); err == nil {
		who, err := g.bySession(r.Context(), cookie.Value)
		if err != nil || who.Scope != Nobody {
			return who, err
		}
	}
	if addr := client(r, policy.Proxies); addr.IsValid() && inside(policy.Trusted, addr) && ownName(r.Host) {
		return Principal{Name: addr.String(), Scope: policy.TrustedScope, Via: ByNetwork}, nil
	}
	return Principal{Via: ByNothing}, nil
}

// secretOf returns the key that a request carries: as a bearer token (RFC
// 6750), in X-API-Key, or as the password of basic authentication, which is
// all that some programs can send.
func secretOf(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return ""
}

// byKey knows a program by its key, or a person's program by the token of a
// session.
func (g *Guard) byKey(ctx context.Context, policy *Policy, secret string) (Principal, error) {
	digest := DigestOf(secret)
	for _, fixed := range policy.Fixed {
		if subtle.ConstantTimeCompare(fixed.Secret[:], digest[:]) == 1 {
			return Principal{Name: fixed.Name, Scope: fixed.Scope, Via: BySetting}, nil
		}
	}
	if strings.HasPrefix(secret, sessionPrefix) {
		who, err := g.bySession(ctx, secret)
		if err == nil && who.Scope == Nobody {
			err = &Denied{Reason: BadKey}
		}
		return who, err
	}
	key, err := g.vault.Key(ctx, digest)
	now := time.Now()
	if errors.Is(err, ErrNone) || err == nil && !key.Expires.IsZero() && !now.Before(key.Expires) {
		return Principal{}, &Denied{Reason: BadKey}
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up a key: %w", err)
	}
	if now.Sub(key.Used) > touchEvery {
		g.vault.Touch(key.ID, now)
	}
	return Principal{Name: key.Name, Scope: key.Scope, Via: ByKey, ID: key.ID}, nil
}

// bySession knows a person by a session. One that is over is nobody.
func (g *Guard) bySession(ctx context.Context, secret string) (Principal, error) {
	session, err := g.vault.Session(ctx, DigestOf(secret))
	now := time.Now()
	if errors.Is(err, ErrNone) || err == nil && !now.Before(session.Expires) {
		return Principal{Via: ByNothing}, nil
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up a session: %w", err)
	}
	if now.Sub(session.Used) > touchEvery {
		g.vault.Touch(session.ID, now)
	}
	return Principal{Name: session.User, Scope: session.Scope, Via: BySession, ID: session.ID}, nil
}
