package profile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
)

func TestRender(t *testing.T) {
	t.Parallel()
	p := profile.Profile{
		HTTPPort: 6878, P2PPort: 8621, CacheDir: "/c", FlagsEnv: "FLAGS",
		Args: []string{"run", "--port={http_port}", "--limit={cache_bytes}"},
		Env:  []string{"P2P={p2p_port}", "FLAGS=--token={token}", "GB={cache_gb}", "DIR={cache_dir}"},
	}
	got := p.Render(profile.Settings{P2PPort: 9000, CacheBytes: 2_500_000_000, Token: "t", ExtraArgs: []string{"--a=1", "--b"}, ExtraEnv: []string{"TZ=Europe/Madrid", "DIR=/other"}})
	want := profile.Rendered{
		Args: []string{"run", "--port=6878", "--limit=2500000000"}, P2PPort: 9000,
		Env: []string{"DIR=/other", "FLAGS=--token=t --a=1 --b", "GB=2", "P2P=9000", "TZ=Europe/Madrid"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with all settings (-want +got):\n%s", diff)
	}
	got = p.Render(profile.Settings{})
	want = profile.Rendered{Args: []string{"run", "--port=6878"}, P2PPort: 8621, Env: []string{"DIR=/c", "FLAGS=--token=", "P2P=8621"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without settings (-want +got):\n%s", diff)
	}
	p.FlagsEnv, p.Args = "", nil
	if got := p.Render(profile.Settings{ExtraArgs: []string{"--a"}}); !slices.Equal(got.Args, []string{"--a"}) {
		t.Errorf("further flags without a command are %q", got.Args)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	images := make(map[string]string)
	for _, p := range profile.Known() {
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if found, ok := profile.Named(p.Name); !ok || found.Name != p.Name {
			t.Errorf("%s is not found by its name", p.Name)
		}
		for _, image := range append(p.Images, p.Image) {
			if found, ok := profile.Of(image + ":latest"); !ok || found.Name != p.Name {
				t.Errorf("the image %s is of %q, not of %s", image, found.Name, p.Name)
			}
			images[image] = p.Name
		}
		if p.TakesToken != profile.Mentions(p.Args, p.Env, "{token}") {
			t.Errorf("%s: TakesToken is %t", p.Name, p.TakesToken)
		}
		r := p.Render(profile.Settings{CacheBytes: 1 << 30, Token: "secret"})
		if all := strings.Join(append(r.Args, r.Env...), " "); strings.ContainsAny(all, "{}") {
			t.Errorf("%s renders to %q", p.Name, all)
		}
		if p.HealthPath == "" || p.Source == "" || p.ReadOnly && p.User == "" {
			t.Errorf("%s is incomplete: %+v", p.Name, p)
		}
	}
	if p, ok := profile.Of("example.org/acestream"); ok {
		t.Errorf("an image that nobody knows is of %s", p.Name)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]profile.Profile{
		"not a port":  {HTTPPort: 0},
		"placeholder": {HTTPPort: 1, Args: []string{"--x={htp_port}"}},
		"variable":    {HTTPPort: 1, Env: []string{"A-B=1"}},
		"directory":   {HTTPPort: 1, CacheDir: "cache"},
		"scratch":     {HTTPPort: 1, Scratch: []string{"/a/../etc"}},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), name) && name == "placeholder" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"a": "a", "a:1": "a", "h:5000/a": "h:5000/a", "h:5000/a:1@sha256:0": "h:5000/a", "ghcr.io/a/b@sha256:0": "ghcr.io/a/b",
	} {
		if got := profile.Repository(image); got != want {
			t.Errorf("Repository(%q) = %q; want %q", image, got, want)
		}
	}
}
