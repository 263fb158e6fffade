package swarm

import (
	"iter"
	"math/bits"
	"slices"
	"time"
)

// Peer names another node. The adapter gives out the numbers, and knows what
// address each stands for. 0 is nobody.
type Peer uint32

// Seq is the number of a unit. Numbers begin at 1 and go on over a restart of
// the source.
type Seq uint64

// Role is what a node is there for.
type Role uint8

// The roles.
const (
	Viewer  Role = iota
	Source       // makes the units
	Support      // relays for others, plays nothing
)

// Unit is a signed piece of the stream, as the wire verified it. Its body is
// not looked at, and shared by everybody who has it: nobody changes it.
type Unit struct {
	Seq  Seq
	At   time.Duration // media time, by the clock of the source
	Key  bool          // a decoder can start here
	Size int           // bytes on the wire
	Body []byte
}

// Candidate is a peer that may be connected to.
type Candidate struct {
	Peer      Peer
	Reachable bool // takes connections; others need a rendezvous
	Support   bool
}

// Event is something that happened to a node.
type Event interface{ event() }

// The events.
type (
	// Joined is a link to a peer, whoever dialled.
	Joined struct {
		Candidate
		Role   Role
		Upload int // bytes per second, as the peer says
		RTT    time.Duration
	}
	// Left is the end of a link, by whichever side.
	Left struct{ Peer Peer }
	// Unreachable answers a Connect that failed.
	Unreachable struct{ Peer Peer }
	// Discovered are peers found outside the swarm: by trackers, hints, the network.
	Discovered struct{ Peers []Candidate }
	// Received is a message of a peer, decoded, units verified.
	Received struct {
		Peer    Peer
		Message Message
	}
	// Drained says that bytes of units passed to a peer have left this machine.
	Drained struct {
		Peer  Peer
		Bytes int
	}
	// Produced is a new unit of the source.
	Produced struct{ Unit Unit }
	// Tick is the passing of time.
	Tick struct{}
)

func (Joined) event()      {}
func (Left) event()        {}
func (Unreachable) event() {}
func (Discovered) event()  {}
func (Received) event()    {}
func (Drained) event()     {}
func (Produced) event()    {}
func (Tick) event()        {}

// Action is something a node wants done.
type Action interface{ action() }

// The actions.
type (
	// Send passes a message to a peer, in the order of the actions.
	Send struct {
		Peer    Peer
		Message Message
	}
	// Connect makes a link. Via is a neighbour of both, the rendezvous for a
	// peer that takes no connections; 0 where none is needed.
	Connect struct {
		Peer Peer
		Via  Peer
	}
	// Disconnect ends a link.
	Disconnect struct {
		Peer   Peer
		Reason Reason
	}
	// Deliver passes the next unit to the player. Lost is how many units before
	// it never came.
	Deliver struct {
		Unit Unit
		Lost int
	}
	// Discover asks for more peers.
	Discover struct{}
)

func (Send) action()       {}
func (Connect) action()    {}
func (Disconnect) action() {}
func (Deliver) action()    {}
func (Discover) action()   {}

// Reason is why something was refused or ended.
type Reason uint8

// The reasons.
const (
	Full      Reason = iota + 1 // no upload, or no room, left
	NoData                      // the substream does not flow here
	Loop                        // the asking peer is the parent itself
	Preempted                   // one with more upload took the place
	Overload                    // less can be sent than was granted
	Idle                        // of no use to either side
	Silent                      // takes nothing any more
)

// Message is what nodes say to each other.
type Message interface {
	// Size is about how many bytes the message takes on the wire, framed.
	Size() int
}

// frame is the length, the id of BitTorrent's extended message, the id of the
// extension and the type.
const frame = 4 + 1 + 1 + 1

// number is about what a unit's number takes as a varint.
const number = 5

// candidate is an address, at most, and flags.
const candidate = 18 + 1

// The messages.
type (
	// Window is what a node holds. A viewer may begin at Start, a key unit; 0 if
	// there is none yet.
	// Room is how many more subscriptions the sender would grant.
	Window struct {
		Lo, Hi, Start Seq
		Room          int
	}
	// Have announces units: bit i of the words is unit Base+i.
	Have struct {
		Base Seq
		Bits []uint64
	}
	// Subscribe asks for a push of the units of substreams, from one on.
	Subscribe struct {
		Mask uint32
		From Seq
	}
	// Grant answers Subscribe: units will be pushed.
	Grant struct{ Mask uint32 }
	// Deny answers Subscribe: they will not. Try are neighbours that have room.
	Deny struct {
		Mask   uint32
		Reason Reason
		Try    []Candidate
	}
	// Unsubscribe ends a subscription, by the child.
	Unsubscribe struct{ Mask uint32 }
	// Evict ends a subscription, by the parent. Try are neighbours that have room.
	Evict struct {
		Mask   uint32
		Reason Reason
		Try    []Candidate
	}
	// Request asks for single units.
	Request struct{ Wants []Want }
	// Cancel takes requests back.
	Cancel struct{ Units []Seq }
	// Busy refuses requests.
	Busy struct{ Units []Seq }
	// Data is a unit.
	Data struct{ Unit Unit }
	// Candidates are peers of the sender.
	Candidates struct{ Peers []Candidate }
)

// Want is a unit asked for, and the time left until it is due.
type Want struct {
	Seq  Seq
	Left time.Duration
}

// Size implements Message.
func (Window) Size() int { return frame + 3 + 3*number }

// Size implements Message.
func (h Have) Size() int {
	if len(h.Bits) == 0 {
		return frame + number
	}
	return frame + number + 8*(len(h.Bits)-1) + (bits.Len64(h.Bits[len(h.Bits)-1])+7)/8
}

// Size implements Message.
func (Subscribe) Size() int { return frame + 2 + number }

// Size implements Message.
func (Grant) Size() int { return frame + 2 }

// Size implements Message.
func (d Deny) Size() int { return frame + 3 + len(d.Try)*candidate }

// Size implements Message.
func (Unsubscribe) Size() int { return frame + 2 }

// Size implements Message.
func (e Evict) Size() int { return frame + 3 + len(e.Try)*candidate }

// Size implements Message.
func (r Request) Size() int { return frame + 1 + len(r.Wants)*(number+2) }

// Size implements Message.
func (c Cancel) Size() int { return frame + 1 + len(c.Units)*number }

// Size implements Message.
func (b Busy) Size() int { return frame + 1 + len(b.Units)*number }

// Size implements Message.
func (d Data) Size() int { return d.Unit.Size }

// Size implements Message.
func (c Candidates) Size() int { return frame + 1 + len(c.Peers)*candidate }

// newHave makes an announcement of units in any order. There is at least one.
func newHave(seqs []Seq) Have {
	base := slices.Min(seqs)
	h := Have{Base: base, Bits: make([]uint64, (slices.Max(seqs)-base)/64+1)}
	for _, seq := range seqs {
		h.Bits[(seq-base)/64] |= 1 << ((seq - base) % 64)
	}
	return h
}

// maxHave is how many words of an announcement are looked at.
const maxHave = 64

// All yields the units announced, in order.
func (h Have) All() iter.Seq[Seq] {
	return func(yield func(Seq) bool) {
		for i, word := range h.Bits[:min(len(h.Bits), maxHave)] {
			for ; word != 0; word &= word - 1 {
				if !yield(h.Base + Seq(i*64+bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}
