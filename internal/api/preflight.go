package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/pool"
	"github.com/acequia-tv/acequia/internal/store"
	"github.com/acequia-tv/acequia/internal/stream"
)

// Joiner is what a deep preflight needs of [stream.Hub].
type Joiner interface {
	Join(ctx context.Context, want content.Selector, who stream.Client) (*stream.Viewer, error)
}

// deepPatience bounds a deep preflight.
const deepPatience = time.Minute

// fresh is how long what was played lately says something about now.
const fresh = 6 * time.Hour

// named is an input that names a content as players do.
type named struct {
	ID        string `query:"id" maxLength:"64" doc:"Content id."`
	ContentID string `query:"content_id" maxLength:"64" doc:"The same."`
	Infohash  string `query:"infohash" maxLength:"64"`
	URL       string `query:"url" maxLength:"4096" doc:"Of a transport file."`
	Magnet    string `query:"magnet" maxLength:"4096"`
}

func (n named) selector() (content.Selector, error) {
	want, err := content.FromQuery(url.Values{
		"id": {n.ID}, "content_id": {n.ContentID}, "infohash": {n.Infohash}, "url": {n.URL}, "magnet": {n.Magnet},
	})
	if err != nil {
		return want, problem{
			status: http.StatusUnprocessableEntity, code: codeInvalid,
			fields: []client.Field{{Location: "query", Message: err.Error()}},
		}
	}
	return want, nil
}

func (a *API) preflightRoutes() {
	handle(a, operation{
		id: "preflight", method: http.MethodGet, path: "/preflight", scope: auth.Read, tag: tagStreams,
		summary:     "Ask whether a content can be played now",
		description: "From what is known; no engine is asked.",
	}, func(ctx context.Context, in *named) (*answer[client.Preflight], error) {
		want, err := in.selector()
		if err != nil {
			return nil, err
		}
		p, err := a.preflight(ctx, want)
		if err != nil {
			return nil, a.failed(err)
		}
		return &answer[client.Preflight]{p}, nil
	})
	handle(a, operation{
		id: "deep-preflight", method: http.MethodPost, path: "/preflight", scope: auth.Operate, tag: tagStreams, slow: deepPatience,
		summary:     "Try whether a content can be played now",
		description: "A free engine is asked to play it, until it delivers. What plays is not disturbed: a content that is being relayed is not opened again, and no place is taken where none is free. The stream lingers, so that playing it next is instant.",
	}, func(ctx context.Context, in *named) (*answer[client.Preflight], error) {
		want, err := in.selector()
		if err != nil {
			return nil, err
		}
		p, err := a.deepPreflight(ctx, want)
		if err != nil {
			return nil, a.failed(err)
		}
		return &answer[client.Preflight]{p}, nil
	})
}

// preflight says what is known about a content.
func (a *API) preflight(ctx context.Context, want content.Selector) (client.Preflight, error) {
	lang := language(ctx)
	p := client.Preflight{Content: want.String()}
	if ih, ok := want.Infohash(); ok {
		p.Infohash = ih
	} else if ih, err := a.History.Infohash(ctx, want); err == nil {
		p.Infohash = ih
	}
	record, err := a.History.ContentRecord(ctx, want.String())
	if err != nil {
		return p, err
	}
	if record.Name != "" {
		p.History = new(recordOf(record))
	}
	say := func(verdict, reason string, key message.Key) (client.Preflight, error) {
		p.Verdict, p.Reason, p.Message = verdict, reason, message.Text(lang, key)
		return p, nil
	}
	if s, ok := a.Streams.Find(want); ok && (s.State == stream.StateLive || s.State == stream.StateFile) {
		p.Infohash = s.Infohash
		return say("playing", "playing", message.PreflightPlaying)
	}
	ready, official := a.readiness()
	recent := record.Name != "" && time.Since(record.Last) < fresh
	switch {
	case !ready:
		return say("impossible", string(stream.CodeNoEngine), message.PlayNoEngine)
	case want.Kind == content.ContentID && p.Infohash == "" && !official:
		return say("impossible", string(stream.CodeNotNative), message.PlayNotNative)
	case recent && record.LastResult == store.ResultOK:
		return say("playable", "played", message.PreflightPlayed)
	case recent:
		return say("unlikely", record.LastResult, message.PreflightFailed)
	}
	return say("unknown", "unknown", message.PreflightUnknown)
}

// readiness tells whether an engine takes playbacks, and whether one can play
// what only official engines play.
func (a *API) readiness() (ready, official bool) {
	for _, e := range a.Pool.Snapshot().Engines {
		if e.Phase == pool.Ready || e.Phase == pool.Degraded {
			ready = true
			official = official || e.Kind != pool.KindNative
		}
	}
	return ready, official
}

// deepPreflight has the content play for a moment, as any viewer would.
func (a *API) deepPreflight(ctx context.Context, want content.Selector) (client.Preflight, error) {
	p, err := a.preflight(ctx, want)
	if err != nil || p.Verdict == "playing" || p.Verdict == "impossible" {
		return p, err
	}
	lang := language(ctx)
	if !a.roomy() {
		p.Verdict, p.Reason, p.Message = "unknown", string(stream.CodeFull), message.Text(lang, message.PreflightNoSlot)
		return p, nil
	}
	p.Deep = true
	began := time.Now()
	viewer, err := a.Joiner.Join(ctx, want, stream.Client{Addr: request(ctx).RemoteAddr, App: "preflight"})
	if err != nil {
		if request(ctx).Context().Err() != nil {
			return p, context.Cause(ctx)
		}
		code := stream.CodeOf(err)
		p.Verdict, p.Reason, p.Message = "unlikely", string(code), message.Text(lang, reasonOf(code))
		if errors.Is(err, context.DeadlineExceeded) {
			p.Reason, p.Message = string(stream.CodeNoData), message.Text(lang, message.PlayNoData)
		}
		return p, nil
	}
	defer viewer.Leave()
	p.Took = new(time.Since(began).Milliseconds())
	p.Verdict, p.Reason, p.Message = "playable", "delivers", message.Text(lang, message.PreflightPlayable)
	if s, ok := a.Streams.Find(want); ok {
		p.Infohash = s.Infohash
	}
	return p, nil
}

// roomy tells whether an engine has a free slot now.
func (a *API) roomy() bool {
	for _, e := range a.Pool.Snapshot().Engines {
		if (e.Phase == pool.Ready || e.Phase == pool.Degraded) && e.Used < e.Slots {
			return true
		}
	}
	return false
}

// reasons are the sentences about why a content does not play.
var reasons = map[stream.Code]message.Key{
	stream.CodeNotFound: message.PlayNotFound, stream.CodeNotNative: message.PlayNotNative,
	stream.CodeNoEngine: message.PlayNoEngine, stream.CodeExhausted: message.PlayNoEngine,
	stream.CodeFull: message.PlayFull, stream.CodeNoData: message.PlayNoData, stream.CodeRefused: message.PlayRefused,
	stream.CodeClosing: message.PlayClosing, stream.CodeBusy: message.PlayFileBusy,
}

func reasonOf(code stream.Code) message.Key {
	if key, ok := reasons[code]; ok {
		return key
	}
	return message.PlayEngine
}
