package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// memory is a vault in memory.
type memory struct {
	mu       sync.Mutex
	users    map[string]User
	keys     map[Digest]Key
	sessions map[Digest]Session
	touched  map[string]time.Time
	broken   error
}

func newMemory() *memory {
	return &memory{users: map[string]User{}, keys: map[Digest]Key{}, sessions: map[Digest]Session{}, touched: map[string]time.Time{}}
}

func (m *memory) User(_ context.Context, name string) (User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u, ok := m.users[name]; ok {
		return u, m.broken
	}
	return User{}, errors.Join(ErrNone, m.broken)
}

func (m *memory) PutUser(_ context.Context, u User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users[u.Name] = u
	clear(m.sessions)
	return m.broken
}

func (m *memory) Key(_ context.Context, d Digest) (Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return Key{}, m.broken
	}
	if k, ok := m.keys[d]; ok {
		return k, nil
	}
	return Key{}, ErrNone
}

func (m *memory) Keys(context.Context) ([]Key, error) { return nil, m.broken }

func (m *memory) AddKey(_ context.Context, k Key, d Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[d] = k
	return m.broken
}

func (m *memory) DropKey(context.Context, string) error { return m.broken }

func (m *memory) Session(_ context.Context, d Digest) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.sessions[d]; ok {
		return s, nil
	}
	return Session{}, ErrNone
}

func (m *memory) Sessions(context.Context) ([]Session, error) { return nil, m.broken }

func (m *memory) AddSession(_ context.Context, s Session, d Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[d] = s
	return m.broken
}

func (m *memory) DropSession(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d, s := range m.sessions {
		if s.ID == id {
			delete(m.sessions, d)
			return nil
		}
	}
	return ErrNone
}

func (m *memory) Touch(id string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.touched[id] = at
}

func guard(m *memory, p Policy) *Guard {
	if p.SessionLife == 0 {
		p.SessionLife = time.Hour
	}
	return New(m, p, slog.New(slog.DiscardHandler))
}

func from(addr string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://192.168.1.1/api/v1/me", nil)
	r.RemoteAddr = addr
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func reason(err error) Reason {
	if d, ok := errors.AsType[*Denied](err); ok {
		return d.Reason
	}
	if err != nil {
		return Reason(err.Error())
	}
	return ""
}

func networks(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	n, err := ParseNetworks(texts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false, strings.Repeat("x", 5000): false} {
		if got, err := CheckPassword(hash, password); err != nil || got != want {
			t.Errorf("%.20q: %v, %v", password, got, err)
		}
	}
	if other, _ := HashPassword("correct horse"); other == hash {
		t.Error("the same password has the same hash twice")
	}
	for _, bad := range []string{"short", strings.Repeat("x", 1025), ""} {
		if _, err := HashPassword(bad); !errors.Is(err, ErrPassword) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
	for _, broken := range []string{
		"", "plain", strings.Replace(hash, "argon2id", "argon2i", 1), strings.Replace(hash, "m=19456", "m=99999999", 1),
		strings.Replace(hash, "t=2", "t=0", 1), strings.Replace(hash, "p=1", "p=0", 1), hash[:strings.LastIndex(hash, "$")+1], hash + "$",
	} {
		if ok, err := CheckPassword(broken, "correct horse"); ok || err == nil {
			t.Errorf("%q: %v, %v", broken, ok, err)
		}
	}
	if made := NewPassword(); len(made) != 23 || made == NewPassword() {
		t.Errorf("made %q", made)
	}
}

func TestHashesOfStrangersNeverPanic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.OneOf(rapid.String(), rapid.StringMatching(`\$argon2id\$v=19\$m=[0-9]{1,3},t=[0-9],p=[0-9]{1,3}\$[A-Za-z0-9+/]{0,12}\$[A-Za-z0-9+/]{0,12}`)).Draw(t, "hash")
		if ok, _ := CheckPassword(hash, "x"); ok {
			t.Fatalf("%q takes any password", hash)
		}
	})
}

func TestScopesAreALadder(t *testing.T) {
	t.Parallel()
	for i, s := range Scopes {
		for j, needed := range Scopes {
			if s.Covers(needed) != (i >= j) {
				t.Errorf("%s covers %s: %v", s, needed, s.Covers(needed))
			}
		}
		if Nobody.Covers(s) || Scope("root").Covers(s) {
			t.Errorf("nobody covers %s", s)
		}
	}
}

func TestWhoAsks(t *testing.T) {
	t.Parallel()
	proxies := networks(t, "10.0.0.2", "10.1.0.0/16", "fd00::/8")
	for name, test := range map[string]struct {
		peer, forwarded, want string
	}{
		"direct":                   {"192.168.1.5:1", "", "192.168.1.5"},
		"IPv4 in IPv6":             {"[::ffff:192.168.1.5]:1", "", "192.168.1.5"},
		"zone":                     {"[fe80::1%eth0]:1", "", "fe80::1"},
		"known proxy":              {"10.0.0.2:1", "203.0.113.7", "203.0.113.7"},
		"known proxy with port":    {"10.0.0.2:1", "203.0.113.7:55", "203.0.113.7"},
		"known proxy, IPv6":        {"[fd00::1]:1", "2001:db8::7", "2001:db8::7"},
		"two known proxies":        {"10.0.0.2:1", "203.0.113.7, 10.1.2.3", "203.0.113.7"},
		"an invented hop":          {"10.0.0.2:1", "192.168.1.5, 203.0.113.7", "203.0.113.7"},
		"proxies only":             {"10.0.0.2:1", "10.1.2.3", "10.1.2.3"},
		"unknown proxy":            {"10.0.0.3:1", "192.168.1.5", "invalid IP"},
		"garbage of a known proxy": {"10.0.0.2:1", "unknown", "invalid IP"},
		"no address":               {"@", "", "invalid IP"},
	} {
		r := from(test.peer)
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := client(r, proxies).String(); got != test.want {
			t.Errorf("%s: %s; want %s", name, got, test.want)
		}
	}
}

// Whatever a stranger's headers say, they do not make an address of theirs one
// of the local network.
func TestHeadersDoNotMakeALAN(t *testing.T) {
	t.Parallel()
	g := guard(newMemory(), Policy{Playback: LAN, Metrics: LAN})
	rapid.Check(t, func(t *rapid.T) {
		r := from("203.0.113.7:1")
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Host"} {
			if rapid.Bool().Draw(t, name) {
				r.Header.Set(name, rapid.SampledFrom([]string{"127.0.0.1", "192.168.1.1", "::1", "for=10.0.0.1", "x"}).Draw(t, name+" value"))
			}
		}
		if g.AdmitPlayback(r) == nil || g.AdmitMetrics(r) == nil {
			t.Fatalf("let in with %v", r.Header)
		}
	})
}

func TestPlaybackRules(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy Policy
		addr   string
		want   Reason
	}{
		"open":            {Policy{Playback: Open}, "203.0.113.7:1", ""},
		"lan, inside":     {Policy{Playback: LAN}, "10.9.8.7:1", ""},
		"lan, ULA":        {Policy{Playback: LAN}, "[fd12::1]:1", ""},
		"lan, link-local": {Policy{Playback: LAN}, "[fe80::1%2]:1", ""},
		"lan, outside":    {Policy{Playback: LAN}, "203.0.113.7:1", LoginNeeded},
		"lan, shared":     {Policy{Playback: LAN}, "100.64.0.1:1", LoginNeeded},
		"lan, named":      {Policy{Playback: LAN, PlaybackNetworks: networks(t, "100.64.0.0/10")}, "100.64.0.1:1", ""},
		"key, inside":     {Policy{Playback: KeyOnly}, "127.0.0.1:1", LoginNeeded},
	} {
		if got := reason(guard(newMemory(), test.policy).AdmitPlayback(from(test.addr))); got != test.want {
			t.Errorf("%s: %q; want %q", name, got, test.want)
		}
	}
}

func TestTrustedNetworks(t *testing.T) {
	t.Parallel()
	g := guard(newMemory(), Policy{Trusted: networks(t, "192.168.1.0/24"), TrustedScope: Operate})
	for name, test := range map[string]struct {
		addr, host string
		needed     Scope
		want       Reason
	}{
		"inside":        {"192.168.1.5:1", "192.168.1.1:6878", Operate, ""},
		"by name":       {"192.168.1.5:1", "tv-box", Operate, ""},
		"by local name": {"192.168.1.5:1", "acequia.lan:6878", Read, ""},
		"not more":      {"192.168.1.5:1", "192.168.1.1", Admin, Forbidden},
		"outside":       {"192.168.2.5:1", "192.168.1.1", Read, LoginNeeded},
		"DNS rebinding": {"192.168.1.5:1", "evil.example:6878", Read, LoginNeeded},
	} {
		r := from(test.addr)
		r.Host = test.host
		if _, err := g.Admit(r, test.needed); reason(err) != test.want {
			t.Errorf("%s: %v; want %q", name, err, test.want)
		}
	}
}

func TestKeysInEveryForm(t *testing.T) {
	t.Parallel()
	m := newMemory()
	_, secret, err := NewKey(t.Context(), m, "tests", Read, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	_, old, err := NewKey(t.Context(), m, "old", Read, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	g := guard(m, Policy{Playback: KeyOnly, Fixed: []Fixed{{Name: "auth.read_key", Secret: DigestOf("fixed"), Scope: Read}}})
	basic := from("127.0.0.1:1")
	basic.SetBasicAuth("anybody", secret)
	for name, test := range map[string]struct {
		r    *http.Request
		want Reason
	}{
		"bearer":      {from("127.0.0.1:1", "Authorization", "Bearer "+secret), ""},
		"lower case":  {from("127.0.0.1:1", "Authorization", "bearer "+secret), ""},
		"X-API-Key":   {from("127.0.0.1:1", "X-API-Key", secret), ""},
		"basic":       {basic, ""},
		"of settings": {from("127.0.0.1:1", "X-API-Key", "fixed"), ""},
		"none":        {from("127.0.0.1:1"), LoginNeeded},
		"wrong":       {from("127.0.0.1:1", "X-API-Key", secret+"x"), BadKey},
		"expired":     {from("127.0.0.1:1", "X-API-Key", old), BadKey},
		"no session":  {from("127.0.0.1:1", "X-API-Key", sessionPrefix+"x"), BadKey},
		"old cookie":  {from("127.0.0.1:1", "Cookie", CookieName+"=x"), LoginNeeded},
	} {
		if _, err := g.Admit(test.r, Read); reason(err) != test.want {
			t.Errorf("%s: %v; want %q", name, err, test.want)
		}
	}
	token := from("203.0.113.7:1")
	token.URL.RawQuery = "token=" + secret
	if err := g.AdmitPlayback(token); err != nil {
		t.Errorf("token in the address of a playback: %v", err)
	}
	if _, err := g.Admit(token, Read); reason(err) != LoginNeeded {
		t.Errorf("token in the address of the API: %v", err)
	}
	m.broken = errors.New("disk on fire")
	if _, err := g.Admit(from("127.0.0.1:1", "X-API-Key", "acq_x"), Read); err == nil || reason(err) == BadKey {
		t.Errorf("a broken vault: %v", err)
	}
}

func TestLoginAndGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		made, err := EnsureAdmin(t.Context(), m, "")
		if err != nil || made == "" {
			t.Fatal(made, err)
		}
		if again, err := EnsureAdmin(t.Context(), m, ""); err != nil || again != "" {
			t.Errorf("%q, %v", again, err)
		}
		g := guard(m, Policy{SessionLife: time.Hour})
		session, secret, err := g.Login(from("203.0.113.7:1"), AdminUser, made)
		if err != nil || session.Scope != Admin {
			t.Fatal(session, err)
		}
		in := from("203.0.113.7:1", "Cookie", CookieName+"="+secret)
		who, err := g.Admit(in, Admin)
		if err != nil || who.Via != BySession {
			t.Errorf("%+v, %v", who, err)
		}
		for range 20 { // logging in is no guess
			if _, _, err := g.Login(from("203.0.113.7:1"), AdminUser, made); err != nil {
				t.Fatal(err)
			}
		}
		for range guessBurst {
			if _, _, err := g.Login(from("203.0.113.7:1"), "nobody", "guess"); reason(err) != BadPassword {
				t.Fatal(err)
			}
		}
		_, _, err = g.Login(from("203.0.113.7:1"), AdminUser, made)
		if d, ok := errors.AsType[*Denied](err); !ok || d.Reason != TooMany || d.RetryAfter <= 0 || d.RetryAfter > guessEvery {
			t.Errorf("after too many guesses: %+v", err)
		}
		if _, _, err := g.Login(from("203.0.113.8:1"), AdminUser, made); err != nil {
			t.Errorf("another address pays for it: %v", err)
		}
		time.Sleep(guessEvery)
		if _, _, err := g.Login(from("203.0.113.7:1"), AdminUser, made); err != nil {
			t.Errorf("it is never forgiven: %v", err)
		}
		time.Sleep(time.Hour)
		if _, err := g.Admit(in, Read); reason(err) != LoginNeeded {
			t.Errorf("a session that is over: %v", err)
		}
		if err := g.ChangePassword(from("203.0.113.9:1"), AdminUser, "wrong", "long enough"); reason(err) != BadPassword {
			t.Errorf("%v", err)
		}
		if err := g.ChangePassword(from("203.0.113.9:1"), AdminUser, made, "long enough"); err != nil {
			t.Errorf("%v", err)
		}
		if _, _, err := g.Login(from("203.0.113.9:1"), AdminUser, "long enough"); err != nil {
			t.Errorf("%v", err)
		}
		if _, err := EnsureAdmin(t.Context(), m, "of the settings"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.Login(from("203.0.113.9:1"), AdminUser, "of the settings"); err != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := guard(newMemory(), Policy{})
		for range requestBurst {
			if _, err := g.Admit(from("203.0.113.7:1"), Nobody); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := g.Admit(from("203.0.113.7:2"), Nobody); reason(err) != TooMany {
			t.Errorf("%v", err)
		}
		for i := range 3 * mostAddresses { // memory is bounded
			g.requests.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		if n := len(g.requests.each); n > mostAddresses {
			t.Errorf("%d addresses are remembered", n)
		}
		a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
		if g.requests.of(a) != g.requests.of(b) {
			t.Error("each address of an IPv6 network has a limit of its own")
		}
	})
}
