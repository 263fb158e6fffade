package config

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestReferenceNamesEveryKey(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteReference(&out); err != nil {
		t.Fatal(err)
	}
	for _, key := range Keys() {
		for _, want := range []string{"### " + key.Name + "\n", "- Environment: `" + key.Env() + "`\n", key.Doc} {
			if strings.Count(out.String(), want) != 1 {
				t.Errorf("%q is there %d times", want, strings.Count(out.String(), want))
			}
		}
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteSchema(&out); err != nil {
		t.Fatal(err)
	}
	var root schemaNode
	if err := json.Unmarshal([]byte(out.String()), &root); err != nil {
		t.Fatal(err)
	}
	for _, key := range Keys() {
		node := &root
		for part := range strings.SplitSeq(key.Name, ".") {
			if node.Closed == nil || *node.Closed {
				t.Errorf("%s: its section takes unknown keys", key.Name)
			}
			if node = node.Properties[part]; node == nil {
				t.Fatalf("%s is not in the schema", key.Name)
			}
		}
		if node.Description != key.Doc || node.Env != key.Env() || node.Kind != key.Kind {
			t.Errorf("%s is described as %+v", key.Name, node)
		}
		if len(node.Enum) != len(key.Enum) {
			t.Errorf("%s has the words %v; want %v", key.Name, node.Enum, key.Enum)
		}
		if node.Type == nil {
			t.Errorf("%s has no type", key.Name)
		}
		if key.Auto == "" && !key.Secret && node.Default == nil {
			t.Errorf("%s has no default", key.Name)
		}
	}
}

func TestSchemaPatternsTakeEveryValue(t *testing.T) {
	t.Parallel()
	duration := regexp.MustCompile(durationPattern)
	for _, key := range Keys() {
		if key.Kind == Duration && !duration.MatchString(key.Default) {
			t.Errorf("the pattern refuses the default of %s, %s", key.Name, key.Default)
		}
	}
	key, _ := configTree.find("playback.linger")
	rapid.Check(t, func(t *rapid.T) {
		value := drawValue(t, key)
		if text := key.text(value); !duration.MatchString(text) {
			t.Errorf("the pattern refuses %s", text)
		}
	})
}
