package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawText draws any text that a setting may have, the odd ones included.
func drawText(t *rapid.T, label string) string {
	odd := []string{"null", "~", "true", "1_000", "0x10", "a: b", "#c", "- d", `\n`, `"`, "'", "é", "\u00a0", "\u200b", "𝄞", "{}", "%", " x ", "<<", "---"}
	return rapid.OneOf(
		rapid.SampledFrom(odd),
		rapid.StringMatching(`[ -~]{0,20}`),
		rapid.StringN(0, 20, -1).Filter(func(s string) bool { return Key{}.checkText(s) == nil }),
	).Draw(t, label)
}

// drawConfig draws a value for every key, within its bounds, but for secrets,
// which are not printed.
func drawConfig(t *rapid.T) Config {
	var c Config
	root := reflect.ValueOf(&c).Elem()
	for _, key := range configTree.keys {
		if key.Secret {
			continue // it is printed as a mask, which is not read back
		}
		key.set(root, drawValue(t, key))
	}
	return c
}

func drawValue(t *rapid.T, key Key) any {
	bounds := func(least, most int64) (int64, int64) {
		parse := func(text string, otherwise int64) int64 {
			if text == "" {
				return otherwise
			}
			value, err := key.parse(text)
			if err != nil {
				t.Fatal(err)
			}
			return reflect.ValueOf(value).Int()
		}
		return parse(key.Min, least), parse(key.Max, most)
	}
	number := func() int64 {
		least, most := bounds(0, 1<<50)
		return rapid.Int64Range(least, most).Draw(t, key.Name)
	}
	switch key.Kind {
	case Bool:
		return rapid.Bool().Draw(t, key.Name)
	case Int:
		return int(number())
	case Duration:
		return time.Duration(number())
	case Bytes:
		return Size(number())
	case List:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawText(t, "item") }), 0, 3).Draw(t, key.Name)
	default:
		if key.Enum != nil {
			return rapid.SampledFrom(key.Enum).Draw(t, key.Name)
		}
		return drawText(t, key.Name)
	}
}

func TestPrintedSettingsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawConfig(t)
		var out strings.Builder
		if err := (&Settings{Config: want}).WriteYAML(&out); err != nil {
			t.Fatal(err)
		}
		got, err := loadOnly(Sources{File: "f", ReadFile: disk{"f": out.String()}.read, Writable: never})
		if err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", diff, &out)
		}
	})
}

func TestArgumentsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawConfig(t)
		// A list in an argument is split at commas and trimmed.
		want.Engine.Peers = parseList(strings.Join(want.Engine.Peers, ","))
		want.Engine.Hosts = parseList(strings.Join(want.Engine.Hosts, ","))
		var flags []Setting
		for _, arg := range want.Arguments("engine") {
			name, text, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			flags = append(flags, Setting{name, text})
		}
		got, err := loadOnly(Sources{Flags: flags, ReadFile: disk{}.read, Writable: never})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Engine, got.Engine); diff != "" {
			t.Error(diff)
		}
	})
}

// loadOnly loads without the checks of whole settings.
func loadOnly(src Sources) (Config, error) {
	var c Config
	l := &loader{tree: configTree, src: src, root: reflect.ValueOf(&c).Elem()}
	_, err := l.load()
	return c, err
}

func TestPrintShowsOrigins(t *testing.T) {
	t.Parallel()
	settings, err := Load(from(disk{homeFile: "pool.min: 3\n"}, []string{"ACEQUIA_LOG_LEVEL=debug"}, Setting{"listen", ":80"}))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := settings.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]bool)
	for line := range strings.Lines(out.String()) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		`listen: ":80" # flag --listen`,
		`level: debug # environment ACEQUIA_LOG_LEVEL`,
		`min: 3 # ` + homeFile + `:1`,
		`max: 6 # default`,
	} {
		if !lines[want] {
			t.Errorf("no line %q in\n%s", want, &out)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0": 0, "250ms": 250 * time.Millisecond, "1m": time.Minute, "1m30s": 90 * time.Second,
		"10m": 10 * time.Minute, "1h": time.Hour, "20h": 20 * time.Hour, "1h10m": 70 * time.Minute, "1h0m1s": time.Hour + time.Second,
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %s; want %s", d, got, want)
		}
	}
}
