package vodtest_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

var (
	shared = vodtest.Content{Name: "shared", PieceLength: 32 << 10, Files: []vodtest.File{
		{Path: "small.txt", Data: vodtest.Bytes(1, 1000)},
		{Path: "dir/large.ts", Data: vodtest.Bytes(2, 1<<20+17)},
		{Path: "last.ts", Data: vodtest.Bytes(3, 40_000)},
	}}
	orphan = vodtest.Content{Name: "orphan.ts", PieceLength: 16 << 10, Files: []vodtest.File{
		{Path: "orphan.ts", Data: vodtest.Bytes(4, 100_000)},
	}}
)

func TestFakeMeetsContract(t *testing.T) {
	t.Parallel()
	vodtest.Test(t, vodtest.Harness{
		Open: func(*testing.T) vod.Backend {
			b := vodtest.New()
			b.Share(shared)
			nobody := b.Share(orphan)
			nobody.FailAdd(vod.ErrNoPeers)
			nobody.Limit(0)
			return b
		},
		Content: shared, Orphan: orphan,
	})
}

func TestClientMeetsContract(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	share := vod.Share{Name: shared.Name, PieceLength: int64(shared.PieceLength)}
	for _, f := range shared.Files {
		share.Files = append(share.Files, vod.ShareFile{Path: f.Path, Size: int64(len(f.Data)), Data: bytes.NewReader(f.Data)})
	}
	seeder, err := vod.Seed(vod.Config{}, share, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seeder.Close() })
	if seeder.Infohash() != shared.Infohash() {
		t.Fatalf("the seeder's infohash is %s, the content's %s", seeder.Infohash(), shared.Infohash())
	}
	vodtest.Test(t, vodtest.Harness{
		Open: func(t *testing.T) vod.Backend {
			c, err := vod.Open(vod.Config{Peers: []netip.AddrPort{seeder.Addr()}, StartTimeout: time.Minute}, log)
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Content: shared, Magnet: seeder.Magnet(), Orphan: orphan,
	})
}
