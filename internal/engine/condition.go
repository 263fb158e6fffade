package engine

import (
	"context"
	"encoding/json"
	"errors"
)

// Condition is what an engine tells of its own state, beyond answering.
type Condition struct {
	// Connected is what the engine says of its connection to the network. Some
	// builds say true whatever happens. True where it does not say.
	Connected bool
	// Sessions is how many sessions are open, whoever opened them; -1 where the
	// engine does not tell, as official ones do not.
	Sessions int
	// CacheUsed is the size of the cache in bytes, -1 where the engine does not
	// tell.
	CacheUsed int64
}

// Condition asks the engine how it is
// (https://docs.acestream.net/developers/api-reference/). An interface that the
// engine does not have is no error.
func (c *Client) Condition(ctx context.Context) (Condition, error) {
	const op = "get status"
	is := Condition{Connected: true, Sessions: -1, CacheUsed: -1}
	a, err := c.control(ctx, op, VersionTimeout, "/server/api?api_version=3&method=get_network_connection_status")
	if refused(err) {
		return is, nil
	} else if err != nil {
		return Condition{}, err
	}
	var network struct {
		Connected *bool `json:"connected"`
	}
	if json.Unmarshal(a.body, &network) == nil && network.Connected != nil {
		is.Connected = *network.Connected
	}
	a, err = c.control(ctx, op, VersionTimeout, "/server/api?api_version=3&method=get_status")
	if refused(err) {
		return is, nil
	} else if err != nil {
		return Condition{}, err
	}
	var status struct {
		Sessions  *number `json:"sessions"`
		CacheUsed *number `json:"cache_used"`
	}
	if json.Unmarshal(a.body, &status) == nil {
		if status.Sessions != nil {
			is.Sessions = int(*status.Sessions)
		}
		if status.CacheUsed != nil {
			is.CacheUsed = int64(*status.CacheUsed)
		}
	}
	return is, nil
}

// refused says that the engine answered, and would not.
func refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Message != "" && e.Class != Sick
}

// AccessToken asks the engine for the token of its private interface, which it
// tells its neighbours only.
func (c *Client) AccessToken(ctx context.Context) (string, error) {
	const op = "get access token"
	a, err := c.control(ctx, op, VersionTimeout, "/server/api?api_version=3&method=get_api_access_token")
	if err != nil {
		return "", err
	}
	var answer struct {
		Token text `json:"token"`
	}
	if err := json.Unmarshal(a.body, &answer); err != nil || answer.Token == "" {
		return "", &Error{Op: op, Engine: c.base, Class: Sick, Err: errors.New("the answer has no token")}
	}
	return string(answer.Token), nil
}
