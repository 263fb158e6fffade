package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// mask stands for a secret in everything that is printed.
const mask = "********"

// WriteYAML writes every value with its origin as a comment. Apart from masked
// secrets the output is a settings file that gives the same values.
func (s *Settings) WriteYAML(w io.Writer) error {
	return writeYAML(w, configTree, reflect.ValueOf(s.Config), s.origins)
}

func writeYAML(w io.Writer, t *tree, root reflect.Value, origins map[string]Origin) error {
	var lines [][2]string // text and comment
	width := 0
	for i, s := range t.sections {
		if s.name != "" {
			if i > 0 {
				lines = append(lines, [2]string{})
			}
			lines = append(lines, [2]string{indent(s.name) + base(s.name) + ":"})
		}
		for _, key := range t.in(s.name) {
			text := indent(key.Name) + base(key.Name) + ": " + key.yaml(key.get(root))
			lines = append(lines, [2]string{text, printable(origins[key.Name].String())})
			if len(text) <= commentColumn {
				width = max(width, len(text))
			}
		}
	}
	var out strings.Builder
	for _, line := range lines {
		if line[1] == "" {
			fmt.Fprintln(&out, line[0])
			continue
		}
		fmt.Fprintf(&out, "%-*s  # %s\n", width, line[0], line[1])
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// commentColumn is the longest line that the comments of the others line up with.
const commentColumn = 48

// printable keeps a name on its line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func indent(name string) string { return strings.Repeat("  ", strings.Count(name, ".")) }

// yaml is a value in YAML, on one line.
func (k Key) yaml(value any) string {
	if k.Secret && !reflect.ValueOf(value).IsZero() {
		return strconv.Quote(mask)
	}
	switch value := value.(type) {
	case []string:
		items := make([]string, 0, len(value))
		for _, item := range value {
			items = append(items, strconv.Quote(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case string:
		if k.Enum != nil {
			return value
		}
		return strconv.Quote(value)
	default:
		return k.text(value)
	}
}

// Arguments are the values of one section as flags, each in the one-argument
// form --key=value, for a child process that is to use the same whatever file
// and environment it finds. Where the child is to differ, change the copy first:
//
//	c.Engine.HTTPPort = 0
//	args := c.Arguments("engine")
//
// Secrets are left out, because everybody on a machine can read the arguments
// of a process.
func (c Config) Arguments(section string) []string {
	root := reflect.ValueOf(c)
	var args []string
	for _, key := range configTree.in(section) {
		if !key.Secret {
			args = append(args, key.Flag()+"="+key.text(key.get(root)))
		}
	}
	return args
}
