// Package profile describes container images of engines as data: how each takes
// its settings, where it keeps its cache, which ports it has and what it can do
// without. It knows nothing of containers beyond that.
package profile

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Profile is one kind of image. It is a value, and is not changed once made.
//
// Args and Env may hold placeholders, which [Profile.Render] replaces:
//
//	{http_port}    TCP port of the engine API inside the container
//	{p2p_port}     TCP and UDP port for peers inside the container
//	{cache_dir}    directory of the cache
//	{cache_bytes}  most bytes of the cache; an item that holds it is left out when there is no limit
//	{cache_gb}     the same in whole gigabytes of 10^9 bytes, at least 1
//	{token}        the token of the engine's private API
type Profile struct {
	// Name is what a person writes to choose it.
	Name string
	// Images are the repositories it is meant for, without tag or digest.
	Images []string
	// Image is what is run when no other image of the kind is named.
	Image string
	// Source is where the facts are from.
	Source string
	// Native says that it holds our own engine, which plays no content ids.
	Native bool
	// Architectures are those it exists for, by their Go names; nil when that
	// is not known.
	Architectures []string

	// HTTPPort and P2PPort are where the engine listens inside its container.
	HTTPPort, P2PPort int
	// HealthPath answers 200 when the engine runs.
	HealthPath string

	// Args replace the command of the image; nil leaves it as it is.
	Args []string
	// Env are NAME=value pairs.
	Env []string
	// FlagsEnv is the variable that takes further flags, separated by spaces.
	// Without one they are added to Args.
	FlagsEnv string

	// CacheDir is where the cache is kept on disk; "" when it is in memory.
	CacheDir string
	// Scratch are further directories that it writes to.
	Scratch []string
	// ReadOnly says that it runs with a root that cannot be written, given
	// CacheDir and Scratch.
	ReadOnly bool
	// Shm is the size of /dev/shm that it needs, in bytes; 0 is the usual one.
	Shm int64
	// Init says that it wants a process 1 that reaps, for it brings none.
	Init bool
	// Caps are the capabilities that it cannot do without.
	Caps []string
	// User is the user that owns CacheDir and Scratch, as "uid:gid"; "" is root.
	User string
	// TakesToken says that Args or Env carry {token}.
	TakesToken bool
}

// Settings is what a profile is rendered with.
type Settings struct {
	P2PPort    int    // 0 leaves the usual one
	CacheBytes int64  // 0 for no limit
	Token      string // for the engine's private API
	ExtraArgs  []string
	ExtraEnv   []string // NAME=value; wins over what the profile says
}

// Rendered is what a container is made with.
type Rendered struct {
	Args    []string // nil leaves the image's command
	Env     []string // ordered by name, each name once
	P2PPort int
}

// Render fills in the placeholders.
func (p Profile) Render(s Settings) Rendered {
	p2p := p.P2PPort
	if s.P2PPort != 0 {
		p2p = s.P2PPort
	}
	replacer := strings.NewReplacer(
		"{http_port}", strconv.Itoa(p.HTTPPort),
		"{p2p_port}", strconv.Itoa(p2p),
		"{cache_dir}", p.CacheDir,
		"{cache_bytes}", strconv.FormatInt(s.CacheBytes, 10),
		"{cache_gb}", strconv.FormatInt(max(1, s.CacheBytes/1_000_000_000), 10),
		"{token}", s.Token,
	)
	fill := func(items []string) []string {
		var filled []string
		for _, item := range items {
			if strings.Contains(item, "{cache_bytes}") || strings.Contains(item, "{cache_gb}") {
				if s.CacheBytes == 0 {
					continue
				}
			}
			filled = append(filled, replacer.Replace(item))
		}
		return filled
	}
	r := Rendered{Args: fill(p.Args), P2PPort: p2p}
	env := make(map[string]string)
	for _, pair := range slices.Concat(fill(p.Env), s.ExtraEnv) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	if p.FlagsEnv != "" {
		flags := append(strings.Fields(env[p.FlagsEnv]), s.ExtraArgs...)
		env[p.FlagsEnv] = strings.Join(flags, " ")
	} else if len(s.ExtraArgs) > 0 {
		r.Args = append(r.Args, s.ExtraArgs...)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		r.Env = append(r.Env, name+"="+env[name])
	}
	return r
}

// Runs says whether the image exists for an architecture, by its Go name.
func (p Profile) Runs(architecture string) bool {
	return p.Architectures == nil || slices.Contains(p.Architectures, architecture)
}

var (
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	placeholder = regexp.MustCompile(`\{[a-z0-9_]*\}`)
	known       = []string{"{http_port}", "{p2p_port}", "{cache_dir}", "{cache_bytes}", "{cache_gb}", "{token}"}
)

// Validate says what is wrong with a profile that a person wrote.
func (p Profile) Validate() error {
	var errs []error
	if p.HTTPPort < 1 || p.HTTPPort > 65535 || p.P2PPort < 0 || p.P2PPort > 65535 {
		errs = append(errs, fmt.Errorf("the ports %d and %d are not ports", p.HTTPPort, p.P2PPort))
	}
	for _, pair := range p.Env {
		if !variable.MatchString(pair) {
			errs = append(errs, fmt.Errorf("%q is not of the form NAME=value", pair))
		}
	}
	for _, item := range slices.Concat(p.Args, p.Env) {
		for _, found := range placeholder.FindAllString(item, -1) {
			if !slices.Contains(known, found) {
				errs = append(errs, fmt.Errorf("%q has the unknown placeholder %s: there are %s", item, found, strings.Join(known, " ")))
			}
		}
	}
	for _, dir := range append(slices.Clone(p.Scratch), p.CacheDir) {
		if dir != "" && (!path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/") {
			errs = append(errs, fmt.Errorf("%q is not the absolute path of a directory", dir))
		}
	}
	return errors.Join(errs...)
}

// Repository returns an image's name without tag and digest:
// "ghcr.io/a/b:1.2@sha256:..." is "ghcr.io/a/b".
func Repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// Named returns the known profile of that name.
func Named(name string) (Profile, bool) {
	i := slices.IndexFunc(Known(), func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	return Known()[i], true
}

// Of returns the known profile that an image is of.
func Of(image string) (Profile, bool) {
	repository := strings.TrimPrefix(strings.TrimPrefix(Repository(image), "docker.io/"), "index.docker.io/")
	for _, p := range Known() {
		if slices.Contains(p.Images, repository) {
			return p, true
		}
	}
	return Profile{}, false
}

// Mentions says whether a placeholder stands in the arguments or variables.
func Mentions(args, env []string, placeholder string) bool {
	return slices.ContainsFunc(slices.Concat(args, env), func(item string) bool { return strings.Contains(item, placeholder) })
}
