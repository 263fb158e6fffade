package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	liveHash = "0a4848271c91ce2d8965ce416267c25047dc8141"
	filmHash = "65556f1b0a1b5f0e0cbfd1d3a3a4b0f9a8d0c7e1"
)

var (
	live = enginetest.Infohash(liveHash)
	film = enginetest.Infohash(filmHash)
)

// inBubble runs a test against an engine that takes the time a real one does.
func inBubble(t *testing.T, cfg enginetest.Config, test func(t *testing.T, f *enginetest.Fake, c *engine.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Contents = []enginetest.Content{
			{Infohash: liveHash, ContentID: strings.Repeat("c", 40), Name: "Channel One", Live: true},
			{Infohash: filmHash, Name: "A film", Files: []enginetest.File{{Name: "film.ts", MIME: "video/mp2t", Data: make([]byte, 100_000)}}},
		}
		if cfg.Timing == (enginetest.Timing{}) {
			cfg.Timing = enginetest.MeasuredTiming()
		}
		f := enginetest.New(cfg).StartIn(t, new(enginetest.Net), "engine:6878")
		test(t, f, f.Client(t))
	})
}

func mustOpen(t *testing.T, c *engine.Client) *engine.Session {
	t.Helper()
	s, err := c.Open(t.Context(), live, engine.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustPlay(t *testing.T, c *engine.Client, s *engine.Session) *engine.Playback {
	t.Helper()
	p, err := c.Play(t.Context(), s, engine.PlayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Body.Close() })
	return p
}

// What goes wrong on an engine arrives as a class, within a time.
func TestFaultsOfOpening(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  enginetest.Fault
		want   engine.Class
		within time.Duration
	}{
		"error":          {enginetest.Fault{Kind: enginetest.OpenError}, engine.NotFound, 0},
		"other error":    {enginetest.Fault{Kind: enginetest.OpenError, Text: "no peers"}, engine.NoData, 0},
		"not native":     {enginetest.Fault{Kind: enginetest.OpenError, Reason: "not_native"}, engine.NotNative, 0},
		"missing option": {enginetest.Fault{Kind: enginetest.MissingOption}, engine.Config, 0},
		"html":           {enginetest.Fault{Kind: enginetest.HTML500}, engine.Sick, 0},
		"broken json":    {enginetest.Fault{Kind: enginetest.BrokenJSON}, engine.Sick, 0},
		"hang":           {enginetest.Fault{Kind: enginetest.HangOpen}, engine.Sick, engine.OpenTimeout},
		"api hangs":      {enginetest.Fault{Kind: enginetest.APIHang}, engine.Sick, engine.OpenTimeout},
		"access denied":  {enginetest.Fault{Kind: enginetest.AccessDenied}, engine.Config, 0},
		"503":            {enginetest.Fault{Kind: enginetest.Unavailable}, engine.Sick, 0},
		"reset":          {enginetest.Fault{Kind: enginetest.ResetAll}, engine.Sick, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
				f.Set(tt.fault)
				start := time.Now()
				_, err := c.Open(t.Context(), live, engine.OpenOptions{})
				if got := engine.ClassOf(err); got != tt.want {
					t.Errorf("class %v, want %v: %v", got, tt.want, err)
				}
				if took := time.Since(start); took != tt.within {
					t.Errorf("took %v, want %v", took, tt.within)
				}
				if tt.fault.Kind == enginetest.ResetAll || tt.fault.Kind == enginetest.Unavailable {
					return
				}
				if _, err := c.Version(t.Context()); err != nil {
					t.Errorf("version: %v", err)
				}
			})
		})
	}
}

func TestFaultsOfPlayback(t *testing.T) {
	t.Parallel()
	const patience = time.Minute
	tests := map[string]struct {
		fault  enginetest.Fault
		want   engine.Class
		within time.Duration
	}{
		"404":            {enginetest.Fault{Kind: enginetest.Playback404}, engine.SessionLost, 0},
		"headers hang":   {enginetest.Fault{Kind: enginetest.HeadersHang}, engine.Timeout, patience},
		"no peers":       {enginetest.Fault{Kind: enginetest.NoPeers}, engine.Timeout, patience},
		"slow prebuffer": {enginetest.Fault{Kind: enginetest.SlowPrebuffer, Delay: 2 * patience}, engine.Timeout, patience},
		"reset":          {enginetest.Fault{Kind: enginetest.ResetAll}, engine.SessionLost, 0},
		"503":            {enginetest.Fault{Kind: enginetest.Unavailable}, engine.Overloaded, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
				s := mustOpen(t, c)
				f.Set(tt.fault)
				start := time.Now()
				ctx, cancel := context.WithCancelCause(t.Context())
				timer := time.AfterFunc(patience, func() { cancel(context.DeadlineExceeded) })
				defer timer.Stop()
				_, err := c.Play(ctx, s, engine.PlayOptions{})
				if got := engine.ClassOf(err); got != tt.want {
					t.Errorf("class %v, want %v: %v", got, tt.want, err)
				}
				if took := time.Since(start); took != tt.within {
					t.Errorf("took %v, want %v", took, tt.within)
				}
				// A session whose playback does not answer is still there to be stopped.
				f.Clear()
				if err := c.Stop(t.Context(), s); err != nil {
					t.Error(err)
				}
				if n := f.Counters(); n.Active != 0 || n.Stopped != 1 {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

func TestFaultsOfTheBody(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault enginetest.Fault
		check func(error) bool
	}{
		"reset": {enginetest.Fault{Kind: enginetest.ResetAfter, After: 300_000}, func(err error) bool { return engine.ClassOf(err) == engine.SessionLost }},
		"eof":   {enginetest.Fault{Kind: enginetest.EOFAfter, After: 300_000}, func(err error) bool { return err == nil }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
				s := mustOpen(t, c)
				f.Set(tt.fault)
				n, err := io.Copy(io.Discard, mustPlay(t, c, s).Body)
				if !tt.check(err) || n != tt.fault.After {
					t.Errorf("%d bytes, then %v", n, err)
				}
			})
		})
	}
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
			s := mustOpen(t, c)
			p := mustPlay(t, c, s)
			if _, err := io.CopyN(io.Discard, p.Body, 100_000); err != nil {
				t.Fatal(err)
			}
			f.Kill()
			if _, err := io.Copy(io.Discard, p.Body); err != nil && engine.ClassOf(err) != engine.SessionLost {
				t.Error(err)
			}
			for call, err := range map[string]error{
				"open":    errOf(c.Open(t.Context(), live, engine.OpenOptions{})),
				"version": errOf(c.Version(t.Context())),
				"stat":    errOf(c.Stat(t.Context(), s)),
				"stop":    c.Stop(t.Context(), s),
			} {
				if engine.ClassOf(err) != engine.Sick {
					t.Errorf("%s on a dead engine: %v", call, err)
				}
			}
			if err := f.Revive(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Stat(t.Context(), s); engine.ClassOf(err) != engine.SessionLost {
				t.Errorf("stat after the restart: %v", err)
			}
			if err := c.Stop(t.Context(), s); err != nil {
				t.Errorf("stop after the restart: %v", err)
			}
		})
	})
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
			ctx, cancel := context.WithCancelCause(t.Context())
			p, err := c.Play(ctx, mustOpen(t, c), engine.PlayOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Body.Close()
			why := errors.New("viewer left")
			time.AfterFunc(10*time.Second, func() { cancel(why) })
			if _, err := io.Copy(io.Discard, p.Body); engine.ClassOf(err) != engine.Canceled || !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if err := f.WaitFor(t.Context(), func(n enginetest.Counters) bool { return n.Readers == 0 }); err != nil {
				t.Error(err)
			}
		})
	})
}

func errOf[T any](_ T, err error) error { return err }

// The bounds hold when the caller sets none, and the caller's are told apart.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
		s := mustOpen(t, c)
		f.Set(enginetest.Fault{Kind: enginetest.VersionHang})
		for name, call := range map[string]struct {
			bound time.Duration
			call  func(context.Context) error
		}{
			"version": {engine.VersionTimeout, func(ctx context.Context) error { return errOf(c.Version(ctx)) }},
			"stat":    {engine.StatTimeout, func(ctx context.Context) error { return errOf(c.Stat(ctx, s)) }},
			"stop":    {engine.StopTimeout, func(ctx context.Context) error { return c.Stop(ctx, s) }},
			"open":    {engine.OpenTimeout, func(ctx context.Context) error { return errOf(c.Open(ctx, live, engine.OpenOptions{})) }},
			"resolve": {engine.ResolveTimeout, func(ctx context.Context) error { return errOf(c.Resolve(ctx, live)) }},
			"files":   {engine.ResolveTimeout, func(ctx context.Context) error { return errOf(c.MediaFiles(ctx, live)) }},
		} {
			start := time.Now()
			if err := call.call(t.Context()); engine.ClassOf(err) != engine.Sick || time.Since(start) != call.bound {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := call.call(ctx); engine.ClassOf(err) != engine.Timeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s with a deadline: %v", name, err)
			}
			cancel()
			if err := call.call(ctx); err == nil {
				t.Errorf("%s after the deadline went well", name)
			}
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			if err := call.call(ctx); engine.ClassOf(err) != engine.Canceled {
				t.Errorf("%s canceled: %v", name, err)
			}
		}
	})
}

// An open that was given up is found again by its pid, and can be stopped.
func TestOpenGivenUp(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
		pid := engine.NewPID()
		first, err := c.Open(t.Context(), live, engine.OpenOptions{PID: pid})
		if err != nil || first.PID != pid {
			t.Fatal(first, err)
		}
		second, err := c.Open(t.Context(), live, engine.OpenOptions{PID: pid})
		if err != nil || second.ID != first.ID {
			t.Errorf("the same pid got session %s, not %s: %v", second.ID, first.ID, err)
		}
		if err := c.Stop(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		if n := f.Counters(); n.Opens != 1 || n.Reopens != 1 || n.Stopped != 1 || n.Active != 0 {
			t.Errorf("%+v", n)
		}
		third, fourth := mustOpen(t, c), mustOpen(t, c)
		if third.PID == fourth.PID || third.PID == pid {
			t.Error("opens share a pid")
		}
	})
}

func TestStatOfLiveSession(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
		s := mustOpen(t, c)
		if st, err := c.Stat(t.Context(), s); err != nil || st != (engine.Stat{}) {
			t.Errorf("first statistics: %+v, %v", st, err)
		}
		st, err := c.Stat(t.Context(), s)
		if err != nil || st.Status != "prebuf" || st.LivePos != nil {
			t.Errorf("while prebuffering: %+v, %v", st, err)
		}
		p := mustPlay(t, c, s)
		if _, err := io.CopyN(io.Discard, p.Body, 3_000_000); err != nil {
			t.Fatal(err)
		}
		a, err := c.Stat(t.Context(), s)
		if err != nil || a.Status != "dl" || a.LivePos == nil || a.Downloaded%16384 != 0 || a.SessionID != s.ID {
			t.Fatalf("while playing: %+v, %v", a, err)
		}
		if late := time.Since(a.LivePos.Last); late < 0 || late > 2*time.Second {
			t.Errorf("newest piece is of %v ago", late)
		}
		mustOpen(t, c)
		if b, err := c.Stat(t.Context(), s); err != nil || b.SessionID == s.ID {
			t.Errorf("once superseded: %+v, %v", b, err)
		}
		if n := f.Counters(); n.StatsAsPlayer != 0 {
			t.Errorf("%d polls counted as the player's", n.StatsAsPlayer)
		}
	})
}

// The client keeps to one reader for a session, so that no second one ever
// reaches the engine.
func TestOneReader(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
		s := mustOpen(t, c)
		p := mustPlay(t, c, s)
		for range 2 {
			if _, err := c.Play(t.Context(), s, engine.PlayOptions{}); engine.ClassOf(err) != engine.Busy {
				t.Errorf("live, second reader: %v", err)
			}
			p.Body.Close()
			p.Body.Close()
		}

		s, err := c.Open(t.Context(), film, engine.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p = mustPlay(t, c, s)
		if _, err := c.Play(t.Context(), s, engine.PlayOptions{}); engine.ClassOf(err) != engine.Busy {
			t.Errorf("file, second reader: %v", err)
		}
		p.Body.Close()
		if p, err = c.Play(t.Context(), s, engine.PlayOptions{Range: "bytes=99990-"}); err != nil || p.Status != http.StatusPartialContent {
			t.Fatalf("file, next reader: %+v, %v", p, err)
		}
		p.Body.Close()
		if n := f.Counters(); n.Corrupt != 0 || n.MaxReaders != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// A session on which somebody else reads already gives a corrupt response.
func TestCorruptResponse(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
		pid := engine.NewPID()
		var last error
		for range 2 {
			s, err := c.Open(t.Context(), live, engine.OpenOptions{PID: pid})
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Play(t.Context(), s, engine.PlayOptions{})
			if last = err; err == nil {
				defer p.Body.Close()
			}
		}
		if engine.ClassOf(last) != engine.Garbage || f.Counters().Corrupt != 1 {
			t.Errorf("%v, %+v", last, f.Counters())
		}
	})
}

func TestRangeIsForFiles(t *testing.T) {
	t.Parallel()
	asked := make(map[string]http.Header)
	c := scripted(t, map[string]http.HandlerFunc{
		"/ace/getstream": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"response":{"playback_url":"/ace/r/x/%[1]s","infohash":"%[2]s","is_live":%[1]s}}`,
				map[bool]string{true: "1", false: "0"}[r.URL.Query().Get("infohash") == liveHash], liveHash)
		},
		"/ace/r/x/": func(w http.ResponseWriter, r *http.Request) { asked[r.URL.Path] = r.Header },
	})
	for sel, want := range map[string]string{liveHash: "", filmHash: "bytes=5-"} {
		s, err := c.Open(t.Context(), enginetest.Infohash(sel), engine.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Play(t.Context(), s, engine.PlayOptions{Range: "bytes=5-", IfRange: `"tag"`})
		if err != nil {
			t.Fatal(err)
		}
		p.Body.Close()
		h := asked["/ace/r/x/"+map[string]string{liveHash: "1", filmHash: "0"}[sel]]
		if h.Get("Range") != want || (h.Get("If-Range") != "") != (want != "") {
			t.Errorf("Range %q, If-Range %q, want %q", h.Get("Range"), h.Get("If-Range"), want)
		}
		if h.Get("Accept-Encoding") != "identity" || !strings.HasPrefix(h.Get("User-Agent"), "VLC/") {
			t.Errorf("header %v", h)
		}
	}
}

func TestClearCache(t *testing.T) {
	t.Parallel()
	const token = "a/b c"
	fake := enginetest.New(enginetest.Config{AccessToken: token}).Start(t)
	if err := fake.Client(t).ClearCache(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := fake.Counters().CacheClears; n != 1 {
		t.Errorf("the cache was cleared %d times", n)
	}
	for name, opts := range map[string][]engine.Option{"no token": nil, "another token": {engine.WithAccessToken("secret2")}} {
		c, err := engine.NewClient(fake.URL(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		err = c.ClearCache(t.Context())
		if engine.ClassOf(err) != engine.Config {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret2") {
			t.Errorf("the token is told: %v", err)
		}
	}
	if n := fake.Counters().CacheClears; n != 1 {
		t.Errorf("the cache was cleared %d times", n)
	}
}
