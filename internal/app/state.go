package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/store"
)

// Events of the database. Their attribute "reason" is a [store.Fault], or
// "newer" where a newer version wrote the file.
const (
	eventStoreLost  = "store.unusable"  // it runs without what was kept
	eventStoreFails = "store.failing"   // writes fail
	eventStoreWorks = "store.recovered" // writes go well again
)

// storeAdvice says what to do about each fault.
var storeAdvice = map[string]string{
	string(store.FaultFull):     "The disk is full: make room.",
	string(store.FaultReadOnly): "It cannot be written: check the permissions of the data directory.",
	string(store.FaultDamaged):  "It is damaged: move it away and start again, with a backup in its place if there is one.",
	string(store.FaultBusy):     "Another process holds it: stop that process.",
	string(store.FaultOther):    "The log says why.",
	"newer":                     "A newer version of Acequia wrote it: run that version, or move the file away.",
}

// openStore opens the database of the data directory, or one in memory where
// that cannot be used: nothing in it is needed to play.
func openStore(ctx context.Context, cfg config.Config, events *event.Log, log *slog.Logger) (*store.Store, error) {
	path := filepath.Join(cfg.Data, store.FileName)
	settings := store.Config{Log: log, Trouble: func(err error) { tellTrouble(events, log, path, err) }}
	s, err := store.Open(ctx, path, settings)
	if err == nil {
		return s, nil
	}
	reason := string(store.FaultOf(err))
	if _, ok := errors.AsType[*store.NewerError](err); ok {
		reason = "newer"
	}
	log.Error("running without what was kept: history, keys and changed settings are not there, and nothing is kept",
		"path", path, "err", err, "advice", storeAdvice[reason])
	events.Publish(event.Event{
		Time: time.Now(), Type: eventStoreLost,
		Message: fmt.Sprintf("The database cannot be used, and nothing is kept: %v. %s", err, storeAdvice[reason]),
		Attrs:   map[string]string{"reason": reason, "path": path, "err": err.Error()},
	})
	return store.Memory(ctx, settings)
}

func tellTrouble(events *event.Log, log *slog.Logger, path string, err error) {
	if err == nil {
		log.Info("the database is written again", "path", path)
		events.Publish(event.Event{Time: time.Now(), Type: eventStoreWorks, Message: "History is kept again."})
		return
	}
	reason := string(store.FaultOf(err))
	log.Warn("history is not kept for now", "path", path, "err", err, "advice", storeAdvice[reason])
	events.Publish(event.Event{
		Time: time.Now(), Type: eventStoreFails,
		Message: "The database cannot be written; history is lost meanwhile. " + storeAdvice[reason],
		Attrs:   map[string]string{"reason": reason, "path": path, "err": err.Error()},
	})
}

// keepEvents copies what happens to the database until ctx ends.
func keepEvents(ctx context.Context, events *event.Log, kept *store.Store, boot string) error {
	var last uint64
	for {
		changed := events.Changed()
		fresh, _ := events.Since(last)
		for _, e := range fresh {
			kept.KeepEvent(boot, e)
			last = e.Seq
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// openGuard sees to it that somebody can log in, and tells the password made
// for that: the one secret that is ever logged, once.
func openGuard(ctx context.Context, cfg config.Auth, vault auth.Vault, log *slog.Logger) (*auth.Guard, error) {
	policy, err := accessPolicy(cfg)
	if err != nil {
		return nil, err
	}
	made, err := auth.EnsureAdmin(ctx, vault, cfg.AdminPassword)
	if err != nil {
		return nil, fmt.Errorf("make the admin: %w", err)
	}
	if made != "" {
		log.Warn("log in as admin with this password; it is not shown again", "user", auth.AdminUser, "password", made)
	}
	return auth.New(vault, policy, log), nil
}

// accessPolicy turns the settings of access into what the guard wants.
func accessPolicy(cfg config.Auth) (auth.Policy, error) {
	p := auth.Policy{
		Playback: auth.Rule(cfg.Playback), Metrics: auth.Rule(cfg.Metrics),
		TrustedScope: auth.Scope(cfg.TrustedScope), SessionLife: cfg.Session,
	}
	for _, list := range []struct {
		texts []string
		into  *[]netip.Prefix
	}{{cfg.PlaybackNetworks, &p.PlaybackNetworks}, {cfg.TrustedNetworks, &p.Trusted}, {cfg.TrustedProxies, &p.Proxies}} {
		networks, err := auth.ParseNetworks(list.texts)
		if err != nil {
			return auth.Policy{}, err
		}
		*list.into = networks
	}
	for _, key := range []struct {
		name, secret string
		scope        auth.Scope
	}{
		{"auth.admin_key", cfg.AdminKey, auth.Admin},
		{"auth.operate_key", cfg.OperateKey, auth.Operate},
		{"auth.read_key", cfg.ReadKey, auth.Read},
		{"auth.playback_key", cfg.PlaybackKey, auth.Play},
	} {
		if key.secret != "" {
			p.Fixed = append(p.Fixed, auth.Fixed{Name: key.name, Secret: auth.DigestOf(key.secret), Scope: key.scope})
		}
	}
	return p, nil
}
