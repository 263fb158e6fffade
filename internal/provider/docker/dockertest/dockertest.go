// Package dockertest lends tests a real Docker daemon: an image of our own
// engine built from nothing, and the certainty that what a test makes is
// removed.
package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// Socket is the address of the daemon that tests use.
const Socket = "unix:///var/run/docker.sock"

// Repository is the name of the images that are built here. Their tags are the
// hash of what is in them.
const Repository = "acequia-engine-test"

// labelInstance is the label of everything that the provider makes.
const labelInstance = "acequia.instance"

// Daemon returns a client of the real daemon, and skips the test where there is
// none.
func Daemon(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(Socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.Ping(ctx, client.PingOptions{}); err != nil {
		t.Skipf("no Docker daemon answers at %s, so nothing can be tested with a real one: %v", Socket, err)
	}
	return c
}

// Instance returns a name for the containers of one test. All of its
// containers, volumes and networks are removed when the test ends.
func Instance(t testing.TB, c *client.Client) string {
	t.Helper()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", t.Name(), os.Getpid(), time.Now().UnixNano()))
	instance := "test-" + hex.EncodeToString(sum[:5])
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		filters := make(client.Filters).Add("label", labelInstance+"="+instance)
		containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
		if err != nil {
			t.Errorf("list what the test made: %v", err)
		}
		for _, found := range containers.Items {
			_, _ = c.ContainerUnpause(ctx, found.ID, client.ContainerUnpauseOptions{})
			if _, err := c.ContainerRemove(ctx, found.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
				t.Errorf("remove container %s: %v", found.ID, err)
			}
		}
		volumes, err := c.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
		if err != nil {
			t.Errorf("list what the test made: %v", err)
		}
		for _, found := range volumes.Items {
			_, _ = c.VolumeRemove(ctx, found.Name, client.VolumeRemoveOptions{Force: true})
		}
		networks, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
		if err != nil {
			t.Errorf("list what the test made: %v", err)
		}
		for _, found := range networks.Items {
			_, _ = c.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
		}
	})
	return instance
}

// built builds the program and its image once in a test binary.
var built struct {
	sync.Once
	image string
	err   error
}

// Image returns an image whose entry point is this program, built from nothing
// and named by the hash of the program.
func Image(t testing.TB, c *client.Client) string {
	t.Helper()
	built.Do(func() { built.image, built.err = build(c) })
	if built.err != nil {
		t.Fatalf("build the image of an engine: %v", built.err)
	}
	return built.image
}

func build(c *client.Client) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	binary, err := compile(ctx, "github.com/acequia-tv/acequia/cmd/acequia")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(dockerfile), binary...))
	name := Repository + ":" + hex.EncodeToString(sum[:6])
	if _, err := c.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	return name, buildImage(ctx, c, name, dockerfile, binary)
}

// buildTime bounds the making of an image.
const buildTime = 8 * time.Minute

// Build gives an image, built from nothing, that name: its entry point is the
// program of that package. Images of different variants differ. The caller
// removes it.
func Build(ctx context.Context, c *client.Client, name, pkg, variant string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	compiled.Lock()
	defer compiled.Unlock()
	binary := compiled.programs[pkg]
	if binary == nil {
		var err error
		if binary, err = compile(ctx, pkg); err != nil {
			return err
		}
		compiled.programs[pkg] = binary
	}
	return buildImage(ctx, c, name, dockerfile+"LABEL variant="+variant+"\n", binary)
}

// compiled are the programs that were compiled in this test binary. Guarded by
// itself.
var compiled = struct {
	sync.Mutex
	programs map[string][]byte // by package
}{programs: make(map[string][]byte)}

// compile returns the program of a package as a static binary.
func compile(ctx context.Context, pkg string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "acequia-image-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's directory for such
	program := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, pkg)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(program)
}

const dockerfile = `FROM scratch
COPY --chown=65532:65532 rootfs/ /
USER 65532:65532
ENV HOME=/config
STOPSIGNAL SIGTERM
ENTRYPOINT ["/program"]
`

func buildImage(ctx context.Context, c *client.Client, name, recipe string, binary []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range []struct {
		name string
		mode int64
		body []byte
	}{
		{"Dockerfile", 0o644, []byte(recipe)},
		{"rootfs/program", 0o755, binary},
		{"rootfs/config/.keep", 0o644, nil},
		{"rootfs/tmp/.keep", 0o644, nil},
	} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body))}); err != nil {
			return err
		}
		if _, err := w.Write(f.body); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	result, err := c.ImageBuild(ctx, &archive, client.ImageBuildOptions{Tags: []string{name}, Remove: true, ForceRemove: true})
	if err != nil {
		return err
	}
	defer result.Body.Close()
	said, err := io.ReadAll(result.Body)
	if err != nil {
		return err
	}
	if strings.Contains(string(said), `"errorDetail"`) {
		return fmt.Errorf("the daemon says %s", said)
	}
	return nil
}
