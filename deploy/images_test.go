package deploy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for Docker, which is slow on a busy machine.
const patience = 3 * time.Minute

// docker runs the command line of Docker and returns what it printed.
func docker(args ...string) (string, error) {
	out, err := exec.Command("docker", args...).CombinedOutput()
	return string(out), err
}

func mustDocker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := docker(args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// staged makes what "make rootfs" makes, for tests that need Docker.
func staged(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("images are not built in short tests")
	}
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("docker is not installed")
	}
	if out, err := docker("info"); err != nil {
		t.Skipf("docker does not run: %s", out)
	}
	root := filepath.Join(t.TempDir(), "image")
	for dir, mode := range map[string]os.FileMode{"rootfs/config": 0o755, "rootfs/tmp": 0o777 | os.ModeSticky, "rootfs/etc/ssl/certs": 0o755} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(root, "rootfs", "acequia"), "../cmd/acequia")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root
}

// image builds an image that goes with the test.
func image(t *testing.T, kind, file, context string, args ...string) string {
	t.Helper()
	name := fmt.Sprintf("acequia-test-%s:%d", kind, os.Getpid())
	mustDocker(t, append(append([]string{"build", "-q", "--force-rm", "-t", name, "-f", file}, args...), context)...)
	t.Cleanup(func() { _, _ = docker("rmi", "-f", name) })
	return name
}

// start runs a container that goes with the test.
func start(t *testing.T, args ...string) string {
	t.Helper()
	id := mustDocker(t, append([]string{"run", "-d"}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := docker("logs", "--tail", "40", id)
			t.Log(out)
		}
		_, _ = docker("rm", "-f", "-v", id)
	})
	return id
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !met() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// users are the numbers of the users that a container's processes run as.
func users(t *testing.T, id string) []string {
	t.Helper()
	var all []string
	lines := strings.Split(mustDocker(t, "top", id, "-eo", "pid,uid"), "\n")
	for _, line := range lines[1:] { // below the heading
		all = append(all, strings.Fields(line)[1])
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// The image of acequia serve runs with the rights that compose.yaml gives it,
// as the user it is told, and is found healthy.
func TestServeImage(t *testing.T) {
	name := image(t, "serve", "Dockerfile", staged(t))
	for _, service := range []string{"PUID=4711 PGID=4712", ""} {
		acequia := readCompose(t, "compose.yaml").Services["acequia"]
		args := []string{"-e", "ACEQUIA_POOL_PROVIDER=native", "-e", "ACEQUIA_POOL_MIN=1"}
		want := []string{"65532"}
		for pair := range strings.FieldsSeq(service) {
			args = append(args, "-e", pair)
			want = []string{"4711"}
		}
		if acequia.ReadOnly {
			args = append(args, "--read-only")
		}
		for _, c := range acequia.CapDrop {
			args = append(args, "--cap-drop", c)
		}
		for _, c := range acequia.CapAdd {
			args = append(args, "--cap-add", c)
		}
		for _, o := range acequia.SecurityOpt {
			args = append(args, "--security-opt", o)
		}
		id := start(t, append(args, name)...)
		eventually(t, "the server is ready", func() bool {
			_, err := docker("exec", id, "/acequia", "healthcheck")
			return err == nil
		})
		if got := users(t, id); !slices.Equal(got, want) {
			t.Errorf("%s: runs as %v", service, got)
		}
		mustDocker(t, "stop", id)
		if status := mustDocker(t, "inspect", "-f", "{{.State.ExitCode}}", id); status != "0" {
			t.Errorf("%s: stopped with status %s", service, status)
		}
	}
}

func TestEngineImage(t *testing.T) {
	name := image(t, "engine", "engine.Dockerfile", staged(t))
	id := start(t, "--read-only", "--cap-drop", "ALL", name)
	eventually(t, "the engine answers", func() bool {
		_, err := docker("exec", id, "/acequia", "healthcheck", "--engine")
		return err == nil
	})
	if got := users(t, id); !slices.Equal(got, []string{"65532"}) {
		t.Errorf("runs as %v", got)
	}
	mustDocker(t, "stop", id)
	if status := mustDocker(t, "inspect", "-f", "{{.State.ExitCode}}", id); status != "0" {
		t.Errorf("stopped with status %s", status)
	}
}

// startEngine stands in for the engine of the archive, which cannot be fetched
// where there is no network: it shows the flags it got, answers with its
// version, and leaves an orphan behind.
const startEngine = `#!/bin/sh
conf=${2#@}
echo "mode $1"
while read -r line; do echo "flag $line"; done <"$conf"
mkdir -p "$HOME/www/webui/api"
echo '{"result":{"code":3021100,"platform":"linux","version":"3.2.11"},"error":null}' >"$HOME/www/webui/api/service"
sh -c 'sleep 0 & echo "orphan $!"'
httpd -f -p "$(sed -n 's/^--http-port=//p' "$conf")" -h "$HOME/www"
`

// archive is an engine's archive with its checksum.
func archive(t *testing.T) ([]byte, string) {
	t.Helper()
	var raw bytes.Buffer
	zipped := gzip.NewWriter(&raw)
	w := tar.NewWriter(zipped)
	if err := w.WriteHeader(&tar.Header{Name: "start-engine", Mode: 0o755, Size: int64(len(startEngine)), Uid: 1234}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(startEngine)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw.Bytes())
	return raw.Bytes(), hex.EncodeToString(sum[:])
}

// busyboxBase imports an image with the tools of busybox, in place of a
// distribution with Python.
func busyboxBase(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed, which stands in for the base image")
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if file, err := elf.NewFile(bytes.NewReader(binary)); err != nil || slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Skip("busybox is not static: install busybox-static")
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	add := func(h *tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin/", "etc/", "opt/", "proc/", "usr/local/bin/"} {
		add(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	add(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	add(&tar.Header{Name: "bin/busybox", Mode: 0o755}, binary)
	for _, tool := range strings.Fields("sh [ chmod chown echo httpd mkdir ps rm sed sha256sum sleep tar wget") {
		add(&tar.Header{Name: "bin/" + tool, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("acequia-test-base:%d", os.Getpid())
	load := exec.Command("docker", "import", "-", name)
	load.Stdin = &root
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _, _ = docker("rmi", "-f", name) })
	return name
}

// The image of the official engine is built as it is for people, but for the
// base and the archive; and its first process does the duties of one.
func TestOfficialEngineImage(t *testing.T) {
	context := staged(t)
	base := busyboxBase(t)
	raw, sum := archive(t)
	download := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/engine.tar.gz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(raw)
	}))
	defer download.Close()
	arguments := []string{"--network", "host", "--build-arg", "BASE=" + base, "--build-arg", "URL=" + download.URL + "/engine.tar.gz"}

	for _, bad := range []struct{ what, checksum, want string }{
		{"no checksum", "", "name the checksum"},
		{"another checksum", strings.Repeat("0", 64), "FAILED"},
	} {
		args := append([]string{"build", "--force-rm", "-t", "acequia-test-bad", "-f", "engine-official.Dockerfile"}, arguments...)
		out, err := docker(append(args, "--build-arg", "SHA256="+bad.checksum, context)...)
		if err == nil || !strings.Contains(out, bad.want) {
			t.Errorf("%s: %v\n%s", bad.what, err, out)
		}
	}

	name := image(t, "official", "engine-official.Dockerfile", context, append(arguments, "--build-arg", "SHA256="+sum)...)
	id := start(t, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true",
		"-e", "HTTP_PORT=6900", "-e", "P2P_PORT=51413", "-e", "CACHE_LIMIT=5", "-e", "EXTRA_FLAGS=--log-debug 355",
		"-e", "ACEQUIA_OFFICIAL_MAX_PEERS=7", "-e", "ACEQUIA_OFFICIAL_ACCESS_TOKEN=t0ken", name)
	eventually(t, "the engine answers", func() bool {
		_, err := docker("exec", id, "/usr/local/bin/acequia", "healthcheck", "--engine")
		return err == nil
	})
	eventually(t, "the supervisor finds it ready", func() bool {
		_, err := docker("exec", id, "/usr/local/bin/acequia", "healthcheck", "--url", "http://127.0.0.1:6877/readyz")
		return err == nil
	})
	if got := users(t, id); !slices.Equal(got, []string{"65532"}) {
		t.Errorf("runs as %v", got)
	}
	log := mustDocker(t, "logs", id)
	for _, want := range []string{"mode --client-console", "flag --http-port=6900", "flag --port=51413", "flag --cache-max-bytes=5368709120", "flag --bind-all", "flag --log-debug=355", "flag --max-peers=7", "flag --state-dir=/data/engine", "flag --access-token=***"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if strings.Contains(log, "t0ken") {
		t.Error("the token is in the log")
	}
	eventually(t, "the orphan is reaped", func() bool {
		out, err := docker("exec", id, "/bin/ps", "-o", "pid,stat,args")
		return err == nil && !strings.Contains(out, "[sleep]") && !strings.Contains(out, " Z")
	})
	mustDocker(t, "stop", id)
	if status := mustDocker(t, "inspect", "-f", "{{.State.ExitCode}}", id); status != "0" {
		t.Errorf("stopped with status %s", status)
	}

	// A setting that cannot be is refused with the status for it.
	id = start(t, "-e", "CACHE_LIMIT=much", name)
	if status := mustDocker(t, "wait", id); status != "2" {
		t.Errorf("a bad setting ends with status %s", status)
	}
}
