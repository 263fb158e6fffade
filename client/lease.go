package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// NewLease asks for a slot.
type NewLease struct {
	Content  string   `json:"content" minLength:"1" maxLength:"2048" doc:"What is to be played: a content id, infohash, magnet link or URL."`
	Official bool     `json:"official,omitempty" doc:"Only an official engine plays it."`
	Exclude  []string `json:"exclude,omitempty" maxItems:"1000" doc:"Ids of engines that failed already."`
	Only     string   `json:"only,omitempty" maxLength:"128" doc:"Id of the one engine that will do."`
	Wait     int      `json:"wait_ms,omitempty" minimum:"0" maximum:"60000" doc:"How long to wait for a slot, in milliseconds."`
}

// Lease is a slot that is lent.
type Lease struct {
	ID       string      `json:"id"`
	Engine   LeaseEngine `json:"engine"`
	Content  string      `json:"content"`
	Borrower string      `json:"borrower" doc:"Name of the key, user or network that asked for it."`
	Since    time.Time   `json:"since"`
	Expires  float64     `json:"expires_in" doc:"Seconds until the slot is free again, unless the lease is renewed before."`
	Leaving  string      `json:"leaving" doc:"Why what plays had better move to another engine; empty while it may stay."`
}

// LeaseEngine is the engine of a lease.
type LeaseEngine struct {
	ID   string `json:"id"`
	URL  string `json:"url" doc:"Base of its HTTP API."`
	Kind string `json:"kind" doc:"native, official, or empty where it is not known."`
}

// LeaseClaim renews a lease.
type LeaseClaim struct {
	Content string `json:"content" minLength:"1" maxLength:"2048" doc:"What is played."`
	Engine  string `json:"engine" minLength:"1" maxLength:"128" doc:"Id of the engine of the lease."`
	Playing bool   `json:"playing,omitempty" doc:"The session has played."`
}

// LeaseReport tells what came of playing on the engine of a lease.
type LeaseReport struct {
	Outcome string `json:"outcome" enum:"opened,first_byte,refused,silent,failed" doc:"refused is an engine that rightly does not play the content, silent one that opened it and sent nothing."`
	Class   string `json:"class,omitempty" maxLength:"200" doc:"Of a failure: what it was, in a word or a phrase."`
}

// Lease takes a slot for as long as it is renewed.
func (c *Client) Lease(ctx context.Context, l NewLease) (Lease, error) {
	return post[Lease](ctx, c, "/leases", l)
}

// RenewLease keeps a slot, or takes it anew in a server that does not know the
// lease.
func (c *Client) RenewLease(ctx context.Context, id string, claim LeaseClaim) (out Lease, err error) {
	return out, c.do(ctx, http.MethodPut, "/leases/"+url.PathEscape(id), nil, claim, &out)
}

// ReportLease tells what came of playing.
func (c *Client) ReportLease(ctx context.Context, id string, r LeaseReport) error {
	return c.do(ctx, http.MethodPost, "/leases/"+url.PathEscape(id)+"/reports", nil, r, nil)
}

// EndLease gives a slot back.
func (c *Client) EndLease(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/leases/"+url.PathEscape(id), nil, nil, nil)
}

// Leases lists the slots that are lent.
func (c *Client) Leases(ctx context.Context) ([]Lease, error) {
	return get[[]Lease](ctx, c, "/leases", nil)
}
