package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// command runs a command line of this machine's server.
func command(t *testing.T, s *serving, environ []string, args ...string) (out, said string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = cli.Run(t.Context(), cli.Process{
		Args:    append(args, "--data", s.cfg.Data, "--listen", s.listener.Addr().String()),
		Environ: environ, Stdin: strings.NewReader("a password from a pipe\n"), Stdout: &stdout, Stderr: &stderr,
		ReadFile: os.ReadFile, Writable: func(string) bool { return false },
	})
	return stdout.String(), stderr.String(), status
}

// A person at the server's machine needs no key; elsewhere it takes one.
func TestCommands(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(channel()).Start(t)
	inv := invocation(t, config.Setting{Name: "listen", Text: "127.0.0.1:0"}, config.Setting{Name: "static.engines", Text: fake.URL()})
	lines := &logged{}
	inv.Log = lines.logger()
	s := serve(t, inv, true)
	for _, test := range []struct{ args, want string }{
		{"engines", "ready"},
		{"streams list", "STREAM"},
		{"streams viewers", "VIEWER"},
		{"streams check --infohash " + channelIH, "unknown"},
		{"pool", "slots"},
		{"pool pause", "paused"},
		{"pool resume --json", `"paused": false`},
		{"pool plan", "WHY"},
		{"events --type pool.", "pool.paused"},
		{"auth key add tests --scope read", "acq_"},
		{"auth key", "tests"},
	} {
		out, said, status := command(t, s, nil, strings.Fields(test.args)...)
		if status != cli.ExitOK || !strings.Contains(out, test.want) {
			t.Errorf("%s: %d\n%s%s; want %s", test.args, status, out, said, test.want)
		}
	}
	if out, said, status := command(t, s, nil, "engines", "drain", "engine-9"); status != cli.ExitFailed || !strings.Contains(said, "not_found") {
		t.Errorf("%d %s%s", status, out, said)
	}
	var engines []client.Engine
	out, _, _ := command(t, s, nil, "engines", "--json")
	if err := json.Unmarshal([]byte(out), &engines); err != nil || len(engines) != 1 {
		t.Errorf("%v in %s", err, out)
	}
	keys, err := s.store.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Errorf("keys for single commands are left: %+v, %v", keys, err)
	}

	elsewhere := []string{"ACEQUIA_URL=" + s.base}
	if _, said, status := command(t, s, elsewhere, "engines"); status != cli.ExitFailed || !strings.Contains(said, "login_needed") {
		t.Errorf("without a key: %d %s", status, said)
	}
	secret, _, _ := command(t, s, nil, "auth", "key", "add", "remote", "--scope", "read")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said, status := command(t, s, elsewhere, "engines", "--key-file", file); status != cli.ExitOK {
		t.Errorf("with a key: %d %s", status, said)
	}
	if _, said, status := command(t, s, append(elsewhere, "ACEQUIA_KEY="+strings.TrimSpace(secret)), "pool", "pause"); status != cli.ExitFailed || !strings.Contains(said, "forbidden") {
		t.Errorf("with a key that may only read: %d %s", status, said)
	}

	if _, said, status := command(t, s, nil, "auth", "password", "--stdin"); status != cli.ExitOK {
		t.Fatalf("%d %s", status, said)
	}
	if res, body := post(t, s.base+"/api/v1/login", client.Login{User: "admin", Password: "a password from a pipe"}); res.StatusCode != http.StatusOK {
		t.Errorf("login with the new password: %d %s", res.StatusCode, body)
	}
}
