package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestFetch(t *testing.T) {
	t.Parallel()
	const magnet = "magnet:?xt=urn:btih:" + "0a4848271c91ce2d8965ce416267c25047dc8141"
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/file":
			_, _ = w.Write([]byte("d4:infode"))
		case "/zipped":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write([]byte("d4:infode"))
			_ = z.Close()
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.CopyN(z, zeros{}, MaxSize+1)
			_ = z.Close()
		case "/large":
			_, _ = io.CopyN(w, zeros{}, MaxSize+1)
		case "/full":
			_, _ = io.CopyN(w, zeros{}, MaxSize)
		case "/short":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("d"))
		case "/moved":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/magnet":
			w.Header().Set("Location", magnet)
			w.WriteHeader(http.StatusFound)
		case "/local":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	for path, want := range map[string]struct {
		body, magnet, fails string
		size                int
	}{
		"/file":   {body: "d4:infode"},
		"/zipped": {body: "d4:infode"},
		"/moved":  {body: "d4:infode"},
		"/magnet": {magnet: magnet},
		"/full":   {size: MaxSize},
		"/bomb":   {fails: "larger than"},
		"/large":  {fails: "larger than"},
		"/short":  {fails: "read the answer"},
		"/local":  {fails: "not an http or https address"},
		"/loop":   {fails: "more than 5 redirects"},
		"/absent": {fails: "404"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			doc, err := New(true).Fetch(t.Context(), base+path)
			if want.fails != "" {
				if !isError(err) || !strings.Contains(err.Error(), want.fails) || strings.Contains(err.Error(), base) {
					t.Errorf("error %v, want one about %q", err, want.fails)
				}
				return
			}
			if want.size > 0 {
				want.body = string(make([]byte, want.size))
			}
			if err != nil || string(doc.Body) != want.body || doc.Magnet != want.magnet {
				t.Errorf("%d bytes, magnet %q, %v", len(doc.Body), doc.Magnet, err)
			}
		})
	}
}

func isError(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
	})
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-reached; cancel(why) }()
	if _, err := New(true).Fetch(ctx, base); !isError(err) || !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestPrivateAddressesAreOutOfReach(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the server was reached")
	})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		base, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port,
		"http://2130706433:" + port, "http://0x7f.1:" + port,
	} {
		if _, err := New(false).Fetch(t.Context(), address); !isError(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := New(false).Fetch(t.Context(), base); !errors.Is(err, ErrPrivate) {
		t.Errorf("the error does not tell why: %v", err)
	}
}

func TestFetchRefusesOtherSchemes(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "file:///etc/passwd", "ftp://example.com/", "gopher://x/", "http://", "http:///x", "://", "javascript:1", "\x00"} {
		if _, err := New(true).Fetch(t.Context(), address); !isError(err) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700::1111": true, "2a00:1450::1": true, "193.0.0.1": true, "100.63.255.255": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false,
		"224.0.0.1": false, "198.18.0.1": false, "240.0.0.1": false, "192.0.2.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "ff02::1": false, "fec0::1": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "::127.0.0.1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "2001:db8::1": false, "2001::1": false, "::ffff:0:127.0.0.1": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("Public(%s) = %v", address, got)
		}
	}
}

func FuzzFetch(f *testing.F) {
	for _, seed := range []struct {
		address, location string
		body              []byte
		status            int
	}{
		{"http://example.com/a.torrent", "", []byte("d4:infode"), 200},
		{"https://example.com/a", "magnet:?xt=urn:btih:00", nil, 302},
		{"http://example.com/", "http://127.0.0.1/", nil, 301},
		{"http://example.com/", "file:///x", nil, 307},
		{"HTTP://[::1]:80/%zz", "\x00", bytes.Repeat([]byte("x"), 100), 500},
	} {
		f.Add(seed.address, seed.location, seed.body, seed.status)
	}
	f.Fuzz(func(t *testing.T, address, location string, body []byte, status int) {
		client := New(false)
		client.http.Transport = transport(func(req *http.Request) (*http.Response, error) {
			if req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "" {
				t.Errorf("a request to %q was sent", req.URL)
			}
			if status < 200 || status > 599 {
				return nil, errors.New("no answer")
			}
			return &http.Response{
				StatusCode: status, Status: strconv.Itoa(status), Request: req,
				Header: http.Header{"Location": {location}}, Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		})
		doc, err := client.Fetch(t.Context(), address)
		switch {
		case err != nil && !isError(err):
			t.Errorf("error %v", err)
		case err != nil && (doc.Body != nil || doc.Magnet != ""):
			t.Errorf("a document with an error: %+v", doc)
		case doc.Magnet != "" && !strings.HasPrefix(strings.ToLower(doc.Magnet), "magnet:"):
			t.Errorf("magnet %q", doc.Magnet)
		case err == nil && doc.Magnet == "" && !bytes.Equal(doc.Body, body):
			t.Error("the body differs")
		}
	})
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
