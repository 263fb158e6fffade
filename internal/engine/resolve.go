package engine

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/acequia-tv/acequia/internal/content"
)

// Delivery is how content is delivered.
type Delivery int

// The ways of delivery.
const (
	DeliveryUnknown Delivery = iota
	DeliveryLive             // a broadcast
	DeliveryVOD              // files
)

// String returns unknown, live or vod.
func (d Delivery) String() string {
	switch d {
	case DeliveryLive:
		return "live"
	case DeliveryVOD:
		return "vod"
	}
	return "unknown"
}

// Content is what an engine knows about a content without playing it.
type Content struct {
	Infohash  string // 40 lower-case hex digits, or empty
	ContentID string // as the engine gave it; mostly empty
	Title     string
	Delivery  Delivery
}

// File is one file of a content.
type File struct {
	Index int    // what a selector's File names
	Name  string // as the content gives it: not safe as a path
	MIME  string
	Size  int64 // bytes; 0 if not known
}

// MediaFiles is what a content consists of.
type MediaFiles struct {
	Infohash  string // 40 lower-case hex digits, or empty
	Name      string
	Transport string // bt, hls or wrapper
	Delivery  Delivery
	Files     []File
}

// Resolve tells what a selector names, without opening a session: in
// milliseconds if the engine knows the content, in seconds if it has to ask the
// network.
func (c *Client) Resolve(ctx context.Context, sel content.Selector) (Content, error) {
	const op = "resolve content"
	q := url.Values{"api_version": {"3"}, "method": {"analyze_content"}, "query": {contentQuery(sel)}}
	a, err := c.control(ctx, op, ResolveTimeout, "/server/api?"+q.Encode())
	if err != nil {
		return Content{}, err
	}
	v, err := parseContent(a.body)
	if err != nil {
		return Content{}, &Error{Op: op, Engine: c.base, Class: Sick, Err: err}
	}
	return v, nil
}

// contentQuery returns the selector as analyze_content wants it: a URI.
func contentQuery(sel content.Selector) string {
	switch sel.Kind {
	case content.URL, content.Magnet:
		return sel.Value
	}
	return "acestream:?" + url.Values{string(sel.Kind): {sel.Value}}.Encode()
}

func parseContent(raw json.RawMessage) (Content, error) {
	var r struct {
		Infohash  text    `json:"infohash"`
		ContentID text    `json:"content_id"`
		Title     text    `json:"title"`
		IsLive    *number `json:"is_live"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Content{}, err
	}
	v := Content{ContentID: string(r.ContentID), Title: string(r.Title)}
	if r.IsLive != nil {
		switch *r.IsLive {
		case 0:
			v.Delivery = DeliveryVOD
		case 1:
			v.Delivery = DeliveryLive
		}
	}
	if r.Infohash != "" {
		var err error
		if v.Infohash, err = infohash(string(r.Infohash)); err != nil {
			return Content{}, err
		}
	}
	return v, nil
}

// MediaFiles lists the files of a content, without opening a session.
func (c *Client) MediaFiles(ctx context.Context, sel content.Selector) (MediaFiles, error) {
	const op = "list files"
	q := sel.Query()
	q.Set("api_version", "3")
	q.Set("method", "get_media_files")
	a, err := c.control(ctx, op, ResolveTimeout, "/server/api?"+q.Encode())
	if err != nil {
		return MediaFiles{}, err
	}
	v, err := parseMediaFiles(a.body)
	if err != nil {
		return MediaFiles{}, &Error{Op: op, Engine: c.base, Class: Sick, Err: err}
	}
	return v, nil
}

func parseMediaFiles(raw json.RawMessage) (MediaFiles, error) {
	var r struct {
		Infohash  text `json:"infohash"`
		Name      text `json:"name"`
		Transport text `json:"transport_type"`
		Type      text `json:"type"`
		Files     []struct {
			Index number `json:"index"`
			Name  text   `json:"filename"`
			MIME  text   `json:"mime"`
			Size  number `json:"size"`
		} `json:"files"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return MediaFiles{}, err
	}
	v := MediaFiles{Name: string(r.Name), Transport: string(r.Transport)}
	switch r.Type {
	case "live":
		v.Delivery = DeliveryLive
	case "vod":
		v.Delivery = DeliveryVOD
	}
	if r.Infohash != "" {
		var err error
		if v.Infohash, err = infohash(string(r.Infohash)); err != nil {
			return MediaFiles{}, err
		}
	}
	for _, f := range r.Files {
		v.Files = append(v.Files, File{Index: int(f.Index), Name: string(f.Name), MIME: string(f.MIME), Size: int64(f.Size)})
	}
	return v, nil
}
