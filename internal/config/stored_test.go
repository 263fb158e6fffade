package config

import (
	"errors"
	"strings"
	"testing"
)

func TestStoredSettingsStandBetweenFileAndEnvironment(t *testing.T) {
	t.Parallel()
	base, err := Load(Sources{
		File:     "f",
		ReadFile: disk{"f": "pool: {min: 1, max: 9}\nplayback: {linger: 1s, burst: 1s}\nlog: {level: warn}\ndata: /d\n"}.read,
		Environ:  []string{"ACEQUIA_PLAYBACK_LINGER=2s"},
		Flags:    []Setting{{"playback.burst", "2s"}},
		Writable: never,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := base.With(map[string]string{"pool.min": "3", "playback.linger": "4s", "playback.burst": "4s", "auth.trusted_networks": "10.0.0.0/8, ::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		key, text string
		layer     Layer
		origin    string
	}{
		{"pool.min", "3", Stored, "changed in Acequia"},
		{"pool.max", "9", File, "f:1"},
		{"playback.linger", "2s", Environment, "environment ACEQUIA_PLAYBACK_LINGER"},
		{"playback.burst", "2s", Flags, "flag --playback.burst"},
		{"log.level", "warn", File, "f:3"},
		{"auth.trusted_networks", "10.0.0.0/8,::1", Stored, "changed in Acequia"},
		{"shutdown_timeout", "10s", Default, "default"},
	} {
		origin := got.Origin(want.key)
		if got.Text(want.key) != want.text || origin.Layer != want.layer || origin.String() != want.origin {
			t.Errorf("%s is %s from %s; want %s from %s", want.key, got.Text(want.key), origin, want.text, want.origin)
		}
	}
	if base.Config.Pool.Min != 1 {
		t.Error("the settings it was made from have changed")
	}
	again, err := got.With(nil)
	if err != nil || again.Config.Pool.Min != 1 || again.Origin("pool.min").Layer != File {
		t.Errorf("taken back: %v, %v", again.Config.Pool.Min, err)
	}
}

func TestStoredSettingsAreChecked(t *testing.T) {
	t.Parallel()
	base, err := Load(Sources{ReadFile: disk{}.read, Writable: never, Flags: []Setting{{"data", "/d"}, {"auth.admin_key", strings.Repeat("k", 16)}}})
	if err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{
		"pool.min": "lots", "pool.max": "0", "pool.mx": "3", "data": "/elsewhere", "log.level": "loud", "playback.linger": "5",
		"auth.admin_key": strings.Repeat("s", 16), "auth.admin_key_file": "/etc/passwd", "auth.trusted_networks": "everybody",
	} {
		_, err := base.With(map[string]string{key: text})
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok || invalid.Problems[0].Key != key || invalid.Problems[0].Origin.Layer != Stored || strings.Contains(err.Error(), "ssss") {
			t.Errorf("%s = %s: %v", key, text, err)
		}
	}
	if got := base.Text("auth.admin_key"); got != "" {
		t.Errorf("the secret is shown as %q", got)
	}
}
