package enginetest_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	liveInfohash = "0a4848271c91ce2d8965ce416267c25047dc8141"
	liveID       = "8ca07071b39185431f8e940ec98d1add9e561639"
	vodInfohash  = "65556f1b0a1b5f0e0cbfd1d3a3a4b0f9a8d0c7e1"
	vodID        = "94c2fd8fb9bc8f2fc71a2cbe9d4b866f227a0209"
	rate         = enginetest.MinBitrate // of the live content, bytes per second
)

var film = func() []byte {
	p := make([]byte, 300_001)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(p)
	return p
}()

func catalogue() []enginetest.Content {
	return []enginetest.Content{
		{Infohash: liveInfohash, ContentID: liveID, Name: "Channel One", Live: true, Bitrate: rate},
		{Infohash: vodInfohash, ContentID: vodID, Name: "A film", Files: []enginetest.File{
			{Name: "readme.txt", MIME: "text/plain", Data: []byte("read me")},
			{Name: "film.ts", MIME: "video/mp2t", Data: film},
		}},
	}
}

func TestFakeMeetsContract(t *testing.T) {
	t.Parallel()
	variants := map[string]enginetest.Config{
		"official": {},
		"chunked":  {Chunked: true},
		"direct":   {DirectPlayback: true, AlignedStart: true},
		"readers":  {MultiReader: true, Native: true},
	}
	for name, cfg := range variants {
		cfg.Contents = catalogue()
		base := enginetest.Harness{
			Unknown: enginetest.Infohash(strings.Repeat("0", 40)), UnknownClass: engine.NotFound,
			MultiReader: cfg.MultiReader,
		}
		live := base
		live.Selector, live.Alias = enginetest.Infohash(liveInfohash), enginetest.ContentID(liveID)
		live.Infohash, live.Live = liveInfohash, true
		vod := base
		vod.Selector, vod.Alias = enginetest.ContentID(vodID), enginetest.Infohash(vodInfohash)
		vod.Selector.File, vod.Alias.File = 1, 1
		vod.Infohash, vod.Data = vodInfohash, film
		for kind, h := range map[string]enginetest.Harness{"live": live, "vod": vod} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				f := enginetest.New(cfg).Start(t)
				h.Base = f.URL()
				enginetest.Test(t, h)
				if c := f.Counters(); c.Active != 0 || c.Corrupt != 0 || c.Expired != 0 || c.StatsAsPlayer > 1 {
					t.Errorf("the suite leaves %+v", c)
				}
			})
		}
	}
}
