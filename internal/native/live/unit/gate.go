package unit

import (
	"errors"
	"time"
)

// What a [Gate] says of units that are not accepted, beside [ErrMalformed],
// [ErrForged] and an [Equivocation].
var (
	// ErrDuplicate: the unit was accepted before. Nobody is to blame.
	ErrDuplicate = errors.New("unit seen before")
	// ErrPassed: the unit is of an epoch that is over, or behind the window.
	ErrPassed = errors.New("unit of the past")
	// ErrSkewed: the unit's time is too far from now: a recording is being replayed, or
	// a clock is wrong.
	ErrSkewed = errors.New("unit of another time")
)

// MaxWindow bounds the memory of a gate: at most 136 bytes for each unit.
const MaxWindow = 4096

// Gate decides which units of a channel are new and true. It remembers the
// window of units behind the newest, and what each of them said. It is owned by one
// goroutine.
type Gate struct {
	verifier *Verifier
	skew     time.Duration
	seen     []Proof // the unit with number seq is at seq modulo their count; epoch 0 is none
	epoch    uint32
	newest   uint64 // of the epoch; nothing if the epoch is 0
}

// NewGate returns a gate that remembers window units, 1 to MaxWindow. Units whose
// time is further than skew from now are refused, unless skew is 0: a machine whose
// clock is not right has to look at several peers instead.
func NewGate(v *Verifier, window int, skew time.Duration) *Gate {
	return &Gate{verifier: v, skew: skew, seen: make([]Proof, min(max(window, 1), MaxWindow))}
}

// Epoch returns the current epoch, 0 before the first unit.
func (g *Gate) Epoch() uint32 { return g.epoch }

// Newest returns the highest number accepted in the current epoch; it means
// nothing before the first unit.
func (g *Gate) Newest() uint64 { return g.newest }

// Accept returns nil if the unit is the channel's and new; then the gate counts
// it as seen. What costs nothing is looked at before the signature is. A unit that
// was not verified changes nothing.
func (g *Gate) Accept(u *Unit, now time.Time) error {
	if err := u.check(); err != nil {
		return err
	}
	if u.Epoch < g.epoch || u.Epoch == g.epoch && g.newest >= uint64(len(g.seen)) && u.Seq <= g.newest-uint64(len(g.seen)) {
		return ErrPassed
	}
	if g.skew > 0 && time.UnixMicro(u.Time).Sub(now).Abs() > g.skew {
		return ErrSkewed
	}
	p := u.proof()
	place := &g.seen[u.Seq%uint64(len(g.seen))]
	before := place.Header.Epoch == u.Epoch && place.Header.Seq == u.Seq
	if before && place.same(&p) {
		return ErrDuplicate
	}
	if err := g.verifier.verify(&p); err != nil {
		return err
	}
	if before {
		return &Equivocation{First: *place, Second: p}
	}
	if u.Epoch > g.epoch {
		g.epoch, g.newest = u.Epoch, u.Seq
	}
	g.newest = max(g.newest, u.Seq)
	*place = p
	return nil
}
