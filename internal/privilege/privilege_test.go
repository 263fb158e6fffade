//go:build unix

package privilege_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/privilege"
)

// The test binary becomes somebody else where it is told to, and says who it is.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BECOME_IN"); dir != "" {
		user, err := privilege.Chosen(os.Getenv, os.Getenv("SOCKET"))
		if err == nil {
			err = privilege.Become(user, slog.New(slog.NewTextHandler(os.Stdout, nil)), dir)
		}
		groups, _ := os.Getgroups()
		fmt.Println("who:", os.Getuid(), os.Geteuid(), os.Getgid(), groups, err)
		_, err = os.Create(filepath.Join(dir, "mine"))
		fmt.Println("writes:", err)
		fmt.Println("root again:", syscall.Setuid(0))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestChosen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(socket, 0o660); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed.sock")
	if err := os.WriteFile(closed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gid := os.Getgid()
	for _, test := range []struct {
		name       string
		puid, pgid string
		want       *privilege.User
		wrong      string
	}{
		{"nobody", "", "", nil, ""},
		{"both", "1000", "1001", &privilege.User{UID: 1000, GID: 1001, Groups: []int{gid}}, ""},
		{"user alone", "1000", "", &privilege.User{UID: 1000, GID: 1000, Groups: []int{gid}}, ""},
		{"group alone", "", "1001", &privilege.User{UID: 1001, GID: 1001, Groups: []int{gid}}, ""},
		{"in the group already", "1000", fmt.Sprint(gid), &privilege.User{UID: 1000, GID: gid}, ""},
		{"a name", "ana", "", nil, `PUID: "ana" is not the number of a user`},
		{"negative", "1000", "-1", nil, `PGID: "-1" is not the number`},
		{"too large", "4294967295", "", nil, "PUID"},
	} {
		getenv := func(name string) string { return map[string]string{"PUID": test.puid, "PGID": test.pgid}[name] }
		got, err := privilege.Chosen(getenv, socket, closed, filepath.Join(dir, "none"))
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: %v; want %s", test.name, err, test.wrong)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", test.name, err, diff)
		}
	}
}

func TestBecome(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir, err := os.MkdirTemp("/tmp", "acequia-privilege-") //nolint:usetesting // others may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.Chmod(dir, 0o700), os.WriteFile(outside, nil, 0o600),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "BECOME_IN="+dir, "PUID=4711", "PGID=4712", "SOCKET=/nowhere")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"who: 4711 4711 4712 [] <nil>", "writes: <nil>", "root again: operation not permitted"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	owner := func(path string) [2]uint32 {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		return [2]uint32{stat.Uid, stat.Gid}
	}
	for path, want := range map[string][2]uint32{
		dir: {4711, 4712}, filepath.Join(dir, "file"): {4711, 4712}, filepath.Join(dir, "link"): {4711, 4712}, outside: {0, owner(outside)[1]},
	} {
		if got := owner(path); got != want {
			t.Errorf("%s belongs to %v; want %v", path, got, want)
		}
	}
}
