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
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "acequia-image-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's directory for such
	program := filepath.Join(dir, "acequia")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, "github.com/acequia-tv/acequia/cmd/acequia")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(dockerfile), binary...))
	name := Repository + ":" + hex.EncodeToString(sum[:6])
	if _, err := c.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	return name, buildImage(ctx, c, name, binary)
}

const dockerfile = `FROM scratch
COPY --chown=65532:65532 rootfs/ /
USER 65532:65532
ENV HOME=/config
STOPSIGNAL SIGTERM
ENTRYPOINT ["/acequia"]
`

func buildImage(ctx context.Context, c *client.Client, name string, binary []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range []struct {
		name string
		mode int64
		body []byte
	}{
		{"Dockerfile", 0o644, []byte(dockerfile)},
		{"rootfs/acequia", 0o755, binary},
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
