package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
)

func TestDockerProfiles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range profile.Known() {
		names = append(names, p.Name)
	}
	keys := config.Keys()
	i := slices.IndexFunc(keys, func(k config.Key) bool { return k.Name == "docker.profile" })
	if diff := cmp.Diff(slices.Concat([]string{"auto"}, names, []string{profile.Custom}), keys[i].Enum); diff != "" {
		t.Errorf("docker.profile does not take what is known:\n%s", diff)
	}
	for _, test := range []struct {
		settings config.Docker
		want     string // the profile, or part of the error
	}{
		{config.Docker{Profile: "auto"}, profile.AcequiaEngine},
		{config.Docker{Profile: "auto", Image: "docker.io/jopsis/aceserve:v3@sha256:00"}, profile.AceServe},
		{config.Docker{Profile: "auto", Image: "example.org:5000/mine"}, "none of those known"},
		{config.Docker{Profile: "nano-ace", Image: "example.org:5000/mine"}, profile.NanoAce},
		{config.Docker{Profile: "custom", Image: "mine", Custom: config.DockerCustom{HTTPPort: 1, Env: []string{"A={token}"}}}, profile.Custom},
	} {
		p, err := dockerProfile(test.settings)
		if err != nil && !strings.Contains(err.Error(), test.want) || err == nil && p.Name != test.want {
			t.Errorf("dockerProfile(%+v) = %q, %v; want %q", test.settings, p.Name, err, test.want)
		}
		if p.Name == profile.Custom && !p.TakesToken {
			t.Error("a custom profile with a token is not known to take one")
		}
	}
}
