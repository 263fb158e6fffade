package app

import (
	"fmt"
	"log/slog"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/provider/docker"
	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
)

// openDocker opens the provider of engines in containers.
func openDocker(cfg config.Config, events *event.Log, log *slog.Logger) (*docker.Provider, error) {
	c, err := dockerConfig(cfg)
	if err != nil {
		return nil, err
	}
	if c.Secret, err = docker.OpenSecret(cfg.Data); err != nil {
		return nil, err
	}
	c.Events, c.Log = events, log
	return docker.Open(c)
}

// dockerConfig turns the settings of docker.* into those of the provider.
func dockerConfig(cfg config.Config) (docker.Config, error) {
	d := cfg.Docker
	c := docker.Config{
		Image: d.Image, Pull: docker.Pull(d.Pull), Instance: d.Instance, Network: d.Network, Address: d.Address,
		Memory: int64(d.Memory), LogBytes: int64(d.LogSize),
		CacheBytes: int64(d.CacheSize), CacheTmpfs: d.Cache == "tmpfs",
		ExtraArgs: d.Args, ExtraEnv: d.Env,
	}
	for _, text := range d.Hosts {
		host, err := docker.ParseHost(text, d.TLSDir)
		if err != nil {
			return docker.Config{}, fmt.Errorf("docker.hosts: %w", err)
		}
		c.Hosts = append(c.Hosts, host)
	}
	var err error
	if c.Profile, err = dockerProfile(d); err != nil {
		return docker.Config{}, err
	}
	if c.NanoCPUs, err = config.ParseCPUs(d.CPUs); err != nil {
		return docker.Config{}, fmt.Errorf("docker.cpus: %w", err)
	}
	if c.Ports.First, c.Ports.Last, err = config.ParsePorts(d.Ports); err != nil {
		return docker.Config{}, fmt.Errorf("docker.ports: %w", err)
	}
	if c.P2P.First, c.P2P.Last, err = config.ParsePorts(d.P2PPorts); err != nil {
		return docker.Config{}, fmt.Errorf("docker.p2p_ports: %w", err)
	}
	return c, nil
}

// dockerProfile returns how the image of the settings takes its own.
func dockerProfile(d config.Docker) (profile.Profile, error) {
	switch d.Profile {
	case profile.Custom:
		u := d.Custom
		return profile.Profile{
			Name: profile.Custom, Native: u.Native, HTTPPort: u.HTTPPort, P2PPort: u.P2PPort,
			Args: u.Args, Env: u.Env, FlagsEnv: u.FlagsEnv, CacheDir: u.CacheDir, Scratch: u.Scratch,
			ReadOnly: u.ReadOnly, Shm: int64(u.Shm), Init: u.Init, Caps: u.Caps, User: u.User,
			TakesToken: profile.Mentions(u.Args, u.Env, "{token}"),
		}, nil
	case "auto":
		if d.Image == "" {
			p, _ := profile.Named(profile.AcequiaEngine)
			return p, nil
		}
		p, ok := profile.Of(d.Image)
		if !ok {
			return profile.Profile{}, fmt.Errorf("docker.profile: the image %s is none of those known: say which it is like, or describe it in docker.custom with docker.profile custom", d.Image)
		}
		return p, nil
	}
	p, ok := profile.Named(d.Profile)
	if !ok {
		return profile.Profile{}, fmt.Errorf("docker.profile: there is no %q", d.Profile)
	}
	return p, nil
}
