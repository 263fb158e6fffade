package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// scripted returns a client of an engine that answers as told.
func scripted(t *testing.T, routes map[string]http.HandlerFunc) *engine.Client {
	t.Helper()
	mux := http.NewServeMux()
	for path, h := range routes {
		mux.HandleFunc(path, h)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := engine.NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// liveSession answers an open with a session played at path.
func liveSession(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"response":{"playback_url":"http://elsewhere:1/%s","infohash":"%s","is_live":1},"error":null}`,
			strings.TrimPrefix(path, "/"), liveHash)
	}
}

func redirectTo(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		routes map[string]http.HandlerFunc
		want   engine.Class
		text   string
	}{
		"foreign path":   {map[string]http.HandlerFunc{"/ace/r/a": redirectTo("/server/api?method=x")}, engine.Garbage, "redirect"},
		"other scheme":   {map[string]http.HandlerFunc{"/ace/r/a": redirectTo("file:///content/a/b")}, engine.Garbage, "redirect"},
		"no location":    {map[string]http.HandlerFunc{"/ace/r/a": redirectTo("")}, engine.Garbage, "redirect"},
		"in circles":     {map[string]http.HandlerFunc{"/ace/r/a": redirectTo("/ace/r/a")}, engine.Garbage, "redirects"},
		"to a dead end":  {map[string]http.HandlerFunc{"/ace/r/a": redirectTo("/content/a/b")}, engine.SessionLost, "404 page not found"},
		"html as a film": {map[string]http.HandlerFunc{"/ace/r/a": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }}, engine.Garbage, "hello"},
		"partial unasked": {map[string]http.HandlerFunc{"/ace/r/a": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
		}}, engine.Garbage, "206"},
		"words": {map[string]http.HandlerFunc{"/ace/r/a": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "failed to load content: gone\x00\nnow", http.StatusInternalServerError)
		}}, engine.NotFound, "failed to load content: gone now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.routes["/ace/getstream"] = liveSession("/ace/r/a")
			c := scripted(t, tt.routes)
			s, err := c.Open(t.Context(), live, engine.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Play(t.Context(), s, engine.PlayOptions{})
			if engine.ClassOf(err) != tt.want || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("class %v: %v; want %v, %q", engine.ClassOf(err), err, tt.want, tt.text)
			}
		})
	}

	// Three hops, the last with a foreign host that stands for this engine.
	c := scripted(t, map[string]http.HandlerFunc{
		"/ace/getstream": liveSession("/ace/r/a"),
		"/ace/r/a":       redirectTo("/ace/r/b"),
		"/ace/r/b":       redirectTo("https://127.0.0.1/ace/r/c"),
		"/ace/r/c":       redirectTo("http://172.17.0.2:6878/content/c/d?q=1"),
		"/content/c/d": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "video/mp2t")
			fmt.Fprint(w, r.URL.Query().Get("q"))
		},
	})
	s, err := c.Open(t.Context(), live, engine.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Play(t.Context(), s, engine.PlayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Body.Close()
	if got, err := io.ReadAll(p.Body); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
}

// The body of the engine's redirect has no end for two seconds: waiting for it
// would show.
func TestRedirectBodyIsNotRead(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{Timing: enginetest.DefaultTiming()}, func(t *testing.T, _ *enginetest.Fake, c *engine.Client) {
		s := mustOpen(t, c)
		start := time.Now()
		mustPlay(t, c, s)
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// A refusal whose text never ends is given a second.
func TestEndlessRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := new(enginetest.Net)
		l, err := n.Listen("engine:80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ace/getstream" {
				liveSession("/ace/r/a")(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "no")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})}
		done := make(chan error)
		go func() { done <- server.Serve(l) }()
		defer func() {
			server.Close()
			<-done
		}()
		c, err := engine.NewClient("http://engine:80", engine.WithTransport(n.Transport()))
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Open(t.Context(), live, engine.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Play(t.Context(), s, engine.PlayOptions{})
		refused, ok := errors.AsType[*engine.Error](err)
		if !ok || refused.Class != engine.SessionLost || refused.Message != "no" || refused.Status != http.StatusForbidden {
			t.Errorf("%+v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestWrongHost(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, f *enginetest.Fake, c *engine.Client) {
		f.Set(enginetest.Fault{Kind: enginetest.WrongHost})
		s := mustOpen(t, c)
		v := enginetest.NewVerifier(liveHash)
		if _, err := io.CopyN(v, mustPlay(t, c, s).Body, 2_000_000); err != nil {
			t.Fatal(err)
		}
		if err := v.Report().Err(); err != nil {
			t.Error(err)
		}
		if err := c.Stop(t.Context(), s); err != nil {
			t.Error(err)
		}
	})
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	const token = "secret/&=?"
	f := enginetest.New(enginetest.Config{
		AccessToken: token,
		Contents:    []enginetest.Content{{Infohash: liveHash, Name: "One", Live: true}},
	}).Start(t)
	without, err := engine.NewClient(f.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := without.Open(t.Context(), live, engine.OpenOptions{}); engine.ClassOf(err) != engine.Config {
		t.Errorf("without the token: %v", err)
	}
	c := f.Client(t)
	s := mustOpen(t, c)
	if _, err := io.CopyN(io.Discard, mustPlay(t, c, s).Body, 1000); err != nil {
		t.Error(err)
	}
	for call, err := range map[string]error{
		"version": errOf(c.Version(t.Context())),
		"stat":    errOf(c.Stat(t.Context(), s)),
		"resolve": errOf(c.Resolve(t.Context(), live)),
		"stop":    c.Stop(t.Context(), s),
	} {
		if err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
	f.Kill()
	for call, err := range map[string]error{
		"version": errOf(c.Version(t.Context())),
		"open":    errOf(c.Open(t.Context(), live, engine.OpenOptions{})),
	} {
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "secret") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// A control answer is bounded, whatever the engine sends.
func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	c := scripted(t, map[string]http.HandlerFunc{
		"/webui/api/service": func(w http.ResponseWriter, _ *http.Request) {
			junk := strings.Repeat(" ", 1<<16)
			for range 64 {
				if _, err := io.WriteString(w, junk); err != nil {
					return
				}
			}
		},
	})
	if _, err := c.Version(t.Context()); engine.ClassOf(err) != engine.Sick || !strings.Contains(fmt.Sprint(err), "longer") {
		t.Error(err)
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://host:6878":   "http://host:6878",
		"http://Host:6878/":  "http://host:6878",
		"https://host":       "https://host",
		"http://[::1]:6878/": "http://[::1]:6878",
	} {
		c, err := engine.NewClient(base)
		if err != nil || c.Base() != want {
			t.Errorf("%s: %v, %v", base, c, err)
		}
	}
	for base, want := range map[string]string{
		"":                           "no scheme",
		"host:6878":                  "http://host:6878",
		"ftp://host":                 "neither http nor https",
		"http://":                    "no host",
		"http://:6878":               "no host",
		"http://host:6878/ace":       "leave out",
		"http://host?x=1":            "leave out",
		"http://user:secret@host":    "access token",
		"http://user:secret@host:x/": "port",
		"http://ho st":               "not a URL",
	} {
		_, err := engine.NewClient(base)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %q", base, err, want)
		}
	}
}

func TestSessionOfAnotherEngine(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{}, func(t *testing.T, _ *enginetest.Fake, c *engine.Client) {
		s := mustOpen(t, c)
		other, err := engine.NewClient("http://other:6878")
		if err != nil {
			t.Fatal(err)
		}
		for call, err := range map[string]error{
			"play": errOf(other.Play(t.Context(), s, engine.PlayOptions{})),
			"stat": errOf(other.Stat(t.Context(), s)),
		} {
			if engine.ClassOf(err) != engine.SessionLost {
				t.Errorf("%s: %v", call, err)
			}
		}
	})
}

// Direct content has neither statistics nor commands.
func TestDirectContent(t *testing.T) {
	t.Parallel()
	c := scripted(t, map[string]http.HandlerFunc{"/ace/getstream": liveSession("/content/a/b")})
	s, err := c.Open(t.Context(), live, engine.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := c.Stat(t.Context(), s); err != nil || st != (engine.Stat{}) {
		t.Errorf("%+v, %v", st, err)
	}
	if err := c.Stop(context.WithoutCancel(t.Context()), s); err != nil {
		t.Error(err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	inBubble(t, enginetest.Config{Version: "3.2.11", Native: true}, func(t *testing.T, _ *enginetest.Fake, c *engine.Client) {
		v, err := c.Version(t.Context())
		if want := (engine.Version{Code: 3021100, Version: "3.2.11", Platform: "linux", Native: true}); err != nil || v != want {
			t.Errorf("%+v, %v", v, err)
		}
	})
	inBubble(t, enginetest.Config{}, func(t *testing.T, _ *enginetest.Fake, c *engine.Client) {
		if v, err := c.Version(t.Context()); err != nil || v.Native {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
