// Package swarmtest runs whole swarms of [swarm.Node] on virtual time: hundreds
// of nodes, the links between them with delay, bandwidth and loss, NAT, people
// who come and go, machines that die. One seed gives one run, event by event.
//
// A [Scenario] says what happens and nothing about how it is run, so that other
// runners, over sockets, take the same table.
package swarmtest

import "time"

// Scenario describes a swarm, what happens to it, and what must hold.
type Scenario struct {
	Name     string
	Seed     uint64
	Viewers  int
	Support  int // support nodes
	Duration time.Duration

	Bitrate   int           // bits per second
	UnitBytes int           // payload of a unit
	KeyEvery  time.Duration // distance of key units

	SourceUpload  float64 // in streams; a cap that the source knows
	Upload        float64 // mean upload of viewers, in streams
	SupportUpload float64 // of each support node, in streams
	NoUpload      float64 // part of the viewers that have none to speak of
	Misjudged     float64 // viewers believe in an upload up to this part off
	Download      float64 // of each viewer, in streams

	Delay  [2]time.Duration // one way, least and most, drawn per pair
	Jitter time.Duration    // of each message, at most
	Loss   float64          // of packets; each costs its link a round trip

	JoinOver   time.Duration // viewers join within this time
	Session    time.Duration // mean session; viewers are replaced; 0: they stay
	LateJoiner int           // viewers that join when the swarm is settled
	LateAt     time.Duration

	KillAt     time.Duration
	KillShare  float64
	KillSilent bool // their links look alive for 10 s

	SourceDownAt  time.Duration
	SourceDownFor time.Duration

	NAT       float64 // part of the viewers that take no connections
	Symmetric float64 // part of those whose NAT no hole can be punched into
	Punch     float64 // part of the other pairs that can

	Goal  Goal // what is wanted
	Limit Goal // what a run must keep to, where that is less than wanted
}

// Goal is what a run is measured by; a figure of 0 is not asked for.
type Goal struct {
	SpreadP50, SpreadP99 time.Duration // from source to viewer, of units made after the viewer started
	Missing              float64       // part of the units not there 3 s after they were made
	JoinP50, JoinP95     time.Duration // from joining to the first unit at the player
	LateP50, LateP95     time.Duration // the same of late joiners
	BufferedP90          time.Duration // from joining to a second of media at the player
	Control              float64       // part of the bytes
	Duplicates           float64       // part of the units
	SourceStreams        float64       // streams the source sent, over any second
	Resume               time.Duration // from the return of the source to units at every player
	Stall                time.Duration // longest time that a player got nothing
	NeverStarted         int
}

// acceptance are the goals of a swarm with enough upload.
var acceptance = Goal{
	SpreadP50: 500 * time.Millisecond, SpreadP99: 1200 * time.Millisecond, Missing: 0.0001,
	Control: 0.02, Duplicates: 0.03,
}

// limit is what every run keeps to.
var limit = Goal{
	SpreadP50: 600 * time.Millisecond, SpreadP99: 2500 * time.Millisecond, Missing: 0.01,
	Control: 0.02, Duplicates: 0.09, SourceStreams: 3.3,
}

// base is the swarm that the others are variations of.
func base(name string) Scenario {
	return Scenario{
		Name: name, Seed: 1, Viewers: 100, Duration: 40 * time.Second,
		Bitrate: 4_000_000, UnitBytes: 16356, KeyEvery: time.Second,
		SourceUpload: 3, Upload: 1.6, NoUpload: 0.1, Download: 10,
		Delay: [2]time.Duration{10 * time.Millisecond, 80 * time.Millisecond}, Jitter: 5 * time.Millisecond,
		JoinOver: 10 * time.Second, Goal: acceptance, Limit: limit,
	}
}

// Scenarios returns the table. Each is named once.
func Scenarios() []Scenario {
	vary := func(name string, change func(*Scenario)) Scenario {
		s := base(name)
		change(&s)
		return s
	}
	return []Scenario{
		vary("reference", func(s *Scenario) {
			s.LateJoiner, s.LateAt = 20, 25*time.Second
			s.Goal.LateP50, s.Goal.LateP95 = time.Second, 2500*time.Millisecond
			s.Goal.BufferedP90 = 4 * time.Second
			s.Goal.SourceStreams = 3.3
		}),
		vary("weak source", func(s *Scenario) {
			s.SourceUpload = 1.2
			s.Goal.SourceStreams, s.Limit.SourceStreams = 1.32, 1.32
		}),
		vary("scarce", func(s *Scenario) {
			s.SourceUpload, s.Upload = 1.5, 1.3
			s.Goal.SpreadP50, s.Goal.SpreadP99, s.Goal.Missing = 0, 3*time.Second, 0.001
		}),
		vary("killed", func(s *Scenario) {
			s.KillAt, s.KillShare = 25*time.Second, 0.3
			s.Goal.Missing, s.Goal.Stall = 0.001, 2*time.Second
		}),
		vary("killed silently", func(s *Scenario) {
			s.KillAt, s.KillShare, s.KillSilent = 25*time.Second, 0.3, true
			s.Goal.Missing, s.Goal.Stall = 0.001, 2*time.Second
		}),
		vary("churn", func(s *Scenario) {
			s.Session = time.Minute
			s.Goal.SpreadP99, s.Goal.Missing = 3*time.Second, 0.001
		}),
		vary("nat punched", func(s *Scenario) {
			s.NAT, s.Punch = 0.6, 0.6
		}),
		vary("nat supported", func(s *Scenario) {
			s.NAT, s.Symmetric, s.Punch = 0.8, 0.3, 0.6
			s.Support, s.SupportUpload = 3, 8
		}),
		vary("lossy", func(s *Scenario) {
			s.Loss = 0.01
		}),
		vary("far", func(s *Scenario) {
			s.Delay = [2]time.Duration{50 * time.Millisecond, 200 * time.Millisecond}
			s.Upload = 2
			s.Goal.SpreadP50, s.Goal.SpreadP99 = 0, 2*time.Second
		}),
		vary("misjudged", func(s *Scenario) {
			s.Misjudged = 0.3
			s.Goal.SpreadP50, s.Goal.SpreadP99, s.Goal.Missing = 0, 2*time.Second, 0.01
		}),
		vary("source restarted", func(s *Scenario) {
			s.SourceDownAt, s.SourceDownFor = 20*time.Second, 3*time.Second
			s.Goal.Resume, s.Limit.Resume = 5*time.Second, 5*time.Second
			s.Goal.SpreadP50, s.Goal.SpreadP99 = 0, 0
		}),
		vary("thousand", func(s *Scenario) {
			s.Viewers, s.JoinOver, s.Duration = 1000, 20*time.Second, 40*time.Second
			s.Goal.SpreadP50, s.Goal.SpreadP99 = 0, 1200*time.Millisecond
		}),
	}
}
