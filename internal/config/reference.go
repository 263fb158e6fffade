package config

import (
	"fmt"
	"io"
	"strings"
)

const referenceHead = `# Settings

<!-- Written by: acequia config reference -->

Every setting has one name in three forms: ` + "`pool.min`" + ` in the file, ` + "`ACEQUIA_POOL_MIN`" + ` in the
environment, ` + "`--pool.min`" + ` on the command line. The command line overrides the environment, which
overrides the file, which overrides the defaults. ` + "`acequia config print`" + ` shows every value and where it
comes from; ` + "`acequia config check`" + ` says what is wrong.

A running server changes settings through its API too, and keeps what was changed there. Such a value overrides the file,
and the environment and the command line override it. Where nothing else is said it counts from the next start.

**The file** is YAML. It is the one of ` + "`--config`" + `, or else of ` + "`ACEQUIA_CONFIG`" + `, or else ` + "`acequia.yaml`" + ` in the
data directory if there is one. A key that does not exist is an error, in all three places.

    pool:
      min: 3
    static:
      engines: ["http://tv-box:6878"]

**The environment**: a variable that is set to nothing counts as not set.

**The command line**: ` + "`--key value` or `--key=value`" + `; a boolean alone means true.

| Type | Written as |
|---|---|
| bool | ` + "`true` or `false` (also yes, no, on, off, 1, 0)" + ` |
| int | a whole number |
| duration | a number with a unit, or several: ` + "`15s`, `1m30s`, `250ms`" + ` |
| size | bytes with a unit: ` + "`128MiB` (units of 1024), `2GB` (units of 1000)" + `, or plain bytes |
| list | a YAML list in the file; separated by commas elsewhere |

`

// WriteReference writes the reference of all settings in Markdown.
func WriteReference(w io.Writer) error { return writeReference(w, configTree) }

func writeReference(w io.Writer, t *tree) error {
	var out strings.Builder
	out.WriteString(referenceHead)
	for _, s := range t.sections {
		title := s.name
		if title == "" {
			title = "General"
		}
		fmt.Fprintf(&out, "## %s\n\n", title)
		if s.doc != "" {
			fmt.Fprintf(&out, "%s\n\n", s.doc)
		}
		for _, key := range t.in(s.name) {
			key.writeReference(&out)
		}
	}
	_, err := io.WriteString(w, strings.TrimRight(out.String(), "\n")+"\n")
	return err
}

func (k Key) writeReference(out *strings.Builder) {
	fmt.Fprintf(out, "### %s\n\n%s\n\n", k.Name, k.Doc)
	fmt.Fprintf(out, "- Type: %s\n", k.describeKind())
	fmt.Fprintf(out, "- Default: %s\n", k.describeDefault())
	fmt.Fprintf(out, "- Environment: `%s`\n", k.Env())
	if k.Reload {
		out.WriteString("- Changes through the API: at once\n")
	}
	if k.Secret {
		fmt.Fprintf(out, "- Secret: never printed. `%s%s`, `%s%s` and `%s%s` name a file that holds it.\n",
			k.Name, fileSuffix, k.Env(), strings.ToUpper(fileSuffix), k.Flag(), fileSuffix)
	}
	out.WriteByte('\n')
}

func (k Key) describeKind() string {
	text := string(k.Kind)
	switch {
	case k.Enum != nil:
		text = "one of `" + strings.Join(k.Enum, "`, `") + "`"
	case k.Format != "" && k.Kind == List:
		text += " of `" + formats[k.Format].doc + "`"
	case k.Format != "":
		text = "`" + formats[k.Format].doc + "`"
	}
	switch {
	case k.Min != "" && k.Max != "":
		text += fmt.Sprintf(", from %s to %s", k.Min, k.Max)
	case k.Min != "":
		text += fmt.Sprintf(", %s or more", k.Min)
	case k.Max != "":
		text += fmt.Sprintf(", %s or less", k.Max)
	}
	return text
}

func (k Key) describeDefault() string {
	switch {
	case k.Auto != "":
		return k.Auto
	case k.Default == "" && k.Kind == List:
		return "none"
	case k.Default == "":
		return "empty"
	default:
		return "`" + k.Default + "`"
	}
}
