// Package client speaks the HTTP API of Acequia, /api/v1, in Go. Its types are
// those of the API itself: the server answers with them.
package client
