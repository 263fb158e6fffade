package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Me tells who the client is to the server.
func (c *Client) Me(ctx context.Context) (Me, error) { return get[Me](ctx, c, "/me", nil) }

// Version tells which build the server runs.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, "/system/version", nil)
}

// Health tells how everything is.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return get[Health](ctx, c, "/system/health", nil)
}

// Backup returns a copy of the database, which the caller closes.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	return c.open(ctx, "/system/backup", nil)
}

func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	res, err := c.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Engines lists the engines.
func (c *Client) Engines(ctx context.Context) ([]Engine, error) {
	return get[[]Engine](ctx, c, "/engines", nil)
}

// Engine shows one engine.
func (c *Client) Engine(ctx context.Context, id string) (Engine, error) {
	return get[Engine](ctx, c, "/engines/"+url.PathEscape(id), nil)
}

// StartEngines starts engines beyond what the pool needs.
func (c *Client) StartEngines(ctx context.Context, n int) (Started, error) {
	return post[Started](ctx, c, "/engines", StartEngines{Count: n})
}

// DrainEngine takes an engine out of service.
func (c *Client) DrainEngine(ctx context.Context, id string) error {
	return c.engineAction(ctx, id, "drain")
}

// UndrainEngine brings it back.
func (c *Client) UndrainEngine(ctx context.Context, id string) error {
	return c.engineAction(ctx, id, "undrain")
}

// RestartEngine replaces an engine by a new one.
func (c *Client) RestartEngine(ctx context.Context, id string) error {
	return c.engineAction(ctx, id, "restart")
}

func (c *Client) engineAction(ctx context.Context, id, verb string) error {
	return c.do(ctx, http.MethodPost, "/engines/"+url.PathEscape(id)+"/"+verb, nil, nil, nil)
}

// RemoveEngine removes an engine, with force at once.
func (c *Client) RemoveEngine(ctx context.Context, id string, force bool) error {
	return c.do(ctx, http.MethodDelete, "/engines/"+url.PathEscape(id), url.Values{"force": {strconv.FormatBool(force)}}, nil, nil)
}

// EngineStats measures an engine.
func (c *Client) EngineStats(ctx context.Context, id string) (EngineStats, error) {
	return get[EngineStats](ctx, c, "/engines/"+url.PathEscape(id)+"/stats", nil)
}

// EngineLogs returns the newest lines of an engine's log, and with follow those
// to come. The caller closes it.
func (c *Client) EngineLogs(ctx context.Context, id string, tail int, follow bool) (io.ReadCloser, error) {
	return c.open(ctx, "/engines/"+url.PathEscape(id)+"/logs",
		url.Values{"tail": {strconv.Itoa(tail)}, "follow": {strconv.FormatBool(follow)}})
}

// Pool shows the pool.
func (c *Client) Pool(ctx context.Context) (Pool, error) { return get[Pool](ctx, c, "/pool", nil) }

// Plan shows what the pool is about to do.
func (c *Client) Plan(ctx context.Context) (Plan, error) {
	return get[Plan](ctx, c, "/pool/plan", nil)
}

// Scale holds the pool at n engines; nil lets the demand say.
func (c *Client) Scale(ctx context.Context, n *int) (out Pool, err error) {
	return out, c.do(ctx, http.MethodPut, "/pool/scale", nil, Scale{Engines: n}, &out)
}

// Pause has the pool do nothing by itself; Resume ends that.
func (c *Client) Pause(ctx context.Context) (Pool, error) {
	return post[Pool](ctx, c, "/pool/pause", nil)
}

// Resume ends a pause.
func (c *Client) Resume(ctx context.Context) (Pool, error) {
	return post[Pool](ctx, c, "/pool/resume", nil)
}

// Streams lists the streams with their viewers.
func (c *Client) Streams(ctx context.Context) ([]Stream, error) {
	return get[[]Stream](ctx, c, "/streams", nil)
}

// Stream shows one stream.
func (c *Client) Stream(ctx context.Context, id string) (Stream, error) {
	return get[Stream](ctx, c, "/streams/"+url.PathEscape(id), nil)
}

// StopStream stops a stream.
func (c *Client) StopStream(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/streams/"+url.PathEscape(id), nil, nil, nil)
}

// MoveStream moves a stream to an engine, or to any other where engine is empty.
func (c *Client) MoveStream(ctx context.Context, id, engine string) error {
	return c.do(ctx, http.MethodPost, "/streams/"+url.PathEscape(id)+"/move", nil, Move{Engine: engine}, nil)
}

// Viewers lists the viewers of all streams.
func (c *Client) Viewers(ctx context.Context) ([]Viewer, error) {
	return get[[]Viewer](ctx, c, "/viewers", nil)
}

// Disconnect sends a viewer away.
func (c *Client) Disconnect(ctx context.Context, viewer uint64) error {
	return c.do(ctx, http.MethodDelete, "/viewers/"+strconv.FormatUint(viewer, 10), nil, nil, nil)
}

// Preflight asks whether a content can be played now, with deep by trying.
// kind is a parameter that names contents to players: id, infohash, url, magnet.
func (c *Client) Preflight(ctx context.Context, kind, value string, deep bool) (out Preflight, err error) {
	method := http.MethodGet
	if deep {
		method = http.MethodPost
	}
	return out, c.do(ctx, method, "/preflight", url.Values{kind: {value}}, nil, &out)
}

// EventQuery selects events. What is zero does not.
type EventQuery struct {
	Before       string // id of an event: only older ones
	Type         string // beginning of the types
	Since, Until time.Time
	Limit        int
}

// Events lists what happened, the newest first.
func (c *Client) Events(ctx context.Context, q EventQuery) (EventPage, error) {
	query := url.Values{}
	for name, value := range map[string]string{"before": q.Before, "type": q.Type, "since": inTime(q.Since), "until": inTime(q.Until)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	return get[EventPage](ctx, c, "/events", query)
}

func inTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// Settings lists the settings.
func (c *Client) Settings(ctx context.Context) ([]Setting, error) {
	return get[[]Setting](ctx, c, "/settings", nil)
}

// ChangeSettings changes settings, all or none.
func (c *Client) ChangeSettings(ctx context.Context, change SettingsChange) (out SettingsChanged, err error) {
	return out, c.do(ctx, http.MethodPatch, "/settings", nil, change, &out)
}

// Keys lists the keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) { return get[[]Key](ctx, c, "/keys", nil) }

// AddKey makes a key.
func (c *Client) AddKey(ctx context.Context, k NewKey) (MadeKey, error) {
	return post[MadeKey](ctx, c, "/keys", k)
}

// DropKey ends a key.
func (c *Client) DropKey(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/keys/"+url.PathEscape(id), nil, nil, nil)
}
