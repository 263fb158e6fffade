package app

import (
	"strings"
	"testing"

	"github.com/acequia-tv/acequia/internal/config"
)

// A dry run tells what would be done, and does nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		flags []config.Setting
		want  []string
	}{
		{[]config.Setting{{Name: "pool.min", Text: "3"}}, []string{
			"wanted: 3 engines (the minimum)", "there: 0", "  start engine-1: ", "  start engine-3: ",
		}},
		{[]config.Setting{{Name: "static.engines", Text: "http://127.0.0.1:1"}}, []string{
			"wanted: 1 engine (they are started by somebody else)", "there: 1", "nothing",
		}},
	} {
		inv := invocation(t, test.flags...)
		var out strings.Builder
		inv.Stdout = &out
		if err := Plan(t.Context(), inv); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, out.String())
			}
		}
	}
}
