package config

import (
	"errors"
	"fmt"
	"strings"
)

// Layer is one of the places that settings come from, the later ones stronger.
type Layer int

// The layers.
const (
	Default Layer = iota
	File
	Stored // changed while the server ran
	Environment
	Flags
)

// Origin says where a value comes from. The zero value is the default.
type Origin struct {
	Layer Layer
	Name  string // path of the file, name of the variable, or flag with its dashes
	Line  int    // in the file, from 1
}

// String names the origin the way a person would look for it.
func (o Origin) String() string {
	switch o.Layer {
	case File:
		if o.Line > 0 {
			return fmt.Sprintf("%s:%d", o.Name, o.Line)
		}
		return o.Name
	case Stored:
		return "changed in Acequia"
	case Environment:
		return "environment " + o.Name
	case Flags:
		return "flag " + o.Name
	default:
		return "default"
	}
}

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Key     string // the key, or the name as written where there is no such key
	Origin  Origin
	Message string // what is wrong and what to do
	Source  string // the line of the file, where Origin has one
}

// String is one line, and a second one with the line of the file if there is one.
func (p Problem) String() string {
	subject := p.Key
	switch {
	case subject == "":
		subject = p.Origin.String()
	case p.Origin.Layer != Default:
		subject += " (" + p.Origin.String() + ")"
	}
	if p.Source == "" {
		return subject + ": " + p.Message
	}
	return fmt.Sprintf("%s: %s\n%6d | %s", subject, p.Message, p.Origin.Line, p.Source)
}

// InvalidError is everything that is wrong with the settings at once.
type InvalidError struct {
	Problems []Problem // at least one
}

// Error is the problems on lines of their own.
func (e *InvalidError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, problem := range e.Problems {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong.
type problems []Problem

// err is an [InvalidError], or nil without problems.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &InvalidError{Problems: p}
}

// add notes each of the errors joined in err about one key.
func (p *problems) add(key string, origin Origin, source string, err error) {
	if err == nil {
		return
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, one := range joined.Unwrap() {
			p.add(key, origin, source, one)
		}
		return
	}
	*p = append(*p, Problem{Key: key, Origin: origin, Message: err.Error(), Source: source})
}
