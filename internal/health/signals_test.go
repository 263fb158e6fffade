package health_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/health"
)

// healthy returns the record of an engine that has answered.
func healthy() health.Record {
	return health.DefaultPolicy.Probe(health.New(start), start, nil)
}

func expect(t *testing.T, r health.Record, want health.State, reason string) {
	t.Helper()
	if r.State != want || !strings.Contains(r.Reason, reason) {
		t.Errorf("it is %s because %q, not %s because of %q", r.State, r.Reason, want, reason)
	}
}

func TestSlowOpens(t *testing.T) {
	t.Parallel()
	p, r := health.DefaultPolicy, healthy()
	for _, content := range []string{"a", "a", "b"} {
		r = p.Opened(r, start, content, p.SlowOpen)
	}
	expect(t, r, health.Healthy, "")
	slow := p.Opened(p.Played(r, start), start, "c", p.SlowOpen)
	expect(t, slow, health.Degraded, "took 20s or more to open")
	expect(t, p.Opened(slow, start, "d", p.SlowOpen-1), health.Healthy, "")
	expect(t, p.Probe(slow, start.Add(p.Forget), nil), health.Healthy, "")
}

func TestSilentContents(t *testing.T) {
	t.Parallel()
	p, r := health.DefaultPolicy, healthy()
	for n := range p.SilentFall - 1 {
		r = p.Silent(r, start, fmt.Sprint(n))
	}
	expect(t, r, health.Healthy, "")
	expect(t, p.Silent(p.Played(r, start), start, "x"), health.Healthy, "")
	r = p.Silent(r, start, "x")
	expect(t, r, health.Degraded, "sent nothing")
	expect(t, p.Played(r, start), health.Healthy, "")
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	p, r := health.DefaultPolicy, healthy()
	for range p.OfflineFall - 1 {
		r = p.Network(r, start, false)
	}
	expect(t, r, health.Healthy, "")
	expect(t, p.Network(p.Network(r, start, true), start, false), health.Healthy, "")
	r = p.Network(r, start, false)
	expect(t, r, health.Degraded, "not connected")
	expect(t, p.Network(r, start, true), health.Healthy, "")
}

func TestPeers(t *testing.T) {
	t.Parallel()
	p, r := health.DefaultPolicy, healthy()
	r = p.Peers(r, start, false)
	r = p.Peers(r, start.Add(p.LonelyFor-1), false)
	expect(t, r, health.Healthy, "")
	met := p.Peers(r, start.Add(p.LonelyFor-1), true)
	expect(t, p.Peers(met, start.Add(p.LonelyFor), false), health.Healthy, "")
	r = p.Peers(r, start.Add(p.LonelyFor), false)
	expect(t, r, health.Degraded, "peer")
	expect(t, p.Peers(r, start.Add(p.LonelyFor), true), health.Healthy, "")
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	p, r, at := health.DefaultPolicy, healthy(), start
	for range p.RestartFall {
		expect(t, r, health.Healthy, "")
		at = at.Add(time.Minute)
		r = p.Restarted(r, at)
		expect(t, r, health.Starting, "")
		r = p.Probe(r, at, nil)
	}
	expect(t, r, health.Degraded, "restarted 3 times")
	expect(t, p.Probe(r, at.Add(p.RestartWindow), nil), health.Healthy, "")
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	p := health.QuarantinePolicy{Deaths: 2, For: time.Minute}
	kept := func(q health.Quarantine, at time.Time, content string) bool {
		_, _, is := p.Until(q, at, content)
		return is
	}
	once := p.Died(health.Quarantine{}, start, "engine-1", []string{"a", "b", ""})
	if q := p.Died(once, start, "engine-1", []string{"a"}); kept(q, start, "a") {
		t.Error("one engine counted twice")
	}
	twice := p.Died(once, start.Add(30*time.Second), "engine-2", []string{"a", ""})
	if !kept(twice, start.Add(30*time.Second), "a") || kept(twice, start.Add(30*time.Second), "b") || kept(twice, start.Add(30*time.Second), "") {
		t.Errorf("kept away: %q", p.List(twice, start.Add(30*time.Second)))
	}
	if kept(once, start.Add(30*time.Second), "a") {
		t.Error("the value from before has changed")
	}
	until, deaths, _ := p.Until(twice, start.Add(30*time.Second), "a")
	if deaths != 2 || !until.Equal(start.Add(90*time.Second)) || kept(twice, until, "a") {
		t.Errorf("%d deaths, until %s", deaths, until)
	}
	if q := p.Died(once, start.Add(time.Minute), "engine-2", []string{"a"}); kept(q, start.Add(time.Minute), "a") {
		t.Error("a death counted for too long")
	}
	if off := (health.QuarantinePolicy{}); len(off.List(off.Died(twice, start, "engine-3", []string{"a"}), start)) != 0 {
		t.Error("kept away though that is off")
	}
	many := health.Quarantine{}
	for n := range 1500 {
		many = p.Died(many, start, "engine-1", []string{fmt.Sprint(n)})
	}
	many = p.Died(many, start, "engine-2", []string{"1499"})
	if got := p.List(many, start); len(got) != 1 {
		t.Errorf("kept away: %q", got)
	}
}
