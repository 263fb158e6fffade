package playback

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/stream"
)

func TestServerTiming(t *testing.T) {
	t.Parallel()
	won := stream.Try{Won: true, After: 10 * time.Second}
	won.Took = stream.Stages{time.Millisecond, 0, 1500 * time.Microsecond, 2 * time.Second, time.Hour}
	for want, waited := range map[string]stream.Wait{
		"join;dur=0.25, total;dur=0.25": {Total: 250 * time.Microsecond, Join: 250 * time.Microsecond},
		"tries;dur=10000, engine;dur=1, resolve;dur=0, open;dur=1.5, prebuffer;dur=2000, join;dur=3, total;dur=12005.5": {
			Total: 12005500 * time.Microsecond, Join: 3 * time.Millisecond, Start: &stream.Start{Tries: []stream.Try{{Err: http.ErrAbortHandler}, won}},
		},
	} {
		header := http.Header{}
		setServerTiming(header, waited)
		if got := header.Get("Server-Timing"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The viewer that waited for the start is told its stages; the next one only its own wait.
func TestAnswersTellWhatWasWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newHLSRig(t, 1, enginetest.Timing{Open: time.Second, Prebuffer: 3 * time.Second, Burst: 2 * time.Second, Inactivity: time.Minute})
		for _, want := range []string{
			"engine;dur=0, resolve;dur=0, open;dur=1000, prebuffer;dur=3000, join;dur=0, total;dur=4000",
			"join;dur=0, total;dur=0",
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://acequia:6878/ace/getstream?id="+channelID, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := r.player.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header.Get("Server-Timing"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			res.Body.Close()
		}
	})
}
