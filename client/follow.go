package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// Message is one message of the live stream: see the operation live of the API.
type Message struct {
	Kind string // hello, snap, upd, ev or ping
	ID   string // to go on after it
	Data json.RawMessage
}

// mostMessage bounds one message, in bytes: a whole collection at most.
const mostMessage = 16 << 20

// Follow yields the messages of the live stream, of the collections named or of
// the usual ones, until ctx ends or the connection does, whose error comes last.
// after is the id of the newest message that is known, to go on there.
func (c *Client) Follow(ctx context.Context, after string, collections ...string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		query := url.Values{}
		if len(collections) > 0 {
			query.Set("collections", strings.Join(collections, ","))
		}
		header := []string{"Accept", "text/event-stream"}
		if after != "" {
			header = append(header, "Last-Event-ID", after)
		}
		res, err := c.send(ctx, http.MethodGet, "/live", query, nil, header...)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, mostMessage)
		var m Message
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				m.Kind = value
			case "id":
				m.ID = value
			case "data":
				m.Data = json.RawMessage(value)
			case "":
				if m.Kind != "" && !yield(m, nil) {
					return
				}
				m = Message{}
			}
		}
		err = lines.Err()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = fmt.Errorf("the server ended the live stream")
		}
		yield(Message{}, err)
	}
}
