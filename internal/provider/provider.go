// Package provider is the port to where engines come from: child processes, a
// list of addresses, containers. Package providertest holds the contract as a
// test suite that every adapter passes.
package provider

import (
	"context"
	"errors"
	"io"
	"time"
)

// Provider is a source of engines. Implementations are safe for concurrent
// use.
//
// An error of Start or Stop does not tell whether the thing was done: a caller
// finds out with the next List, and may always repeat the call.
type Provider interface {
	// List returns the whole truth about the engines that exist: those started
	// by Start, by whomever, and not yet stopped, each once, ordered by id.
	// One that ended by itself stays listed as Failed until Stop is called for
	// it. The caller owns what is returned.
	List(ctx context.Context) (Inventory, error)

	// Start brings the engine spec.ID into existence and returns it, without
	// waiting until it answers: it may still be Starting, with no URL. Where an
	// engine of that id exists, whatever its state, Start changes nothing and
	// returns it. Start fails with ErrUnsupported where engines cannot be
	// started.
	Start(ctx context.Context, spec Spec) (Engine, error)

	// Stop ends the engine and frees what it held: processes, ports, cache.
	// When Stop returns nil, List no longer shows it. Stopping one that does
	// not exist succeeds. Stop fails with ErrUnsupported where engines cannot
	// be stopped.
	Stop(ctx context.Context, id string) error

	// Watch returns a channel of capacity one, always the same, which receives
	// after a change that List would show. Changes merge, so one receive may
	// stand for many, and none may be needed: the value says "look again" and
	// nothing else. It has one reader.
	Watch() <-chan struct{}
}

// ErrUnsupported says that the provider's engines are started and stopped by
// someone else.
var ErrUnsupported = errors.New("these engines are not started or stopped from here")

// Inventory is what a provider has and can do.
type Inventory struct {
	Engines []Engine
	// CanStart says that Start and Stop work.
	CanStart bool
	// StartsNative says that Start brings native engines, which play no content
	// ids. When false, an engine tells its kind itself.
	StartsNative bool
	// Unready says, for a person, why Start would bring no engine right now:
	// an image is being pulled, no host can be reached. Empty when it would.
	// The end of it is a change that Watch tells.
	Unready string
}

// Spec describes an engine to start.
type Spec struct {
	// ID is the identity of the engine, chosen by the caller: lower-case
	// letters, digits and hyphens, at most 63 bytes, so that it can name a
	// directory, a host or a container. See [ValidID].
	ID string
}

// State is where an engine is in its life, as its provider sees it. Whether it
// answers is for its caller to find out.
type State string

// The states of an engine.
const (
	Starting State = "starting" // it exists; its URL may not be known yet
	Running  State = "running"  // it runs and its URL is known
	Failed   State = "failed"   // it ended, though nobody stopped it
)

// Engine is one engine of a provider.
type Engine struct {
	ID    string
	State State
	// URL is the base of the engine's HTTP API without a trailing slash,
	// "http://127.0.0.1:6878". Empty while it is not known.
	URL string
	// StartedAt is zero when the provider did not start the engine.
	StartedAt time.Time
	// P2PPort is the TCP and UDP port for BitTorrent peers, 0 when not known.
	P2PPort int
	// Reason says, for a person, why the engine Failed.
	Reason string
	// Host names the machine that the engine runs on, "" where there is but one.
	Host string
	// Revision identifies the settings and the program that the engine was
	// started with: engines of one revision are alike. "" where it is not known.
	Revision string
	// Outdated says, for a person, what Start would do otherwise today: run a
	// newer image, use other settings. "" when the engine is as Start would make
	// it, or when that is not known.
	Outdated string
}

// Inspector is a [Provider] that can measure its engines.
type Inspector interface {
	// Stats measures an engine that runs. It fails with ErrUnknown where there
	// is no such engine.
	Stats(ctx context.Context, id string) (Stats, error)
}

// Stats is what an engine uses of its machine.
type Stats struct {
	Time        time.Time     // when it was measured
	CPUTime     time.Duration // processor time used since the engine was started
	Memory      int64         // bytes in use, without what the kernel can take back; -1 when not known
	MemoryLimit int64         // bytes; 0 without a limit
	Cache       int64         // bytes that the engine's cache takes on disk; -1 when not known
	Received    int64         // bytes that came over its network since it was started; 0 when not known
}

// Collector is a [Provider] whose engines can leave things behind: volumes,
// directories, containers that were never started.
type Collector interface {
	// Collect removes what this provider once made and no engine needs any more,
	// and nothing else. It returns a phrase for a person for each thing removed,
	// also where it fails. It may be called at any time, and again.
	Collect(ctx context.Context) (removed []string, err error)
}

// TokenHolder is a [Provider] that gave its engines the tokens of their private
// APIs.
type TokenHolder interface {
	// AccessToken returns the token of an engine; "" where it has none from here.
	// It is a secret.
	AccessToken(id string) string
}

// LogReader is a [Provider] that keeps what its engines write.
type LogReader interface {
	// Logs returns the newest lines that an engine wrote, running or not, at
	// most tail of them, and with follow those to come until ctx ends. The
	// caller closes the reader. It fails with ErrUnknown where there is no such
	// engine.
	Logs(ctx context.Context, id string, tail int, follow bool) (io.ReadCloser, error)
}

// ErrUnknown says that there is no engine of that id.
var ErrUnknown = errors.New("there is no such engine")

// ValidID says whether an engine can be started under that id.
func ValidID(id string) bool {
	if id == "" || len(id) > 63 || id[0] == '-' {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
