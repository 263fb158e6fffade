package playback

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/stream"
)

// setServerTiming tells in the answer's header what the viewer waited for, so that
// curl and the tools of browsers show it
// (https://www.w3.org/TR/server-timing/). The stages of the start are there where
// it waited for them; tries is what went by before the attempt that plays
// began.
func setServerTiming(header http.Header, waited stream.Wait) {
	var metrics []string
	add := func(name string, d time.Duration) {
		ms := strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
		metrics = append(metrics, name+";dur="+ms)
	}
	if waited.Start != nil {
		if won, ok := waited.Start.Winner(); ok {
			if won.After > 0 {
				add("tries", won.After)
			}
			for i, d := range won.Took {
				if stage := stream.Stage(i); stage != stream.StageJoin {
					add(stage.String(), d)
				}
			}
		}
	}
	add(stream.StageJoin.String(), waited.Join)
	add("total", waited.Total)
	header.Set("Server-Timing", strings.Join(metrics, ", "))
}
