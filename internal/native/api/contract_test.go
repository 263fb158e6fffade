package api_test

import (
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

func TestNativeEngineMeetsContract(t *testing.T) {
	t.Parallel()
	single := vodtest.Single("film.ts", vodtest.Bytes(7, 300_001))
	several := vodtest.Content{Name: "films", Files: []vodtest.File{
		{Path: "readme.txt", Data: []byte("read me")},
		{Path: "film.ts", Data: vodtest.Bytes(8, 300_001)},
	}}
	for name, tt := range map[string]struct {
		content vodtest.Content
		file    int
	}{
		"single file": {single, 0}, "second file": {several, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			swarm := r.backend.Share(tt.content)
			h := enginetest.Harness{
				Base:     r.serve(t),
				Selector: enginetest.Infohash(tt.content.Infohash()),
				Alias:    content.Selector{Kind: content.Magnet, Value: tt.content.Magnet(), File: tt.file},
				Infohash: tt.content.Infohash(),
				Data:     tt.content.Files[tt.file].Data,
				Unknown:  enginetest.ContentID(contentID), UnknownClass: engine.NotNative, UnknownWithin: time.Second,
				StartWithin: 10 * time.Second,
				MultiReader: true, Isolated: true,
			}
			h.Selector.File = tt.file
			enginetest.Test(t, h)
			if err := swarm.Await(t.Context(), func(u vodtest.Use) bool { return u.Readers == 0 && u.Holds == 0 }); err != nil {
				t.Error(err)
			}
			if load := r.engine.Load(); load.Sessions != 0 || load.Expired != 0 {
				t.Errorf("the suite leaves %+v", load)
			}
		})
	}
}
