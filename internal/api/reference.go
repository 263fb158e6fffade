package api

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const referenceHead = `# API

<!-- Made from the code: make gen -->

What a running server answers under ` + "`" + Prefix + "`" + `. The same as an OpenAPI 3.1 document is in
[openapi.json](openapi.json), at ` + "`" + Prefix + "/openapi.json" + "`" + `, and as a page to try it at ` + "`" + Prefix + "/docs" + "`" + `.

**Keys.** Every request needs a key or a login: ` + "`Authorization: Bearer KEY`" + `, ` + "`X-API-Key: KEY`" + `, the key as password of basic
authentication, or the cookie of ` + "`POST " + Prefix + "/login`" + `. The scopes are play, read, operate and admin; each includes those before
it. ` + "`acequia auth key add NAME`" + ` makes a key.

**Errors** are ` + "`application/problem+json`" + ` (RFC 9457) with a ` + "`code`" + ` that never changes and a ` + "`title`" + ` in English or Spanish, by
` + "`Accept-Language`" + `. What is wrong with each part of a request is in ` + "`errors`" + `.

`

// WriteReference writes the reference of all routes in Markdown.
func (a *API) WriteReference(w io.Writer) error {
	var out strings.Builder
	out.WriteString(referenceHead)
	byTag := make(map[string][]*huma.Operation)
	for _, item := range a.huma.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				byTag[op.Tags[0]] = append(byTag[op.Tags[0]], op)
			}
		}
	}
	tags := make([]string, 0, len(byTag))
	for tag := range byTag {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	for _, tag := range tags {
		ops := byTag[tag]
		slices.SortFunc(ops, func(a, b *huma.Operation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
		fmt.Fprintf(&out, "## %s\n\n", tag)
		for _, op := range ops {
			writeOperation(&out, op)
		}
	}
	_, err := io.WriteString(w, strings.TrimRight(out.String(), "\n")+"\n")
	return err
}

func writeOperation(out *strings.Builder, op *huma.Operation) {
	fmt.Fprintf(out, "### %s %s%s\n\n%s.", op.Method, Prefix, op.Path, op.Summary)
	if op.Description != "" {
		fmt.Fprintf(out, " %s", strings.ReplaceAll(op.Description, "\n\n", " "))
	}
	out.WriteString("\n\n")
	for _, p := range op.Parameters {
		fmt.Fprintf(out, "- `%s` (%s): %s\n", p.Name, p.In, cmp.Or(p.Description, p.Name))
	}
	if len(op.Parameters) > 0 {
		out.WriteByte('\n')
	}
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Content {
			fmt.Fprintf(out, "Takes `%s`. ", schemaName(media.Schema))
		}
	}
	for status, response := range op.Responses {
		for kind, media := range response.Content {
			if status != "default" {
				fmt.Fprintf(out, "Answers with %s, `%s`.", status, cmp.Or(schemaName(media.Schema), kind))
			}
		}
	}
	out.WriteString("\n\n")
}

// schemaName names a schema as the document does.
func schemaName(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Items != nil:
		return schemaName(s.Items) + "[]"
	}
	return ""
}
