package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds the settings file, and with it the depth to which the parser
// recurses; one that is larger is something else.
const maxFile = 64 << 10

// yamlReader turns a settings file into assignments. It reads the syntax tree
// rather than decoding into the struct, because only the tree knows the line of
// every value, and so that a text means the same in the file as in a flag.
type yamlReader struct {
	tree     *tree
	name     string // of the file
	lines    []string
	found    []assignment
	problems problems
}

// lineBreaks makes every line break of YAML the usual one.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func readYAML(t *tree, name string, data []byte) ([]assignment, problems) {
	// One line break, so that the parser's lines are the ones shown.
	text := lineBreaks.Replace(strings.TrimPrefix(string(data), "\ufeff"))
	r := &yamlReader{tree: t, name: name, lines: strings.Split(text, "\n")}
	if len(data) > maxFile {
		r.problems.add("", Origin{Layer: File, Name: name}, "", fmt.Errorf("more than %s: this is not a settings file", Size(maxFile)))
		return nil, r.problems
	}
	file, err := parseYAML(text)
	if err != nil {
		r.syntaxError(err)
		return nil, r.problems
	}
	bodies := 0
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if bodies++; bodies > 1 {
			r.problem(doc.Body, "", errors.New("a second document: the settings are one YAML document"))
			break
		}
		r.section(doc.Body, "")
	}
	return r.found, r.problems
}

// parseYAML is the library's parser with its panics on odd input made errors:
// the file is foreign, and a broken one must end in a sentence.
func parseYAML(text string) (file *ast.File, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			file, err = nil, fmt.Errorf("not YAML: %v", broken)
		}
	}()
	// Keys given twice are found by name here, however they are nested.
	return parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
}

func (r *yamlReader) syntaxError(err error) {
	origin := Origin{Layer: File, Name: r.name}
	message := err
	if located, ok := errors.AsType[yaml.Error](err); ok {
		message = errors.New(located.GetMessage())
		origin = r.at(located.GetToken())
	}
	r.problems.add("", origin, r.source(origin.Line), fmt.Errorf("syntax: %w", message))
}

// section reads the keys below one inner node of the tree.
func (r *yamlReader) section(node ast.Node, name string) {
	switch node := node.(type) {
	case *ast.MappingNode:
		for _, entry := range node.Values {
			r.entry(entry, name)
		}
	case *ast.MappingValueNode:
		r.entry(node, name)
	case *ast.NullNode: // every key commented out
	default:
		if name == "" {
			r.problem(node, "", errors.New("the settings are a mapping of keys to values, as in listen: \":6878\""))
			return
		}
		r.problem(node, name, fmt.Errorf("a section, not a value: its keys are %s", strings.Join(r.keysIn(name), ", ")))
	}
}

func (r *yamlReader) entry(entry *ast.MappingValueNode, section string) {
	if entry == nil || entry.Key == nil {
		return
	}
	if entry.Key.IsMergeKey() {
		r.problem(entry.Key, "", errors.New("merge keys (<<) are not supported: write the values out"))
		return
	}
	name := entry.Key.GetToken().Value
	if section != "" {
		name = section + "." + name
	}
	if r.tree.hasSection(name) {
		r.section(entry.Value, name)
		return
	}
	r.value(entry, name)
}

// value notes one assignment; whether there is such a key is for the loader.
func (r *yamlReader) value(entry *ast.MappingValueNode, name string) {
	a := assignment{name: name, origin: r.origin(entry.Key), source: r.source(r.origin(entry.Key).Line)}
	if list, ok := entry.Value.(*ast.SequenceNode); ok {
		a.items = make([]string, 0, len(list.Values))
		for _, item := range list.Values {
			text, err := scalar(item)
			if err != nil {
				r.problem(item, name, err)
				return
			}
			a.items = append(a.items, text)
		}
	} else if text, err := scalar(entry.Value); err == nil {
		a.text = text
	} else if r.tree.known(name) {
		r.problem(entry.Key, name, err)
		return
	}
	r.found = append(r.found, a)
}

// scalar is the text of a value as it was written, without quotes.
func scalar(node ast.Node) (string, error) {
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return "", errors.New(`no value: write one (or "" for an empty one), or remove the line`)
	case *ast.LiteralNode:
		return strings.TrimSuffix(node.Value.Value, "\n"), nil
	case *ast.StringNode:
		return node.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, nil
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "", errors.New("anchors (&), aliases (*) and tags (!) are not supported: write the value out")
	default:
		return "", errors.New("a mapping where a value or a list of values belongs; inside { } put a text with a colon in quotes")
	}
}

func (r *yamlReader) problem(node ast.Node, key string, err error) {
	origin := r.origin(node)
	r.problems.add(key, origin, r.source(origin.Line), err)
}

func (r *yamlReader) origin(node ast.Node) Origin { return r.at(node.GetToken()) }

// at is the place of a token. The parser puts the end of an open quote one
// line after the last.
func (r *yamlReader) at(t *token.Token) Origin {
	origin := Origin{Layer: File, Name: r.name}
	if t != nil && t.Position != nil {
		origin.Line = min(t.Position.Line, len(r.lines))
	}
	return origin
}

// source is the text of a line, unless it holds a secret: a problem's text
// ends up in logs.
func (r *yamlReader) source(line int) string {
	if line < 1 || line > len(r.lines) {
		return ""
	}
	text := strings.TrimRight(r.lines[line-1], " ")
	for _, key := range r.tree.keys {
		if key.Secret && strings.Contains(text, base(key.Name)+":") {
			return ""
		}
	}
	return text
}

// keysIn lists the keys of a section by their names within it.
func (r *yamlReader) keysIn(name string) []string {
	var names []string
	for _, key := range r.tree.in(name) {
		names = append(names, base(key.Name))
	}
	return names
}
