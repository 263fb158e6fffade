package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/acequia-tv/acequia/internal/auth"
)

// The viewer's address is the player's own, told by a proxy that is trusted.
func TestPlayersBehindProxies(t *testing.T) {
	t.Parallel()
	s := &front{guard: auth.New(nil, auth.Policy{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, slog.New(slog.DiscardHandler))}
	for name, tt := range map[string]struct{ peer, forwarded, want string }{
		"no proxy":             {"192.0.2.1:5000", "", "192.0.2.1:5000"},
		"a stranger that lies": {"192.0.2.1:5000", "203.0.113.9", "192.0.2.1:5000"},
		"a proxy":              {"10.0.0.1:5000", "203.0.113.9", "203.0.113.9"},
		"a player that lies":   {"10.0.0.1:5000", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		"two proxies":          {"10.0.0.1:5000", "203.0.113.9, 10.0.0.2", "203.0.113.9"},
		"nonsense":             {"10.0.0.1:5000", "<b>", "10.0.0.1:5000"},
		"not a network":        {"@", "203.0.113.9", "@"},
	} {
		var got string
		h := s.tellingPlayers(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.peer
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
