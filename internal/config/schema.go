package config

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// The forms that JSON schema can check by itself.
const (
	durationPattern = `^(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`
	sizePattern     = `^[0-9]+(\.[0-9]{1,6})? ?([kKMGT]i?B|B)?$`
)

// schemaNode is one node of a JSON schema (draft 2020-12). Members that start
// with x- are ours: the bounds of durations and sizes, which the standard
// cannot express, and the name of the setting in the environment.
type schemaNode struct {
	Schema      string                 `json:"$schema,omitempty"`
	Title       string                 `json:"title,omitempty"`
	Type        any                    `json:"type,omitempty"` // a string or []string
	Description string                 `json:"description,omitempty"`
	Default     any                    `json:"default,omitempty"`
	Enum        []string               `json:"enum,omitempty"`
	Minimum     *int                   `json:"minimum,omitempty"`
	Maximum     *int                   `json:"maximum,omitempty"`
	Pattern     string                 `json:"pattern,omitempty"`
	Items       *schemaNode            `json:"items,omitempty"`
	WriteOnly   bool                   `json:"writeOnly,omitempty"`
	Properties  map[string]*schemaNode `json:"properties,omitempty"`
	Closed      *bool                  `json:"additionalProperties,omitempty"`

	Kind   Kind   `json:"x-kind,omitempty"`
	Format string `json:"x-format,omitempty"`
	Min    string `json:"x-min,omitempty"`
	Max    string `json:"x-max,omitempty"`
	Auto   string `json:"x-auto,omitempty"`
	Env    string `json:"x-env,omitempty"`
}

// WriteSchema writes the JSON schema of the settings file, for editors that
// complete and check, and for forms made from it.
func WriteSchema(w io.Writer) error { return writeSchema(w, configTree) }

func writeSchema(w io.Writer, t *tree) error {
	root := t.schema(section{})
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Acequia settings"
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(root)
}

func (t *tree) schema(s section) *schemaNode {
	node := &schemaNode{
		Type:        "object",
		Description: s.doc,
		Properties:  make(map[string]*schemaNode),
		Closed:      new(false),
	}
	for _, key := range t.in(s.name) {
		node.Properties[base(key.Name)] = key.schema()
		if key.Secret {
			node.Properties[base(key.Name)+fileSuffix] = &schemaNode{
				Type:        "string",
				Description: fmt.Sprintf("File that holds %s.", key.Name),
			}
		}
	}
	for _, inner := range t.sections {
		if inner.name != "" && parent(inner.name) == s.name {
			node.Properties[base(inner.name)] = t.schema(inner)
		}
	}
	return node
}

func (k Key) schema() *schemaNode {
	node := &schemaNode{
		Description: k.Doc,
		Enum:        slices.Clone(k.Enum),
		WriteOnly:   k.Secret,
		Kind:        k.Kind,
		Format:      k.Format,
		Auto:        k.Auto,
		Env:         k.Env(),
	}
	if k.Auto == "" && !k.Secret {
		node.Default = k.Default
	}
	switch k.Kind {
	case Bool:
		node.Type = "boolean"
		node.Default = mustParse[bool](k, k.Default)
	case Int:
		node.Type = "integer"
		node.Default = mustParse[int](k, k.Default)
		node.Minimum, node.Maximum = k.bound(k.Min), k.bound(k.Max)
	case Duration:
		// The one number that needs no unit is 0.
		node.Type, node.Pattern = []string{"string", "integer"}, durationPattern
		node.Minimum, node.Maximum = new(0), new(0)
		node.Min, node.Max = k.Min, k.Max
	case Bytes:
		node.Type, node.Pattern = []string{"string", "integer"}, sizePattern
		node.Default = sizeDefault(k.Default)
		node.Min, node.Max = k.Min, k.Max
	case List:
		node.Type, node.Items = "array", &schemaNode{Type: "string"}
		node.Default = parseList(k.Default)
	case String:
		node.Type = "string"
	}
	return node
}

func (k Key) bound(text string) *int {
	if text == "" {
		return nil
	}
	return new(mustParse[int](k, text))
}

// sizeDefault is a number where the text is one, which pleases strict editors.
func sizeDefault(text string) any {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return n
	}
	return text
}
