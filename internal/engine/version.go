package engine

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
)

// Version is what an engine says it is.
type Version struct {
	Code     int    // major*1 000 000 + minor*10 000 + patch*100: 3.2.11 is 3021100
	Version  string // as "3.2.11"
	Platform string // linux, win32, android
	Native   bool   // the native engine
}

// nativeEngine is the value of the field by which the native engine tells
// itself from an official one.
const nativeEngine = "acequia"

// Version asks the engine for its version: the probe for life that costs the
// engine nothing. It says that the engine answers, not that it can play.
func (c *Client) Version(ctx context.Context) (Version, error) {
	const op = "get version"
	a, err := c.control(ctx, op, VersionTimeout, "/webui/api/service?method=get_version")
	if err != nil {
		return Version{}, err
	}
	v, err := parseVersion(a.body)
	if err != nil {
		return Version{}, &Error{Op: op, Engine: c.base, Class: Sick, Err: err}
	}
	return v, nil
}

// ClearCache has the engine delete the content that it keeps. It needs the
// access token of the engine ([WithAccessToken]): the request is one of its web
// page (github.com/acestream/acestream-engine-android-core). What it does to
// content that plays is not known: ask while nobody plays.
func (c *Client) ClearCache(ctx context.Context) error {
	const op = "clear cache"
	if c.token == "" {
		return &Error{Op: op, Engine: c.base, Class: Config, Err: errors.New("it takes the engine's access token")}
	}
	_, err := c.control(ctx, op, StopTimeout, "/webui/app/"+url.PathEscape(c.token)+"/cmd/clearcache")
	return err
}

func parseVersion(raw json.RawMessage) (Version, error) {
	var r struct {
		Code     number `json:"code"`
		Version  text   `json:"version"`
		Platform text   `json:"platform"`
		Engine   text   `json:"engine"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Version{}, err
	}
	return Version{
		Code: int(r.Code), Version: string(r.Version), Platform: string(r.Platform),
		Native: r.Engine == nativeEngine,
	}, nil
}
