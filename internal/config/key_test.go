package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestKeysAreWellFormed(t *testing.T) {
	t.Parallel()
	variables := make(map[string]string)
	for _, key := range Keys() {
		if other, taken := variables[key.Env()]; taken {
			t.Errorf("%s and %s are both %s in the environment", key.Name, other, key.Env())
		}
		variables[key.Env()] = key.Name
		if isOrchestrated(key.Env(), "1") {
			t.Errorf("%s looks like a variable of Kubernetes", key.Env())
		}
		if !strings.HasSuffix(key.Doc, ".") {
			t.Errorf("the doc of %s is no sentence: %q", key.Name, key.Doc)
		}
		if (key.Kind == Int || key.Kind == Duration) && key.Min == "" {
			t.Errorf("%s has no least value, so that it may be negative", key.Name)
		}
		if key.Name != strings.ToLower(key.Name) || strings.Contains(key.Name, "-") {
			t.Errorf("%s is not in lower case with underscores", key.Name)
		}
	}
	if _, taken := variables[fileVariable]; taken {
		t.Errorf("%s is a key and the name of the settings file", fileVariable)
	}
}

func TestKeysAreACopy(t *testing.T) {
	t.Parallel()
	Keys()[0].Name = "changed"
	if got := Keys()[0].Name; got != "listen" {
		t.Errorf("the first key became %q", got)
	}
}

func TestNewTreePanicsOnBadTags(t *testing.T) {
	t.Parallel()
	for name, root := range map[string]any{
		"no name": struct{ A int }{},
		"no doc": struct {
			A int `yaml:"a" default:"1"`
		}{},
		"no default": struct {
			A int `yaml:"a" doc:"A."`
		}{},
		"bad default": struct {
			A int `yaml:"a" doc:"A." default:"x"`
		}{},
		"bad bound": struct {
			A int `yaml:"a" doc:"A." default:"1" max:"1s"`
		}{},
		"unknown format": struct {
			A string `yaml:"a" doc:"A." format:"colour"`
		}{},
		"unknown type": struct {
			A float64 `yaml:"a" doc:"A." default:"1"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			newTree(reflect.TypeOf(root))
		})
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"pool.mni":               "pool.min",
		"pool.minimum":           "pool.min",
		"POOL.MIN":               "pool.min",
		"min":                    "pool.min",
		"pol.min":                "pool.min",
		"provider":               "pool.provider",
		"streams_per_engine":     "pool.streams_per_engine",
		"pool.streams-per-engin": "pool.streams_per_engine",
		"playback.bufer":         "playback.buffer",
		"colour":                 "",
		"x":                      "",
	} {
		if got := Nearest(word); got != want {
			t.Errorf("Nearest(%q) = %q; want %q", word, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"abc", "ab", 1},
		{"abc", "abd", 1},
		{"kitten", "sitting", 3},
		{"ca", "abc", 3},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d; want %d", test.a, test.b, got, test.want)
		}
		if got := editDistance(test.b, test.a); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d; want %d", test.b, test.a, got, test.want)
		}
	}
}
