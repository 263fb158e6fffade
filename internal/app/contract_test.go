package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// Software that was written for an engine plays here as it does there: it asks
// for the version, opens, plays, asks for statistics and stops.
func TestServerIsAnEngine(t *testing.T) {
	t.Parallel()
	const fileIH = "3333333333333333333333333333333333333333"
	movie := bytes.Repeat([]byte("a film of which every byte is known. "), 40_000)
	catalogue := channel()
	catalogue.Contents = append(catalogue.Contents, enginetest.Content{
		Infohash: fileIH, Name: "movie", Files: []enginetest.File{{Name: "movie.mp4", MIME: "video/mp4", Data: movie}},
	})
	fake := enginetest.New(catalogue).Start(t)
	s := staticServer(t, true, []*enginetest.Fake{fake}, config.Setting{Name: "playback.linger", Text: "0s"})
	client, err := engine.NewClient(s.base)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if v, err := client.Version(ctx); err != nil || v.Version != "test" || v.Native {
		t.Errorf("%+v, %v", v, err)
	}
	open := func(want content.Selector) *engine.Session {
		t.Helper()
		session, err := client.Open(ctx, want, engine.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	play := func(session *engine.Session, opts engine.PlayOptions) io.ReadCloser {
		t.Helper()
		p, err := client.Play(ctx, session, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Body.Close() })
		return p.Body
	}

	byID, byInfohash := open(enginetest.ContentID(channelID)), open(enginetest.Infohash(channelIH))
	for _, session := range []*engine.Session{byID, byInfohash} {
		if session.Infohash != channelIH || !session.Live {
			t.Errorf("%+v", session)
		}
		for range 2 { // players try the address, and then play
			v := enginetest.NewVerifier(channelIH)
			if _, err := io.CopyN(v, play(session, engine.PlayOptions{}), 300_000); err != nil || v.Report().Err() != nil {
				t.Errorf("%v, %v", err, v.Report().Err())
			}
		}
	}
	for {
		st, err := client.Stat(ctx, byID)
		if err != nil || st.Status != "dl" || st.SessionID != byID.ID || st.Infohash != channelIH || st.Downloaded == 0 {
			t.Fatalf("%+v, %v", st, err)
		}
		if st.Peers > 0 && st.LivePos != nil && time.Since(st.LivePos.Last) < time.Minute {
			break // the engine that plays has been asked
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("no word of the engine: %+v", st)
		}
	}
	body := play(byID, engine.PlayOptions{})
	if err := client.Stop(ctx, byID); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, body); ctx.Err() != nil {
		t.Errorf("the stop did not end the playback: %v", err)
	}
	if _, err := client.Stat(ctx, byID); engine.ClassOf(err) != engine.SessionLost {
		t.Errorf("statistics of a stopped session: %v", err)
	}
	if err := client.Stop(ctx, byInfohash); err != nil {
		t.Error(err)
	}

	film := open(enginetest.Infohash(fileIH))
	if film.Live {
		t.Error("a file is told to be live")
	}
	for _, from := range []int64{0, 100_000} {
		p, err := client.Play(ctx, film, engine.PlayOptions{Range: fmt.Sprintf("bytes=%d-", from)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(p.Body)
		p.Body.Close()
		if err != nil || !bytes.Equal(got, movie[from:]) {
			t.Errorf("from %d: %d bytes, %v", from, len(got), err)
		}
	}
	if err := client.Stop(ctx, film); err != nil {
		t.Error(err)
	}
	if _, err := client.Open(ctx, enginetest.Infohash("9999999999999999999999999999999999999999"), engine.OpenOptions{}); engine.ClassOf(err) != engine.NotFound {
		t.Errorf("what nobody has: %v", err)
	}
	if err := fake.WaitFor(ctx, func(c enginetest.Counters) bool { return c.Active == 0 && c.Readers == 0 }); err != nil {
		t.Errorf("after the stops: %v", err)
	}
	if c := fake.Counters(); c.MaxReaders > 1 || c.MaxPerInfohash > 1 {
		t.Errorf("%+v", c)
	}
}
