package app

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/config"
)

// apiClient is a client of the server with a key.
func apiClient(t *testing.T, base, key string) *client.Client {
	t.Helper()
	c, err := client.New(base, client.WithKey(key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whoever asks for slots over the API gets those there are, and is told why
// there is none.
func TestSlotsAreLent(t *testing.T) {
	t.Parallel()
	s := apiServer(t, config.Setting{Name: "pool.streams_per_engine", Text: "1"})
	c := apiClient(t, s.base, operateKey)
	first, err := c.Lease(t.Context(), client.NewLease{Content: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if first.ID == "" || first.Engine.URL == "" || first.Expires <= 0 || first.Borrower != "auth.operate_key" {
		t.Errorf("%+v", first)
	}
	_, err = c.Lease(t.Context(), client.NewLease{Content: "y", Wait: 1})
	if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Status != http.StatusServiceUnavailable ||
		refused.Code != "slot_full" || refused.RetryAfter < time.Second {
		t.Errorf("%v", err)
	}
	r := request(t, s, operateKey, "POST", "/leases", `{"content":"y"}`, nil)
	if !strings.Contains(r.Header().Get("Content-Type"), "problem+json") || r.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v %s", r.Code, r.Header(), r.Body)
	}
	if err := c.ReportLease(t.Context(), first.ID, client.LeaseReport{Outcome: "first_byte"}); err != nil {
		t.Error(err)
	}
	if n := s.pool.Snapshot().Counters.Outcomes["first_byte"]; n != 1 {
		t.Errorf("%d outcomes were counted", n)
	}
	if err := s.pool.Drain(first.Engine.ID); err != nil {
		t.Fatal(err)
	}
	again, err := c.RenewLease(t.Context(), first.ID, client.LeaseClaim{Content: "x", Engine: first.Engine.ID})
	if err != nil || again.Leaving == "" {
		t.Errorf("%+v, %v", again, err)
	}
	if list, err := c.Leases(t.Context()); err != nil || len(list) != 1 || list[0].ID != first.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.EndLease(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
	err = c.EndLease(t.Context(), first.ID)
	if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Code != "not_found" {
		t.Errorf("the second end: %v", err)
	}
	_, err = c.RenewLease(t.Context(), "lease-1", client.LeaseClaim{Content: "x", Engine: "static-1"})
	if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Code != "invalid" {
		t.Errorf("an id that is none: %v", err)
	}
}
