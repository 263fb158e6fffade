package health_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/health"
)

var (
	start  = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	errLow = errors.New("no answer")
	policy = health.Policy{Fall: 3, Rise: 2, PlaybackFall: 2, Forget: time.Minute, Grace: 10 * time.Second}
)

// play applies a story to a fresh record, one step per second: "+" a probe
// succeeds, "-" one fails, "p" content plays, a capital letter is a content
// that fails, "*" is a failure of a content without a name, "." a minute
// passes.
func play(story string) (health.Record, time.Time) {
	at := start
	r := health.New(at)
	for _, step := range story {
		at = at.Add(time.Second)
		switch step {
		case '+':
			r = policy.Probe(r, at, nil)
		case '-':
			r = policy.Probe(r, at, errLow)
		case 'p':
			r = policy.Played(r, at)
		case '*':
			r = policy.PlaybackFailed(r, at, "", errLow)
		case '.':
			at = at.Add(time.Minute)
		default:
			r = policy.PlaybackFailed(r, at, string(step), errLow)
		}
	}
	return r, at
}

func TestStories(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		story string
		want  health.State
		why   string
	}{
		{"", health.Starting, "nothing is known"},
		{"---------", health.Starting, "it has its grace"},
		{"----------", health.Unhealthy, "its grace is over"},
		{".-", health.Starting, "one miss condemns nobody"},
		{".--", health.Starting, "nor do two"},
		{".---", health.Unhealthy, "three do"},
		{"+", health.Healthy, "one answer is enough to start"},
		{"--+", health.Healthy, "slow starts are fine"},
		{".---+", health.Unhealthy, "one answer does not acquit"},
		{".---++", health.Healthy, "two do"},
		{"+--", health.Healthy, "two misses are borne"},
		{"+---", health.Unhealthy, "three are not"},
		{"+--+--", health.Healthy, "they count in a row only"},
		{"+---+", health.Unhealthy, "one answer does not acquit"},
		{"+---+-+", health.Unhealthy, "they count in a row only"},
		{"+---++", health.Healthy, "two in a row do"},
		{"+---++--", health.Healthy, "and then it is as good as before"},

		{"+A", health.Healthy, "one dead content condemns nobody"},
		{"+AB", health.Degraded, "two do"},
		{"+AAAA", health.Healthy, "the same one does not"},
		{"+ABA", health.Degraded, "again is not better"},
		{"+**", health.Degraded, "unnamed ones count each"},
		{"+ApB", health.Healthy, "one that plays acquits"},
		{"+ABp", health.Healthy, "also afterwards"},
		{"+AB+++", health.Degraded, "probes do not"},
		{"+AB.+", health.Healthy, "unless it is long ago"},
		{"+AB.", health.Degraded, "and somebody has looked"},
		{"+A.B+", health.Healthy, "nor does one after the other has been forgotten"},
		{"+AB---", health.Unhealthy, "silence is worse"},
		{"+AB---++", health.Degraded, "and does not make it forget"},
		{"AB", health.Starting, "it has to answer first"},
		{"AB+", health.Degraded, "and is judged then"},
	} {
		r, _ := play(test.story)
		if r.State != test.want {
			t.Errorf("%q: %s, not %s: %s", test.story, r.State, test.want, test.why)
		}
		if sick := r.State == health.Unhealthy || r.State == health.Degraded; sick != (r.Reason != "") {
			t.Errorf("%q: %s, because %q", test.story, r.State, r.Reason)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	r, at := play("+---")
	if !r.Since.Equal(at) {
		t.Errorf("unhealthy since %s, not %s", r.Since, at)
	}
	if !strings.Contains(r.Reason, "3 probes") || !strings.Contains(r.Reason, errLow.Error()) {
		t.Errorf("the reason is %q", r.Reason)
	}
	r = policy.Probe(r, at.Add(time.Second), errLow)
	if !r.Since.Equal(at) {
		t.Errorf("more of the same moved the change to %s", r.Since)
	}
	if r, _ := play("+-+"); r.LastError != errLow.Error() {
		t.Errorf("the last error is %q", r.LastError)
	}
}

// A record is a value: what comes of one copy does not reach another.
func TestRecordsAreIndependent(t *testing.T) {
	t.Parallel()
	r, at := play("+A")
	first := policy.PlaybackFailed(r, at, "B", errLow)
	second := policy.PlaybackFailed(r, at, "A", errLow)
	if first.State != health.Degraded || second.State != health.Healthy {
		t.Errorf("%s and %s", first.State, second.State)
	}
}

// Whatever happened, enough good news heals, and enough bad news condemns.
func TestEveryStateCanBeLeft(t *testing.T) {
	t.Parallel()
	stories := rapid.StringOf(rapid.RuneFrom([]rune("+-p.ABC*")))
	rapid.Check(t, func(t *rapid.T) {
		story := stories.Draw(t, "story")
		if r, _ := play(story + strings.Repeat("+", policy.Rise) + "p"); r.State != health.Healthy {
			t.Errorf("%q and good news: %s", story, r.State)
		}
		if r, _ := play(story + "." + strings.Repeat("-", policy.Fall)); r.State != health.Unhealthy {
			t.Errorf("%q and bad news: %s", story, r.State)
		}
	})
}
