package api

import (
	"context"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
)

const tagAccess = "Access"

type none struct{}

// answer is an output with a body.
type answer[T any] struct{ Body T }

// input is an input with a body.
type input[T any] struct{ Body T }

// Identified is an input that names something by its id. It is exported because
// huma sees no other field in an input that embeds it.
type Identified struct {
	ID string `path:"id" maxLength:"128" doc:"Its id."`
}

// withCookie is an output that sets a cookie.
type withCookie[T any] struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      T
}

type onlyCookie struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (a *API) accessRoutes() {
	handle(a, operation{
		id: "login", method: http.MethodPost, path: "/login", scope: anyone, tag: tagAccess,
		summary:     "Log in",
		description: "Begins a session, which the cookie holds.",
	}, a.login)
	handle(a, operation{
		id: "logout", method: http.MethodPost, path: "/logout", scope: auth.Play, tag: tagAccess,
		summary: "Log out", description: "Ends the session of this request.",
	}, a.logout)
	handle(a, operation{
		id: "me", method: http.MethodGet, path: "/me", scope: auth.Play, tag: tagAccess,
		summary: "Who am I", description: "Tells who makes this request.",
	}, func(ctx context.Context, _ *none) (*answer[client.Me], error) {
		return &answer[client.Me]{me(principal(ctx))}, nil
	})
	handle(a, operation{
		id: "change-password", method: http.MethodPut, path: "/password", scope: auth.Play, tag: tagAccess,
		summary: "Change my password", description: "Ends all sessions of the user, this one too.",
	}, a.changePassword)
	handle(a, operation{
		id: "list-keys", method: http.MethodGet, path: "/keys", scope: auth.Admin, tag: tagAccess,
		summary: "List the keys", description: "Keys that the settings hold are not among them.",
	}, a.listKeys)
	handle(a, operation{
		id: "add-key", method: http.MethodPost, path: "/keys", scope: auth.Admin, tag: tagAccess, status: http.StatusCreated,
		summary: "Make a key", description: "The secret is in the answer and kept nowhere.",
	}, a.addKey)
	handle(a, operation{
		id: "drop-key", method: http.MethodDelete, path: "/keys/{id}", scope: auth.Admin, tag: tagAccess,
		summary: "End a key", description: "It is worth nothing from the next request on.",
	}, func(ctx context.Context, in *Identified) (*none, error) {
		return nil, a.done(a.Vault.DropKey(ctx, in.ID))
	})
	handle(a, operation{
		id: "list-sessions", method: http.MethodGet, path: "/sessions", scope: auth.Admin, tag: tagAccess,
		summary: "List the logins",
	}, a.listSessions)
	handle(a, operation{
		id: "drop-session", method: http.MethodDelete, path: "/sessions/{id}", scope: auth.Admin, tag: tagAccess,
		summary: "End a login",
	}, func(ctx context.Context, in *Identified) (*none, error) {
		return nil, a.done(a.Vault.DropSession(ctx, in.ID))
	})
}

// done turns the error of what has no answer.
func (a *API) done(err error) error {
	if err != nil {
		return a.failed(err)
	}
	return nil
}

func me(who auth.Principal) client.Me {
	return client.Me{Name: who.Name, Scope: string(who.Scope), Via: string(who.Via)}
}

func (a *API) login(ctx context.Context, in *input[client.Login]) (*withCookie[client.Me], error) {
	r := request(ctx)
	session, secret, err := a.Guard.Login(r, in.Body.User, in.Body.Password)
	if err != nil {
		return nil, a.failed(err)
	}
	return &withCookie[client.Me]{
		SetCookie: auth.Cookie(r, secret, session.Expires),
		Body:      me(auth.Principal{Name: session.User, Scope: session.Scope, Via: auth.BySession}),
	}, nil
}

func (a *API) logout(ctx context.Context, _ *none) (*onlyCookie, error) {
	if err := a.Guard.Logout(ctx, principal(ctx)); err != nil {
		return nil, a.failed(err)
	}
	return &onlyCookie{auth.Cookie(request(ctx), "", time.Time{})}, nil
}

func (a *API) changePassword(ctx context.Context, in *input[client.PasswordChange]) (*none, error) {
	who := principal(ctx)
	if who.Via != auth.BySession {
		return nil, problem{status: http.StatusForbidden, code: string(auth.Forbidden), detail: "only who is logged in has a password"}
	}
	return nil, a.done(a.Guard.ChangePassword(request(ctx), who.Name, in.Body.Old, in.Body.New))
}

func (a *API) listKeys(ctx context.Context, _ *none) (*answer[[]client.Key], error) {
	keys, err := a.Vault.Keys(ctx)
	if err != nil {
		return nil, a.failed(err)
	}
	list := make([]client.Key, 0, len(keys))
	for _, k := range keys {
		list = append(list, keyOf(k))
	}
	return &answer[[]client.Key]{list}, nil
}

func keyOf(k auth.Key) client.Key {
	return client.Key{
		ID: k.ID, Name: k.Name, Scope: string(k.Scope), Created: k.Created,
		Used: known(k.Used), Expires: known(k.Expires),
	}
}

// known is a time, or null where there is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (a *API) addKey(ctx context.Context, in *input[client.NewKey]) (*answer[client.MadeKey], error) {
	var expires time.Time
	if in.Body.Expires != nil {
		expires = *in.Body.Expires
		if !expires.After(time.Now()) {
			return nil, problem{
				status: http.StatusUnprocessableEntity, code: codeInvalid,
				fields: []client.Field{{Location: "body.expires", Message: "is in the past"}},
			}
		}
	}
	key, secret, err := auth.NewKey(ctx, a.Vault, in.Body.Name, auth.Scope(in.Body.Scope), expires)
	if err != nil {
		return nil, a.failed(err)
	}
	a.Log.Info("key made", "key", key.ID, "scope", key.Scope, "by", principal(ctx).Name)
	return &answer[client.MadeKey]{client.MadeKey{Key: keyOf(key), Secret: secret}}, nil
}

func (a *API) listSessions(ctx context.Context, _ *none) (*answer[[]client.Session], error) {
	sessions, err := a.Vault.Sessions(ctx)
	if err != nil {
		return nil, a.failed(err)
	}
	list := make([]client.Session, 0, len(sessions))
	for _, s := range sessions {
		list = append(list, client.Session{
			ID: s.ID, User: s.User, Agent: s.Agent, Created: s.Created, Used: s.Used, Expires: s.Expires,
			Current: s.ID == principal(ctx).ID,
		})
	}
	return &answer[[]client.Session]{list}, nil
}
