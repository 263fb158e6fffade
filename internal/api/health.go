package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/message"
)

// States of a check, the best first.
const (
	checkOK      = "ok"
	checkWarning = "warning"
	checkError   = "error"
)

// check is one thing that is well or not, before it is put into words.
type check struct {
	id, status string
	message    message.Key
	advice     message.Key
	attrs      map[string]string
}

func (c check) in(lang message.Lang) client.Check {
	out := client.Check{ID: c.id, Status: c.status, Message: message.Text(lang, c.message), Attrs: c.attrs}
	if out.Attrs == nil {
		out.Attrs = map[string]string{}
	}
	if c.status != checkOK {
		out.Advice = message.Text(lang, c.advice)
	}
	return out
}

// language is that of the request.
func language(ctx context.Context) message.Lang {
	return message.Preferred(request(ctx).Header.Get("Accept-Language"))
}

func (a *API) healthRoutes() {
	handle(a, operation{
		id: "get-health", method: http.MethodGet, path: "/system/health", scope: auth.Read, tag: tagSystem,
		summary: "Tell how everything is, and what to do",
	}, func(ctx context.Context, _ *none) (*answer[client.Health], error) {
		health := client.Health{Status: checkOK, Checks: []client.Check{}}
		for _, c := range a.checks() {
			health.Status = worse(health.Status, c.status)
			health.Checks = append(health.Checks, c.in(language(ctx)))
		}
		return &answer[client.Health]{health}, nil
	})
}

func worse(a, b string) string {
	if a == checkError || b == checkOK {
		return a
	}
	return b
}

// checks looks at everything.
func (a *API) checks() []check {
	p := a.pool()
	next, now := a.Settings.Settings()
	return []check{
		checkEngines(p), checkProvider(p), a.checkDatabase(), checkSettings(next, now), checkContents(p), checkAccess(now.Config.Auth),
	}
}

func checkEngines(p client.Pool) check {
	c := check{
		id: "engines", status: checkOK, message: message.HealthEnginesOK, advice: message.HealthEnginesAdvice,
		attrs: map[string]string{"ready": strconv.Itoa(p.Ready), "engines": strconv.Itoa(p.Engines)},
	}
	if p.Ready == 0 {
		c.status, c.message = checkError, message.HealthEnginesNone
	}
	return c
}

func checkProvider(p client.Pool) check {
	c := check{id: "provider", status: checkOK, message: message.HealthProviderOK, advice: message.HealthProviderAdvice}
	switch {
	case p.Blind != "":
		c.status, c.message, c.attrs = checkError, message.HealthProviderBlind, map[string]string{"reason": p.Blind}
	case p.Unready != "":
		c.status, c.message, c.attrs = checkWarning, message.HealthProviderUnready, map[string]string{"reason": p.Unready}
	}
	return c
}

func (a *API) checkDatabase() check {
	c := check{id: "database", status: checkOK, message: message.HealthDatabaseOK, advice: message.HealthDatabaseAdvice}
	_, dropped := a.Database.Counts()
	switch {
	case !a.Database.Durable():
		c.status, c.message = checkError, message.HealthDatabaseMemory
	case dropped > 0:
		c.status, c.message = checkWarning, message.HealthDatabaseFailing
		c.attrs = map[string]string{"dropped": strconv.FormatUint(dropped, 10)}
	}
	return c
}

func checkSettings(next, now *config.Settings) check {
	c := check{id: "settings", status: checkOK, message: message.HealthSettingsOK, advice: message.HealthSettingsAdvice}
	var pending []string
	for _, key := range config.Keys() {
		if next.Text(key.Name) != now.Text(key.Name) {
			pending = append(pending, key.Name)
		}
	}
	if len(pending) > 0 {
		c.status, c.message = checkWarning, message.HealthSettingsPending
		c.attrs = map[string]string{"keys": strings.Join(pending, ",")}
	}
	return c
}

func checkContents(p client.Pool) check {
	c := check{id: "contents", status: checkOK, message: message.HealthContentsOK, advice: message.HealthContentsAdvice}
	if len(p.Quarantined) > 0 {
		c.status, c.message = checkWarning, message.HealthContentsKept
		c.attrs = map[string]string{"contents": strings.Join(p.Quarantined, ",")}
	}
	return c
}

func checkAccess(cfg config.Auth) check {
	c := check{id: "access", status: checkOK, message: message.HealthAccessOK, advice: message.HealthAccessAdvice}
	networks, _ := auth.ParseNetworks(cfg.TrustedNetworks) // the settings were checked
	for _, n := range networks {
		if n.Bits() == 0 {
			c.status, c.message = checkError, message.HealthAccessTrusting
			return c
		}
	}
	if cfg.Playback == config.AccessOpen {
		c.status, c.message = checkWarning, message.HealthAccessOpen
	}
	return c
}
