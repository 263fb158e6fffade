package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

// writerVariable makes the test binary a program that writes to the database
// it names, until it is killed.
const writerVariable = "ACEQUIA_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVariable); path != "" {
		writeForever(path)
	}
	os.Exit(m.Run())
}

// writeForever changes one setting after the other and says so.
func writeForever(path string) {
	ctx := context.Background()
	s, err := Open(ctx, path, Config{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		text := strconv.Itoa(i)
		if err := s.ChangeSettings(ctx, map[string]*string{"a": &text, "b": &text}, time.Now()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

func open(t *testing.T, path string, cfg Config) (*Store, error) {
	t.Helper()
	cfg.Log = telemetrytest.Logger(t)
	s, err := Open(t.Context(), path, cfg)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func mustOpen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := open(t, path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A process that is killed in the middle of a write loses nothing that it was
// told is written, and leaves no half of a transaction.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), writerVariable+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told := -1
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
			if told = n; told == 20*(round+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		s := mustOpen(t, path)
		got, err := s.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(got["a"]); err != nil || n < told || got["a"] != got["b"] {
			t.Errorf("told %d, kept %v", told, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	sound := filepath.Join(t.TempDir(), FileName)
	s := mustOpen(t, sound)
	err := s.change(t.Context(), "fill", func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
			INSERT INTO events (boot, seq, at, type, message, attrs) SELECT 'a', i, i, 't', 'm', '{}' FROM n`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"text":   []byte(strings.Repeat("this is no database\n", 1000)),
		"cut":    whole[:len(whole)/2],
		"zeroed": append(append([]byte{}, whole[:len(whole)/4]...), make([]byte, len(whole)-len(whole)/4)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), FileName)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, path, Config{})
			damaged, ok := errors.AsType[*DamagedError](err)
			if !ok || damaged.Path != path || FaultOf(err) != FaultDamaged {
				t.Errorf("opened with %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
				t.Errorf("the damaged file was changed (%v)", err)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	s := mustOpen(t, path)
	if _, err := s.exec(t.Context(), "test", "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, path, Config{})
	if newer, ok := errors.AsType[*NewerError](err); !ok || newer.Found != 99 || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("opened with %v", err)
	}
}

func TestUnusablePlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(file, FileName), dir} {
		if _, err := open(t, path, Config{}); err == nil {
			t.Errorf("%s: opened", path)
		}
	}
}

func TestFileIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "it's 100% #1?", FileName)
	s := mustOpen(t, path)
	if err := s.ChangeSettings(t.Context(), map[string]*string{"a": new("b")}, day); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s%s: %v, %v", FileName, suffix, info, err)
		}
	}
}

// A migration that fails changes nothing; one that succeeds has left a backup
// of what was before.
func TestMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	s := mustOpen(t, path)
	if err := s.ChangeSettings(t.Context(), map[string]*string{"a": new("b")}, day); err != nil {
		t.Fatal(err)
	}
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	before := len(steps)
	err = s.migrateBy(t.Context(), append(steps, "CREATE TABLE extra (a INTEGER) STRICT; INSERT INTO nowhere VALUES (1)"))
	if err == nil {
		t.Error("a broken migration succeeds")
	}
	if v, err := s.version(t.Context()); err != nil || v != before {
		t.Errorf("version %d, %v; want %d", v, err, before)
	}
	if err := s.migrateBy(t.Context(), append(steps, "CREATE TABLE extra (a INTEGER) STRICT")); err != nil {
		t.Fatal(err)
	}
	if v, err := s.version(t.Context()); err != nil || v != before+1 {
		t.Errorf("version %d, %v; want %d", v, err, before+1)
	}
	kept := mustOpen(t, fmt.Sprintf("%s.v%d.backup", path, before))
	if got, err := kept.Settings(t.Context()); err != nil || got["a"] != "b" {
		t.Errorf("the backup has %v, %v", got, err)
	}
}

// A full disk loses what is queued, in the end, and nothing else: who asks is
// told, and it goes on when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	troubles := make(chan error, 10)
	s, err := open(t, filepath.Join(t.TempDir(), FileName), Config{Trouble: func(err error) { troubles <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ChangeSettings(t.Context(), map[string]*string{"a": new("b")}, day); err != nil {
		t.Fatal(err)
	}
	// As many pages as there are: SQLite then says what it says of a full disk.
	if _, err := s.exec(t.Context(), "test", "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 1<<20)
	err = s.ChangeSettings(t.Context(), map[string]*string{"a": &big}, day)
	if FaultOf(err) != FaultFull {
		t.Errorf("write: %v", err)
	}
	if got, err := s.Settings(t.Context()); err != nil || got["a"] != "b" {
		t.Errorf("%.80v, %v", got, err)
	}
	s.KeepPlay(Play{At: day, Content: big, What: PlayStart, Result: ResultOK})
	running(t, s)
	select {
	case err := <-troubles:
		if FaultOf(err) != FaultFull {
			t.Errorf("trouble: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("nobody is told")
	}
	if _, err := s.exec(t.Context(), "test", "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-troubles:
		if err != nil {
			t.Errorf("trouble: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not recover")
	}
	if r, err := s.ContentRecord(t.Context(), big); err != nil || r.Starts != 1 {
		t.Errorf("what waited is lost: %v", err)
	}
}
