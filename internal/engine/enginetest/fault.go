package enginetest

import (
	"context"
	"slices"
	"time"
)

// FaultKind is a way to fail.
type FaultKind string

// The faults of opening. They strike a request that names the content.
const (
	SlowOpen      FaultKind = "slow_open"      // the answer takes Delay longer
	HangOpen      FaultKind = "hang_open"      // there is no answer until the fault is lifted
	OpenError     FaultKind = "open_error"     // the JSON error Text, with Reason in extra_data
	HTML500       FaultKind = "html_500"       // a page of HTML with status 500
	BrokenJSON    FaultKind = "broken_json"    // JSON that ends in the middle
	MissingOption FaultKind = "missing_option" // the error of builds without a licence
	WrongHost     FaultKind = "wrong_host"     // the URLs in answers name 127.0.0.1:6878
)

// The faults of playback. Those with After strike once so many bytes of media
// went out on a connection.
const (
	Playback404    FaultKind = "playback_404"     // the playback address answers 404
	HeadersHang    FaultKind = "headers_hang"     // it answers nothing until the fault is lifted
	SlowPrebuffer  FaultKind = "slow_prebuffer"   // it answers Delay later
	NoPeers        FaultKind = "no_peers"         // nobody sends: no answer, or no more bytes; no peers in the statistics
	HeadersNoBytes FaultKind = "headers_no_bytes" // status 200, and then nothing until the fault is lifted
	Garbage        FaultKind = "garbage"          // status 200 and bytes that are no MPEG-TS
	ResetAfter     FaultKind = "reset_after"      // the connection is reset
	EOFAfter       FaultKind = "eof_after"        // the connection ends properly
	Stall          FaultKind = "stall"            // the reader is stuck until the fault is lifted; the download goes on
	Trickle        FaultKind = "trickle"          // Rate bytes per second and no more, from now on
	Loop           FaultKind = "loop"             // from the next full second on, the last Delay (10 s if 0) comes again and again
	Freeze         FaultKind = "freeze"           // from the next full second on, null packets come in place of the broadcast
	FrozenLive     FaultKind = "frozen_live"      // the broadcaster is silent: live_last and the bytes stop, peers stay
	Drained        FaultKind = "drained"          // as NoPeers, but what is buffered still goes out: bytes for Delay
)

// The faults of the statistics. The bytes go on.
const (
	StatHang    FaultKind = "stat_hang"    // there is no answer until the fault is lifted
	StatUnknown FaultKind = "stat_unknown" // the session is not known
	StatStill   FaultKind = "stat_still"   // live_last and the download stand still, peers stay
)

// The faults of the whole engine. Content does not matter to them.
const (
	APIHang      FaultKind = "api_hang"      // the version is told, everything under /ace/ hangs until the fault is lifted
	VersionHang  FaultKind = "version_hang"  // and the version is not told either
	AccessDenied FaultKind = "access_denied" // as to a client of another subnet
	Unavailable  FaultKind = "unavailable"   // status 503 to everything
	ResetAll     FaultKind = "reset_all"     // every connection is reset once it has sent a request
)

var faultKinds = []FaultKind{
	SlowOpen, HangOpen, OpenError, HTML500, BrokenJSON, MissingOption, WrongHost,
	Playback404, HeadersHang, SlowPrebuffer, NoPeers, HeadersNoBytes, Garbage, ResetAfter, EOFAfter, Stall, Trickle, Loop, Freeze, FrozenLive, Drained,
	StatHang, StatUnknown, StatStill,
	APIHang, VersionHang, AccessDenied, Unavailable, ResetAll,
}

// Fault orders a failure.
type Fault struct {
	Kind    FaultKind
	Content string        // infohash or content id that it concerns; empty for all
	After   int64         // bytes on a connection before it strikes
	Delay   time.Duration // see the kind
	Rate    int64         // bytes per second
	Text    string        // of OpenError; "failed to load content" if empty
	Reason  string        // of OpenError, such as "not_native"
	For     time.Duration // lifted after that time; 0 for until Clear
	Times   int           // strikes so many requests and then no more; 0 for all. Not for Trickle, Loop, Freeze, FrozenLive, Drained, StatStill, Garbage
}

// order is a fault in force.
type order struct {
	Fault
	since  time.Time
	struck int           // guarded by Fake.mu
	lifted chan struct{} // closed when the fault is lifted
	stop   func() bool   // stops the timer of For
}

// Set orders a fault, beside those in force. Requests that hang in a fault go
// on once it is lifted. An unknown kind panics.
func (f *Fake) Set(fault Fault) {
	if !slices.Contains(faultKinds, fault.Kind) {
		panic("enginetest: unknown fault " + string(fault.Kind))
	}
	o := &order{Fault: fault, since: f.clock.Now(), lifted: make(chan struct{}), stop: func() bool { return true }}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, o)
	if fault.For > 0 {
		o.stop = f.clock.AfterFunc(fault.For, func() {
			f.lift(func(other *order) bool { return other == o })
		})
	}
}

// Clear lifts the faults of the given kinds, or all without arguments.
func (f *Fake) Clear(kinds ...FaultKind) {
	f.lift(func(o *order) bool { return len(kinds) == 0 || slices.Contains(kinds, o.Kind) })
}

func (f *Fake) lift(which func(*order) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = slices.DeleteFunc(f.orders, func(o *order) bool {
		if !which(o) {
			return false
		}
		o.stop()
		close(o.lifted)
		return true
	})
}

// fault returns the fault of a kind that is in force for the content, if any.
// It takes one strike off a fault that has a number of them; a hanging request
// remains in it until it is lifted.
func (f *Fake) fault(kind FaultKind, names ...string) *order {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.pending(kind, names...)
	if o != nil {
		o.struck++
	}
	return o
}

// foresee returns what fault would return, and strikes nothing.
func (f *Fake) foresee(kind FaultKind, names ...string) *order {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pending(kind, names...)
}

// pending finds the first fault of a kind with a strike left. f.mu is held.
func (f *Fake) pending(kind FaultKind, names ...string) *order {
	for _, o := range f.orders {
		if o.Kind == kind && (o.Times == 0 || o.struck < o.Times) && (o.Content == "" || slices.Contains(names, o.Content)) {
			return o
		}
	}
	return nil
}

// hang waits until the fault is lifted and reports whether that came before
// the end of ctx.
func (o *order) hang(ctx context.Context) bool {
	select {
	case <-o.lifted:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
