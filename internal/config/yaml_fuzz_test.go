package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzLoadYAML(f *testing.F) {
	f.Add("pool:\n  min: 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := Load(from(disk{homeFile: text}, nil))
		if err == nil {
			checkReadBack(t, settings)
			return
		}
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok || len(invalid.Problems) == 0 {
			t.Fatalf("error %v (%T) tells no problem", err, err)
		}
		lines := strings.Count(lineBreaks.Replace(text), "\n") + 1
		for _, problem := range invalid.Problems {
			if problem.Message == "" {
				t.Errorf("a problem without words: %+v", problem)
			}
			if problem.Origin.Line < 0 || problem.Origin.Line > lines {
				t.Errorf("line %d of %d: %v", problem.Origin.Line, lines, problem)
			}
		}
	})
}

// checkReadBack holds that accepted settings print as a file that says the same.
func checkReadBack(t *testing.T, settings *Settings) {
	t.Helper()
	if err := settings.Config.Validate(); err != nil {
		t.Fatalf("loaded without an error, and yet %v", err)
	}
	var out strings.Builder
	if err := settings.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	again, err := Load(from(disk{homeFile: out.String()}, nil))
	if err != nil {
		t.Fatalf("the printed settings are refused: %v\n%s", err, &out)
	}
	if diff := cmp.Diff(settings.Config, again.Config); diff != "" {
		t.Error(diff)
	}
}
