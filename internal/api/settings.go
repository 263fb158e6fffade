package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/config"
)

const tagSettings = "Settings"

// Settings is what the API needs of whoever holds the settings.
type Settings interface {
	// Settings returns the settings as they would be after a restart, and those
	// that count now.
	Settings() (next, now *config.Settings)
	// Change stores changes, texts by key or nil to take a change back, and has
	// those count at once that can. It fails with a [*config.InvalidError].
	Change(ctx context.Context, changes map[string]*string) error
	// Try is Change without a change.
	Try(changes map[string]*string) (*config.Settings, error)
}

func (a *API) settingsRoutes() {
	handle(a, operation{
		id: "list-settings", method: http.MethodGet, path: "/settings", scope: auth.Read, tag: tagSettings,
		summary: "List the settings", description: "In the order of the reference, with values, origins and what a change needs. Secrets are not told.",
	}, func(context.Context, *none) (*answer[[]client.Setting], error) {
		return &answer[[]client.Setting]{a.settings()}, nil
	})
	handle(a, operation{
		id: "change-settings", method: http.MethodPatch, path: "/settings", scope: auth.Admin, tag: tagSettings,
		summary:     "Change settings",
		description: "All or none. Changes override the settings file; what the environment or the command line says stays, so that such a setting cannot be changed here. Secrets cannot either.",
	}, a.changeSettings)
	handle(a, operation{
		id: "get-settings-schema", method: http.MethodGet, path: "/settings/schema", scope: auth.Read, tag: tagSettings,
		summary: "Get the JSON schema of the settings file",
		responses: map[string]*huma.Response{"200": {
			Description: "A JSON schema, draft 2020-12.",
			Content:     map[string]*huma.MediaType{"application/schema+json": {Schema: &huma.Schema{Type: "object"}}},
		}},
	}, func(context.Context, *none) (*raw, error) {
		var out bytes.Buffer
		if err := config.WriteSchema(&out); err != nil {
			return nil, a.failed(err)
		}
		return &raw{Type: "application/schema+json", Body: out.Bytes()}, nil
	})
}

// raw is an output that is not made by huma.
type raw struct {
	Type string `header:"Content-Type"`
	Body []byte
}

var layers = map[config.Layer]string{
	config.Default: "default", config.File: "file", config.Stored: "stored",
	config.Environment: "environment", config.Flags: "flag",
}

func (a *API) settings() []client.Setting {
	next, now := a.Settings.Settings()
	keys := config.Keys()
	list := make([]client.Setting, 0, len(keys))
	for _, key := range keys {
		origin := next.Origin(key.Name)
		section, _, _ := strings.Cut(key.Name, ".")
		if section == key.Name {
			section = ""
		}
		s := client.Setting{
			Key: key.Name, Section: section, Type: string(key.Kind), Default: key.Default, Doc: key.Doc,
			Enum: key.Enum, Min: key.Min, Max: key.Max, Format: key.Format, Env: key.Env(), Secret: key.Secret,
			Origin: layers[origin.Layer], Where: origin.String(),
			Locked: locked(key, origin), Applies: "restart", Set: next.IsSet(key.Name),
			Pending: next.Text(key.Name) != now.Text(key.Name),
		}
		if key.Reload {
			s.Applies = "now"
		}
		if !key.Secret {
			s.Value = new(next.Text(key.Name))
		}
		list = append(list, s)
	}
	return list
}

// locked tells whether a change here could have no effect.
func locked(key config.Key, origin config.Origin) bool {
	return key.Secret || config.BeforeStore(key.Name) || origin.Layer > config.Stored
}

func (a *API) changeSettings(ctx context.Context, in *input[client.SettingsChange]) (*answer[client.SettingsChanged], error) {
	next, err := a.Settings.Try(in.Body.Changes)
	if err != nil {
		return nil, a.failed(settingsProblem(err))
	}
	done := client.SettingsChanged{Applied: []string{}, Restart: []string{}}
	var stuck []client.Field
	for _, key := range config.Keys() {
		text, asked := in.Body.Changes[key.Name]
		switch {
		case !asked:
		case text != nil && locked(key, next.Origin(key.Name)):
			stuck = append(stuck, client.Field{Location: key.Name, Message: next.Origin(key.Name).String() + " overrides it"})
		case key.Reload:
			done.Applied = append(done.Applied, key.Name)
		default:
			done.Restart = append(done.Restart, key.Name)
		}
	}
	if len(stuck) > 0 {
		return nil, problem{status: http.StatusConflict, code: codeLocked, fields: stuck}
	}
	if in.Body.DryRun {
		return &answer[client.SettingsChanged]{done}, nil
	}
	if err := a.Settings.Change(ctx, in.Body.Changes); err != nil {
		return nil, a.failed(settingsProblem(err))
	}
	return &answer[client.SettingsChanged]{done}, nil
}

func settingsProblem(err error) error {
	invalid, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		return err
	}
	p := problem{status: http.StatusUnprocessableEntity, code: codeInvalid}
	for _, wrong := range invalid.Problems {
		p.fields = append(p.fields, client.Field{Location: wrong.Key, Message: wrong.Message})
	}
	return p
}
