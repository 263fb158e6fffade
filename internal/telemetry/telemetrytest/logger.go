// Package telemetrytest gives tests a logger that writes into the test's own
// output.
package telemetrytest

import (
	"log/slog"
	"testing"

	"github.com/acequia-tv/acequia/internal/telemetry"
)

// Logger returns a logger of every level whose lines appear with the test that
// wrote them, when it fails or with go test -v. The logger must not be used
// after the test has ended.
func Logger(t testing.TB) *slog.Logger {
	return telemetry.NewLogger(t.Output(), telemetry.Text, slog.LevelDebug)
}
