package lines_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acequia-tv/acequia/internal/lines"
)

func cut(limit int, chunks ...string) []string {
	var all []string
	w := &lines.Writer{Max: limit, Line: func(s string) { all = append(all, s) }}
	for _, c := range chunks {
		if n, err := w.Write([]byte(c)); n != len(c) || err != nil {
			panic("a write was not taken whole")
		}
	}
	w.Flush()
	return all
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"none", nil, nil},
		{"blank ones", []string{"\n\r\n  \n"}, nil},
		{"several in one write", []string{"a\nb\r\nc\n"}, []string{"a", "b", "c"}},
		{"one in several writes", []string{"a", "", "b\nc"}, []string{"ab", "c"}},
		{"a long one", []string{"0123456789", "0123\nb\n"}, []string{"01234567", "b"}},
		{"no text", []string{"a\xffb\n"}, []string{"a?b"}},
	} {
		if diff := cmp.Diff(test.want, cut(8, test.chunks...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// How output falls into writes does not matter.
func TestLinesDoNotDependOnWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SliceOf(rapid.StringOf(rapid.RuneFrom([]rune("ab\n")))).Draw(t, "chunks")
		whole, parts := cut(4, strings.Join(chunks, "")), cut(4, chunks...)
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Fatal(diff)
		}
	})
}
