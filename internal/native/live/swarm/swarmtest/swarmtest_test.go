package swarmtest_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/native/live/swarm/swarmtest"
)

var all = flag.Bool("swarmtest.all", false, "run every scenario, not only some of those with 100 viewers")

// always are the scenarios that every run of the tests has time for.
var always = []string{"reference", "killed"}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, s := range swarmtest.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if !*all && !slices.Contains(always, s.Name) {
				t.Skip("takes seconds: run with -swarmtest.all")
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

// small returns a scenario with 30 viewers.
func small(change func(*swarmtest.Scenario)) swarmtest.Scenario {
	s := swarmtest.Scenarios()[0]
	s.Name, s.Viewers, s.LateJoiner, s.JoinOver, s.Duration = "small", 30, 0, 3*time.Second, 12*time.Second
	change(&s)
	return s
}

func TestRunsAreRepeatable(t *testing.T) {
	t.Parallel()
	s := small(func(s *swarmtest.Scenario) {
		s.Loss, s.Session, s.NAT, s.Punch = 0.01, 20*time.Second, 0.5, 0.5
	})
	if diff := cmp.Diff(swarmtest.Run(s), swarmtest.Run(s)); diff != "" {
		t.Errorf("two runs differ: %s", diff)
	}
	other := s
	other.Seed = 2
	if cmp.Equal(swarmtest.Run(s).Spread, swarmtest.Run(other).Spread) {
		t.Error("another seed makes no other run")
	}
}

// TestScarcityShows checks the judge: a swarm with half the upload it needs
// must not look well.
func TestScarcityShows(t *testing.T) {
	t.Parallel()
	s := small(func(s *swarmtest.Scenario) { s.Upload, s.SourceUpload = 0.4, 1.2 })
	if short := swarmtest.Run(s).Short(s.Goal); len(short) == 0 {
		t.Error("a swarm with half the upload it needs reaches every goal")
	}
}
