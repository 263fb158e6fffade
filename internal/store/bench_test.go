package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/auth"
)

// BenchmarkKey measures what a request with a key costs beside the request.
func BenchmarkKey(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), FileName), Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	_, secret, err := auth.NewKey(b.Context(), s, "bench", auth.Read, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Key(b.Context(), auth.DigestOf(secret)); err != nil {
			b.Fatal(err)
		}
	}
}
