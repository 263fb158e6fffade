package auth

import (
	"net/netip"
	"time"
)

// Rule says who may do something without a key or a login.
type Rule string

// The rules.
const (
	Open    Rule = "open" // everybody
	LAN     Rule = "lan"  // who is on the local network
	KeyOnly Rule = "key"  // nobody
)

// Fixed is a key that the settings hold.
type Fixed struct {
	Name   string // of the setting
	Secret Digest
	Scope  Scope
}

// Policy is what the settings say about access. It is not changed once a
// [Guard] has it.
type Policy struct {
	Playback         Rule
	PlaybackNetworks []netip.Prefix // play as the local network does
	Metrics          Rule
	Trusted          []netip.Prefix // may do what TrustedScope covers
	TrustedScope     Scope
	Proxies          []netip.Prefix // believed about whom they speak for
	SessionLife      time.Duration
	Fixed            []Fixed
}
