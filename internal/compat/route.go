// Package compat answers on the addresses of other programs, so that what was
// written for them works with Acequia unchanged.
package compat

import "net/http"

// Access is what a route does, and so who may ask for it.
type Access int

// The kinds of access.
const (
	Open     Access = iota // tells nothing that matters: anyone
	Plays                  // who may play
	Reads                  // who may see what is going on
	Operates               // who may act on engines and streams
)

// Route is an address that something answers on.
type Route struct {
	Pattern string // as [http.ServeMux] takes it
	Access  Access
	Handler http.Handler
}
