package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// envPrefix starts the environment form of every name.
const envPrefix = "ACEQUIA_"

// fileSuffix on the name of a secret key names a file that holds the secret.
const fileSuffix = "_file"

// Kind says how the text of a value is read.
type Kind string

// The kinds of values.
const (
	Bool     Kind = "bool"     // true or false
	Int      Kind = "int"      // a whole number
	String   Kind = "string"   // any text without control characters
	Duration Kind = "duration" // Go syntax: 15s, 1m30s, 250ms
	Bytes    Kind = "size"     // see [Size]
	List     Kind = "list"     // texts; separated by commas in flags and environment
)

// Key describes one setting. Texts are in the form a person writes.
type Key struct {
	Name    string   `json:"key"` // dotted path, as in pool.min
	Kind    Kind     `json:"type"`
	Default string   `json:"default"`
	Auto    string   `json:"auto,omitempty"` // how the default is worked out; Default is empty then
	Doc     string   `json:"doc"`
	Enum    []string `json:"enum,omitempty"`
	Min     string   `json:"min,omitempty"` // both bounds are allowed values
	Max     string   `json:"max,omitempty"`
	Format  string   `json:"format,omitempty"` // a name in formats
	Secret  bool     `json:"secret,omitempty"`
	Reload  bool     `json:"reload,omitempty"` // a running server takes a new value at once

	index []int // of the field in the tree
}

// Env is the key's environment variable.
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Flag is the key's command line flag, with its dashes.
func (k Key) Flag() string { return "--" + k.Name }

// Example is a value to show with the name: the default, or what kind of value
// it takes.
func (k Key) Example() string {
	if k.Default != "" {
		return k.Default
	}
	return strings.ToUpper(string(k.Kind))
}

// section is one inner node of the tree; the root has no name.
type section struct {
	name string
	doc  string
}

// tree is a struct type seen as settings: its keys in the order of the fields.
type tree struct {
	keys     []Key
	sections []section
	byName   map[string]int // into keys
}

// configTree describes [Config].
var configTree = newTree(reflect.TypeFor[Config]())

// Keys describes every setting, in the order of [Config].
func Keys() []Key { return slices.Clone(configTree.keys) }

// newTree walks the tags of a struct type. A tag that contradicts its field is
// a mistake in this program, so it panics.
func newTree(root reflect.Type) *tree {
	t := &tree{byName: make(map[string]int)}
	t.walk(root, section{}, nil)
	return t
}

func (t *tree) walk(node reflect.Type, at section, index []int) {
	t.sections = append(t.sections, at)
	var inner []func()
	for i := range node.NumField() {
		field := node.Field(i)
		name := field.Tag.Get("yaml")
		if name == "" || field.Tag.Get("doc") == "" {
			panic(fmt.Sprintf("config: field %s needs the tags yaml and doc", field.Name))
		}
		if at.name != "" {
			name = at.name + "." + name
		}
		path := append(slices.Clone(index), i)
		if field.Type.Kind() == reflect.Struct {
			inner = append(inner, func() { t.walk(field.Type, section{name, field.Tag.Get("doc")}, path) })
			continue
		}
		key := newKey(name, field, path)
		t.byName[key.Name] = len(t.keys)
		t.keys = append(t.keys, key)
	}
	for _, walk := range inner {
		walk()
	}
}

func newKey(name string, field reflect.StructField, index []int) Key {
	key := Key{
		Name:    name,
		Kind:    kindOf(field.Type),
		Default: field.Tag.Get("default"),
		Auto:    field.Tag.Get("auto"),
		Doc:     field.Tag.Get("doc"),
		Min:     field.Tag.Get("min"),
		Max:     field.Tag.Get("max"),
		Format:  field.Tag.Get("format"),
		Secret:  field.Tag.Get("secret") == "true",
		Reload:  field.Tag.Get("reload") == "true",
		index:   index,
	}
	if enum := field.Tag.Get("enum"); enum != "" {
		key.Enum = strings.Split(enum, ",")
	}
	if _, ok := formats[key.Format]; !ok && key.Format != "" {
		panic(fmt.Sprintf("config: key %s has the unknown format %q", name, key.Format))
	}
	for i, text := range []string{key.Default, key.Min, key.Max} {
		mayBeEmpty := i > 0 || key.Auto != "" || key.Kind == String || key.Kind == List
		if text == "" && mayBeEmpty {
			continue
		}
		if _, err := key.parse(text); err != nil {
			panic(fmt.Sprintf("config: a tag of key %s: %v", name, err))
		}
	}
	return key
}

func kindOf(t reflect.Type) Kind {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return Duration
	case t == reflect.TypeFor[Size]():
		return Bytes
	case t == reflect.TypeFor[[]string]():
		return List
	case t.Kind() == reflect.Bool:
		return Bool
	case t.Kind() == reflect.Int:
		return Int
	case t.Kind() == reflect.String:
		return String
	}
	panic(fmt.Sprintf("config: no setting can have the type %s", t))
}

// find returns the key with a name.
func (t *tree) find(name string) (Key, bool) {
	i, ok := t.byName[name]
	if !ok {
		return Key{}, false
	}
	return t.keys[i], true
}

// findSecretFile returns the secret key that a name such as key_file stands for.
func (t *tree) findSecretFile(name string) (Key, bool) {
	base, ok := strings.CutSuffix(name, fileSuffix)
	if !ok {
		return Key{}, false
	}
	key, ok := t.find(base)
	return key, ok && key.Secret
}

// names lists every name that a source may use: keys, and files of secrets.
func (t *tree) names() []string {
	names := make([]string, 0, len(t.keys))
	for _, key := range t.keys {
		names = append(names, key.Name)
		if key.Secret {
			names = append(names, key.Name+fileSuffix)
		}
	}
	return names
}

// hasSection tells whether name is an inner node.
func (t *tree) hasSection(name string) bool {
	return slices.ContainsFunc(t.sections, func(s section) bool { return s.name == name })
}

// in lists the keys directly in a section.
func (t *tree) in(name string) []Key {
	var keys []Key
	for _, key := range t.keys {
		if parent(key.Name) == name {
			keys = append(keys, key)
		}
	}
	return keys
}

// parent is the section of a key, and base its name within it.
func parent(name string) string {
	return name[:max(strings.LastIndexByte(name, '.'), 0)]
}

func base(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:]
}

// Nearest is the name of the key that a mistyped one most likely meant, or
// empty where none is close.
func Nearest(name string) string { return nearest(name, configTree.names()) }
