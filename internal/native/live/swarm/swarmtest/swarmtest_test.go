package swarmtest_test

import (
	"flag"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native/live/swarm/swarmtest"
)

var large = flag.Bool("swarmtest.large", false, "run the scenarios with more than 100 viewers")

func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, s := range swarmtest.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if s.Viewers > 100 && !*large {
				t.Skip("more than 100 viewers: run with -swarmtest.large")
			}
			began := time.Now()
			report := swarmtest.Run(s)
			t.Logf("%v | %v", report, time.Since(began).Round(time.Millisecond))
			for _, short := range report.Short(s.Goal) {
				t.Logf("not as wanted: %s", short)
			}
			for _, short := range report.Short(s.Limit) {
				t.Error(short)
			}
			for _, fault := range report.Faults {
				t.Error(fault)
			}
		})
	}
}
