package auth

// Scope is what somebody may do. Each includes those before it.
type Scope string

// The scopes, the weakest first.
const (
	Nobody  Scope = ""        // no key and no login
	Play    Scope = "play"    // play content
	Read    Scope = "read"    // see everything but secrets
	Operate Scope = "operate" // act on engines, streams and viewers
	Admin   Scope = "admin"   // change settings, keys and passwords; take backups
)

// Scopes lists what a key can be given, the weakest first.
var Scopes = []Scope{Play, Read, Operate, Admin}

// rank orders the scopes. An unknown one is below all.
func (s Scope) rank() int {
	for i, known := range Scopes {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// Covers tells whether who has s may do what needs the other.
func (s Scope) Covers(needed Scope) bool { return s.rank() >= needed.rank() }
