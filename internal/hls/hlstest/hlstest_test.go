package hlstest

import (
	"strings"
	"testing"
)

// good is a playlist that keeps all rules, and next one that may follow it.
const good = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=6.00000
#EXT-X-PART-INF:PART-TARGET=2.00000
#EXT-X-MEDIA-SEQUENCE:4
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:00.000Z
#EXT-X-PART:DURATION=2.00000,URI="4.0.ts",INDEPENDENT=YES
#EXT-X-PART:DURATION=2.00000,URI="4.1.ts"
#EXTINF:4.00000,
4.ts
#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:04.000Z
#EXT-X-PART:DURATION=2.00000,URI="5.0.ts",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.00000,URI="5.1.ts"
#EXTINF:3.00000,
5.ts
#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:07.000Z
#EXT-X-PART:DURATION=2.00000,URI="6.0.ts",INDEPENDENT=YES
#EXT-X-PART:DURATION=2.00000,URI="6.1.ts"
#EXTINF:4.00000,
6.ts
#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:11.000Z
#EXT-X-PART:DURATION=2.00000,URI="7.0.ts",INDEPENDENT=YES
#EXT-X-PART:DURATION=2.00000,URI="7.1.ts"
#EXTINF:4.00000,
7.ts
#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:15.000Z
#EXT-X-PART:DURATION=2.00000,URI="8.0.ts",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="8.1.ts"
`

var next = func() string {
	s := strings.Replace(good, "SEQUENCE:4\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-DISCONTINUITY\n", "SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n", 1)
	from, to := strings.Index(s, "#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:00"), strings.Index(s, "#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:04")
	s = s[:from] + s[to:]
	return strings.Replace(s, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="8.1.ts"`, `#EXT-X-PART:DURATION=2.00000,URI="8.1.ts"
#EXTINF:4.00000,
8.ts
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="9.0.ts"`, 1)
}()

func TestGoodPlaylists(t *testing.T) {
	t.Parallel()
	var f Follower
	for _, text := range []string{good, good, next} {
		if _, err := f.Check([]byte(text)); err != nil {
			t.Error(err)
		}
	}
}

// Each rule is found broken when it is.
func TestBadPlaylists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new string }{
		{"no header", "#EXTM3U\n", "#EXTM3U8\n"},
		{"segment longer than the target", "#EXTINF:3.00000", "#EXTINF:4.60000"},
		{"parts do not add up", "#EXTINF:3.00000", "#EXTINF:3.10000"},
		{"no version for fractions", "VERSION:6", "VERSION:2"},
		{"no version for parts", "VERSION:6", "VERSION:3"},
		{"part longer than the target", `DURATION=1.00000,URI="5.1.ts"`, `DURATION=2.10000,URI="5.1.ts"`},
		{"short part within a segment", `DURATION=2.00000,URI="8.0.ts",INDEPENDENT=YES`, `DURATION=1.00000,URI="8.0.ts"`},
		{"hold back too short", "PART-HOLD-BACK=6", "PART-HOLD-BACK=5"},
		{"no hint", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.1.ts\"\n", ""},
		{"no part target", "#EXT-X-PART-INF:PART-TARGET=2.00000\n", ""},
		{"sequence behind a segment", "#EXTINF:3", "#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXTINF:3"},
		{"a tag twice", "#EXT-X-VERSION:6\n", "#EXT-X-VERSION:6\n#EXT-X-VERSION:6\n"},
		{"a URI without duration", "#EXTINF:3.00000,\n", ""},
		{"a duration without URI", "8.1.ts\"\n", "8.1.ts\"\n#EXTINF:3.00000,\n"},
		{"an unknown tag", "#EXTM3U\n", "#EXTM3U\n#EXT-X-FANCY\n"},
		{"the same URI twice", "\n6.ts", "\n5.ts"},
		{"dates that leave a gap", "12:00:07.000Z", "12:00:07.100Z"},
		{"no date", "#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:07.000Z\n", ""},
		{"the last line does not end", "8.1.ts\"\n", "8.1.ts\""},
	} {
		broken := strings.Replace(good, c.old, c.new, 1)
		if broken == good {
			t.Fatalf("%s: nothing to replace", c.name)
		}
		if _, err := new(Follower).Check([]byte(broken)); err == nil {
			t.Errorf("%s: not found", c.name)
		}
	}
	for _, c := range []struct{ name, old, new string }{
		{"another target duration", "TARGETDURATION:4", "TARGETDURATION:5"},
		{"the sequence goes back", "MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:3"},
		{"segments change their numbers", "MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:6"},
		{"a discontinuity is not counted", "DISCONTINUITY-SEQUENCE:2", "DISCONTINUITY-SEQUENCE:1"},
		{"a segment becomes discontinuous", "#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:11", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2020-01-01T12:00:11"},
		{"a part of a growing segment changes", `DURATION=2.00000,URI="8.0.ts",INDEPENDENT=YES`, `DURATION=2.00000,URI="8.0.ts"`},
		{"a URI changes", "\n6.ts", "\n6a.ts"},
	} {
		broken := strings.Replace(next, c.old, c.new, 1)
		if broken == next {
			t.Fatalf("%s: nothing to replace", c.name)
		}
		var f Follower
		if _, err := f.Check([]byte(good)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Check([]byte(broken)); err == nil {
			t.Errorf("%s: not found", c.name)
		}
	}
}
