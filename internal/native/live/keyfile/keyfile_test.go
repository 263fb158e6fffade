package keyfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

func entropy(n byte) io.Reader { return bytes.NewReader(bytes.Repeat([]byte{n}, channel.SeedSize)) }

func TestKeyIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "news.key")
	made, err := Create(path, entropy(1))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil || loaded.Public() != made.Public() {
		t.Fatalf("loaded %v, %v; made %v", loaded, err, made)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// A second key does not replace the first.
	if _, err := Create(path, entropy(2)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was made over another: %v", err)
	}
	if loaded, err := Load(path); err != nil || loaded.Public() != made.Public() {
		t.Errorf("the key changed: %v", err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("files left: %v, %v", names, err)
	}
	if _, err := Create(filepath.Join(t.TempDir(), "k"), strings.NewReader("short")); err == nil {
		t.Error("a key was made of too little entropy")
	}
}

// The example of RFC 8410, 10.3, as openssl writes it.
func TestForeignKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "k")
	text := "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := Load(path)
	seed := key.Seed()
	if err != nil || !bytes.HasPrefix(seed[:], []byte{0xd4, 0xee, 0x72, 0xdb}) {
		t.Fatalf("seed %x, %v", seed, err)
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "good")
	if _, err := Create(good, entropy(1)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text  string
		mode  os.FileMode
		fails string
	}{
		"empty":  {"", 0o600, "no PEM block"},
		"half":   {string(text[:60]), 0o600, "no PEM block"},
		"other":  {"-----BEGIN CERTIFICATE-----\nMC4C\n-----END CERTIFICATE-----\n", 0o600, "no PEM block"},
		"broken": {"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n", 0o600, "asn1"},
		"open":   {string(text), 0o644, "can be read by others"},
	} {
		if tt.mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		if err := errors.Join(os.WriteFile(path, []byte(tt.text), 0o600), os.Chmod(path, tt.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: %v; want an error with %q", name, err, tt.fails)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestEpochGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "k")
	now := time.Unix(1_800_000_000, 0)
	var last uint32
	for i, at := range []time.Time{now, now, now.Add(-24 * time.Hour), now.Add(time.Hour), time.Unix(0, 0)} {
		epoch, err := NextEpoch(path, at)
		if err != nil || epoch <= last {
			t.Fatalf("start %d: epoch %d after %d, %v", i, epoch, last, err)
		}
		last = epoch
	}
	if last != 1_800_003_601 {
		t.Errorf("the last epoch is %d", last)
	}
	// A file that was lost does no harm while the clock is right.
	if err := os.Remove(path + ".epoch"); err != nil {
		t.Fatal(err)
	}
	if epoch, err := NextEpoch(path, now.Add(2*time.Hour)); err != nil || epoch <= last {
		t.Errorf("epoch %d after %d, %v", epoch, last, err)
	}
	for _, text := range []string{"", "many", "4294967296", "-1", "4294967295"} {
		if err := os.WriteFile(path+".epoch", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if epoch, err := NextEpoch(path, now); err == nil {
			t.Errorf("%q: epoch %d", text, epoch)
		}
	}
}
