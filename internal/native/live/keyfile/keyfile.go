// Package keyfile keeps the key of a live channel on disk, and the epoch of its
// last broadcast. Files are written whole or not at all. Two processes must not
// broadcast with one key at the same time.
package keyfile

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/native/live/channel"
)

// pemType is that of PKCS #8, which other tools read and write: openssl genpkey
// -algorithm ed25519 makes a key of a channel.
const pemType = "PRIVATE KEY"

// maxFile bounds what is read, in bytes.
const maxFile = 4 << 10

// Create makes a key from entropy and writes it to a file that only its owner can
// read. A file that is there is never replaced: the error is then [fs.ErrExist].
func Create(path string, entropy io.Reader) (channel.Key, error) {
	var seed [channel.SeedSize]byte
	if _, err := io.ReadFull(entropy, seed[:]); err != nil {
		return channel.Key{}, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		return channel.Key{}, fmt.Errorf("make a key: %w", err)
	}
	// A link, unlike a rename, fails where the name is taken.
	if err := write(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), os.Link); err != nil {
		return channel.Key{}, fmt.Errorf("keep the key of a channel: %w", err)
	}
	return channel.NewKey(seed), nil
}

// Load reads a key. A file that others may read is refused, where the system
// knows of permissions.
func Load(path string) (channel.Key, error) {
	key, err := load(path)
	if err != nil {
		return channel.Key{}, fmt.Errorf("read the key of a channel: %w", err)
	}
	return key, nil
}

func load(path string) (channel.Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return channel.Key{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return channel.Key{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return channel.Key{}, fmt.Errorf("%s can be read by others (mode %#o): use chmod 600, or make a new key if it may have been", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return channel.Key{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return channel.Key{}, fmt.Errorf("%s has no PEM block %q", path, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return channel.Key{}, fmt.Errorf("%s: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return channel.Key{}, fmt.Errorf("%s has a key of another kind than Ed25519", path)
	}
	return channel.NewKey([channel.SeedSize]byte(private.Seed())), nil
}

// NextEpoch begins the next epoch of the channel whose key is at path, and
// returns it when it is on disk: an epoch is never given out twice, whatever
// happens to the process that got it. What cannot be read of the last one is an
// error; where there is no file, [channel.NextEpoch] goes by the time.
func NextEpoch(path string, now time.Time) (uint32, error) {
	path += ".epoch"
	last, err := lastEpoch(path)
	if err != nil {
		return 0, fmt.Errorf("read the last epoch: %w", err)
	}
	epoch := channel.NextEpoch(last, now)
	if epoch == last {
		return 0, errors.New("the channel has no epochs left: make a new key")
	}
	if err := write(path, []byte(strconv.FormatUint(uint64(epoch), 10)+"\n"), os.Rename); err != nil {
		return 0, fmt.Errorf("keep the epoch: %w", err)
	}
	return epoch, nil
}

func lastEpoch(path string) (uint32, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return uint32(n), nil
}

// write puts data into a file that only its owner can read; place gives it its
// name once it is on disk.
func write(path string, data []byte, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // what is left of it, if anything
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir has the names of a directory written, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
