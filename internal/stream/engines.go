package stream

import (
	"context"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
)

// Engines hands out slots on engines. The hub needs nothing else of the pool.
// Implementations are safe for concurrent use.
type Engines interface {
	// Acquire claims a slot on the engine that suits want best. It may wait
	// for one to be freed or started, until ctx ends. Where there is none, the
	// error is an *[Error] that says why: [CodeNoEngine], [CodeFull],
	// [CodeNotNative] when only official engines would do and there is none,
	// [CodeExhausted] when every engine is excluded.
	Acquire(ctx context.Context, want Want) (*Slot, error)
}

// Want says what a slot is for.
type Want struct {
	Content  content.Selector
	Exclude  []string // ids of engines that were tried already
	Only     string   // id of the one engine that will do; "" for any
	Official bool     // only an official AceStream engine can play this content
}

// Slot is a claim on one engine for one session. Its holder calls Release
// once.
type Slot struct {
	EngineID string
	Client   *engine.Client
	// Leaving is closed when the engine is lost, unhealthy, or about to be
	// stopped: what plays on it had better move. Nil is never.
	Leaving <-chan struct{}
	// Opened tells the pool that the engine has opened the session.
	Opened func(*engine.Session)
	// Report tells the pool how the engine did: nil after the first bytes of a
	// session, otherwise why the session was not opened or broke.
	Report func(error)
	// Release gives the slot back.
	Release func()
}
