package docker

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secretFile is where [OpenSecret] keeps the secret.
const secretFile = "docker.secret"

// OpenSecret returns the secret of this installation, kept in a file in dir and
// made when there is none.
func OpenSecret(dir string) ([]byte, error) {
	name := filepath.Join(dir, secretFile)
	secret, err := os.ReadFile(name)
	if err == nil && len(secret) >= 32 {
		return secret, nil
	}
	if err == nil {
		return nil, fmt.Errorf("the secret in %s is too short: remove the file, and the engines that were started with it", name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the secret of this installation: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	raw := make([]byte, 32)
	rand.Read(raw)
	secret = []byte(hex.EncodeToString(raw))
	// Written aside and moved, so that a crash leaves no half of it.
	if err := os.WriteFile(name+".new", secret, 0o600); err != nil {
		return nil, fmt.Errorf("keep the secret of this installation: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return nil, fmt.Errorf("keep the secret of this installation: %w", err)
	}
	return secret, nil
}

// derive returns a text that follows from the secret and a purpose, and from
// which neither can be found out.
func derive(secret []byte, purpose string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return hex.EncodeToString(mac.Sum(nil))
}

func instanceOf(secret []byte) string { return derive(secret, "instance")[:10] }

func tokenOf(secret []byte, engine string) string { return derive(secret, "engine "+engine)[:32] }
