package vod_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/acequia-tv/acequia/internal/native/vod"
)

// helperEnv makes the test binary be a seeder in a process of its own, so that
// what a client costs can be told from what its seeder costs. Its value is
// "<host> <port> <bytes> <piece length>".
const helperEnv = "VOD_TEST_SEEDER"

func TestMain(m *testing.M) {
	if args := os.Getenv(helperEnv); args != "" {
		if err := runSeeder(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func runSeeder(args string) error {
	var host string
	var port int
	var size, pieceLength int64
	if _, err := fmt.Sscan(args, &host, &port, &size, &pieceLength); err != nil {
		return fmt.Errorf("%s=%q: %w", helperEnv, args, err)
	}
	s, err := vod.Seed(vod.Config{ListenHost: host, P2PPort: port}, vod.Share{
		Name:        "noise.bin",
		Files:       []vod.ShareFile{{Size: size, Data: noise{}}},
		PieceLength: pieceLength,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Println(s.Magnet())
	_, err = io.Copy(io.Discard, os.Stdin) // until the parent lets go
	return errors.Join(err, s.Close())
}

// startSeeder runs a seeder of noise in another process until the test ends.
func startSeeder(tb testing.TB, size, pieceLength int64) (magnet string) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+strings.Join([]string{"127.0.0.1", "0", strconv.FormatInt(size, 10), strconv.FormatInt(pieceLength, 10)}, " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("seeder: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("seeder said %q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

// noise is endless content whose bytes are a cheap function of their place.
type noise struct{}

func noiseWord(i uint64) uint64 {
	i ^= i >> 31
	i *= 0x9E3779B97F4A7C15
	i ^= i >> 29
	return i * 0xBF58476D1CE4E5B9
}

func (noise) ReadAt(b []byte, off int64) (int, error) {
	n := len(b)
	var w [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(w[:], noiseWord(uint64(off/8)))
		m := copy(b, w[off%8:])
		b = b[m:]
		off += int64(m)
	}
	return n, nil
}
