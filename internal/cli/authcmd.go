package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
)

type authCommand struct {
	Password authPassword `cmd:"" help:"Set the admin's password, with the server up or down."`
	Key      authKey      `cmd:"" help:"Make, list and end keys."`
}

// Help is shown by acequia auth --help.
func (*authCommand) Help() string {
	return `
Examples:

    acequia auth password                       make a new password and show it
    acequia auth password --stdin < password    set that one
    acequia auth key add grafana --scope read
    acequia auth key list

The password is set in the database of the data directory, whether a server runs or not; so are keys, unless --url names a server.
`
}

type authPassword struct {
	settingFlags
	Stdin bool `help:"Read the password from standard input."`
}

func (*authPassword) shows(string) bool { return false }

// Run sets the admin's password.
func (p *authPassword) Run(ctx context.Context, c *call) error {
	settings, err := p.load(c)
	if err != nil {
		return err
	}
	if settings.Config.Auth.AdminPassword != "" {
		return fmt.Errorf("the settings hold the password (%s): change it there", settings.Origin("auth.admin_password"))
	}
	password := auth.NewPassword()
	if p.Stdin {
		data, err := io.ReadAll(io.LimitReader(c.process.Stdin, 4096))
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		password = strings.TrimRight(string(data), "\r\n")
	}
	kept, err := openKept(ctx, settings.Config)
	if err != nil {
		return err
	}
	err = auth.SetPassword(ctx, kept, auth.AdminUser, auth.Admin, password)
	if err := errors.Join(err, kept.Close()); err != nil {
		return err
	}
	said := "The password of " + auth.AdminUser + " is set; all logins have ended."
	if !p.Stdin {
		said = "The password of " + auth.AdminUser + " is now: " + password
	}
	_, err = fmt.Fprintln(c.process.Stdout, said)
	return err
}

type authKey struct {
	Add  authKeyAdd  `cmd:"" help:"Make a key and show it, this once."`
	List authKeyList `cmd:"" default:"withargs" help:"List the keys."`
	End  authKeyEnd  `cmd:"" help:"End a key."`
}

// offline makes keys in the database, for commands that are given no server.
func (f *serverFlags) offline(ctx context.Context, c *call, do func(auth.Keys) error) error {
	settings, err := f.load(c)
	if err != nil {
		return err
	}
	kept, err := openKept(ctx, settings.Config)
	if err != nil {
		return err
	}
	return errors.Join(do(kept), kept.Close())
}

// remote tells whether a server is named.
func (f *serverFlags) remote(c *call) bool {
	return f.URL != "" || c.process.getenv("ACEQUIA_URL") != ""
}

type authKeyAdd struct {
	serverFlags
	Name  string        `arg:"" help:"What to call it."`
	Scope string        `enum:"play,read,operate,admin" default:"read" help:"What it may do: play, read, operate or admin; each includes those before it."`
	For   time.Duration `placeholder:"DURATION" help:"How long it is valid; for ever without."`
}

// Run makes a key.
func (a *authKeyAdd) Run(ctx context.Context, c *call) error {
	var expires time.Time
	if a.For > 0 {
		expires = time.Now().Add(a.For)
	}
	tell := func(secret string) error {
		_, err := fmt.Fprintln(c.process.Stdout, secret)
		return err
	}
	if !a.remote(c) {
		return a.offline(ctx, c, func(keys auth.Keys) error {
			_, secret, err := auth.NewKey(ctx, keys, a.Name, auth.Scope(a.Scope), expires)
			if err != nil {
				return err
			}
			return tell(secret)
		})
	}
	return a.with(ctx, c, func(api *client.Client) error {
		k := client.NewKey{Name: a.Name, Scope: a.Scope}
		if !expires.IsZero() {
			k.Expires = &expires
		}
		made, err := api.AddKey(ctx, k)
		if err != nil {
			return err
		}
		return tell(made.Secret)
	})
}

type authKeyList struct{ serverFlags }

// Run lists the keys.
func (l *authKeyList) Run(ctx context.Context, c *call) error {
	show := func(all []client.Key) error {
		return l.show(c.process.Stdout, all, func() *table {
			t := &table{head: []string{"KEY", "NAME", "SCOPE", "CREATED", "USED", "EXPIRES"}}
			for _, k := range all {
				t.add(k.ID, k.Name, k.Scope, k.Created.Local().Format(time.DateTime), day(k.Used), day(k.Expires))
			}
			return t
		})
	}
	if l.remote(c) {
		return l.with(ctx, c, func(api *client.Client) error {
			all, err := api.Keys(ctx)
			if err != nil {
				return err
			}
			return show(all)
		})
	}
	return l.offline(ctx, c, func(keys auth.Keys) error {
		found, err := keys.Keys(ctx)
		if err != nil {
			return err
		}
		all := []client.Key{}
		for _, k := range found {
			one := client.Key{ID: k.ID, Name: k.Name, Scope: string(k.Scope), Created: k.Created}
			if !k.Used.IsZero() {
				one.Used = &k.Used
			}
			if !k.Expires.IsZero() {
				one.Expires = &k.Expires
			}
			all = append(all, one)
		}
		return show(all)
	})
}

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

type authKeyEnd struct {
	serverFlags
	ID string `arg:"" name:"key" help:"Id of the key, as listed."`
}

// Run ends a key.
func (e *authKeyEnd) Run(ctx context.Context, c *call) error {
	if e.remote(c) {
		return e.with(ctx, c, func(api *client.Client) error { return api.DropKey(ctx, e.ID) })
	}
	return e.offline(ctx, c, func(keys auth.Keys) error { return keys.DropKey(ctx, e.ID) })
}
