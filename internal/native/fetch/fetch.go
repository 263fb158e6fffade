// Package fetch gets transport files from the URLs that requests name, without
// letting those requests reach into the network behind the engine.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxSize bounds a transport file in bytes. The largest .torrent files in the
// wild, of hundreds of thousands of pieces, are a few MiB.
const MaxSize = 10 << 20

// Error says why an address gave no document. Its text does not repeat the
// address, which may hold a key.
type Error struct {
	Err error
}

func (e *Error) Error() string { return "fetch the transport file: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Document is what an address gave: the bytes of a file, or a magnet link that
// it redirects to, as indexers do.
type Document struct {
	Body   []byte
	Magnet string
}

// Client fetches documents. It is safe for concurrent use.
type Client struct {
	http *http.Client
}

// New returns a client. Unless allowPrivate is set it connects to public
// addresses only, whatever name or redirect leads there.
func New(allowPrivate bool) *Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !allowPrivate {
		dialer.ControlContext = refusePrivate
	}
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			// No proxy from the environment: the guard looks at the address
			// that is connected to.
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  15 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: checkRedirect,
	}}
}

const maxRedirects = 5

func checkRedirect(req *http.Request, via []*http.Request) error {
	if strings.EqualFold(req.URL.Scheme, "magnet") {
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return checkScheme(req.URL)
}

func checkScheme(u *url.URL) error {
	if u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("not an http or https address: scheme %q", u.Scheme)
	}
	return nil
}

// Fetch gets the document at address. Its errors are of type [*Error], and wrap
// the cause of ctx when that ended.
func (c *Client) Fetch(ctx context.Context, address string) (Document, error) {
	doc, err := c.fetch(ctx, address)
	if err == nil {
		return doc, nil
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the address
	}
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return Document{}, &Error{err}
}

func (c *Client) fetch(ctx context.Context, address string) (Document, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Document{}, errors.New("not an address")
	}
	if err := checkScheme(u); err != nil {
		return Document{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Document{}, err
	}
	req.Header.Set("Accept", "application/x-bittorrent, */*;q=0.5")
	resp, err := c.http.Do(req)
	if err != nil {
		return Document{}, err
	}
	defer resp.Body.Close()
	if to := resp.Header.Get("Location"); resp.StatusCode/100 == 3 && strings.HasPrefix(strings.ToLower(to), "magnet:") {
		return Document{Magnet: to}, nil
	}
	if resp.StatusCode != http.StatusOK {
		return Document{}, fmt.Errorf("the server answered %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxSize+1))
	if err != nil {
		return Document{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > MaxSize {
		return Document{}, fmt.Errorf("larger than %d bytes", MaxSize)
	}
	return Document{Body: body}, nil
}
