package message

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

func TestEveryKeyHasBothLanguages(t *testing.T) {
	t.Parallel()
	var decls []ast.Decl
	for _, name := range []string{"catalogue.go", "api.go", "health.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, f.Decls...)
	}
	declared := 0
	for _, decl := range decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			value := spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
			key, err := strconv.Unquote(value)
			if err != nil {
				t.Fatal(err)
			}
			declared++
			s, ok := sentence(Key(key))
			if !ok || s.en == "" || s.es == "" || s.en == s.es {
				t.Errorf("%s: English %q, Spanish %q", key, s.en, s.es)
			}
		}
	}
	if there := len(catalogue) + len(apiCatalogue) + len(healthCatalogue); declared != there {
		t.Errorf("%d keys are declared, the catalogue has %d", declared, there)
	}
}

func TestPreferred(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]Lang{
		"":                             English,
		"es":                           Spanish,
		"es-ES,es;q=0.9,en;q=0.8":      Spanish,
		"en-GB,en;q=0.9,es;q=0.8":      English,
		"fr,es;q=0.5":                  Spanish,
		"en;q=0.3, ES-mx ; q=0.7":      Spanish,
		"es;q=0":                       English,
		"es;q=wrong,en;q=0.1":          English,
		"*":                            English,
		"de-DE,de;q=0.9,*;q=0.5,,;;q=": English,
	} {
		if got := Preferred(header); got != want {
			t.Errorf("Preferred(%q) = %s, want %s", header, got, want)
		}
	}
}

func TestUnknownKeyIsItself(t *testing.T) {
	t.Parallel()
	if got := Text(Spanish, "no.such"); got != "no.such" {
		t.Errorf("Text = %q", got)
	}
}
