package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/acequia-tv/acequia/internal/provider/docker/profile"
)

// The labels of our containers, which carry all that is needed to adopt one.
// Of volumes, only the first two are set.
const (
	labelInstance = "acequia.instance" // whose it is
	labelEngine   = "acequia.engine"   // the engine's id
	labelHost     = "acequia.host"     // the name of the Docker host
	labelRevision = "acequia.revision" // see revisionOf
	labelProfile  = "acequia.profile"
	labelStarted  = "acequia.started"  // when it was made, RFC 3339 with nanoseconds
	labelNetwork  = "acequia.network"  // the network to reach it on, where no port is published
	labelPort     = "acequia.port"     // the port of its API: inside, or on the host where it is published
	labelAddress  = "acequia.address"  // the host's address, where a port is published
	labelP2PPort  = "acequia.p2p_port" // the port for peers, inside and on the host
)

// place is where an engine's ports are.
type place struct {
	network string     // joined, and no API port published; "" publishes
	address netip.Addr // of the host
	port    int        // of the host, for the API
	p2p     int        // of the host and inside, for peers; 0 publishes none
}

// pidsLimit bounds the processes and threads in a container: a runaway engine
// must not take the host's.
const pidsLimit = 2048

// blueprint is a container to be made. It is a function of its arguments.
func blueprint(c *Config, hostName, image, id string, at place, now time.Time) client.ContainerCreateOptions {
	p := c.Profile
	rendered := p.Render(profile.Settings{
		P2PPort: at.p2p, CacheBytes: c.CacheBytes, Token: tokenOf(c.Secret, id), ExtraArgs: c.ExtraArgs, ExtraEnv: c.ExtraEnv,
	})
	http := port(p.HTTPPort, network.TCP)
	labels := map[string]string{
		labelInstance: c.Instance, labelEngine: id, labelHost: hostName, labelProfile: p.Name,
		labelStarted: now.UTC().Format(time.RFC3339Nano),
	}
	options := client.ContainerCreateOptions{
		Name: containerName(c.Instance, id),
		Config: &container.Config{
			Image: image, Cmd: rendered.Args, Env: rendered.Env, Labels: labels,
			ExposedPorts: network.PortSet{http: {}},
		},
		HostConfig: hostConfig(c, id),
	}
	if at.network != "" {
		labels[labelNetwork], labels[labelPort] = at.network, strconv.Itoa(p.HTTPPort)
		options.HostConfig.NetworkMode = container.NetworkMode(at.network)
	} else {
		labels[labelAddress], labels[labelPort] = at.address.String(), strconv.Itoa(at.port)
		options.HostConfig.PortBindings = network.PortMap{http: {{HostIP: at.address, HostPort: strconv.Itoa(at.port)}}}
	}
	if at.p2p != 0 {
		labels[labelP2PPort] = strconv.Itoa(at.p2p)
		if options.HostConfig.PortBindings == nil {
			options.HostConfig.PortBindings = network.PortMap{}
		}
		for _, proto := range []network.IPProtocol{network.TCP, network.UDP} {
			peers := port(rendered.P2PPort, proto)
			options.Config.ExposedPorts[peers] = struct{}{}
			options.HostConfig.PortBindings[peers] = []network.PortBinding{{HostPort: strconv.Itoa(at.p2p)}}
		}
	}
	return options
}

// hostConfig is what a container may do and use.
func hostConfig(c *Config, id string) *container.HostConfig {
	p := c.Profile
	pids := int64(pidsLimit)
	host := &container.HostConfig{
		// The pool replaces an engine that ends. One that the daemon starts again
		// behind its back would answer without the sessions that the pool knows of.
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		ReadonlyRootfs: p.ReadOnly,
		CapDrop:        []string{"ALL"},
		CapAdd:         p.Caps,
		SecurityOpt:    []string{"no-new-privileges"},
		ShmSize:        p.Shm,
		Resources: container.Resources{
			Memory: c.Memory, NanoCPUs: c.NanoCPUs, PidsLimit: &pids,
			// Without this the same again is allowed in swap, where an engine is
			// of no use and slows down the host.
			MemorySwap: c.Memory,
		},
		Tmpfs: make(map[string]string),
	}
	if p.Init {
		init := true
		host.Init = &init
	}
	if c.LogBytes > 0 {
		host.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{
			"max-size": strconv.FormatInt(max(1, c.LogBytes/2), 10), "max-file": "2",
		}}
	}
	if p.CacheDir != "" && c.CacheTmpfs {
		host.Tmpfs[p.CacheDir] = tmpfs(p.User, c.CacheBytes)
	} else if p.CacheDir != "" {
		// A volume without a name goes with its container.
		host.Mounts = []mount.Mount{{
			Type: mount.TypeVolume, Target: p.CacheDir,
			VolumeOptions: &mount.VolumeOptions{Labels: map[string]string{labelInstance: c.Instance, labelEngine: id}},
		}}
	}
	if p.ReadOnly {
		for _, dir := range p.Scratch {
			host.Tmpfs[dir] = tmpfs(p.User, scratchBytes)
		}
	}
	return host
}

// scratchBytes bounds each of a profile's scratch directories.
const scratchBytes = 64 << 20

// tmpfs returns the options of a file system in memory.
func tmpfs(user string, size int64) string {
	options := []string{"rw", "nosuid", "nodev", "noexec", "mode=0700"}
	if uid, gid, ok := strings.Cut(user, ":"); ok {
		options = append(options, "uid="+uid, "gid="+gid)
	}
	if size > 0 {
		options = append(options, "size="+strconv.FormatInt(size, 10))
	}
	return strings.Join(options, ",")
}

// revisionOf identifies what an engine is made of: the image and all settings,
// but for what differs from engine to engine.
func revisionOf(c *Config, imageID string) string {
	options := blueprint(c, "", c.Image, "", place{}, time.Time{})
	options.Config.Labels = nil
	raw, err := json.Marshal(struct {
		Image string
		client.ContainerCreateOptions
	}{imageID, options})
	if err != nil {
		panic(fmt.Sprintf("docker: a container is not JSON: %v", err)) // it is plain data
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:6])
}

func containerName(instance, id string) string { return "acequia-" + instance + "-" + id }

func port(number int, proto network.IPProtocol) network.Port {
	p, _ := network.PortFrom(uint16(number), proto) // the profile was validated
	return p
}
