package static_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/provider"
	"github.com/acequia-tv/acequia/internal/provider/providertest"
	"github.com/acequia-tv/acequia/internal/provider/static"
)

func TestContract(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Fixture {
		p, err := static.New([]string{"http://a:6878", "http://b:6878", "http://c:6878"})
		if err != nil {
			t.Fatal(err)
		}
		return providertest.Fixture{Provider: p}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	p, err := static.New([]string{" http://Host:6878/ ", "https://host:6879/prefix/", "http://[::1]:6878"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := provider.Inventory{Engines: []provider.Engine{
		{ID: "static-1", State: provider.Running, URL: "http://host:6878"},
		{ID: "static-2", State: provider.Running, URL: "https://host:6879/prefix"},
		{ID: "static-3", State: provider.Running, URL: "http://[::1]:6878"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string][]string{
		"no scheme":        {"host:6878"},
		"another scheme":   {"ftp://host:6878"},
		"no host":          {"http://"},
		"a query":          {"http://host:6878/?x=1"},
		"a password":       {"http://user:secret@host:6878"},
		"an empty address": {""},
		"one engine twice": {"http://host:6878", "http://HOST:6878/"},
		"not an address":   {"http://host:68 78"},
	} {
		if _, err := static.New(addresses); err == nil {
			t.Errorf("%s: %q was accepted", name, addresses)
		}
	}
}
